"""The clusters that exist, as a handle needs them."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from dask_hpc import _envvars
from dask_hpc._clock import SystemClock
from dask_hpc._hosts import is_alive
from dask_hpc.cluster.directory import directories
from dask_hpc.cluster.fate import bury, ending, scheduler_status
from dask_hpc.cluster.record import ClusterState, read_cluster, read_spec
from dask_hpc.cluster.spec import Home
from dask_hpc.deploy.agent import tend_agent
from dask_hpc.engine.reach import listens
from dask_hpc.engine.start import queue_of
from dask_hpc.errors import BatchError, ClusterNotFound, ConfigError, ControllerUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from dask_hpc.cluster.directory import ClusterDirectory
    from dask_hpc.cluster.record import ClusterRecord
    from dask_hpc.cluster.spec import ClusterSpec

logger = logging.getLogger(__name__)

_KNOCK = 1.0  # seconds until nobody listens
_ASK = 5.0  # seconds that the batch system has for an answer
_AGAIN = 0.5  # seconds
_GONE = "nobody listens at its address, and its job {} is not in the queue any more"


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


def own_name() -> str:
    """Return the name of the cluster that is meant without one.

    Raises
    ------
    ClusterNotFound
        If there is none.
    ConfigError
        If there are several.
    """
    if name := _envvars.CLUSTER.get():
        return name
    names = [directory.path.name for directory in directories()]
    if not names:
        raise ClusterNotFound("there is no cluster", hint="dask-hpc up starts one")
    if len(names) > 1:
        raise ConfigError("there are several clusters", hint=f"name one of {', '.join(names)}")
    return names[0]


def spec_of(directory: ClusterDirectory) -> Callable[[], Coroutine[Any, Any, ClusterSpec]]:
    """Return what reads the spec of a cluster that exists."""

    async def resolve() -> ClusterSpec:
        return read_spec(directory)

    return resolve


async def reachable(directory: ClusterDirectory) -> ClusterRecord:
    """Return the record of a cluster whose scheduler should answer, with what it needs for that.

    Raises
    ------
    ClusterNotFound
        If there is no such cluster.
    ControllerUnreachable
        If its scheduler has not started, or has ended.
    """
    if words := await tend_agent(directory):
        logger.warning("%s", words)
    return check_reachable(await settled(directory))


async def settled(directory: ClusterDirectory) -> ClusterRecord:
    """Return the record of a cluster, also right if its scheduler could not say that it ended.

    Where its process cannot be seen and nobody listens at its address, the batch system is asked
    for the job, and an end of which it knows is written down. If it does not even know the job,
    that counts as the end for the one who asks.

    Raises
    ------
    ClusterNotFound
        If there is no such cluster.
    """
    record = read_cluster(directory)
    if record.state is ClusterState.ENDED or not record.tag:
        return record
    if record.process and is_alive(record.process) is not None:
        return record
    if record.address and await listens(record, seconds=_KNOCK):
        return record
    try:
        return await _asked(directory, record)
    except (BatchError, ConfigError):  # the batch system cannot be asked from here, or not now
        return record


async def _asked(directory: ClusterDirectory, record: ClusterRecord) -> ClusterRecord:
    queue = queue_of(read_spec(directory), timeout=_ASK)
    status = await scheduler_status(queue, record)
    if status is None and record.state is ClusterState.RUNNING:
        await SystemClock().sleep(_AGAIN)  # one empty answer may be a slip
        status = await scheduler_status(queue, record)
        if status is None:
            return replace(record, state=ClusterState.ENDED, reason=_GONE.format(record.job))
    reason = ending(status) if status else ""
    return bury(directory, record, reason=reason) if reason else record


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
