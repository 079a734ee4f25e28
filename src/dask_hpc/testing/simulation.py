"""Jobs that need no machine: they wait, start, say something and end as the clock goes on.

Rule: what was due meanwhile happens when somebody looks, each at its own moment and in order.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dask_hpc._files import from_json
from dask_hpc.batch.model import JobId, JobState, JobStatus, Resources, Tag
from dask_hpc.testing.dialect import MARK
from dask_hpc.testing.script import Play, play

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dask_hpc._clock import Clock

_REASONS = {
    JobState.TIMED_OUT: "its walltime is over",
    JobState.PREEMPTED: "another job needs its cores",
    JobState.OUT_OF_MEMORY: "it needed too much memory",
    JobState.LOST: "its node is gone",
}


@dataclass(slots=True, kw_only=True)
class FakeJob:
    """A simulated job. Moments are in seconds of the clock's `monotonic`."""

    id: JobId
    tag: Tag
    index: int
    resources: Resources
    log: str
    script: str
    submitted: float
    state: JobState = JobState.PENDING
    reason: str = ""
    exit_code: int | None = None
    started: float | None = None
    ended: float | None = None
    play: Play = field(default_factory=lambda: Play(says=(), seconds=None))

    @property
    def due(self) -> float | None:
        """When a running job ends, or nothing if it runs until somebody ends it."""
        limits = [one for one in (self.play.seconds, self.resources.walltime) if one is not None]
        return None if self.started is None or not limits else self.started + min(limits)

    def status(self, epoch: float) -> JobStatus:
        """Return what a listing says; ``epoch`` is when the clock's `monotonic` was 0."""
        end = self.ended
        if self.state is JobState.RUNNING and self.started is not None:
            walltime = self.resources.walltime
            end = None if walltime is None else self.started + walltime
        return JobStatus(
            id=self.id,
            tag=self.tag,
            state=self.state,
            index=self.index,
            reason=self.reason,
            plain_reason=self.reason,
            end_time=None if end is None else end + epoch,
            nodes="fake1" if self.started is not None else "",
            exit_code=self.exit_code,
        )


class Simulation:
    """The jobs of one node.

    ``on_start`` and ``on_end`` are called with each job at that moment, which the clock may have
    passed already.
    """

    def __init__(self, clock: Clock, *, cores: int, start_delay: float) -> None:
        self.jobs: dict[JobId, FakeJob] = {}
        self.on_start: list[Callable[[FakeJob], None]] = []
        self.on_end: list[Callable[[FakeJob], None]] = []
        self._clock = clock
        self._cores = cores
        self._start_delay = start_delay
        self._submissions = 0

    @property
    def live(self) -> tuple[FakeJob, ...]:
        """Those that have not ended."""
        return tuple(job for job in self.jobs.values() if not job.state.is_final)

    def submit(self, script: str, count: int) -> tuple[FakeJob, ...]:
        """Take a script that `FakeDialect` wrote."""
        asked = _read_directive(script)
        self._submissions += 1
        parent = str(self._submissions)
        new = tuple(
            FakeJob(
                id=JobId(f"{parent}.{index}" if count > 1 else parent),
                tag=Tag(asked["tag"]),
                index=index,
                resources=from_json(asked["resources"], Resources),
                log=asked["log"].replace("{index}", str(index)),
                script=script,
                submitted=self._clock.monotonic(),
            )
            for index in range(count)
        )
        self.jobs.update((job.id, job) for job in new)
        return new

    def end(self, job: FakeJob, state: JobState, *, exit_code: int | None = None) -> None:
        """End a job now, unless it has ended."""
        if not job.state.is_final:
            self._end(job, state, at=self._clock.monotonic(), exit_code=exit_code)

    def catch_up(self) -> None:
        """Do what was due until now."""
        now = self._clock.monotonic()
        self._start_jobs(now)
        while due := [(job.due, job) for job in self._running() if _is_due(job, now)]:
            moment, job = min(due, key=lambda one: one[0] or 0.0)
            at = moment or 0.0
            timed_out = job.play.seconds is None or at - (job.started or 0.0) < job.play.seconds
            if timed_out:
                self._end(job, JobState.TIMED_OUT, at=at)
            else:
                state = JobState.FAILED if job.play.exit_code else JobState.DONE
                self._end(job, state, at=at, exit_code=job.play.exit_code)
            self._start_jobs(now, since=at)

    def _running(self) -> Iterator[FakeJob]:
        return (job for job in self.jobs.values() if job.state is JobState.RUNNING)

    def _start_jobs(self, now: float, since: float = 0.0) -> None:
        free = self._cores - sum(job.resources.cores for job in self._running())
        for job in self.live:
            if job.state is not JobState.PENDING:
                continue
            ready, wanted = job.submitted + self._start_delay, job.resources.cores
            if wanted > self._cores:
                job.reason = f"asks for {wanted} cores, there are {self._cores}"
            elif not free:
                job.reason = "other jobs are ahead of it"
            elif wanted > free:
                job.reason = f"waits for {wanted} cores, {free} are free"
                free = 0  # nobody overtakes
            elif ready > now:
                job.reason = "waits for the next round"
            else:
                free -= wanted
                self._start(job, at=max(ready, since))

    def _start(self, job: FakeJob, *, at: float) -> None:
        job.state, job.reason, job.started = JobState.RUNNING, "", at
        body = [line for line in job.script.splitlines() if not line.startswith("#")]
        job.play = play(body, {"FAKE_JOB": job.id, "FAKE_INDEX": str(job.index), "FAKE_END": ""})
        if not Path(job.log).parent.is_dir():
            self._end(job, JobState.FAILED, at=at, exit_code=1)
            job.reason = f"its log {job.log} cannot be written"
            return
        _write(job, after=0.0)
        for listener in self.on_start:
            listener(job)

    def _end(
        self, job: FakeJob, state: JobState, *, at: float, exit_code: int | None = None
    ) -> None:
        if job.started is not None:
            _write(job, after=at - job.started)
        job.state, job.ended, job.exit_code = state, at, exit_code
        job.reason = _REASONS.get(state, "")
        for listener in self.on_end:
            listener(job)


def _is_due(job: FakeJob, now: float) -> bool:
    return job.due is not None and job.due <= now


def _write(job: FakeJob, *, after: float) -> None:
    if said := job.play.said(after):
        with suppress(FileNotFoundError):  # removed with the rest of the cluster
            Path(job.log).write_text(said, encoding="utf-8")


def _read_directive(script: str) -> dict[str, Any]:
    line = next(line for line in script.splitlines() if line.startswith(MARK))
    asked: dict[str, Any] = json.loads(line.removeprefix(MARK))
    return asked
