"""Workers of a class that somebody names are spawned, minded, and leave as all others do."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from typing import TYPE_CHECKING

import dask
import psutil
import pytest
import pytest_asyncio
from distributed import Status, wait

from dask_hpc._clock import SystemClock, until
from tests.boot import tasks
from tests.boot.stage import Stage, entries, eventually, new_stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from distributed import Nanny, Worker

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

KINDS = ("tests.boot.kinds.Own", "tests.boot.kinds.Minding")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage() -> AsyncIterator[Stage]:
    """A cluster with a host ``z`` that stays."""
    async with new_stage() as stage:
        await stage.host("z")
        yield stage


def look(dask_worker: Worker) -> tuple[str, str, bool]:
    """Return what a worker is, on which GPU, and whether it serves anything by HTTP."""
    said, gpu = (os.environ.get(key, "") for key in ("OWN_WORKER", "CUDA_VISIBLE_DEVICES"))
    has_routes = bool(dask.config.get("distributed.worker.http.routes"))
    return said, gpu, bool(dask_worker.http_server.port) and has_routes


async def until_minded(dask_worker: Nanny) -> bool:
    """Wait until a nanny knows that its worker is there."""
    running = Status.running
    return await until(lambda: dask_worker.status == running, 60, clock=SystemClock(), every=0.02)


async def test_workers_are_of_the_class_and_serve_no_http(stage: Stage) -> None:
    stage.change(worker_class=KINDS[0])
    host = await stage.host()
    seen = await stage.client.run(look, workers=stage.addresses("a"))
    assert sorted(seen.values()) == [(name, "", False) for name in ("a.0-0", "a.0-1")]
    host.process.terminate()
    assert await host.exit_code() == 0, host.said()


async def test_what_starts_workers_by_itself_starts_one_for_each_gpu(stage: Stage) -> None:
    worker = replace(stage.spec.worker, gpus=2)
    stage.change(worker_class=KINDS[1], worker=worker, offers={"GPU": 1.0})
    host = await stage.host(environment={"CUDA_VISIBLE_DEVICES": "2,5"})
    stage.change(worker=replace(worker, gpus=0), offers={})
    seen = await stage.client.run(look, workers=stage.addresses("a"))
    offers = [each.resources for each in stage.scheduler.workers.values() if each.name[0] == "a"]
    host.process.terminate()
    assert await host.exit_code() == 0, host.said()
    assert sorted(seen.values()) == [
        ("a.0-0 GPU=1.0 False", "2", False),
        ("a.0-1 GPU=1.0 False", "5", False),
    ]
    assert offers == [{"GPU": 1.0}] * 2


@pytest.mark.parametrize("kind", KINDS)
async def test_a_drained_host_loses_nothing(stage: Stage, tmp_path: Path, kind: str) -> None:
    stage.change(worker_class=kind)
    host = await stage.host()
    futures = stage.client.map(
        tasks.leave_trace, range(32), directory=str(tmp_path), seconds=0.1, pure=False
    )
    await eventually(lambda: len(entries(tmp_path)) >= 4)
    host.send_to_all(signal.SIGTERM)
    await wait(futures, timeout=60)
    assert sorted(await stage.client.gather(futures)) == list(range(32))
    assert len(entries(tmp_path)) == 32
    assert await host.exit_code() == 0, host.said()
    assert stage.workers("a") == {}
    assert stage.lost() == []


@pytest.mark.parametrize("kind", KINDS)
async def test_a_worker_that_dies_is_started_again(stage: Stage, kind: str) -> None:
    stage.change(worker_class=kind)
    host = await stage.host()
    # One that dies before its nanny knows that it is there ends the start of that nanny.
    await stage.client.run(until_minded, nanny=True, workers=stage.addresses("a"))
    before = stage.workers("a")
    psutil.Process(before["a.0-1"]).kill()
    await eventually(lambda: stage.workers("a").keys() == before.keys() and _is_new(stage, before))
    host.process.terminate()
    assert await host.exit_code() == 0, host.said()


def _is_new(stage: Stage, before: dict[str, int]) -> bool:
    return stage.workers("a")["a.0-1"] != before["a.0-1"]


async def test_a_class_that_is_nowhere_is_told_in_the_log(stage: Stage) -> None:
    stage.change(worker_class="tests.boot.kinds.Nothing")
    host = stage.starting_host()
    assert await host.exit_code() == 1
    assert "error: worker class 'tests.boot.kinds.Nothing' cannot be imported" in host.said()


async def test_what_makes_several_workers_for_one_is_told_how_to_make_one(stage: Stage) -> None:
    stage.change(worker_class=KINDS[1])
    host = stage.starting_host(environment={"CUDA_VISIBLE_DEVICES": "2,5"})
    assert await host.exit_code() == 1
    assert "error: worker class Minding makes 2 workers for one" in host.said()
