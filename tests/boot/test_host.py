"""A worker host leaves without losing anything, and ends when it is of no use any more."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from distributed import wait

from dask_hpc.batch.model import Tag
from dask_hpc.cluster.slot import Slot
from dask_hpc.engine.service import SchedulerCrew
from tests.boot import tasks
from tests.boot.stage import Job, Stage, alive, entries, eventually, new_stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]


def every_signal_to_every_process(host: Job) -> None:
    """Do as the batch systems do that mean it well."""
    for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT):
        host.send_to_all(number)


ORDERS: dict[str, Callable[[Job], None]] = {
    "SIGTERM": lambda host: host.process.send_signal(signal.SIGTERM),
    "SIGUSR1": lambda host: host.process.send_signal(signal.SIGUSR1),
    "every signal to every process": every_signal_to_every_process,
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage() -> AsyncIterator[Stage]:
    """A cluster with a host ``z`` that stays."""
    async with new_stage() as stage:
        await stage.host("z")
        yield stage


async def compute_while(
    stage: Stage, directory: Path, leave: Callable[[], object], *, count: int = 32
) -> None:
    """Compute, let somebody leave meanwhile, and see that every task ran once."""
    futures = stage.client.map(
        tasks.leave_trace, range(count), directory=str(directory), seconds=0.1, pure=False
    )
    await eventually(lambda: len(entries(directory)) >= 4)
    leave()
    await wait(futures, timeout=30)
    assert sorted(await stage.client.gather(futures)) == list(range(count))
    assert len(entries(directory)) == count
    assert stage.blamed() == 0
    assert stage.lost() == []


@pytest.mark.parametrize("order", ORDERS)
async def test_a_drained_host_loses_nothing(stage: Stage, tmp_path: Path, order: str) -> None:
    host = await stage.host()
    await compute_while(stage, tmp_path, partial(ORDERS[order], host))
    assert await host.exit_code() == 0, host.said()
    assert stage.workers("a") == {}


async def test_a_host_drains_before_its_job_ends(stage: Stage, tmp_path: Path) -> None:
    end = int(time.time()) + 8  # of which a quarter is for leaving
    host = await stage.host(end_time=end)
    left: list[float] = []

    async def watch() -> None:
        await eventually(lambda: not stage.running("a"))
        left.append(time.time())

    watching = asyncio.ensure_future(watch())
    await compute_while(stage, tmp_path, watching.done, count=200)
    await watching
    assert await host.exit_code() == 0, host.said()
    assert end - 3 < left[0] < end


async def test_a_host_that_the_controller_drains_may_be_told_so_too(
    stage: Stage, tmp_path: Path
) -> None:
    host = await stage.host()
    crew = SchedulerCrew(stage.scheduler, replace(stage.spec, drain_timeout=15))
    draining: list[asyncio.Future[None]] = []

    def leave() -> None:
        draining.append(asyncio.ensure_future(crew.drain([Slot(Tag("a"), 0)])))
        host.send_to_all(signal.SIGTERM)

    await compute_while(stage, tmp_path, leave)
    await asyncio.gather(*draining)
    assert await host.exit_code() == 0, host.said()


async def test_a_drain_waits_for_running_tasks(stage: Stage, tmp_path: Path) -> None:
    host = await stage.host()
    # One for each: of two on one worker, the other host might steal one.
    futures = [
        stage.client.submit(
            tasks.leave_trace,
            number,
            directory=str(tmp_path),
            seconds=3,
            workers=[address],
            allow_other_workers=True,
            pure=False,
        )
        for number, address in enumerate(stage.addresses("a"))
    ]
    await eventually(lambda: stage.busy("a") == 2)
    host.process.terminate()
    assert await host.exit_code() == 0, host.said()
    assert await stage.client.gather(futures) == [0, 1]
    assert len(entries(tmp_path)) == 2
    assert stage.blamed() == 0


async def test_a_drain_does_not_wait_for_ever(stage: Stage, tmp_path: Path) -> None:
    stage.change(drain_timeout=0.5)
    host = await stage.host()
    stage.change(drain_timeout=60.0)
    end = tmp_path / "end"
    future = stage.client.submit(
        tasks.wait_for_file, str(end), workers=stage.addresses("a"), allow_other_workers=True
    )
    await eventually(lambda: stage.busy("a") == 1)
    begin = time.monotonic()
    host.process.terminate()
    assert await host.exit_code() == 0, host.said()
    assert time.monotonic() - begin < 45
    end.touch()
    assert await future
    assert stage.blamed() == 0


async def test_the_last_host_may_leave_with_results(tmp_path: Path) -> None:
    async with new_stage(drain_timeout=1.0) as stage:
        host = await stage.host("a")
        futures = stage.client.map(abs, range(20))
        await wait(futures)
        host.process.terminate()
        assert await host.exit_code() == 0, host.said()
        await stage.host("b")
        assert await stage.client.gather(futures) == list(range(20))
        assert stage.blamed() == 0


async def test_a_host_ends_with_its_last_worker(stage: Stage) -> None:
    host = await stage.host()
    first, second = sorted(stage.workers("a"))
    await stage.client.retire_workers(names=[first], close_workers=True, remove=True)
    await eventually(lambda: len(host.trunk().children()) == 2)  # the supervisor, and one
    assert list(stage.workers("a")) == [second]
    await stage.client.retire_workers(names=[second], close_workers=True, remove=True)
    assert await host.exit_code() == 0, host.said()


@pytest.mark.parametrize("children", [0, 1, 2, 3])
async def test_a_host_may_be_told_to_leave_while_it_starts(stage: Stage, children: int) -> None:
    """With no, one, … children of its trunk: a supervisor, then workers."""
    host = stage.starting_host("a")

    await eventually(lambda: len(host.programs()) > children)
    family = host.family()
    host.process.terminate()
    # Before it can listen, Python ends by the signal itself, which is as good; a first child may be
    # a program that it asks about the machine.
    assert await host.exit_code() in ((0,) if children > 1 else (0, 143)), host.said()
    await eventually(lambda: not alive(family))
    await eventually(lambda: not stage.workers("a"))
    assert stage.blamed() == 0


async def test_workers_that_keep_dying_end_the_host(stage: Stage, tmp_path: Path) -> None:
    """Also those that die before they are connected; both hosts take their time beside another."""
    preload = tmp_path / "broken.py"
    preload.write_text("import os\ndef dask_setup(worker): os._exit(3)\n", encoding="utf-8")
    broken = stage.starting_host("b", {"DASK_DISTRIBUTED__WORKER__PRELOAD": str(preload)})
    host = await stage.host()
    killed = await kill_workers(stage, host, over=lambda: host.process.poll() is not None)
    assert await host.exit_code() == 1, host.said()
    assert killed == 10  # five of each
    assert await broken.exit_code() == 1, broken.said()
    for each in (host, broken):
        assert "died 5 times in a minute; giving up" in each.said()
    assert stage.workers("b") == {}


async def test_a_worker_that_waits_to_be_restarted_does_not_come_back_to_a_drain(
    stage: Stage, tmp_path: Path
) -> None:
    host = await stage.host()
    await kill_workers(stage, host, over=lambda: host.said().count(" died: ") == 6)
    host.process.terminate()
    assert await host.exit_code(2) == 0, host.said()  # they would have come back after two seconds
    assert stage.workers("a") == {}


async def kill_workers(stage: Stage, host: Job, *, over: Callable[[], bool]) -> int:
    """Kill every worker of a host as soon as it is connected; return how many that were."""
    killed: set[int] = set()

    def fresh() -> set[int]:
        return set(stage.workers(host.name).values()) - killed

    while True:
        await eventually(lambda: over() or bool(fresh()), 30)
        if over():
            return len(killed)
        for pid in fresh():
            killed.add(pid)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


async def test_a_second_run_of_a_job_leaves_while_the_first_one_serves(stage: Stage) -> None:
    first = await stage.host("a")
    before = stage.workers("a")
    second = stage.starting_host("a")
    assert await second.exit_code(20) == 1
    assert "a.0 is served by job 77 already: job 77 is one too many" in second.said()
    assert stage.workers("a") == before
    assert first.process.poll() is None
