"""The clusters that exist, as a handle needs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dask_hpc.cluster.record import ClusterState, read_spec
from dask_hpc.cluster.spec import Home
from dask_hpc.errors import ConfigError, ControllerUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from dask_hpc.cluster.directory import ClusterDirectory
    from dask_hpc.cluster.record import ClusterRecord
    from dask_hpc.cluster.spec import ClusterSpec


def home_of(scheduler: str) -> Home:
    """Return the home that a word means.

    Raises
    ------
    ConfigError
        If it means none.
    """
    try:
        return Home(scheduler)
    except ValueError:
        raise ConfigError(
            f"scheduler {scheduler!r} is unknown",
            hint='"here" for this process, "job" for a job of its own',
        ) from None


def spec_of(directory: ClusterDirectory) -> Callable[[], Coroutine[Any, Any, ClusterSpec]]:
    """Return what reads the spec of a cluster that exists."""

    async def resolve() -> ClusterSpec:
        return read_spec(directory)

    return resolve


def check_reachable(record: ClusterRecord) -> ClusterRecord:
    """Return the record of a cluster whose scheduler should answer.

    Raises
    ------
    ControllerUnreachable
        If it has not started, or has ended.
    """
    if record.state is ClusterState.RUNNING and not record.is_stale:
        return record
    raise ControllerUnreachable(
        f"the scheduler of {record.name!r} is not running: {record.reason or record.state}",
        hint=f"dask-hpc status {record.name}",
    )
