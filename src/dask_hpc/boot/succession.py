"""Whether a scheduler that is gone is followed by another one, which its keeper starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dask_hpc._clock import SystemClock
from dask_hpc.cluster.record import ClusterState, read_cluster
from dask_hpc.cluster.spec import Home
from dask_hpc.engine.reach import listens
from dask_hpc.errors import HPCError

if TYPE_CHECKING:
    from dask_hpc._clock import Clock
    from dask_hpc.cluster.directory import ClusterDirectory
    from dask_hpc.cluster.record import ClusterRecord

_PATIENCE = 20.0  # seconds: a start takes two or three
_LOOK = 0.5  # seconds
_KNOCK = 2.0  # seconds


async def is_followed(
    directory: ClusterDirectory, before: ClusterRecord, *, clock: Clock | None = None
) -> bool:
    """Return whether workers that have ended should begin anew, for another scheduler.

    Parameters
    ----------
    directory
        Of their cluster.
    before
        The record of the scheduler that they worked for. If it still listens, it sent them away.
    """
    clock = clock or SystemClock()
    deadline = clock.monotonic() + _PATIENCE
    while clock.monotonic() < deadline:
        try:
            record = read_cluster(directory)
        except (HPCError, OSError):
            return False
        if record.state is ClusterState.ENDED or record.home is Home.HERE:
            return False
        if record.nonce != before.nonce:
            return True
        if await listens(before, seconds=_KNOCK):
            return False
        await clock.sleep(_LOOK)
    return False
