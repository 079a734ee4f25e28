"""The end of a cluster: first by its controller, then by what the queue says, then its files."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dask_hpc._clock import SystemClock
from dask_hpc.cluster.followon import find_follow_on
from dask_hpc.cluster.jobrecords import JobRecords
from dask_hpc.cluster.record import read_cluster, read_spec
from dask_hpc.controller.journal import read_journal
from dask_hpc.controller.sweep import open_tags, sweep
from dask_hpc.deploy.agent import end_agent, submits_here
from dask_hpc.engine.client import connected
from dask_hpc.engine.schedulerfile import remove_scheduler_file
from dask_hpc.engine.start import controller_queue, queue_of
from dask_hpc.errors import (
    ClusterError,
    ClusterNotFound,
    ConfigError,
    ControllerUnreachable,
    SecurityError,
)

if TYPE_CHECKING:
    from dask_hpc.batch.model import JobStatus, Tag
    from dask_hpc.batch.queue import Queue
    from dask_hpc.cluster.directory import ClusterDirectory

_SECONDS = 9.0  # for all of it
_CONNECT = 3.0
_BY_CONTROLLER = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What is left of a cluster: jobs that had not ended when the time was up."""

    name: str
    left: tuple[JobStatus, ...] = ()


async def end_cluster(directory: ClusterDirectory) -> Ending:
    """End a cluster: jobs, scheduler, files and keys, whatever of it is still alive.

    Raises
    ------
    ClusterNotFound
        If there is no such cluster.
    BatchUnavailable
        If the batch system does not answer: the directory stays, so that it can be tried again.
    """
    directory.check()
    clock = SystemClock()
    deadline = clock.monotonic() + _SECONDS
    if not await _take_hands(directory):
        await _shut_down(directory)
    return await end_jobs(directory, seconds=max(1.0, deadline - clock.monotonic()))


async def _take_hands(directory: ClusterDirectory) -> bool:
    """End the agent that its controller submits and cancels by; return whether that is enough.

    It is so where the jobs can be ended from: nothing comes or goes any more but by us.
    """
    try:
        spec = read_spec(directory)
    except (ClusterNotFound, ConfigError):
        return False
    if not (spec.has_agent and submits_here(spec)):
        return False
    await end_agent(directory)
    return True


async def _shut_down(directory: ClusterDirectory) -> None:
    """Let the controller end the cluster, if it answers."""
    with suppress(ControllerUnreachable, ClusterNotFound, ConfigError, SecurityError, OSError):
        async with connected(directory, seconds=_CONNECT) as controller:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(controller.shutdown(), _BY_CONTROLLER)


async def end_jobs(directory: ClusterDirectory, *, seconds: float = _SECONDS) -> Ending:
    """End a cluster of which nothing is left but jobs, files, and the agent of its controller.

    Raises
    ------
    ClusterError
        If it may have jobs and nobody knows where: the directory stays.
    """
    left: tuple[JobStatus, ...] = ()
    if tags := _tags(directory):
        queue = _queue(directory, tags)
        left = await sweep(queue, tags, seconds=seconds, clock=SystemClock())
    await end_agent(directory)
    _remove_scheduler_file(directory)
    directory.remove()
    return Ending(name=directory.path.name, left=left)


def _remove_scheduler_file(directory: ClusterDirectory) -> None:
    with suppress(ClusterNotFound, ConfigError, SecurityError):
        spec, record = read_spec(directory), read_cluster(directory)
        remove_scheduler_file(spec.scheduler_file, nonce=record.nonce)


def _queue(directory: ClusterDirectory, tags: tuple[Tag, ...]) -> Queue:
    try:
        spec = read_spec(directory)
        return queue_of(spec) if submits_here(spec) else controller_queue(spec)
    except (ClusterNotFound, ConfigError) as error:
        raise ClusterError(
            f"jobs named {' or '.join(tags)} may still be there, and {error}",
            hint=f"see to it that there are none, then remove {directory.path}",
        ) from error


def _tags(directory: ClusterDirectory) -> tuple[Tag, ...]:
    """Return the submissions that may have live jobs, from all that was written about them."""
    records = JobRecords(directory.jobs)
    records.refresh()
    tags = [slot.tag for slot in records.starts if slot not in records.ends]
    tags += open_tags(read_journal(directory.journal))
    with suppress(ClusterNotFound, ConfigError):
        if tag := read_cluster(directory).tag:
            follow_on = find_follow_on(directory, after=tag)
            tags += [tag, follow_on.tag] if follow_on else [tag]
    return tuple(dict.fromkeys(tags))
