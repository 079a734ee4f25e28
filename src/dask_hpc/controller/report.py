"""What the controller says of itself, in a form that travels: to the notebook, to the terminal."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dask_hpc.batch.model import JobId
from dask_hpc.cluster.spec import DEFAULT_POOL
from dask_hpc.controller.states import Step

if TYPE_CHECKING:
    from dask_hpc.controller.states import WorkerJob


@dataclass(frozen=True, slots=True, kw_only=True)
class JobReport:
    """One job. Times are seconds since the epoch.

    ``steps`` are the phases that it went through, the last one being ``phase`` since ``since``.
    """

    slot: str
    phase: str
    since: float
    pool: str = DEFAULT_POOL
    steps: tuple[Step, ...] = ()
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
class PoolReport:
    """One kind of workers.

    ``wanted`` and the bounds, which an adaptive pool has, are in jobs; ``workers`` counts the
    connected worker processes; ``halted`` says why no job is submitted any more, if so.
    """

    wanted: int
    workers: int
    workers_per_job: int
    minimum: int | None = None
    maximum: int | None = None
    halted: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A cluster, as its controller sees it: its default pool in front, every one in ``pools``.

    ``wanted`` and ``workers`` are those of all pools together; ``own`` of the workers are to come
    with the scheduler's own job, which is when ``workers`` counts them, too; ``ends`` is when that
    job ends, and ``unanswered_since`` since when the batch system does not answer, if so:
    both in seconds since the epoch.
    """

    wanted: int
    workers: int
    workers_per_job: int
    jobs: tuple[JobReport, ...]
    pools: dict[str, PoolReport] = field(default_factory=dict)
    minimum: int | None = None
    maximum: int | None = None
    halted: str = ""
    waits_for: str = ""
    trouble: Trouble | None = None
    own: int = 0
    unanswered_since: float | None = None
    ends: float | None = None

    @property
    def workers_wanted(self) -> int:
        """The worker processes that the wanted jobs would bring, and the scheduler's own."""
        return self.own + sum(pool.wanted * pool.workers_per_job for pool in self.pools.values())

    def count(self, *phases: str) -> int:
        """Return how many jobs are in one of these phases."""
        return sum(job.phase in phases for job in self.jobs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Something that the controller did, and why. ``time`` is in seconds since the epoch."""

    time: float
    what: str
    why: str


def report_of(job: WorkerJob) -> JobReport:
    """Return what travels of a job."""
    return JobReport(
        slot=str(job.slot),
        phase=job.phase,
        since=job.since,
        pool=job.pool,
        steps=job.steps,
        job=job.job,
        workers=job.workers,
        host=job.host,
        reason=job.reason,
        start_estimate=job.start_estimate,
        end_time=job.end_time,
        exit_code=job.exit_code,
    )
