"""A controller in a world of its own: a batch system, workers and time, all of them made up."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from dask_hpc._clock import until
from dask_hpc.batch.model import JobState, Resources
from dask_hpc.batch.queue import Queue
from dask_hpc.batch.watch import Watch
from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.cluster.slot import Slot
from dask_hpc.controller.crew import Presence
from dask_hpc.controller.loop import Controller
from dask_hpc.testing import FakeClock, FakeJob, FakeSystem
from tests.cluster.specs import a_spec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Mapping
    from pathlib import Path

    from dask_hpc.cluster.spec import ClusterSpec
    from dask_hpc.controller.report import JobReport
    from dask_hpc.process.runner import Runner

_BOOT = 1.0  # seconds from the start of a job to its workers
_DRAIN = 3.0  # seconds
_TIMEOUT = 10.0  # seconds for an answer of the batch system

A_JOB = Resources(cores=4, memory=16 * 10**9, walltime=1e6)


@dataclass(kw_only=True)
class Habits:
    """How the jobs of a world behave. Times are in seconds.

    ``fails`` is the exit code of the next ``failures`` jobs, whose script fails at once;
    ``boots`` is how long workers take to connect, ``stays`` whether a drained job forgets to
    end, ``records`` whether the nodes see the directory of the cluster.
    """

    fails: int | None = None
    failures: int = 10**9
    boots: float = _BOOT
    stays: bool = False
    records: bool = True


class FakeCrew:
    """Workers that come with the jobs of a batch system and go with them."""

    def __init__(self, system: FakeSystem, directory: ClusterDirectory, clock: FakeClock) -> None:
        self.habits = Habits()
        self.drained: list[Slot] = []
        self.draining: set[Slot] = set()
        self.busy: set[Slot] = set()
        self.work: int | dict[str, int] = 0
        self.asked: list[tuple[str, int, float | None]] = []
        self.looks = 0
        self.error: Exception | None = None
        self.drain_error: Exception | None = None
        self.changed: Callable[[], None] = lambda: None
        self._system = system
        self._directory = directory
        self._clock = clock
        self._present: dict[Slot, Presence] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        system.on_start(self._began)
        system.on_end(self._ended)

    def present(self) -> Mapping[Slot, Presence]:
        self.looks += 1
        if self.error:
            error, self.error = self.error, None
            raise error
        return {
            slot: Presence(workers=2, idle=slot not in self.busy) for slot in list(self._present)
        }

    async def drain(self, slots: Collection[Slot]) -> None:
        if self.drain_error:
            raise self.drain_error
        self.drained += slots
        self.draining.update(slots)
        try:
            await self._clock.sleep(_DRAIN)
        finally:
            self.draining.difference_update(slots)
        for slot in slots:
            self.disconnect(slot)
            if not self.habits.stays:
                self._end_by_itself(slot)

    def demand(self, pool: str, *, slots: Collection[Slot], seconds: float | None) -> int:
        self.asked.append((pool, len(slots), seconds))
        return self.work if isinstance(self.work, int) else self.work[pool]

    def disconnect(self, slot: Slot) -> None:
        """Lose the connection to the workers of a job."""
        self._present.pop(slot, None)
        self.changed()

    def connect(self, slot: Slot) -> None:
        self._present[slot] = Presence(workers=2, idle=True)
        self.changed()

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()

    def _began(self, job: FakeJob) -> None:
        self._record(job, "start", code=None)
        if self.habits.fails is not None and self.habits.failures > 0:
            self.habits.failures -= 1
            self._later(self._fail(job, self.habits.fails))
        else:
            self._later(self._boot(job, self.habits.boots))

    async def _fail(self, job: FakeJob, code: int) -> None:
        self._say(job, f"prologue: exit {code}")
        self._system.end(job.id, JobState.FAILED, exit_code=code)

    async def _boot(self, job: FakeJob, seconds: float) -> None:
        await self._clock.sleep(seconds)
        if job.state is JobState.RUNNING:
            self.connect(Slot(job.tag, job.index))

    def _ended(self, job: FakeJob) -> None:
        if job.started is not None and job.exit_code is not None:
            self._record(job, "end", code=job.exit_code)
        self.disconnect(Slot(job.tag, job.index))

    def _end_by_itself(self, slot: Slot) -> None:
        for job in list(self._system.jobs.values()):
            if Slot(job.tag, job.index) == slot:
                self._system.end(job.id, JobState.DONE, exit_code=0)

    def _record(self, job: FakeJob, kind: str, *, code: int | None) -> None:
        if not self.habits.records:
            return
        slot = Slot(job.tag, job.index)
        walltime = job.resources.walltime
        now = self._clock.time()
        record = {
            "slot": str(slot), "job": job.id, "host": "node1", "time": now,
            "end_time": None if walltime is None else now + walltime, "code": code,
        }  # fmt: skip
        path = self._directory.jobs / f"{slot}.{kind}"
        path.write_text(json.dumps(record), encoding="utf-8")

    def _say(self, job: FakeJob, text: str) -> None:
        path = self._directory.logs / f"{Slot(job.tag, job.index)}.log"
        path.write_text(f"{text}\n", encoding="utf-8")

    def _later(self, deed: Any) -> None:
        task = asyncio.ensure_future(deed)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


@dataclass(kw_only=True)
class World:
    """A controller with all that it needs, and eyes of its own."""

    clock: FakeClock
    system: FakeSystem
    crew: FakeCrew
    watch: Watch
    controller: Controller
    spec: ClusterSpec
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def live(self) -> list[FakeJob]:
        """The jobs that the batch system knows and that have not ended."""
        return [job for job in self.system.jobs.values() if not job.state.is_final]

    @property
    def submitted(self) -> list[int]:
        """How many jobs each submission asked for, the refused ones too."""
        commands = self.system.commands
        return [int(command.argv[2]) for command in commands if command.argv[1] == "submit"]

    def asked(self, verb: str) -> int:
        """Return how often the batch system was told something."""
        return sum(command.argv[1] == verb for command in self.system.commands)

    def jobs(self, *phases: str) -> list[JobReport]:
        """Return the reports of jobs in these phases; of the live ones without any."""
        jobs = self.controller.report().jobs
        return [job for job in jobs if (job.phase in phases if phases else job.phase != "ended")]

    def why(self) -> str:
        """Return all that was decided, as a person reads it."""
        return "\n".join(f"{one.what}: {one.why}" for one in self.controller.decisions())

    async def until(self, condition: Callable[[], bool], seconds: float = 30) -> bool:
        """Let time pass until something holds; return whether it does."""
        return await until(condition, seconds, clock=self.clock, every=0.25)

    async def serving(self, count: int, seconds: float = 30) -> bool:
        """Let time pass until so many jobs, and no others, serve."""
        return await self.until(
            lambda: len(self.jobs()) == len(self.jobs("running")) == count == len(self.live),
            seconds,
        )

    async def later(self, seconds: float) -> None:
        """Let this much time pass."""
        await self.clock.sleep(seconds)


@asynccontextmanager
async def a_world(
    home: Path,
    *,
    runner: Callable[[FakeSystem], Runner] = lambda system: system,
    settings: Mapping[str, Any] | None = None,
    **options: Any,
) -> AsyncIterator[World]:
    """Enter with a running controller of jobs that have four cores each.

    ``runner`` may stand between it and the batch system, which has the ``options`` of
    `FakeSystem`; ``settings`` are those of the cluster.
    """
    clock = FakeClock()
    system = FakeSystem(clock, **({"cores": 1000} | options))
    plain = {"directory": home / "clusters" / "climate-2", "worker": A_JOB}
    spec = a_spec(**(plain | dict(settings or {})))
    directory = ClusterDirectory(spec.directory)
    directory.path.mkdir(mode=0o700, parents=True)
    directory.jobs.mkdir()
    directory.logs.mkdir()
    crew = FakeCrew(system, directory, clock)
    queue = Queue(system.queue().system, runner(system), user="me", timeout=_TIMEOUT)
    watch = Watch(queue, clock=clock)
    controller = Controller(spec, queue, watch=watch, crew=crew, clock=clock)
    crew.changed = controller.wake
    world = World(
        clock=clock, system=system, crew=crew, watch=watch, controller=controller, spec=spec
    )
    world.tasks = [asyncio.ensure_future(watch.run()), asyncio.ensure_future(controller.run())]
    try:
        yield world
        for task in world.tasks:
            assert not task.done() or not task.exception(), "a task of the world ended"
    finally:
        crew.close()
        for task in world.tasks:
            task.cancel()
        await asyncio.gather(*world.tasks, return_exceptions=True)


async def succeed(world: World) -> bool:
    """Kill the controller of a world and let another one follow; return whether it found a past."""
    world.tasks[1].cancel()
    await asyncio.gather(world.tasks[1], return_exceptions=True)
    world.controller = Controller(
        world.spec, world.system.queue(), watch=world.watch, crew=world.crew, clock=world.clock
    )
    found = await world.controller.restore()
    world.crew.changed = world.controller.wake
    world.tasks[1] = asyncio.ensure_future(world.controller.run())
    return found


@asynccontextmanager
async def a_neighbour(world: World) -> AsyncIterator[Controller]:
    """Enter with the controller of another cluster, which shares the watch of a world."""
    spec = replace(world.spec, name="other", directory=world.spec.directory.parent / "other")
    ClusterDirectory(spec.directory).jobs.mkdir(parents=True)
    queue = world.system.queue()
    controller = Controller(spec, queue, watch=world.watch, crew=world.crew, clock=world.clock)
    running = asyncio.ensure_future(controller.run())
    try:
        yield controller
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
