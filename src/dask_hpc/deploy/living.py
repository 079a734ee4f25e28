"""The clusters that this process would take with it, and their end when it ends."""

from __future__ import annotations

import asyncio
import atexit
import weakref
from functools import cache
from typing import TYPE_CHECKING

from distributed.core import Status

from dask_hpc._hosts import own_mark
from dask_hpc.cluster.directory import directory_of
from dask_hpc.cluster.record import clusters
from dask_hpc.deploy.ending import end_jobs

if TYPE_CHECKING:
    from distributed.deploy.cluster import Cluster

_SECONDS = 10.0  # for the end of each


def remember(cluster: Cluster) -> None:
    """Close a cluster when the interpreter exits, if nobody has done so until then."""
    _living().add(cluster)


@cache
def _living() -> weakref.WeakSet[Cluster]:
    living: weakref.WeakSet[Cluster] = weakref.WeakSet()
    atexit.register(_close_all, living)
    return living


def _close_all(living: weakref.WeakSet[Cluster]) -> None:
    # The scheduler in this process would die, and leave jobs in the queue that nobody waits for.
    for cluster in list(living):
        # Not `asynchronous`, which says no where no loop runs: then nobody would end this wait.
        if cluster.status == Status.running and not cluster.called_from_running_loop:
            cluster.close(timeout=_SECONDS)
    # The event loops of the others are gone, and with them their controllers.
    left = [name for name, record in clusters().items() if record.process == own_mark()]
    for name in left:
        asyncio.run(end_jobs(directory_of(name)))
