"""What became of a cluster's jobs, as its pages tell it. Pure: it is told what is seen, and when.

The controller forgets jobs that ended long ago; here they stay, and what they used is counted.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dask_hpc.controller.states import Phase, Step
from dask_hpc.engine.dashboard.words import BEGUN, WAITING, is_up

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from dask_hpc.controller.report import JobReport, Report

_JOBS = 2000  # that are remembered one by one
_SAMPLES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """How many jobs were wanted, up, and waiting, from a moment on (seconds since the epoch)."""

    time: float
    wanted: int
    up: int
    waiting: int

    @property
    def counts(self) -> tuple[int, int, int]:
        """Return the numbers without the time."""
        return self.wanted, self.up, self.waiting


@dataclass(slots=True, kw_only=True)
class JobHistory:
    """Every job of a cluster with its steps, and its size over time.

    ``nodes`` are those of one job, by pool.
    """

    nodes: Mapping[str, int] = field(default_factory=dict)
    report: Report | None = None
    samples: list[Sample] = field(default_factory=list)
    _jobs: dict[str, JobReport] = field(default_factory=dict)
    _forgotten: float = 0.0

    def note(self, report: Report, *, now: float) -> None:
        """Take in what the controller says."""
        self.report = report
        for job in report.jobs:
            self._jobs[job.slot] = with_steps(job, self._jobs.get(job.slot))
        self._forget(now, kept={job.slot for job in report.jobs})
        sample = Sample(
            time=now,
            wanted=report.wanted,
            up=sum(is_up(self._jobs[job.slot]) for job in report.jobs),
            waiting=report.count(*WAITING),
        )
        if not self.samples or sample.counts != self.samples[-1].counts:
            self.samples.append(sample)
        if len(self.samples) > _SAMPLES:
            half = len(self.samples) // 2
            self.samples[:half] = self.samples[:half:2]

    def jobs(self) -> list[JobReport]:
        """Return the jobs, those submitted last in front."""
        return sorted(self._jobs.values(), key=lambda job: (-begin_of(job), job.slot))

    def node_seconds(self, now: float) -> float:
        """Return how long nodes were in use, all of them together, in seconds."""
        return self._forgotten + self._used(self._jobs.values(), now)

    def _used(self, jobs: Iterable[JobReport], now: float) -> float:
        return sum(seconds_on_nodes(job, now) * self.nodes.get(job.pool, 1) for job in jobs)

    def _forget(self, now: float, *, kept: Collection[str]) -> None:
        if (many := len(self._jobs) - _JOBS) <= 0:
            return
        # None that the controller still tells of: it would come back, and be counted twice.
        gone = [job for job in self._jobs.values() if job.slot not in kept]
        oldest = sorted(gone, key=begin_of)[:many]
        self._forgotten += self._used(oldest, now)
        for job in oldest:
            del self._jobs[job.slot]


def with_steps(job: JobReport, before: JobReport | None) -> JobReport:
    """Return a job that knows its steps: its own, or else what was seen of it."""
    if job.steps:
        return job
    steps = before.steps if before else ()
    if not steps or steps[-1].phase != job.phase:
        steps = (*steps, Step(phase=job.phase, time=job.since))
    return replace(job, steps=steps)


def begin_of(job: JobReport) -> float:
    """Return when a job was first heard of."""
    return job.steps[0].time if job.steps else job.since


def seconds_on_nodes(job: JobReport, now: float) -> float:
    """Return how long a job had its nodes, or has had them."""
    begun = [step.time for step in job.steps if step.phase in BEGUN]
    if not begun:
        return 0.0
    end = job.steps[-1].time if job.steps[-1].phase == Phase.ENDED else now
    return max(0.0, end - min(begun))
