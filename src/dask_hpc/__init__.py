"""Jupyter and elastic Dask clusters on batch-scheduled supercomputers.

Names are loaded when they are used: importing this package writes nothing, starts nothing and
does not import distributed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from dask_hpc._version import __version__

if TYPE_CHECKING:
    from dask_hpc.cluster.record import clusters
    from dask_hpc.compat.jobqueue import (
        HTCondorCluster,
        LocalCluster,
        LSFCluster,
        MoabCluster,
        OARCluster,
        PBSCluster,
        SGECluster,
        SLURMCluster,
    )
    from dask_hpc.deploy.cluster import HPCCluster

_PLACES = {
    "HPCCluster": "dask_hpc.deploy.cluster",
    "clusters": "dask_hpc.cluster.record",
    "HTCondorCluster": "dask_hpc.compat.jobqueue",
    "LSFCluster": "dask_hpc.compat.jobqueue",
    "LocalCluster": "dask_hpc.compat.jobqueue",
    "MoabCluster": "dask_hpc.compat.jobqueue",
    "OARCluster": "dask_hpc.compat.jobqueue",
    "PBSCluster": "dask_hpc.compat.jobqueue",
    "SGECluster": "dask_hpc.compat.jobqueue",
    "SLURMCluster": "dask_hpc.compat.jobqueue",
}

__all__ = [
    "HPCCluster",
    "HTCondorCluster",
    "LSFCluster",
    "LocalCluster",
    "MoabCluster",
    "OARCluster",
    "PBSCluster",
    "SGECluster",
    "SLURMCluster",
    "__version__",
    "clusters",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PLACES])
