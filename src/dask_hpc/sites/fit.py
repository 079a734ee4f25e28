"""Whether a job could start in a queue now, and if not, what would have to change. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from dask_hpc._units import format_bytes, format_seconds
from dask_hpc.errors import ConfigError
from dask_hpc.sites.nearest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dask_hpc.batch.model import BatchQueue, Resources
    from dask_hpc.sites.settings import QueueLimits


class Chance(StrEnum):
    """When a job could start."""

    NOW = "now"
    LATER = "later"
    NEVER = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """When a job could start in a queue; if not now, why."""

    chance: Chance
    reason: str = ""


def fit(queue: BatchQueue, job: Resources, *, limits: QueueLimits | None = None) -> Fit:
    """Return when a job like this could start.

    Parameters
    ----------
    queue
        What the batch system says about the queue.
    job
        What the job asks for.
    limits
        What the profile says about the queue.
    """
    for excess in (*_excesses(queue, job), *_profile_excesses(limits, job)):
        return Fit(chance=Chance.NEVER, reason=excess)
    if not queue.is_open:
        return Fit(chance=Chance.LATER, reason="it is closed")
    if queue.nodes and queue.free_nodes < job.nodes:
        reason = f"{queue.free_nodes} of {queue.nodes} nodes are free"
        return Fit(chance=Chance.LATER, reason=reason)
    return Fit(chance=Chance.NOW)


def named(queues: Sequence[BatchQueue], name: str | None, *, system: str) -> list[BatchQueue]:
    """Return the queue of a name, or all of them without one.

    Raises
    ------
    ConfigError
        If the batch system has no such queue.
    """
    if name is None:
        return list(queues)
    found = [queue for queue in queues if queue.name == name]
    if not found:
        names = [queue.name for queue in queues]
        raise ConfigError(
            f"queue {name!r} is unknown to {system}",
            hint=did_you_mean(name, names, otherwise="queues you may use"),
        )
    return found


def _excesses(queue: BatchQueue, job: Resources) -> Iterator[str]:
    if queue.max_walltime and job.walltime and job.walltime > queue.max_walltime:
        yield _too_much(
            "walltime", format_seconds(job.walltime), allowed=format_seconds(queue.max_walltime)
        )
    if queue.max_nodes and job.nodes > queue.max_nodes:
        yield _too_much("nodes", str(job.nodes), allowed=str(queue.max_nodes))
    if queue.cores_per_node and job.cores > queue.cores_per_node:
        yield _too_much("cores", str(job.cores), allowed=f"{queue.cores_per_node} of a node")
    if queue.memory_per_node and job.memory > queue.memory_per_node:
        has = f"{format_bytes(queue.memory_per_node)} of a node"
        yield _too_much("memory", format_bytes(job.memory), allowed=has)
    if queue.nodes and job.gpus > queue.gpus_per_node:
        yield _too_much("gpus", str(job.gpus), allowed=f"{queue.gpus_per_node} of a node")


def _profile_excesses(limits: QueueLimits | None, job: Resources) -> Iterator[str]:
    if limits is None:
        return
    if limits.max_walltime and job.walltime and job.walltime > limits.max_walltime:
        allowed = f"{format_seconds(limits.max_walltime)} of the profile"
        yield _too_much("walltime", format_seconds(job.walltime), allowed=allowed)
    if limits.max_nodes and job.nodes > limits.max_nodes:
        yield _too_much("nodes", str(job.nodes), allowed=f"{limits.max_nodes} of the profile")


def _too_much(key: str, wanted: str, *, allowed: str) -> str:
    return f"{key} {wanted} is more than the {allowed}"
