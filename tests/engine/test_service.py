"""The controller beside a scheduler, asked over the network as everybody asks it."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from distributed import Client, Worker, wait

from dask_hpc._clock import SystemClock
from dask_hpc._hosts import mark_of
from dask_hpc.batch.model import JobState, Resources, Tag
from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.cluster.record import ClusterRecord, ClusterState, write_cluster
from dask_hpc.cluster.slot import Slot
from dask_hpc.cluster.spec import Home, Pool
from dask_hpc.controller.adaptive import Bounds
from dask_hpc.engine.client import ControllerClient, connected
from dask_hpc.engine.scheduler import HPCScheduler
from dask_hpc.engine.service import ControllerService, SchedulerCrew
from dask_hpc.engine.tls import cluster_security
from dask_hpc.errors import ClusterNotFound, ControllerUnreachable, HPCError, SubmitRejected
from dask_hpc.testing import FakeSystem
from tests.boot.stage import eventually, new_cluster
from tests.cluster.specs import a_spec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from dask_hpc.cluster.spec import ClusterSpec


@dataclass(slots=True, kw_only=True)
class Scene:
    """A scheduler with its controller, on a batch system in memory."""

    spec: ClusterSpec
    system: FakeSystem
    scheduler: HPCScheduler
    service: ControllerService
    controller: ControllerClient
    stack: AsyncExitStack

    @property
    def directory(self) -> ClusterDirectory:
        return ClusterDirectory(self.spec.directory)

    async def worker(self, name: str) -> Worker:
        """Connect a worker in this process."""
        worker = Worker(
            self.scheduler.address,
            name=name,
            nthreads=1,
            host="127.0.0.1",
            security=cluster_security(self.directory.tls, secure=True),
            dashboard=False,
        )
        return await self.stack.enter_async_context(worker)

    async def client(self) -> Client:
        security = cluster_security(self.directory.tls, secure=True)
        client = await Client(self.scheduler.address, security=security, asynchronous=True)
        self.stack.push_async_callback(client.close)
        return client

    def states(self) -> list[JobState]:
        return [job.state for job in self.system.jobs.values()]


async def _enter(stack: AsyncExitStack, system: FakeSystem, **changes: Any) -> Scene:
    resources = Resources(cores=1, memory=2**28, walltime=3600.0)
    spec = stack.enter_context(new_cluster(worker=resources, processes=1, **changes))
    directory = ClusterDirectory(spec.directory)
    scheduler = HPCScheduler(
        dashboard_socket=directory.dashboard,
        host="127.0.0.1",
        port=0,
        protocol="tls",
        security=cluster_security(directory.tls, secure=True),
        dashboard=True,
    )
    service = ControllerService(spec, system.queue(), scheduler=scheduler)
    scheduler.add_plugin(service)
    await stack.enter_async_context(scheduler)
    record = ClusterRecord(
        name=spec.name,
        site=spec.site,
        home=Home.HERE,
        state=ClusterState.RUNNING,
        created=0.0,
        address=scheduler.address,
    )
    write_cluster(directory, record)
    controller = await stack.enter_async_context(connected(directory))
    return Scene(
        spec=spec,
        system=system,
        scheduler=scheduler,
        service=service,
        controller=controller,
        stack=stack,
    )


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        yield await _enter(stack, FakeSystem(SystemClock()))


async def test_jobs_are_submitted_and_reported(scene: Scene) -> None:
    report = await scene.controller.scale(2)
    assert report.wanted == 2
    assert len(report.jobs) == 2
    assert {job.job for job in report.jobs} == set(scene.system.jobs)
    assert report == await scene.controller.report()


async def test_decisions_come_with_their_reasons(scene: Scene) -> None:
    await scene.controller.scale(2)
    decisions = await scene.controller.decisions()
    said = [(decision.what, decision.why) for decision in decisions]
    assert ("scale", "scaled to 2 jobs") in said
    assert any(what.startswith("submitted") and "0 of 2 wanted jobs" in why for what, why in said)


async def test_a_refusal_travels_in_the_words_of_the_system_and_the_next_try_works(
    scene: Scene,
) -> None:
    scene.system.refuse("the partition is closed on sundays")
    with pytest.raises(SubmitRejected, match="the partition is closed on sundays"):
        await scene.controller.scale(1)
    assert (await scene.controller.report()).halted == "the partition is closed on sundays"
    assert (await scene.controller.scale(1)).halted == ""
    assert len(scene.system.jobs) == 1


async def test_a_refusal_of_an_adaptive_cluster_travels_too(scene: Scene) -> None:
    scene.system.refuse("not today")
    with pytest.raises(SubmitRejected, match="not today"):
        await scene.controller.adapt(Bounds(minimum=1, maximum=3))


async def test_bounds_are_reported(scene: Scene) -> None:
    report = await scene.controller.adapt(Bounds(minimum=1, maximum=3, interval=0.1))
    assert (report.wanted, report.minimum, report.maximum) == (1, 1, 3)
    assert len(scene.system.jobs) == 1


async def test_an_adaptive_cluster_grows_with_its_work(scene: Scene) -> None:
    await scene.controller.adapt(Bounds(minimum=0, maximum=3, interval=0.1))
    client = await scene.client()
    futures = client.map(abs, range(20))
    await eventually(lambda: len(scene.system.jobs) >= 1)
    assert len(futures) == 20


async def test_a_worker_counts_for_the_job_that_brought_it(scene: Scene) -> None:
    report = await scene.controller.scale(1)
    await scene.worker(f"{report.jobs[0].slot}-0")
    await scene.worker("somebody-else")
    await eventually(lambda: scene.service.controller.report().workers == 1)
    (job,) = (await scene.controller.report()).jobs
    assert (job.phase, job.workers) == ("running", 1)


async def test_a_job_that_is_retired_hands_its_results_over(scene: Scene) -> None:
    report = await scene.controller.scale(2)
    workers = [await scene.worker(f"{job.slot}-0") for job in report.jobs]
    client = await scene.client()
    futures = client.map(abs, range(-10, 0))
    await wait(futures)
    await eventually(lambda: scene.service.controller.report().workers == 2)
    await scene.controller.scale(1)
    await eventually(lambda: len(scene.scheduler.workers) == 1)
    assert await client.gather(futures) == list(range(10, 0, -1))
    (staying,) = (worker for worker in workers if worker.address in scene.scheduler.workers)
    assert len(staying.data) == 10
    for job in scene.system.jobs.values():
        if not str(staying.name).startswith(f"{job.tag}.{job.index}-"):
            scene.system.end(job.id)  # as its worker host does
    await eventually(lambda: scene.service.controller.report().count("ended") == 1)


async def test_a_shutdown_ends_jobs_and_scheduler(scene: Scene) -> None:
    await scene.controller.scale(2)
    assert await scene.controller.shutdown() == ()
    assert scene.states() == [JobState.CANCELLED] * 2
    await asyncio.wait_for(scene.scheduler.finished(), 30)
    with pytest.raises(ControllerUnreachable, match="does not answer"):
        await ask(scene.directory)


async def test_the_end_of_a_scheduler_ends_its_jobs(scene: Scene) -> None:
    await scene.controller.scale(2)
    await scene.scheduler.close()
    assert scene.states() == [JobState.CANCELLED] * 2


async def test_what_a_spec_asks_for_is_wanted_from_the_start() -> None:
    async with AsyncExitStack() as stack:
        scene = await _enter(stack, FakeSystem(SystemClock()), first_jobs=3)
        await eventually(lambda: len(scene.system.jobs) == 3)
        assert (await scene.controller.report()).wanted == 3


async def test_a_spec_may_ask_to_adapt_from_the_start() -> None:
    async with AsyncExitStack() as stack:
        scene = await _enter(stack, FakeSystem(SystemClock()), first_jobs=1, first_maximum=4)
        await eventually(lambda: len(scene.system.jobs) == 1)
        report = await scene.controller.report()
        assert (report.minimum, report.maximum) == (1, 4)


async def test_a_refusal_at_the_start_is_in_the_report_and_the_scheduler_stays() -> None:
    async with AsyncExitStack() as stack:
        system = FakeSystem(SystemClock())
        system.refuse("not today")
        scene = await _enter(stack, system, first_jobs=2)
        await eventually(lambda: scene.service.controller.report().trouble is not None)
        report = await scene.controller.report()
        assert report.trouble is not None
        assert (report.trouble.kind, report.trouble.message) == ("SubmitRejected", "not today")


GPU = Pool(
    worker=Resources(cores=1, memory=2**30), processes=1, python="python", offers={"GPU": 1.0}
)

# the crew ----------------------------------------------------------------------------------------


async def test_a_crew_is_known_by_its_jobs(scene: Scene) -> None:
    crew = SchedulerCrew(scene.scheduler, a_spec(drain_timeout=5))
    for name in ("x.0-0", "x.0-1", "x.1-0", "somebody-else"):
        await scene.worker(name)
    present = crew.present()
    assert {str(slot): each.workers for slot, each in present.items()} == {"x.0": 2, "x.1": 1}
    assert all(each.idle for each in present.values())


async def test_a_job_with_work_is_not_idle(scene: Scene) -> None:
    crew = SchedulerCrew(scene.scheduler, a_spec(drain_timeout=5))
    busy, _ = await scene.worker("x.0-0"), await scene.worker("x.0-1")
    await scene.worker("x.1-0")
    client = await scene.client()
    future = client.submit(asyncio.sleep, 60, workers=[busy.address])
    await eventually(lambda: bool(busy.state.executing))
    present = {str(slot): each.idle for slot, each in crew.present().items()}
    assert present == {"x.0": False, "x.1": True}
    await future.cancel()


async def test_a_crew_drains_the_jobs_it_is_told_to(scene: Scene) -> None:
    crew = SchedulerCrew(scene.scheduler, a_spec(drain_timeout=5))
    for name in ("x.0-0", "x.0-1", "x.1-0"):
        await scene.worker(name)
    await crew.drain([Slot(Tag("x"), 0)])
    assert [each.name for each in scene.scheduler.workers.values()] == ["x.1-0"]


async def test_demand_follows_the_work(scene: Scene) -> None:
    crew = SchedulerCrew(scene.scheduler, a_spec(drain_timeout=5))
    assert crew.demand("default", slots=(), seconds=None) == 0
    client = await scene.client()
    futures = client.map(abs, range(20))
    await eventually(lambda: len(scene.scheduler.tasks) == 20)
    assert crew.demand("default", slots=(), seconds=None) >= 1
    assert crew.demand("default", slots=(), seconds=1000) == 1
    assert len(futures) == 20


async def test_work_that_asks_for_a_resource_is_for_the_pools_that_offer_it(scene: Scene) -> None:
    pools = {"gpu": GPU, "big": replace(GPU, offers={"RAM": 1.0})}
    crew = SchedulerCrew(scene.scheduler, a_spec(pools=pools))
    client = await scene.client()
    plain = client.map(abs, range(3))
    special = client.map(abs, range(10, 18), resources={"GPU": 1})
    await eventually(lambda: len(scene.scheduler.tasks) == 11)

    def demand(pool: str, *slots: Slot) -> int:
        return crew.demand(pool, slots=slots, seconds=1)

    assert (demand("default"), demand("gpu"), demand("big")) == (1, 4, 0)
    await scene.worker("x.0-0")
    assert await asyncio.gather(*plain) == [0, 1, 2]
    slot = Slot(Tag("x"), 0)
    assert demand("default", slot) == 1, "it holds results"
    await client.cancel(plain)
    del plain
    await eventually(lambda: demand("default", slot) == 0)
    assert demand("gpu") == 1, "by now it is known how short they are"
    assert len(special) == 8


# the client --------------------------------------------------------------------------------------


async def ask(directory: ClusterDirectory, *, seconds: float = 0.3) -> None:
    async with connected(directory, seconds=seconds) as controller:
        await controller.report()


async def test_a_scheduler_that_has_not_started_is_not_asked(scene: Scene) -> None:
    change(scene, state=ClusterState.STARTING)
    with pytest.raises(ControllerUnreachable, match="'boot' has not started yet") as caught:
        await ask(scene.directory)
    assert caught.value.hint == "dask-hpc status boot"


async def test_a_scheduler_that_has_ended_is_not_asked(scene: Scene) -> None:
    change(scene, state=ClusterState.ENDED, reason="its job got signal SIGTERM")
    with pytest.raises(ControllerUnreachable, match="has ended: its job got signal SIGTERM"):
        await ask(scene.directory)


def change(scene: Scene, **changes: Any) -> None:
    record = ClusterRecord(
        name="boot",
        site="local",
        home=Home.HERE,
        state=ClusterState.RUNNING,
        created=0.0,
        address=scene.scheduler.address,
    )
    write_cluster(scene.directory, replace(record, **changes))


async def test_a_scheduler_whose_process_is_gone_is_not_asked(scene: Scene) -> None:
    sleeper = await asyncio.create_subprocess_exec("sleep", "60")
    change(scene, process=mark_of(sleeper.pid))
    sleeper.kill()
    await sleeper.wait()
    with pytest.raises(ControllerUnreachable, match="has ended: its process is gone"):
        await ask(scene.directory)


async def test_a_scheduler_that_does_not_answer_is_given_up(scene: Scene) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        change(scene, address=f"tls://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(ControllerUnreachable, match="'boot' does not answer at tls") as caught:
            await ask(scene.directory)
    assert caught.value.hint == "dask-hpc down boot ends what is left of it"


@pytest.mark.slow
async def test_a_port_where_nobody_listens_is_given_up_before_the_time_is_up(scene: Scene) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    change(scene, address=f"tls://127.0.0.1:{port}")
    begin = time.monotonic()
    with pytest.raises(ControllerUnreachable, match="'boot' does not answer at tls"):
        await ask(scene.directory, seconds=60)
    assert time.monotonic() - begin < 45


async def test_a_scheduler_that_ends_meanwhile_is_unreachable(scene: Scene) -> None:
    await scene.controller.report()
    await scene.scheduler.close()
    with pytest.raises(ControllerUnreachable, match="the scheduler does not answer"):
        await scene.controller.report()


async def test_a_cluster_that_is_not_there_is_not_asked(scene: Scene) -> None:
    with pytest.raises(ClusterNotFound, match="there is no cluster named 'spam'"):
        await ask(ClusterDirectory(scene.directory.path.with_name("spam")))


async def test_an_error_that_this_release_does_not_know_keeps_its_words() -> None:
    class Newer:
        async def hpc_scale(self, **_: Any) -> dict[str, Any]:
            return {"refused": {"kind": "QuotaExceeded", "message": "no hours left", "hint": "ask"}}

    with pytest.raises(HPCError, match="no hours left") as caught:
        await ControllerClient(Newer()).scale(1)
    assert caught.value.hint == "ask"
