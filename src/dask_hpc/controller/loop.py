"""The controller: looks, decides, acts, and writes down why. Everything it knows is in a snapshot.

It is level-triggered: an event only wakes it; what it does follows from what it then sees.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from dask_hpc._clock import SystemClock, wait_for
from dask_hpc._units import counted
from dask_hpc.cluster.spec import DEFAULT_POOL
from dask_hpc.controller.acts import Acts
from dask_hpc.controller.decide import decide, margin
from dask_hpc.controller.goal import Goal
from dask_hpc.controller.journal import Entry, Event
from dask_hpc.controller.past import read_past
from dask_hpc.controller.report import Decision, PoolReport, Report, report_of
from dask_hpc.controller.states import Limits, Phase, Snapshot
from dask_hpc.controller.sweep import sweep
from dask_hpc.controller.view import View
from dask_hpc.errors import BatchError

if TYPE_CHECKING:
    from dask_hpc._clock import Clock
    from dask_hpc.batch.queue import Queue
    from dask_hpc.batch.watch import Watch
    from dask_hpc.cluster.spec import ClusterSpec
    from dask_hpc.controller.acts import Outcome
    from dask_hpc.controller.adaptive import Bounds
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
        self._goals = {pool: Goal() for pool in spec.pool_names}
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

    async def restore(self) -> bool:
        """Take up what an earlier controller of this cluster left; return whether there was one.

        Its jobs count as submitted until the queue, their records or their workers say otherwise,
        so that none is submitted twice and none is forgotten.
        """
        async with self._turn:
            past = read_past(self._view.journal.earlier())
            if past is None:
                return False
            self._view.put_back(past.jobs)
            self._acts.adopt([job.slot for job in past.jobs if job.dismissed])
            for pool, goal in self._goals.items():
                bounds, now = past.bounds.get(pool), self._clock.monotonic()
                goal.resume(past.wanted.get(pool, 0), bounds, now=now)
            self._note(Event.NOTE, f"took up {counted(len(past.jobs), 'job')} of the journal")
            return True

    async def scale(self, jobs: int, *, pool: str = DEFAULT_POOL) -> None:
        """Want this many jobs of a pool, and submit what is missing.

        Raises
        ------
        ConfigError
            If there is no such pool.
        SubmitRejected, CommandMissing
            If the submission was refused. The next call starts afresh.
        """
        self._goal(pool).fix(jobs)
        await self._want(pool, f"scaled{_of(pool)} to {counted(jobs, 'job')}")

    async def adapt(self, bounds: Bounds, *, pool: str = DEFAULT_POOL) -> None:
        """Want as many jobs of a pool as the work asks for, between bounds."""
        self._goal(pool).adapt(bounds, now=self._clock.monotonic())
        span = f"{bounds.minimum} and {bounds.maximum} jobs"
        await self._want(pool, f"adapts{_of(pool)} between {span}")

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
        pools = {pool: self._report_pool(pool) for pool in self._goals}
        default = pools[DEFAULT_POOL]
        return Report(
            wanted=sum(pool.wanted for pool in pools.values()),
            workers=sum(pool.workers for pool in pools.values()),
            workers_per_job=default.workers_per_job,
            jobs=tuple(report_of(job) for job in self._view.jobs),
            pools=pools,
            minimum=default.minimum,
            maximum=default.maximum,
            halted="; ".join(pool.halted for pool in pools.values() if pool.halted),
            waits_for=self._waits_for(),
            trouble=self._view.trouble,
            unanswered_since=self._unanswered_since(),
        )

    def _report_pool(self, pool: str) -> PoolReport:
        goal = self._goals[pool]
        return PoolReport(
            wanted=goal.wanted,
            workers=sum(job.workers for job in self._view.jobs if job.pool == pool),
            workers_per_job=self._spec.of(pool).workers_per_job,
            minimum=goal.bounds.minimum if goal.bounds else None,
            maximum=goal.bounds.maximum if goal.bounds else None,
            halted=goal.halted,
        )

    def note(self, why: str) -> None:
        """Write down something that nobody decided, for whoever asks for the last decisions."""
        self._note(Event.NOTE, why)

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

    def _goal(self, pool: str) -> Goal:
        self._spec.of(pool)  # raises if there is none
        return self._goals[pool]

    async def _want(self, pool: str, why: str) -> None:
        self._view.forgive(pool)
        self._note_goal(Event.SCALE, why, pool=pool)
        if refused := await self._reconcile(hears=pool):
            raise refused
        self.wake()

    async def _reconcile_safely(self) -> None:
        # One bad look must not be the last one: the cluster would silently stop to be kept alive.
        try:
            await self._reconcile()
        except Exception:
            logger.exception("the controller of %s stumbled", self._spec.name)

    async def _reconcile(self, *, hears: str = "") -> HPCError | None:
        """Look, decide and act once; return the refusal of a submission to the pool that hears."""
        refused = None
        async with self._turn:
            if self._stopping:
                return None
            before = sum(job.is_live for job in self._view.jobs)
            await self._view.look()
            if sum(job.is_live for job in self._view.jobs) < before:
                for goal in self._goals.values():
                    goal.release()
            for pool in self._view.found:  # what was given up for want of jobs is not lost
                self._goals[pool].halted = ""
            for pool, goal in self._goals.items():
                self._follow_demand(pool, goal)
                outcome = await self._acts.perform(decide(self._snapshot(pool)), pool=pool)
                self._take(outcome, pool)
                refused = outcome.refused if pool == hears else refused
        return refused

    def _take(self, outcome: Outcome, pool: str) -> None:
        goal = self._goals[pool]
        goal.halted = outcome.halted or goal.halted
        if outcome.limit:
            goal.hold(outcome.limit, now=self._clock.monotonic())
            self._note(Event.NOTE, f"a limit is reached{_of(pool)}: {outcome.limit}")

    def _follow_demand(self, pool: str, goal: Goal) -> None:
        # Not at every look: the ends of three tasks would pass for three looks at the work.
        now = self._clock.monotonic()
        if goal.bounds and now >= goal.look_due:
            slots = [job.slot for job in self._view.jobs if job.is_live and job.pool == pool]
            demand = self._crew.demand(pool, slots=slots, seconds=goal.bounds.target_duration)
            before = goal.wanted
            goal.look(demand, workers_per_job=self._spec.of(pool).workers_per_job, now=now)
            if goal.wanted != before:
                why = f"the work asks for {counted(demand, 'worker')}{_of(pool)}"
                self._note_goal(Event.ADAPT, f"{why}: {counted(goal.wanted, 'job')}", pool=pool)

    def _snapshot(self, pool: str) -> Snapshot:
        goal, spec = self._goals[pool], self._spec.of(pool)
        jobs = self._view.jobs
        if len(self._goals) > 1:
            jobs = tuple(job for job in jobs if job.pool == pool)
        return Snapshot(
            jobs=jobs,
            wanted=goal.wanted,
            now=self._clock.time(),
            failures=self._view.failures[pool],
            halted=goal.halted,
            held=goal.held(self._clock.monotonic()),
            limits=Limits(
                starting=spec.start_timeout,
                ending=spec.drain_margin,
                lead=self._view.waits.expected(pool),
                jobs=spec.max_jobs,
            ),
        )

    def _pause(self) -> float:
        live = [job for job in self._view.jobs if job.is_live]
        looks = [_LOOK[job.phase] for job in live]
        looks += [wait for job in live if (wait := self._until_relieved(job)) is not None]
        now = self._clock.monotonic()
        due = [goal.next_look(now) - now for goal in self._goals.values()]
        return min([*looks, *(max(0.0, wait) for wait in due)], default=_NOTHING_TO_SEE)

    def _until_relieved(self, job: WorkerJob) -> float | None:
        # Their hosts leave at that moment too: the next ones are asked for in time.
        if job.end_time is None:
            return None
        leaves = job.end_time - margin(job, self._spec.drain_margin) - self._clock.time()
        moments = (leaves - self._view.waits.expected(job.pool), leaves)
        return next((max(_SOON, moment) for moment in moments if moment > 0), None)

    def _unanswered_since(self) -> float | None:
        both = (self._view.watch.unanswered_since, self._acts.unanswered_since)
        return min((since for since in both if since is not None), default=None)

    def _waits_for(self) -> str:
        for pool, goal in self._goals.items():
            if goal.halted:
                return f"somebody to call scale{_of(pool)}: {goal.halted}"
        if self._unanswered_since() is not None:
            return "the batch system to answer"
        waiting = [job for job in self._view.jobs if job.phase is Phase.PENDING]
        if waiting:
            reason = waiting[0].reason
            return f"the queue: {reason}" if reason else "the queue"
        starting = [job for job in self._view.jobs if job.phase is Phase.STARTING]
        if starting:
            return f"the workers of {counted(len(starting), 'job')} to connect"
        return self._limit()

    def _limit(self) -> str:
        for pool, goal in self._goals.items():
            if limit := goal.held(self._clock.monotonic()):
                return f"room below a limit{_of(pool)}: {limit}"
            most = self._spec.of(pool).max_jobs
            if most is not None and goal.wanted > most:
                return f"nothing{_of(pool)}: its queue allows {counted(most, 'job')} of a user"
        return ""

    def _note_goal(self, event: Event, why: str, *, pool: str) -> None:
        goal, now = self._goals[pool], self._clock.time()
        self._view.journal.note(
            Entry(time=now, event=event, why=why, pool=pool, wanted=goal.wanted, bounds=goal.bounds)
        )

    def _note(self, event: Event, why: str) -> None:
        self._view.journal.note(Entry(time=self._clock.time(), event=event, why=why))


def _of(pool: str) -> str:
    return "" if pool == DEFAULT_POOL else f" of pool {pool!r}"


def _what(entry: Entry) -> str:
    if entry.count:
        return f"{entry.event} {counted(entry.count, 'job')}"
    if len(entry.jobs) > _NAMED:
        return f"{entry.event} {entry.jobs[0]} to {entry.jobs[-1]} ({len(entry.jobs)} jobs)"
    if entry.jobs:
        return f"{entry.event} {' '.join(entry.jobs)}"
    return f"{entry.event} {entry.slot}".strip()
