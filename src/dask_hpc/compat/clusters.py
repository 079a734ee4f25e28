"""The eight clusters of dask-jobqueue by name."""

from __future__ import annotations

from typing import Any

from dask_hpc.compat import jobs
from dask_hpc.compat.cluster import JobQueueCluster
from dask_hpc.compat.words import described


class SLURMCluster(JobQueueCluster):
    """Launch Dask on Slurm, in the words of dask-jobqueue."""

    job_cls: Any = jobs.SLURMJob


class PBSCluster(JobQueueCluster):
    """Launch Dask on PBS, in the words of dask-jobqueue."""

    job_cls: Any = jobs.PBSJob


class MoabCluster(PBSCluster):
    """Launch Dask on Moab, in the words of dask-jobqueue."""

    job_cls: Any = jobs.MoabJob


class SGECluster(JobQueueCluster):
    """Launch Dask on Grid Engine, in the words of dask-jobqueue."""

    job_cls: Any = jobs.SGEJob


class LSFCluster(JobQueueCluster):
    """Launch Dask on LSF, in the words of dask-jobqueue."""

    job_cls: Any = jobs.LSFJob


class OARCluster(JobQueueCluster):
    """Launch Dask on OAR, in the words of dask-jobqueue."""

    job_cls: Any = jobs.OARJob


class HTCondorCluster(JobQueueCluster):
    """Launch Dask on HTCondor, in the words of dask-jobqueue."""

    job_cls: Any = jobs.HTCondorJob


class LocalCluster(JobQueueCluster):
    """Launch Dask on the queue embedded in dask-hpc, in the words of dask-jobqueue."""

    job_cls: Any = jobs.LocalJob


for _kind in (
    SLURMCluster, PBSCluster, MoabCluster, SGECluster, LSFCluster, OARCluster, HTCondorCluster,
    LocalCluster,
):  # fmt: skip
    _kind.__doc__ = described(_kind.__name__, str(_kind.__doc__), own=_kind.job_cls.keywords)
