"""Workers leave without losing a task or a result; `tests/boot` has them leave in processes."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from distributed import Client, Event, Status, Worker, get_worker, secede, wait

from dask_hpc.engine.drain import DrainRoute, drain
from dask_hpc.engine.scheduler import HPCScheduler
from dask_hpc.engine.tls import cluster_security
from dask_hpc.security.certificates import create_certificates
from tests.boot.stage import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from distributed import Security


@dataclass(slots=True, kw_only=True)
class Crowd:
    """A scheduler with workers in this process."""

    scheduler: HPCScheduler
    client: Client
    security: Security
    stack: AsyncExitStack

    async def worker(self, name: str) -> Worker:
        worker = Worker(
            self.scheduler.address,
            name=name,
            nthreads=1,
            host="127.0.0.1",
            security=self.security,
            dashboard=False,
        )
        return await self.stack.enter_async_context(worker)

    async def drain(self, *workers: Worker, seconds: float = 10) -> float:
        """Drain workers and return how long that took."""
        begin = time.monotonic()
        route = DrainRoute(self.scheduler.address, self.security.get_connection_args("client"))
        await drain(route, {each.name: each.address for each in workers}, seconds=seconds)
        return time.monotonic() - begin

    def names(self) -> list[str]:
        return [each.name for each in self.scheduler.workers.values()]

    def events(self) -> list[Any]:
        return [event for _, event in self.scheduler.get_events("all")]

    def blamed(self) -> int:
        return sum(each.suspicious for each in self.scheduler.task_prefixes.values())


@pytest.fixture
async def crowd(tmp_path: Path) -> AsyncIterator[Crowd]:
    create_certificates(tmp_path / "tls", name="crowd")
    security = cluster_security(tmp_path / "tls", secure=True)
    async with AsyncExitStack() as stack:
        scheduler = HPCScheduler(
            dashboard_socket=tmp_path / "dashboard.sock",
            host="127.0.0.1",
            port=0,
            protocol="tls",
            security=security,
            dashboard=True,
        )
        await stack.enter_async_context(scheduler)
        client = Client(scheduler.address, security=security, asynchronous=True)
        await stack.enter_async_context(client)
        yield Crowd(scheduler=scheduler, client=client, security=security, stack=stack)


async def test_results_are_handed_over(crowd: Crowd) -> None:
    leaving, staying = await crowd.worker("a.0-0"), await crowd.worker("b.0-0")
    futures = crowd.client.map(add_one, range(10), workers=[leaving.address])
    await wait(futures)
    await crowd.drain(leaving)
    assert leaving.address not in crowd.scheduler.workers
    assert set(staying.data) == {future.key for future in futures}
    assert await crowd.client.gather(futures) == list(range(1, 11))
    assert not [event for event in crowd.events() if event.get("lost-computed-tasks")]
    await leaving.finished()


@pytest.mark.slow
async def test_a_running_task_ends_first_and_the_next_one_runs_elsewhere(crowd: Crowd) -> None:
    leaving, staying = await crowd.worker("a.0-0"), await crowd.worker("b.0-0")
    there = {"workers": [leaving.address], "allow_other_workers": True, "pure": False}
    gate = Event("gate", client=crowd.client)
    begun = crowd.client.submit(pass_gate, **there)
    await eventually(lambda: bool(leaving.state.executing))
    waiting = crowd.client.submit(where, **there)
    await eventually(lambda: len(crowd.scheduler.workers[leaving.address].processing) == 2)
    draining = asyncio.ensure_future(crowd.drain(leaving))
    assert await waiting == staying.name
    assert leaving.status == Status.closing_gracefully
    assert not draining.done()
    await gate.set()
    assert await draining < 10
    assert await begun == leaving.name
    assert crowd.blamed() == 0


async def test_the_news_of_a_result_is_waited_for(crowd: Crowd, tmp_path: Path) -> None:
    leaving, _ = await crowd.worker("a.0-0"), await crowd.worker("b.0-0")
    leaving.batched_stream.interval = 1.0  # seconds from one message to the next
    leaving.log_event("test", "hello")
    trace = tmp_path / "trace"
    future = crowd.client.submit(
        leave_trace, str(trace), workers=[leaving.address], allow_other_workers=True
    )
    await eventually(lambda: future.key in leaving.data)
    assert future.key in {task.key for task in crowd.scheduler.workers[leaving.address].processing}
    await crowd.drain(leaving)
    await future
    assert trace.read_text() == leaving.name


async def test_a_task_that_takes_too_long_is_run_elsewhere(crowd: Crowd) -> None:
    leaving = await crowd.worker("a.0-0")
    staying = await crowd.worker("b.0-0")
    gate = Event("gate", client=crowd.client)
    future = crowd.client.submit(pass_gate, workers=[leaving.address], allow_other_workers=True)
    await eventually(lambda: bool(leaving.state.executing))
    assert await crowd.drain(leaving, seconds=0.2) < 20
    await gate.set()
    assert await future == staying.name
    assert crowd.blamed() == 0


async def test_a_seceded_task_is_waited_for(crowd: Crowd) -> None:
    leaving = await crowd.worker("a.0-0")
    await crowd.worker("b.0-0")
    gate = Event("gate", client=crowd.client)
    future = crowd.client.submit(
        secede_and_pass_gate, workers=[leaving.address], allow_other_workers=True
    )
    await eventually(lambda: bool(leaving.state.long_running))
    draining = asyncio.ensure_future(crowd.drain(leaving))
    await eventually(lambda: leaving.status == Status.closing_gracefully)
    await gate.set()
    await draining
    assert await future == leaving.name


async def test_the_last_worker_leaves_with_its_results_which_are_computed_again(
    crowd: Crowd,
) -> None:
    leaving = await crowd.worker("a.0-0")
    future = crowd.client.submit(add_one, 1)
    await wait(future)
    assert await crowd.drain(leaving, seconds=60) < 45
    assert leaving.address not in crowd.scheduler.workers
    await crowd.worker("b.0-0")
    assert await future == 2
    assert crowd.blamed() == 0


async def test_the_last_worker_waits_for_others_that_are_on_their_way(crowd: Crowd) -> None:
    crowd.scheduler.expects_workers = lambda: True
    leaving = await crowd.worker("a.0-0")
    future = crowd.client.submit(add_one, 1)
    await wait(future)
    draining = asyncio.ensure_future(crowd.drain(leaving))
    assert await crowd.client.submit(add_one, 2) == 3  # it goes on to work meanwhile
    staying = await crowd.worker("b.0-0")
    await draining
    assert future.key in staying.data


async def test_a_worker_that_is_gone_does_not_hold_up_the_others(crowd: Crowd) -> None:
    gone, leaving = await crowd.worker("a.0-0"), await crowd.worker("a.0-1")
    await crowd.worker("b.0-0")
    await gone.close()
    assert await crowd.drain(gone, leaving, seconds=60) < 45
    assert list(crowd.names()) == ["b.0-0"]


@pytest.mark.slow
async def test_a_scheduler_that_is_gone_is_not_waited_for(crowd: Crowd) -> None:
    leaving = await crowd.worker("a.0-0")
    address = leaving.address
    await crowd.scheduler.close()
    route = DrainRoute(crowd.scheduler.address, crowd.security.get_connection_args("client"))
    begin = time.monotonic()
    await drain(route, {"a.0-0": address}, seconds=0.5)
    assert time.monotonic() - begin < 30


async def test_nobody_may_leave(crowd: Crowd) -> None:
    await crowd.worker("a.0-0")
    await crowd.drain()
    assert crowd.names() == ["a.0-0"]


def add_one(number: int) -> int:
    return number + 1


def where() -> str:
    return str(get_worker().name)


def pass_gate() -> str:
    Event("gate").wait(timeout=20)
    return where()


def secede_and_pass_gate() -> str:
    secede()
    return pass_gate()


def leave_trace(path: str) -> None:
    with Path(path).open("a", encoding="utf-8") as trace:
        trace.write(where())
