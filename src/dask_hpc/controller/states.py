"""The words of the controller: worker jobs as observed, and the actions upon them. Pure.

A worker job goes through these phases; every arrow is made by `observe` or by the action named::

    SUBMITTING ──> PENDING ──> STARTING ──> RUNNING <───> MISSING
                      │ Cancel    │ Cancel     │ Retire      │ Cancel
                      └───────────┴────────────┴─> DRAINING <┘

On the way to RUNNING any phase may go unseen. From every phase a job may come to ENDED, and from
there nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dask_hpc.batch.model import JobId
    from dask_hpc.cluster.slot import Slot


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
class WorkerJob:
    """One worker job, as last observed. Times are seconds since the epoch.

    ``since`` is when it entered its phase, ``workers`` how many of its workers are connected,
    ``served`` whether one ever was, ``dismissed`` whether its end is ours, ``lost`` whether nothing
    but silence says that it ended.
    """

    slot: Slot
    phase: Phase
    since: float
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
        """Whether it ended by itself before a worker of it was connected."""
        return self.phase is Phase.ENDED and not self.served and not self.dismissed


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How patient the controller is. Times are in seconds.

    ``failures`` is how many jobs in a row may end before they serve until no more are submitted;
    ``missing`` how long a job may have no workers before it counts as dead; ``ending`` how long
    before the end of its walltime a job is retired.
    """

    failures: int = 3
    missing: float = 15.0
    ending: float = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All that a decision rests on. ``failures`` counts failed starts since the last success."""

    jobs: tuple[WorkerJob, ...]
    wanted: int
    now: float
    failures: int = 0
    halted: str = ""
    limits: Limits = Limits()


@dataclass(frozen=True, slots=True)
class Submit:
    """Ask for more jobs, in one submission."""

    count: int
    why: str


@dataclass(frozen=True, slots=True)
class Cancel:
    """Take a job that serves nobody out of the queue."""

    slot: Slot
    why: str


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
