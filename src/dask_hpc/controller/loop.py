"""The controller: looks, decides, acts, and writes down why. Everything it knows is in a snapshot.

It is level-triggered: an event only wakes it; what it does follows from what it then sees.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from dask_hpc._clock import SystemClock, wait_for
from dask_hpc._units import counted
from dask_hpc.controller.acts import Acts
from dask_hpc.controller.adaptive import AdaptiveTarget, Bounds
from dask_hpc.controller.decide import decide
from dask_hpc.controller.journal import Entry, Event
from dask_hpc.controller.report import Decision, JobReport, Report
from dask_hpc.controller.states import Limits, Phase, Snapshot
from dask_hpc.controller.sweep import sweep
from dask_hpc.controller.view import View
from dask_hpc.errors import BatchError

if TYPE_CHECKING:
    from dask_hpc._clock import Clock
    from dask_hpc.batch.queue import Queue
    from dask_hpc.batch.watch import Watch
    from dask_hpc.cluster.spec import ClusterSpec
    from dask_hpc.controller.crew import Crew
    from dask_hpc.controller.states import WorkerJob
    from dask_hpc.errors import HPCError

logger = logging.getLogger(__name__)

_LOOK = {  # seconds until the next look while a job is in this phase
    Phase.MISSING: 0.25,
    Phase.DRAINING: 0.5,
    Phase.SUBMITTING: 1.0,
    Phase.STARTING: 2.0,
    Phase.PENDING: 2.0,
    Phase.RUNNING: 15.0,
}
_NOTHING_TO_SEE = 60.0
_SOON = 0.1
_TOGETHER = 0.1  # seconds: what happens in them is looked at once
_NAMED = 4  # jobs whose ids a decision spells out


class Controller:
    """Keeps the wanted number of worker jobs alive, until it is stopped.

    Parameters
    ----------
    spec
        What one job asks for and brings.
    queue, watch
        Where jobs are submitted and listed.
    crew
        The workers that are connected.
    """

    def __init__(
        self,
        spec: ClusterSpec,
        queue: Queue,
        *,
        watch: Watch,
        crew: Crew,
        clock: Clock | None = None,
    ) -> None:
        self._spec = spec
        self._queue = queue
        self._clock = clock or SystemClock()
        self._crew = crew
        self._view = View(spec, queue, watch=watch, crew=crew, clock=self._clock)
        self._acts = Acts(spec, queue, view=self._view, crew=crew, clock=self._clock)
        self._wanted = 0
        self._adaptive: AdaptiveTarget | None = None
        self._demand_due = 0.0
        self._halted = ""
        self._awake = asyncio.Event()
        self._turn = asyncio.Lock()
        self._stopping = False

    async def run(self) -> None:
        """Look and act until stopped."""
        self._view.watch.subscribe(self.wake)
        try:
            while not self._stopping:
                self._awake.clear()
                await self._reconcile_safely()
                await wait_for(self._awake, self._pause(), clock=self._clock)
                # A look costs 10 µs a job; thousands of workers that come in a minute would
                # keep the scheduler from everything else.
                await self._clock.sleep(_TOGETHER)
        finally:
            self._view.watch.unsubscribe(self.wake)
            self._view.close()

    def wake(self) -> None:
        """Look now: something changed."""
        self._awake.set()

    async def scale(self, jobs: int) -> None:
        """Want this many jobs, and submit what is missing.

        Raises
        ------
        SubmitRejected, CommandMissing, ConfigError
            If the submission was refused. The next call starts afresh.
        """
        self._adaptive = None
        await self._want(jobs, f"scaled to {counted(jobs, 'job')}")

    async def adapt(self, bounds: Bounds) -> None:
        """Want as many jobs as the work asks for, between bounds."""
        self._adaptive, self._demand_due = AdaptiveTarget(bounds), self._clock.monotonic()
        await self._want(
            max(bounds.minimum, min(self._wanted, bounds.maximum)),
            f"adapts between {bounds.minimum} and {bounds.maximum} jobs",
        )

    async def stop(self, *, seconds: float = 8.0) -> tuple[str, ...]:
        """End every job; return the ids of those that had not ended in time."""
        self._stopping = True
        self.wake()
        async with self._turn:
            self._note(Event.SCALE, "the cluster ends")
            await self._acts.close()
            return await self._sweep(seconds)

    def report(self) -> Report:
        """Return what is wanted and what is there."""
        bounds = self._adaptive.bounds if self._adaptive else None
        jobs = self._view.jobs
        return Report(
            wanted=self._wanted,
            workers=sum(job.workers for job in jobs),
            workers_per_job=self._spec.workers_per_job,
            jobs=tuple(_report(job) for job in jobs),
            minimum=bounds.minimum if bounds else None,
            maximum=bounds.maximum if bounds else None,
            halted=self._halted,
            waits_for=self._waits_for(),
            trouble=self._view.trouble,
        )

    def decisions(self) -> tuple[Decision, ...]:
        """Return the last decisions with their reasons, the oldest first."""
        return tuple(
            Decision(time=entry.time, what=_what(entry), why=entry.why)
            for entry in self._view.journal.recent
        )

    async def _sweep(self, seconds: float) -> tuple[str, ...]:
        tags = self._view.open_tags()
        try:
            left = await sweep(self._queue, tags, seconds=seconds, clock=self._clock)
        except BatchError as error:
            logger.warning("jobs of %s were not all cancelled: %s", ", ".join(tags), error)
            return tuple(job.job or str(job.slot) for job in self._view.jobs if job.is_live)
        return tuple(job.id for job in left)

    async def _want(self, jobs: int, why: str) -> None:
        self._wanted, self._halted = jobs, ""
        self._view.forgive()
        self._note(Event.SCALE, why)
        if refused := await self._reconcile():
            raise refused
        self.wake()

    async def _reconcile_safely(self) -> None:
        # One bad look must not be the last one: the cluster would silently stop to be kept alive.
        try:
            await self._reconcile()
        except Exception:
            logger.exception("the controller of %s stumbled", self._spec.name)

    async def _reconcile(self) -> HPCError | None:
        """Look, decide and act once; return the refusal of a submission, if there was one."""
        async with self._turn:
            if self._stopping:
                return None
            await self._view.look()
            self._follow_demand()
            outcome = await self._acts.perform(decide(self._snapshot()))
            self._halted = outcome.halted or self._halted
            return outcome.refused

    def _follow_demand(self) -> None:
        # Not at every look: the ends of three tasks would pass for three looks at the work.
        now = self._clock.monotonic()
        if self._adaptive and now >= self._demand_due:
            self._demand_due = now + self._adaptive.bounds.interval
            self._wanted = self._adaptive.look(self._crew.demand(), self._spec.workers_per_job)

    @property
    def _ending(self) -> float:
        """Seconds before the end of its walltime at which a job is retired."""
        walltime = self._spec.worker.walltime
        return min(self._spec.drain_margin, walltime / 4) if walltime else 0.0

    def _snapshot(self) -> Snapshot:
        return Snapshot(
            jobs=self._view.jobs,
            wanted=self._wanted,
            now=self._clock.time(),
            failures=self._view.failures,
            halted=self._halted,
            limits=replace(Limits(), ending=self._ending),
        )

    def _pause(self) -> float:
        live = [job for job in self._view.jobs if job.is_live]
        looks = [_LOOK[job.phase] for job in live]
        # Their hosts leave at that moment too: the next ones are asked for in time.
        now = self._clock.time() + self._ending
        looks += [max(_SOON, job.end_time - now) for job in live if job.end_time is not None]
        if self._adaptive:
            looks.append(max(0.0, self._demand_due - self._clock.monotonic()))
        return min(looks, default=_NOTHING_TO_SEE)

    def _waits_for(self) -> str:
        if self._halted:
            return f"somebody to call scale: {self._halted}"
        waiting = [job for job in self._view.jobs if job.phase is Phase.PENDING]
        if waiting:
            reason = waiting[0].reason
            return f"the queue: {reason}" if reason else "the queue"
        starting = [job for job in self._view.jobs if job.phase is Phase.STARTING]
        return f"the workers of {counted(len(starting), 'job')} to connect" if starting else ""

    def _note(self, event: Event, why: str) -> None:
        self._view.journal.note(Entry(time=self._clock.time(), event=event, why=why))


def _report(job: WorkerJob) -> JobReport:
    return JobReport(
        slot=str(job.slot),
        phase=job.phase,
        since=job.since,
        job=job.job,
        workers=job.workers,
        host=job.host,
        reason=job.reason,
        start_estimate=job.start_estimate,
        end_time=job.end_time,
        exit_code=job.exit_code,
    )


def _what(entry: Entry) -> str:
    if entry.count:
        return f"{entry.event} {counted(entry.count, 'job')}"
    if len(entry.jobs) > _NAMED:
        return f"{entry.event} {entry.jobs[0]} to {entry.jobs[-1]} ({len(entry.jobs)} jobs)"
    if entry.jobs:
        return f"{entry.event} {' '.join(entry.jobs)}"
    return f"{entry.event} {entry.slot}".strip()
