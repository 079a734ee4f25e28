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
    from dask_hpc.deploy.cluster import HPCCluster

_PLACES = {
    "HPCCluster": "dask_hpc.deploy.cluster",
    "clusters": "dask_hpc.cluster.record",
}

__all__ = ["HPCCluster", "__version__", "clusters"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PLACES])
