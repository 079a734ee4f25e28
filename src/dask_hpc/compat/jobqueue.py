"""The names of dask-jobqueue: the import is all that changes."""

from __future__ import annotations

from dask_hpc.compat.cluster import JobQueueCluster
from dask_hpc.compat.clusters import (
    HTCondorCluster,
    LocalCluster,
    LSFCluster,
    MoabCluster,
    OARCluster,
    PBSCluster,
    SGECluster,
    SLURMCluster,
)
from dask_hpc.compat.job import Job
from dask_hpc.compat.jobs import (
    HTCondorJob,
    LocalJob,
    LSFJob,
    MoabJob,
    OARJob,
    PBSJob,
    SGEJob,
    SLURMJob,
)
from dask_hpc.compat.runner import (
    BaseRunner,
    LSFRunner,
    OARRunner,
    PBSRunner,
    SGERunner,
    SLURMRunner,
)

__all__ = [
    "BaseRunner",
    "HTCondorCluster",
    "HTCondorJob",
    "Job",
    "JobQueueCluster",
    "LSFCluster",
    "LSFJob",
    "LSFRunner",
    "LocalCluster",
    "LocalJob",
    "MoabCluster",
    "MoabJob",
    "OARCluster",
    "OARJob",
    "OARRunner",
    "PBSCluster",
    "PBSJob",
    "PBSRunner",
    "SGECluster",
    "SGEJob",
    "SGERunner",
    "SLURMCluster",
    "SLURMJob",
    "SLURMRunner",
]
