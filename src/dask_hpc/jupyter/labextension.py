"""The cluster of a Jupyter session, as Dask's extension of JupyterLab shows it without a click."""

from __future__ import annotations

from typing import Any

from distributed.core import Status

from dask_hpc import _envvars
from dask_hpc._clock import SystemClock
from dask_hpc.cluster.directory import directory_of
from dask_hpc.cluster.record import read_cluster, read_spec
from dask_hpc.deploy.cluster import HPCCluster
from dask_hpc.errors import ClusterNotFound

_LOOK = 0.2  # seconds


class SessionCluster(HPCCluster):
    """A handle on the cluster in whose job this runs, as soon as that has a scheduler.

    To close it detaches, like any handle on a cluster in a job of its own.
    """

    def __init__(self, *, asynchronous: bool = False, loop: Any = None) -> None:
        self.status = Status.closed
        self._resolve = _own_spec
        self._setup(asynchronous=asynchronous, loop=loop, attaches=True)


async def _own_spec() -> Any:
    name = _envvars.CLUSTER.get()
    if name is None:
        raise ClusterNotFound("this is not the Jupyter session of a cluster")
    directory = directory_of(name)
    while not read_cluster(directory).address:
        await SystemClock().sleep(_LOOK)
    return read_spec(directory)
