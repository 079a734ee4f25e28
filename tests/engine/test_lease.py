"""What a client had asked for when it dropped is kept for a time, and only then."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from distributed import Client, fire_and_forget

from tests.boot import tasks
from tests.boot.stage import eventually
from tests.engine.line import Line, new_line

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from dask_hpc.engine.lease_client import HPCClient
    from dask_hpc.engine.scheduler import HPCScheduler

pytestmark = pytest.mark.slow


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    async with new_line(tmp_path) as line:
        yield line


def pseudo_clients(scheduler: HPCScheduler) -> list[str]:
    return [client for client in scheduler.clients if client.startswith("lease-")]


async def drop(client: Client) -> None:
    """End the connection of a client for good, without a word."""
    client._periodic_callbacks.clear()
    client.status = "closing"  # it does not seek its scheduler then
    client.scheduler_comm.abort()


async def test_what_a_dropped_client_wanted_is_kept(line: Line) -> None:
    client = await line.client()
    futures = line.work(client, *range(4), seconds=0.05)
    await eventually(lambda: len(line.scheduler.tasks) == 4)
    await drop(client)
    await eventually(lambda: line.runs() == [0, 1, 2, 3])
    assert len(line.scheduler.tasks) == 4
    assert pseudo_clients(line.scheduler) == [f"lease-{client.id}"]
    assert client.id not in line.scheduler.clients
    del futures


async def test_a_client_of_distributed_s_own_is_given_a_lease_too(line: Line) -> None:
    async with Client(line.address, asynchronous=True, set_as_default=False) as client:
        futures = line.work(client, 1, 2)
        await eventually(lambda: {future.status for future in futures} == {"finished"})
        line.proxy.cut()
        await eventually(lambda: {future.status for future in futures} == {"cancelled"})
        assert len(line.scheduler.tasks) == 2
        line.proxy.restore()
        other = await line.client()
        found = await other.adopt(client.id)
        assert sorted([await future for future in found.values()]) == [1, 2]
    assert line.runs() == [1, 2]


async def test_a_lease_ends(tmp_path: Path) -> None:
    async with new_line(tmp_path, lease=0.2) as line:
        client = await line.client()
        futures = line.work(client, 1, 2)
        await eventually(lambda: len(line.scheduler.tasks) == 2)
        await drop(client)
        await eventually(lambda: not line.scheduler.clients.get(client.id))
        await eventually(lambda: not line.scheduler.tasks)
        assert pseudo_clients(line.scheduler) == []
        del futures


@pytest.mark.parametrize("kind", ["ours", "theirs"])
async def test_a_client_that_closes_leaves_nothing(line: Line, kind: str) -> None:
    client: Client | HPCClient
    if kind == "ours":
        client = await line.client()
    else:
        client = await Client(line.address, asynchronous=True, set_as_default=False)
    futures = line.work(client, 1, 2)
    await client.gather(futures)
    await client.close()
    await asyncio.wait_for(eventually(lambda: not line.scheduler.tasks), 1)
    assert pseudo_clients(line.scheduler) == []


async def test_a_client_that_closes_leaves_nothing_of_what_it_left_before(line: Line) -> None:
    async with Client(line.address, asynchronous=True, set_as_default=False) as client:
        futures = line.work(client, 1)
        await client.gather(futures)
        line.proxy.cut()
        await eventually(lambda: pseudo_clients(line.scheduler) != [])
        line.proxy.restore()
        await eventually(lambda: client.status == "running")
    await eventually(lambda: not line.scheduler.tasks)
    assert pseudo_clients(line.scheduler) == []


async def test_without_a_lease_everything_is_forgotten_at_once(tmp_path: Path) -> None:
    async with new_line(tmp_path, lease=0) as line:
        client = await line.client()
        futures = line.work(client, 1)
        await client.gather(futures)
        await drop(client)
        await eventually(lambda: not line.scheduler.tasks)
        assert not line.scheduler._leases.keep_work


async def test_the_client_of_a_task_is_not_given_a_lease(line: Line) -> None:
    async with Client(
        line.address, asynchronous=True, name="worker", set_as_default=False
    ) as client:
        (future,) = line.work(client, 1)
        await future
        await drop(client)
        await eventually(lambda: not line.scheduler.tasks)
        assert pseudo_clients(line.scheduler) == []


async def test_what_another_client_wants_outlives_the_lease(tmp_path: Path) -> None:
    async with new_line(tmp_path, lease=0.2) as line:
        one, other = await line.client(), await line.client()
        kept = [client.submit(pow, 2, 5, key="shared") for client in (one, other)]
        await eventually(lambda: {future.status for future in kept} == {"finished"})
        await drop(one)
        await eventually(lambda: pseudo_clients(line.scheduler) != [])
        await eventually(lambda: pseudo_clients(line.scheduler) == [])
        assert await kept[1] == 32


async def test_a_lease_with_something_in_it_keeps_the_scheduler_from_being_idle(
    line: Line,
) -> None:
    scheduler, client = line.scheduler, await line.client()
    futures = line.work(client, 1)
    await client.gather(futures)
    await drop(client)
    await eventually(lambda: not scheduler.client_comms)
    assert [scheduler.check_idle() for _ in range(3)] == [None] * 3
    scheduler._leases.end(client.id)
    assert [scheduler.check_idle() for _ in range(3)][-1] is not None


async def test_a_lease_with_nothing_in_it_does_not(line: Line) -> None:
    scheduler, client = line.scheduler, await line.client()
    fire_and_forget(line.work(client, 1)[0])
    await eventually(lambda: line.runs() == [1])
    await eventually(lambda: not scheduler.tasks)
    await drop(client)
    await eventually(lambda: not scheduler.client_comms)
    assert pseudo_clients(scheduler) == [f"lease-{client.id}"]
    assert [scheduler.check_idle() for _ in range(3)][-1] is not None


async def test_the_client_of_a_task_does_not_keep_it_either(line: Line) -> None:
    scheduler = line.scheduler
    async with Client(line.address, asynchronous=True, name="worker", set_as_default=False):
        assert scheduler.client_comms
        assert [scheduler.check_idle() for _ in range(3)][-1] is not None


async def test_a_scheduler_closes_over_its_leases(tmp_path: Path) -> None:
    async with new_line(tmp_path) as line:
        client = await line.client()
        gate = client.submit(tasks.wait_for_file, str(tmp_path / "gate"))
        await eventually(lambda: len(line.scheduler.tasks) == 1)
        await drop(client)
        await eventually(lambda: line.scheduler._leases.keep_work)
        (tmp_path / "gate").touch()
        del gate
    assert not line.scheduler._leases.keep_work
