"""The words of the local queue: a task, its states, what was submitted. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dask_hpc._hosts import ProcessMark

JOB_ID = "DASK_HPC_LOCAL_JOB_ID"
ARRAY_INDEX = "DASK_HPC_LOCAL_ARRAY_INDEX"
END_TIME = "DASK_HPC_LOCAL_END_TIME"
CORES = "DASK_HPC_LOCAL_CORES"
MEMORY = "DASK_HPC_LOCAL_MEMORY"
# Which queue's job a process is part of; ids alone are given by every queue of this machine.
MARK = "DASK_HPC_LOCAL_MARK"

Key = tuple[int, int]


class State(StrEnum):
    """Where a task is."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETING = "completing"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed-out"
    LOST = "lost"

    @property
    def is_live(self) -> bool:
        """Whether the task waits, runs, or has processes that are being ended."""
        return self in LIVE


LIVE = (State.PENDING, State.RUNNING, State.COMPLETING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What there is to share: cores, and bytes of memory."""

    cores: int
    memory: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What one ``submit`` hands over. Times are in seconds, memory in bytes.

    ``memory`` of 0 is not counted; ``walltime`` of ``None`` has no end; ``after`` is the submission
    that has to end first. ``environ``, ``directory`` and ``umask`` are the submitter's.
    """

    tag: str
    count: int
    cores: int
    memory: int
    walltime: float | None
    output: str
    comment: str
    script: str
    environ: Mapping[str, str]
    directory: str
    umask: int
    after: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One job: a submission's only one, or an element of its array. Times are epoch seconds.

    ``leader`` is the process that all others of the job descend from; ``ending`` is the state
    that the job ends in if it is being ended, and ``kill_at`` when it gets no more time for that;
    ``after`` is the submission that has to end before it begins.
    """

    submission: int
    index: int
    count: int
    tag: str
    cores: int
    memory: int
    walltime: float | None
    submitted: float
    state: State = State.PENDING
    cancel_asked: bool = False
    leader: ProcessMark | None = None
    started: float | None = None
    ending: State | None = None
    kill_at: float | None = None
    ended: float | None = None
    exit_code: int | None = None
    reason: str = ""
    after: int | None = None

    @property
    def key(self) -> Key:
        """What tells it from all others."""
        return self.submission, self.index

    @property
    def id(self) -> str:
        """The id that people see: ``12``, or ``12_0`` in an array."""
        return f"{self.submission}_{self.index}" if self.count > 1 else str(self.submission)

    @property
    def time_limit(self) -> float | None:
        """When it reaches its walltime, if it runs and has one."""
        if self.started is None or self.walltime is None:
            return None
        return self.started + self.walltime
