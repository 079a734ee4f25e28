"""The words of the batch layer: resources, jobs, queues and their states. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

JobId = NewType("JobId", str)
Tag = NewType("Tag", str)


class JobState(StrEnum):
    """Where a job is, in words that every batch system shares."""

    PENDING = "pending"
    HELD = "held"
    RUNNING = "running"
    SUSPENDED = "suspended"
    COMPLETING = "completing"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed-out"
    OUT_OF_MEMORY = "out-of-memory"
    PREEMPTED = "preempted"
    LOST = "lost"
    UNKNOWN = "unknown"

    @property
    def is_final(self) -> bool:
        """Whether the job will not run any more. An unknown word never says so."""
        return self not in _LIVE

    @property
    def is_waiting(self) -> bool:
        """Whether the job has not begun."""
        return self in (JobState.PENDING, JobState.HELD)


_LIVE = frozenset(
    {
        JobState.PENDING,
        JobState.HELD,
        JobState.RUNNING,
        JobState.SUSPENDED,
        JobState.COMPLETING,
        JobState.UNKNOWN,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What one job asks of the batch system.

    ``cores`` and ``memory`` (bytes) are for one node; ``walltime`` is in seconds; ``directives``
    are lines of the user's own, without the system's comment mark.
    """

    cores: int
    memory: int
    nodes: int = 1
    gpus: int = 0
    walltime: float | None = None
    queue: str | None = None
    account: str | None = None
    directives: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """A job, before it is submitted.

    ``tag`` becomes the job's name and is unique to one submission; ``log`` is a path in which
    ``{index}`` stands for the place in the array; ``body`` is the script after the directives;
    ``comment`` tells people who look at the queue what the job is for; ``outlives_nodes`` is
    whether it goes on when it loses one of several nodes.
    """

    tag: Tag
    resources: Resources
    body: str
    log: str
    comment: str = ""
    outlives_nodes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    """What the batch system last said of a job. Times are seconds since the epoch."""

    id: JobId
    tag: Tag
    state: JobState
    index: int = 0
    reason: str = ""
    plain_reason: str = ""
    start_estimate: float | None = None
    end_time: float | None = None
    nodes: str = ""
    exit_code: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchQueue:
    """A queue (Slurm: partition) with its limits. ``None`` means that there is no limit.

    ``max_walltime`` and ``default_walltime`` are in seconds, ``memory_per_node`` in bytes; without
    ``nodes``, nobody knows what a node of it has; ``is_preemptible`` means that its jobs may be
    ended for others.
    """

    name: str
    is_default: bool = False
    is_open: bool = True
    max_walltime: float | None = None
    default_walltime: float | None = None
    max_nodes: int | None = None
    nodes: int = 0
    free_nodes: int = 0
    cores_per_node: int = 0
    memory_per_node: int = 0
    gpus_per_node: int = 0
    is_preemptible: bool = False
