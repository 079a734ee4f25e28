"""The controller beside the scheduler: its eyes and hands there, and its voice over the network."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from distributed.diagnostics.plugin import SchedulerPlugin

from dask_hpc._clock import SystemClock
from dask_hpc._files import from_json
from dask_hpc.batch.watch import watches_of_this_process
from dask_hpc.cluster.lifetime import farewell, notice
from dask_hpc.cluster.slot import slot_of
from dask_hpc.cluster.spec import DEFAULT_POOL
from dask_hpc.controller.adaptive import Bounds
from dask_hpc.controller.crew import Presence
from dask_hpc.controller.loop import Controller
from dask_hpc.engine.demand import demand_of
from dask_hpc.engine.drain import DrainRoute, drain
from dask_hpc.errors import ClusterError, HPCError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from dask_hpc.batch.queue import Queue
    from dask_hpc.cluster.slot import Slot
    from dask_hpc.cluster.spec import ClusterSpec
    from dask_hpc.controller.report import Report
    from dask_hpc.engine.scheduler import HPCScheduler

logger = logging.getLogger(__name__)

_LONGEST_NAP = 60.0  # seconds: the clock on the wall may be set


class SchedulerCrew:
    """The workers of a scheduler in this process, by the job that brought them."""

    def __init__(self, scheduler: HPCScheduler, spec: ClusterSpec) -> None:
        self._scheduler = scheduler
        self._spec = spec

    def present(self) -> Mapping[Slot, Presence]:
        """Return the jobs that have workers connected."""
        found: dict[Slot, Presence] = {}
        for worker in self._scheduler.workers.values():
            if slot := slot_of(worker.name):
                before = found.get(slot, Presence(workers=0, idle=True))
                idle = before.idle and not worker.processing
                found[slot] = Presence(workers=before.workers + 1, idle=idle)
        return found

    async def drain(self, slots: Collection[Slot]) -> None:
        """Let these jobs' workers finish, hand over their results and leave."""
        leaving = {
            worker.name: worker.address
            for worker in self._scheduler.workers.values()
            if slot_of(worker.name) in slots
        }
        route = DrainRoute(self._scheduler.address, self._scheduler.connection_args)
        await drain(route, leaving, seconds=self._spec.drain_timeout)

    def demand(self, pool: str, *, slots: Collection[Slot], seconds: float | None) -> int:
        """Return the number of workers that the work at hand asks for in a pool."""
        spec = self._spec.of(pool)
        if len(self._spec.pool_names) > 1:
            return demand_of(
                self._scheduler, spec, slots=slots, seconds=seconds, is_default=pool == DEFAULT_POOL
            )
        wanted = int(self._scheduler.adaptive_target(seconds))
        # Without a worker distributed counts in threads.
        return wanted if self._scheduler.workers else -(-wanted // spec.threads)


class ControllerService(SchedulerPlugin):
    """Runs the controller with the scheduler, and answers whoever holds the certificates.

    The handlers are ``hpc_scale(jobs=, pool=)``, ``hpc_adapt(bounds=, pool=)``,
    ``hpc_status()``, ``hpc_why()`` and ``hpc_shutdown()``. An error of ours travels as its words.
    """

    name = "dask-hpc-controller"

    def __init__(
        self,
        spec: ClusterSpec,
        queue: Queue,
        *,
        scheduler: HPCScheduler,
        ends: float | None = None,
    ) -> None:
        self._spec = spec
        self._ends = ends
        self._queue = queue
        self._scheduler = scheduler
        self._shared = AsyncExitStack()
        self._controller: Controller | None = None
        self._task: asyncio.Task[None] | None = None
        self._warning: asyncio.Task[None] | None = None
        self._left: tuple[str, ...] = ()

    @property
    def controller(self) -> Controller:
        """The controller, from the start of the scheduler on."""
        if self._controller is None:
            raise ClusterError("the controller has not started")
        return self._controller

    async def start(self, scheduler: HPCScheduler) -> None:
        """Start to keep the cluster alive."""
        watch = await self._shared.enter_async_context(watches_of_this_process().share(self._queue))
        crew = SchedulerCrew(scheduler, self._spec)
        self._controller = Controller(self._spec, self._queue, watch=watch, crew=crew)
        scheduler.jobs.begin(self.report, self._spec)
        scheduler.handlers.update(
            hpc_scale=self.scale,
            hpc_adapt=self.adapt,
            hpc_status=self.status,
            hpc_why=self.why,
            hpc_shutdown=self.shutdown,
        )
        scheduler.expects_workers = self._expects_workers
        self._task = asyncio.ensure_future(self._run())
        self._warning = asyncio.ensure_future(self._warn())

    def _expects_workers(self) -> bool:
        return self._task is not None and self.controller.report().wanted > 0

    async def _run(self) -> None:
        """Want what an earlier scheduler did, else what the spec says; keep it alive.

        A refusal is in the report.
        """
        with suppress(HPCError):
            if not await self.controller.restore():
                await self._begin()
        await self.controller.run()

    async def _begin(self) -> None:
        least, most = self._spec.first_jobs, self._spec.first_maximum
        if most is not None:
            await self.controller.adapt(Bounds(minimum=least, maximum=most))
        elif least:
            await self.controller.scale(least)

    async def _warn(self) -> None:
        """Say in time that the scheduler's own job ends, if it does."""
        clock, walltime = SystemClock(), self._spec.scheduler.walltime
        while self._ends is not None:
            if words := farewell(self._ends, walltime=walltime, now=clock.time()):
                logger.warning("%s", words)
                self.controller.note(words)
                return
            left = self._ends - notice(walltime) - clock.time()
            await clock.sleep(min(_LONGEST_NAP, max(0.0, left)))

    def add_worker(self, scheduler: HPCScheduler, worker: str) -> None:  # noqa: ARG002 - distributed calls it so
        """Look at who has come."""
        self._look()

    def remove_worker(self, scheduler: HPCScheduler, worker: str, **_: Any) -> None:  # noqa: ARG002 - distributed calls it so
        """Look at who has gone."""
        self._look()

    def _look(self) -> None:
        if self._controller:
            self._controller.wake()

    async def before_close(self) -> None:
        """End the jobs before the scheduler is gone; a second call has nothing left to do."""
        if self._warning:
            self._warning.cancel()
        if self._task:
            task, self._task = self._task, None
            self._left = await self.controller.stop()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await self._shared.aclose()

    async def scale(self, jobs: int, *, pool: str = DEFAULT_POOL) -> dict[str, Any]:
        """Want this many jobs of a pool."""
        try:
            await self.controller.scale(jobs, pool=pool)
        except HPCError as error:
            return _refusal(error)
        return await self.status()

    async def adapt(self, *, bounds: dict[str, Any], pool: str = DEFAULT_POOL) -> dict[str, Any]:
        """Want as many jobs of a pool as the work asks for, between bounds."""
        try:
            await self.controller.adapt(from_json(bounds, Bounds), pool=pool)
        except HPCError as error:
            return _refusal(error)
        return await self.status()

    async def status(self) -> dict[str, Any]:
        """Return the controller's report."""
        return {"report": asdict(self.report())}

    def report(self) -> Report:
        """Return what the controller says, and what it does not know of the scheduler's own job."""
        report = replace(self.controller.report(), ends=self._ends)
        if not self._spec.is_one_job:
            return report
        known = {job.slot for job in report.jobs}
        slots = (slot_of(worker.name) for worker in self._scheduler.workers.values())
        own = sum(str(slot) not in known for slot in slots)  # they are named after no slot
        return replace(report, own=self._spec.own_workers, workers=report.workers + own)

    async def why(self) -> dict[str, Any]:
        """Return the controller's last decisions."""
        return {"decisions": [asdict(decision) for decision in self.controller.decisions()]}

    async def shutdown(self) -> dict[str, Any]:
        """End every job, then this scheduler; return the jobs that had not ended in time."""
        await self.before_close()
        asyncio.get_running_loop().call_later(
            0.1, lambda: asyncio.ensure_future(self._scheduler.close(reason="hpc-shutdown"))
        )
        return {"left": list(self._left)}


def _refusal(error: HPCError) -> dict[str, Any]:
    return {"refused": {"kind": type(error).__name__, "message": str(error), "hint": error.hint}}
