"""What the controller says of itself, in a form that travels: to the notebook, to the terminal."""

from __future__ import annotations

from dataclasses import dataclass

from dask_hpc.batch.model import JobId


@dataclass(frozen=True, slots=True, kw_only=True)
class JobReport:
    """One job. Times are seconds since the epoch."""

    slot: str
    phase: str
    since: float
    job: JobId | None = None
    workers: int = 0
    host: str = ""
    reason: str = ""
    start_estimate: float | None = None
    end_time: float | None = None
    exit_code: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Something that a person should hear of: the first job that did not start, say.

    ``kind`` is the name of the error that it would be, ``log_tail`` the end of the job's log.
    """

    kind: str
    message: str
    hint: str = ""
    job: str = ""
    log_tail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A cluster, as its controller sees it.

    ``wanted`` and the bounds are in jobs; ``workers`` counts the connected worker processes.
    """

    wanted: int
    workers: int
    workers_per_job: int
    jobs: tuple[JobReport, ...]
    minimum: int | None = None
    maximum: int | None = None
    halted: str = ""
    waits_for: str = ""
    trouble: Trouble | None = None

    def count(self, *phases: str) -> int:
        """Return how many jobs are in one of these phases."""
        return sum(job.phase in phases for job in self.jobs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Something that the controller did, and why. ``time`` is in seconds since the epoch."""

    time: float
    what: str
    why: str
