"""The words of the controller: worker jobs as observed, and the actions upon them. Pure.

A worker job goes through these phases; every arrow is made by `observe` or by the action named::

    SUBMITTING ──> PENDING ──> STARTING ──> RUNNING <───> MISSING
                      │ Cancel    │ Cancel     │ Retire      │ Cancel
                      └───────────┴────────────┴─> DRAINING <┘

On the way to RUNNING any phase may go unseen. From every phase a job may come to ENDED, and from
there nowhere; but one that was taken for lost may turn up again, wherever it is then.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from dask_hpc.cluster.spec import DEFAULT_POOL

if TYPE_CHECKING:
    from dask_hpc.batch.model import JobId
    from dask_hpc.cluster.slot import Slot

_STEPS = 20  # of a job, are remembered


class Phase(StrEnum):
    """Where a worker job is."""

    SUBMITTING = "submitting"
    PENDING = "pending"
    STARTING = "starting"
    RUNNING = "running"
    MISSING = "missing"
    DRAINING = "draining"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A phase that a job entered, and when, in seconds since the epoch."""

    phase: str
    time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerJob:
    """One worker job, as last observed. Times are seconds since the epoch.

    ``since`` is when it entered its phase, ``steps`` are those before, ``began`` is when it began
    to run; ``workers`` says how many of its workers are connected, ``served`` whether one ever
    was, ``dismissed`` whether its end is ours, ``hung`` whether that is because it did not start,
    ``lost`` whether nothing but silence says that it ended.
    """

    slot: Slot
    phase: Phase
    since: float
    pool: str = DEFAULT_POOL
    steps: tuple[Step, ...] = ()
    began: float | None = None
    hung: bool = False
    job: JobId | None = None
    workers: int = 0
    idle: bool = True
    served: bool = False
    dismissed: bool = False
    lost: bool = False
    host: str = ""
    end_time: float | None = None
    start_estimate: float | None = None
    reason: str = ""
    exit_code: int | None = None

    @property
    def is_live(self) -> bool:
        """Whether it has not ended."""
        return self.phase is not Phase.ENDED

    @property
    def failed_to_start(self) -> bool:
        """Whether it ended before a worker of it was connected, and not because we wanted so."""
        ended = self.phase is Phase.ENDED and not self.served
        return ended and (self.hung or not self.dismissed)


def submitted(
    slot: Slot, phase: Phase, *, pool: str, now: float, job: JobId | None = None
) -> WorkerJob:
    """Return a job of which no more is known than that it was submitted."""
    step = Step(phase=phase, time=now)
    return WorkerJob(slot=slot, phase=phase, since=now, pool=pool, steps=(step,), job=job)


def enter(job: WorkerJob, phase: Phase, *, now: float) -> WorkerJob:
    """Return a job that enters a phase."""
    steps = (*job.steps, Step(phase=phase, time=now))[-_STEPS:]
    began = job.began
    if began is None and phase in (Phase.STARTING, Phase.RUNNING):
        began = now
    return replace(job, phase=phase, since=now, steps=steps, began=began)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How patient the controller is. Times are in seconds.

    ``failures`` is how many jobs in a row may end before they serve until no more are submitted;
    ``starting`` how long a job may run until its workers connect; ``missing`` how long it may have
    none later, before it counts as dead; ``ending`` how long before the end of its walltime a job
    is retired, and ``lead`` how much earlier its successor is asked for; ``jobs`` is how many the
    queue allows.
    """

    failures: int = 3
    starting: float = 300.0
    missing: float = 15.0
    ending: float = 90.0
    lead: float = 0.0
    jobs: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All that a decision about one pool rests on.

    ``failures`` counts failed starts since the last success; ``halted`` says why nothing may be
    submitted until somebody asks, ``held`` why nothing may be for a while.
    """

    jobs: tuple[WorkerJob, ...]
    wanted: int
    now: float
    failures: int = 0
    halted: str = ""
    held: str = ""
    limits: Limits = Limits()


@dataclass(frozen=True, slots=True)
class Submit:
    """Ask for more jobs, in one submission."""

    count: int
    why: str


@dataclass(frozen=True, slots=True)
class Cancel:
    """Take a job that serves nobody out of the queue; ``hung`` if it should have served."""

    slot: Slot
    why: str
    hung: bool = False


@dataclass(frozen=True, slots=True)
class Retire:
    """Let a job finish its work and hand over its results, then end it."""

    slot: Slot
    why: str


@dataclass(frozen=True, slots=True)
class Halt:
    """Submit nothing any more until somebody asks for it."""

    why: str


Action = Submit | Cancel | Retire | Halt
