"""How dask finds clusters: the entry point ``dask_cluster_discovery``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dask_hpc.cluster.record import clusters
from dask_hpc.deploy.cluster import HPCCluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def discover() -> AsyncIterator[tuple[str, type[HPCCluster]]]:
    """Yield the name and the class of every cluster of this user."""
    for name in clusters():
        yield name, HPCCluster
