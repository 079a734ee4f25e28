"""What the nanny of a forked worker takes from distributed, and when it spawns instead."""

from __future__ import annotations

import inspect
import os
import re
from typing import TYPE_CHECKING

import dask
import pytest
from distributed import Nanny, Status, Worker
from distributed.diagnostics.plugin import Environ
from distributed.worker_memory import NannyMemoryManager

from dask_hpc.boot.forked import ForkedWorker
from dask_hpc.boot.nanny import ForkNanny
from dask_hpc.engine.scheduler import HPCScheduler
from dask_hpc.errors import LaunchError
from tests.boot import tasks
from tests.boot.stage import eventually, new_stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def nanny() -> AsyncIterator[Nanny]:
    nanny = Nanny("tcp://127.0.0.1:1", nthreads=3, memory_limit=2**28, death_timeout=7, name="n")
    await nanny.listen("tcp://127.0.0.1:0")
    yield nanny
    await nanny.close()


async def test_the_private_names_of_distributed_are_there(nanny: Nanny) -> None:
    assert nanny._original_local_dir is None or isinstance(nanny._original_local_dir, str)
    assert callable(nanny._ongoing_background_tasks.call_later)
    assert isinstance(nanny.worker_kwargs, dict)
    assert list(inspect.signature(Nanny._on_worker_exit_sync).parameters) == ["self", "exitcode"]
    assert "self._on_worker_exit_sync" in inspect.getsource(Nanny.instantiate)


async def test_the_names_that_a_worker_is_told_are_there(nanny: Nanny) -> None:
    told = ForkNanny.worker_specification(nanny)
    accepted = inspect.signature(Worker).parameters
    assert [name for name in told["worker"] if name not in accepted] == []
    assert told["worker"]["nthreads"] == 3
    assert told["worker"]["memory_limit"] == 2**28
    assert told["worker"]["death_timeout"] == 7


@pytest.mark.parametrize("name", ["instantiate", "kill", "plugin_add", "close_gracefully"])
def test_what_is_overridden_takes_what_distributed_gives(name: str) -> None:
    original, ours = (inspect.signature(getattr(kind, name)) for kind in (Nanny, ForkNanny))
    assert list(ours.parameters) == list(original.parameters)


def test_what_distributed_overrides_or_calls_of_a_scheduler_is_there() -> None:
    stock = inspect.signature(HPCScheduler.__base__.start_http_server)
    ours = inspect.signature(HPCScheduler.start_http_server)
    assert list(ours.parameters) == list(stock.parameters)


def test_a_forked_worker_has_all_that_a_nanny_asks_of_a_process() -> None:
    text = inspect.getsource(Nanny) + inspect.getsource(NannyMemoryManager)
    asked = set(re.findall(r"\b(?:self|nanny)\.process\.(\w+)", text))
    assert {"start", "kill", "worker_address", "is_alive"} <= asked
    worker = ForkedWorker(None)  # type: ignore[arg-type]  # it is only looked at
    assert [name for name in asked if not hasattr(worker, name)] == []


async def test_a_nanny_looks_at_less_than_its_worker() -> None:
    nanny = ForkNanny(None, "tcp://127.0.0.1:1")
    for name in ("disk", "interval"):
        key = f"distributed.admin.system-monitor.{name}"
        assert dask.config.get(key, config=nanny.config) == dask.config.get(key)
    assert dask.config.get("distributed.admin.system-monitor.disk")
    assert not nanny.monitor.monitor_disk_io
    await nanny.close()


async def test_a_worker_that_keeps_crashing_is_given_up() -> None:
    nanny = ForkNanny(None, "tcp://127.0.0.1:1")
    for _ in range(5):
        nanny._on_worker_exit_sync(-9)
    with pytest.raises(LaunchError, match="died 5 times in a minute; giving up"):
        await nanny.instantiate()
    assert nanny.gave_up
    assert nanny.status == Status.closed


async def test_a_worker_of_a_nanny_that_leaves_is_not_started_again() -> None:
    nanny = ForkNanny(None, "tcp://127.0.0.1:1")
    nanny.close_gracefully()
    with pytest.raises(LaunchError, match="its host is leaving"):
        await nanny.instantiate()
    await nanny.close()
    assert not nanny.gave_up


@pytest.mark.slow
async def test_a_plugin_that_restarts_workers_has_them_spawned() -> None:
    async with new_stage() as stage:
        host = await stage.host()
        await stage.client.register_plugin(Environ({"SPAM": "eggs"}))
        await eventually(lambda: len(stage.workers()) == 2)
        assert set((await stage.client.run(os.getenv, "SPAM")).values()) == {"eggs"}
        parents = set((await stage.client.run(tasks.parent)).values())
        (supervisor,) = host.trunk().children()
        assert parents == {supervisor.pid}
        await stage.client.restart()
        host.process.terminate()
        assert await host.exit_code() == 0, host.said()
