"""Workers come and go as with distributed's own scheduler, but for the cost."""

from __future__ import annotations

import copy
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from distributed import Client, Worker, versions

from dask_hpc.engine import registration
from dask_hpc.engine.registration import Departures, Installations, compare_versions
from tests.boot.stage import eventually
from tests.engine.test_scheduler import new_scheduler

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from dask_hpc.engine.scheduler import HPCScheduler

HERE = versions.get_versions()


def other() -> dict[str, Any]:
    """Return the versions of another installation."""
    changed = copy.deepcopy(HERE)
    changed["packages"]["numpy"] = "0.1"
    del changed["packages"]["toolz"]
    return changed


OTHER = other()


@pytest.mark.parametrize(
    "workers",
    [
        {},
        {"a": HERE},
        {"a": HERE, "b": OTHER, "c": copy.deepcopy(HERE)},
        {"a": OTHER, "b": OTHER},
        {"a": OTHER, "b": None},
    ],
)
@pytest.mark.parametrize("source", [HERE, OTHER])
def test_the_quick_comparison_says_the_same(
    workers: dict[str, dict[str, Any]], source: dict[str, Any]
) -> None:
    quick = compare_versions(HERE, workers, source, source_name="x")
    assert quick == registration._compare_all(HERE, workers, source, source_name="x")


def test_equal_installations_are_one_object() -> None:
    installations = Installations()
    first = installations.shared(copy.deepcopy(HERE))
    assert installations.shared(copy.deepcopy(HERE)) is first
    assert installations.shared(OTHER) is not first


class Stream:
    """Stands where the scheduler's connection to a worker is."""

    def __init__(self, *, is_closed: bool = False) -> None:
        self.is_closed = is_closed
        self.sent: list[dict[str, Any]] = []

    def closed(self) -> bool:
        return self.is_closed

    def send(self, *messages: dict[str, Any]) -> None:
        self.sent += messages


async def test_departures_of_a_moment_are_told_at_once_to_those_who_are_there() -> None:
    stays, broken = Stream(), Stream(is_closed=True)
    departures = Departures({"stays": stays, "broken": broken})
    for worker in ("x", "y"):
        for _ in range(2):  # once for each that is there
            departures.add(worker, {"worker": worker})
    assert "x" in departures
    assert stays.sent == []
    await eventually(lambda: bool(stays.sent))
    assert stays.sent == [{"worker": "x"}, {"worker": "y"}]
    assert broken.sent == []
    assert "x" not in departures


@asynccontextmanager
async def new_workers(path: Path, *names: str) -> AsyncIterator[tuple[HPCScheduler, list[Worker]]]:
    async with new_scheduler(path / "s") as scheduler, AsyncExitStack() as stack:
        workers = []
        for name in names:
            worker = Worker(
                scheduler.address, name=name, nthreads=1, host="127.0.0.1", dashboard=False
            )
            workers.append(await stack.enter_async_context(worker))
        yield scheduler, workers


async def test_workers_with_the_same_installation_share_its_versions(tmp_path: Path) -> None:
    async with new_workers(tmp_path, "a", "b", "c") as (scheduler, _):
        one, *others = [worker.versions for worker in scheduler.workers.values()]
        assert one == HERE
        assert all(each is one for each in others)


async def test_who_stays_forgets_what_the_one_who_left_had(tmp_path: Path) -> None:
    async with (
        new_workers(tmp_path, "a", "b") as (scheduler, (leaves, stays)),
        Client(scheduler.address, asynchronous=True) as client,
    ):
        one = client.submit(int, 1, workers=[leaves.address], key="one")
        two = client.submit(int, 2, workers=[stays.address], key="two")
        total = client.submit(
            lambda *numbers: sum(numbers), one, two, workers=[stays.address], key="total"
        )
        assert await total == 3
        assert stays.state.has_what[leaves.address]
        await leaves.close()
        await eventually(lambda: leaves.address not in stays.state.has_what)
        assert await client.submit(lambda number: number * 2, total) == 6


async def test_a_place_that_is_taken_again_is_told_of_in_order(tmp_path: Path) -> None:
    async with (
        new_workers(tmp_path, "a", "b") as (scheduler, (leaves, stays)),
        Client(scheduler.address, asynchronous=True) as client,
    ):
        place = leaves.address
        await leaves.close()
        assert place in scheduler._departures
        port = int(place.rpartition(":")[2])
        options = {"nthreads": 1, "host": "127.0.0.1", "port": port, "dashboard": False}
        async with Worker(scheduler.address, name="again", **options) as again:
            assert again.address == place
            assert place not in scheduler._departures
            one = client.submit(int, 1, workers=[place])
            assert await client.submit(sum, [one, 2], workers=[stays.address]) == 3
            assert place in stays.state.has_what


async def test_workers_are_listed_whole(tmp_path: Path) -> None:
    async with new_workers(tmp_path, "b", "a") as (scheduler, workers):
        assert dict(scheduler.workers.items()) == {
            worker.address: scheduler.workers[worker.address] for worker in workers
        }
        assert list(scheduler.workers) == sorted(scheduler.workers)
