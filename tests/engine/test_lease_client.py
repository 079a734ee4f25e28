"""The futures of a client outlive its connection, and what it asked for is done once."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from distributed import CancelledError

from dask_hpc._clock import SystemClock
from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.cluster.record import ClusterState, read_cluster, write_cluster
from dask_hpc.engine.lease_client import HPCClient
from dask_hpc.engine.start import start_scheduler
from dask_hpc.engine.tls import cluster_security
from tests.boot import tasks
from tests.boot.stage import eventually, new_cluster
from tests.engine.line import Line, new_line
from tests.engine.proxy import Cut

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.slow


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    async with new_line(tmp_path) as line:
        yield line


def statuses(futures: list[Any]) -> set[str]:
    return {future.status for future in futures}


async def done(futures: list[Any]) -> None:
    """Wait until tasks are done, without to gather what they return."""
    await eventually(lambda: statuses(futures) == {"finished"})


async def pause(seconds: float) -> None:
    """Let a time pass in which something should not happen."""
    await SystemClock().sleep(seconds)


@pytest.mark.parametrize("how", Cut)
async def test_futures_are_what_they_were_when_the_line_is_mended(line: Line, how: Cut) -> None:
    client = await line.client()
    futures = line.work(client, *range(20), seconds=0.02)
    await eventually(lambda: len(line.runs()) >= 5)
    await line.lose(client, how)
    done = statuses(futures)
    await eventually(lambda: len(line.runs()) == 20)
    assert statuses(futures) == done
    await line.find(client)
    assert await client.gather(futures) == list(range(20))
    assert line.runs() == list(range(20))


async def test_what_is_submitted_without_a_connection_is_done_when_there_is_one(
    line: Line,
) -> None:
    client = await line.client()
    (one,) = line.work(client, 1)
    await line.lose(client)
    (two,) = line.work(client, 2)
    three = client.submit(sum, [one, two])
    await line.find(client)
    assert await three == 3
    assert line.runs() == [1, 2]


async def test_what_is_released_without_a_connection_is_forgotten_later(line: Line) -> None:
    client = await line.client()
    futures = line.work(client, 1, 2)
    await done(futures)
    await line.lose(client)
    del futures[0]
    await pause(0.1)
    assert len(line.scheduler.tasks) == 2
    await line.find(client)
    await eventually(lambda: len(line.scheduler.tasks) == 1)
    assert await futures[0] == 2


async def test_whoever_waits_for_results_goes_on_to_wait(line: Line, tmp_path: Path) -> None:
    client = await line.client()
    gate = tmp_path / "gate"
    future = client.submit(tasks.wait_for_file, str(gate))
    gathering = asyncio.ensure_future(client.gather([future]))
    waiting = asyncio.ensure_future(future.result())
    await eventually(lambda: bool(list(tmp_path.glob("gate.*"))))
    await line.lose(client)
    gate.touch()
    await line.find(client)
    assert await gathering == [True]
    assert await waiting is True


async def test_a_gather_on_its_way_begins_again(line: Line) -> None:
    client = await line.client()
    futures = line.work(client, 1, 2)
    await done(futures)
    line.proxy.swallows_down = True
    gathering = asyncio.ensure_future(client.gather(futures))
    await pause(0.1)
    await line.lose(client)
    await line.find(client)
    assert await gathering == [1, 2]


async def test_what_a_task_raises_is_raised_once(line: Line) -> None:
    client = await line.client()
    future = client.submit(open, "/nowhere/at/all")
    with pytest.raises(FileNotFoundError):
        await client.gather(future)
    (kept,) = line.work(client, 1)
    await line.lose(client)
    await line.find(client)
    with pytest.raises(FileNotFoundError):
        await client.gather(future)
    assert await kept == 1


async def test_a_graph_that_was_lost_on_the_way_is_sent_again(line: Line) -> None:
    client = await line.client()
    line.proxy.swallows_up = True
    futures = line.work(client, *range(4))
    more = client.submit(sum, futures)
    await pause(0.1)
    assert not line.scheduler.tasks
    await line.lose(client)
    await line.find(client)
    assert await more == 6
    assert line.runs() == [0, 1, 2, 3]


async def test_of_a_graph_that_was_lost_only_what_is_still_wanted_is_kept(line: Line) -> None:
    client = await line.client()
    line.proxy.swallows_up = True
    released, needed, kept = line.work(client, 1, 2, 3)
    more = client.submit(sum, [needed, 10])  # needs what is released below
    await pause(0.05)
    del released, needed
    await line.lose(client)
    await line.find(client)
    assert await client.gather([more, kept]) == [12, 3]
    # Those two, and the one that the sum was made of.
    await eventually(lambda: len(line.scheduler.tasks) <= 3)
    del more, kept
    await eventually(lambda: not line.scheduler.tasks)


async def test_a_graph_that_arrived_unnoticed_is_not_done_again(line: Line) -> None:
    client = await line.client()
    line.proxy.swallows_down = True  # nobody says that it has arrived
    first, second, third = line.work(client, 1, 2, 3)
    await eventually(lambda: line.runs() == [1, 2, 3])
    del first
    await eventually(lambda: len(line.scheduler.tasks) == 2)
    await line.lose(client)
    del second
    await line.find(client)
    assert await third == 3
    await eventually(lambda: len(line.scheduler.tasks) == 1)
    assert line.runs() == [1, 2, 3]


async def test_nothing_is_lost_while_the_line_comes_and_goes(line: Line) -> None:
    client = await line.client()
    futures: list[Any] = []
    for how in (Cut.RESET, Cut.HALF, Cut.CLOSE):
        futures += line.work(client, *range(len(futures), len(futures) + 5))
        line.proxy.cut(how)
        for _ in range(5):
            futures += line.work(client, len(futures))
            await pause(0.01)
        line.proxy.restore()
        futures += line.work(client, len(futures))
    assert await client.gather(futures) == list(range(33))
    assert line.runs() == list(range(33))


class Poison:
    """What cannot be written to a connection."""

    def __reduce__(self) -> Any:
        raise RuntimeError("poison")


async def test_a_graph_that_breaks_every_connection_is_given_up(line: Line) -> None:
    client = await line.client()
    (kept,) = line.work(client, 1)
    await kept
    client._send_to_scheduler({"op": "update-graph", "keys": {"x"}, "annotations": Poison()})
    beside = line.work(client, 2)
    await eventually(lambda: statuses(beside) == {"cancelled"})
    assert await kept == 1
    assert await client.gather(line.work(client, 3)) == [3]
    assert line.runs() == [1, 3]


async def test_what_was_not_kept_is_cancelled_and_the_client_goes_on(tmp_path: Path) -> None:
    async with new_line(tmp_path, lease=0.3) as line:
        client = await line.client()
        futures = line.work(client, 1, 2)
        await done(futures)
        line.proxy.cut()
        await eventually(lambda: not line.scheduler.tasks)
        await line.find(client)
        await eventually(lambda: statuses(futures) == {"cancelled"})
        with pytest.raises(CancelledError):
            await futures[0]
        assert await client.gather(line.work(client, 3)) == [3]


async def test_after_a_restart_there_is_nothing_to_come_back_to(line: Line) -> None:
    client = await line.client()
    futures = line.work(client, 1, 2)
    await done(futures)
    await line.lose(client)
    await line.scheduler.restart(stimulus_id="test", wait_for_workers=False)
    await line.find(client)
    await eventually(lambda: statuses(futures) == {"cancelled"})
    assert await client.kept() == {}


async def test_a_client_gives_up_in_the_end(tmp_path: Path) -> None:
    async with new_line(tmp_path, lease=0.3) as line:
        client = await line.client(timeout="0.3s")
        futures = line.work(client, 1)
        await done(futures)
        line.proxy.cut()
        await eventually(lambda: bool(client.status == "closed"))
        assert statuses(futures) == {"cancelled"}


async def test_a_client_closes_without_a_connection(line: Line) -> None:
    client = await line.client()
    await client.gather(line.work(client, 1))
    await line.lose(client)
    await asyncio.wait_for(client.close(), 30)
    assert client.status == "closed"


async def test_another_client_adopts_what_one_has_left(line: Line) -> None:
    one, other = await line.client(), HPCClient(line.scheduler.address, asynchronous=True)
    async with other:
        futures = line.work(one, 1, 2)
        await done(futures)
        await line.lose(one)
        await eventually(lambda: bool(line.scheduler.clients.get(f"lease-{one.id}")))
        assert set((await other.kept())[one.id]) == {future.key for future in futures}
        found = await other.adopt(one.id)
        assert [await found[future.key] for future in futures] == [1, 2]
        assert await other.kept() == {}
        assert await other.adopt(one.id) == {}
    assert line.runs() == [1, 2]


async def test_beside_a_scheduler_without_leases_it_is_distributed_s_own(tmp_path: Path) -> None:
    async with new_line(tmp_path, lease=0.0) as line:
        client = await line.client()
        futures = line.work(client, 1)
        await done(futures)
        line.proxy.cut()
        await eventually(lambda: statuses(futures) == {"cancelled"})
        line.proxy.restore()
        await eventually(lambda: bool(client.status == "running"))
        assert await client.gather(line.work(client, 2)) == [2]


@asynccontextmanager
async def client_of_a_cluster() -> AsyncIterator[tuple[HPCClient, ClusterDirectory]]:
    """Give a client of a cluster that has been cut off."""
    with new_cluster() as spec:
        directory = ClusterDirectory(spec.directory)
        scheduler = await start_scheduler(spec)
        security = cluster_security(directory.tls, secure=True)
        options: dict[str, Any] = {"security": security, "asynchronous": True}
        async with HPCClient(scheduler.address, directory=directory, **options) as client:
            assert client.lease == spec.client_lease
            await scheduler.close()
            yield client, directory


async def test_a_client_knows_from_the_record_that_its_cluster_has_ended() -> None:
    async with client_of_a_cluster() as (client, directory):
        record = read_cluster(directory)
        write_cluster(directory, replace(record, state=ClusterState.ENDED))
        await eventually(lambda: bool(client.status == "closed"))


async def test_a_client_knows_that_a_cluster_without_record_has_ended() -> None:
    async with client_of_a_cluster() as (client, directory):
        directory.remove()
        await eventually(lambda: bool(client.status == "closed"))


async def test_its_attempts_to_connect_are_long_enough_for_thousands(line: Line) -> None:
    client = await line.client()
    assert client._timeout == 120
    assert (await line.client(timeout="3s"))._timeout == 3
