"""Forked workers do what spawned ones do, on a host of three that these tests share."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from distributed import KilledWorker, Status

from dask_hpc.batch.model import Resources
from dask_hpc.boot.forked import ForkedWorker, WorkerDied
from tests.boot import tasks
from tests.boot.stage import Job, Stage, eventually, new_stage

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Iterator

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

CORES, PROCESSES, MEMORY = 8, 3, 1_500_000_000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage() -> AsyncIterator[Stage]:
    worker = Resources(cores=CORES, memory=MEMORY, walltime=3600.0)
    async with new_stage(worker=worker, processes=PROCESSES) as stage:
        yield stage


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host(stage: Stage) -> Job:
    return await stage.host()


async def test_a_job_brings_workers_with_names_of_its_slot(stage: Stage, host: Job) -> None:
    assert sorted(stage.workers()) == ["a.0-0", "a.0-1", "a.0-2"]


async def test_threads_and_memory_are_those_of_the_job(stage: Stage, host: Job) -> None:
    workers = stage.scheduler.workers.values()
    assert {each.nthreads for each in workers} == {2}  # the node may have more or fewer cores
    assert {each.memory_limit for each in workers} == {MEMORY // 3}


async def test_workers_are_children_of_the_trunk(stage: Stage, host: Job) -> None:
    trunk = host.trunk()
    assert set((await stage.client.run(tasks.parent)).values()) == {trunk.pid}
    (supervisor,) = {child.pid for child in trunk.children()} - set(stage.workers().values())
    assert supervisor


async def test_workers_draw_different_numbers(stage: Stage, host: Job) -> None:
    drawn = (await stage.client.run(tasks.draw)).values()
    plain, numpy = zip(*drawn, strict=True)
    assert len(set(plain)) == len(set(numpy)) == PROCESSES


async def test_workers_hash_alike(stage: Stage, host: Job) -> None:
    before = set((await stage.client.run(tasks.hash_text)).values())
    await stage.client.restart()
    after = set((await stage.client.run(tasks.hash_text)).values())
    assert before == after
    assert len(before) == 1


async def test_a_pool_in_a_task_ends(stage: Stage, host: Job) -> None:
    assert max((await stage.client.run(tasks.run_pool)).values()) < 5


async def test_workers_listen_for_dask_alone(stage: Stage, host: Job) -> None:
    listening = await stage.client.run(tasks.listening_ports)
    for address, ports in listening.items():
        ((place, port),) = ports
        assert address == f"tls://{place}:{port}"
        assert place == "127.0.0.1"


async def test_scratch_space_is_private(stage: Stage, host: Job) -> None:
    (scratch,) = stage.scratch()
    assert stat.S_IMODE(scratch.stat().st_mode) == 0o700
    for worker in stage.scheduler.workers.values():
        assert scratch in Path(worker.local_directory).parents


async def test_a_restart_gives_every_worker_a_new_process(stage: Stage, host: Job) -> None:
    before = stage.workers()
    await stage.client.restart()
    after = stage.workers()
    assert before.keys() == after.keys()
    assert not set(before.values()) & set(after.values())


async def test_a_killed_worker_comes_back(stage: Stage, host: Job) -> None:
    before = stage.workers()
    os.kill(before["a.0-0"], signal.SIGKILL)
    await eventually(lambda: stage.workers().get("a.0-0", before["a.0-0"]) != before["a.0-0"])
    after = stage.workers()
    assert {**after, "a.0-0": 0} == {**before, "a.0-0": 0}


async def test_a_worker_that_takes_too_much_memory_is_replaced(stage: Stage, host: Job) -> None:
    before = stage.workers()
    future = stage.client.submit(tasks.eat_memory, workers=["a.0-1"])
    with pytest.raises(KilledWorker):
        await future.result(timeout=30)
    await eventually(lambda: stage.workers().get("a.0-1", before["a.0-1"]) != before["a.0-1"])
    assert await stage.client.submit(sum, [1, 2], workers=["a.0-1"]) == 3


# without a trunk ---------------------------------------------------------------------------------


class Trunk:
    """Stands where the nanny and the trunk are: it forks what a test says."""

    name = "a.0-0"

    def __init__(self) -> None:
        self.channels: list[socket.socket] = []
        self.exits: list[int] = []

    def request_fork(self, worker: ForkedWorker, channel: socket.socket) -> None:
        self.channels.append(channel.dup())

    def worker_specification(self) -> dict[str, Any]:
        return {}

    def worker_exited(self, status: int) -> None:
        self.exits.append(status)

    def ready(self) -> None:
        """Say for the newest process that it is registered."""
        self.channels[-1].sendall(b'{"address": "tls://127.0.0.1:1", "directory": "/nowhere"}\n')


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """A process that must not be killed by mistake."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


async def started(worker: ForkedWorker, trunk: Trunk, pid: int) -> Status:
    before = len(trunk.channels)
    starting = asyncio.ensure_future(worker.start())
    await eventually(lambda: len(trunk.channels) > before)
    worker.forked(pid)
    trunk.ready()
    return await starting


async def test_a_kill_ends_though_the_next_process_starts_at_once(
    bystander: subprocess.Popen[bytes],
) -> None:
    trunk = Trunk()
    worker = ForkedWorker(trunk)
    assert await started(worker, trunk, 2**22 + 1) == Status.running
    killing = asyncio.ensure_future(worker.kill(timeout=5))
    await eventually(lambda: worker.status == Status.stopping)
    worker.exited(0)
    again = asyncio.ensure_future(started(worker, trunk, bystander.pid))
    await asyncio.wait_for(killing, 3)
    assert await again == Status.running
    assert bystander.poll() is None


async def test_a_process_that_is_killed_before_it_exists_is_killed_then(
    bystander: subprocess.Popen[bytes],
) -> None:
    trunk = Trunk()
    worker = ForkedWorker(trunk)
    starting = asyncio.ensure_future(worker.start())
    await eventually(lambda: bool(trunk.channels))
    killing = asyncio.ensure_future(worker.kill())
    await eventually(lambda: worker.status == Status.stopping)
    worker.forked(bystander.pid)
    assert bystander.wait(5) == -signal.SIGKILL
    worker.exited(-signal.SIGKILL)
    await asyncio.wait_for(killing, 3)
    with pytest.raises(WorkerDied):
        await starting


async def test_a_process_that_does_not_close_is_killed(bystander: subprocess.Popen[bytes]) -> None:
    trunk = Trunk()
    worker = ForkedWorker(trunk)
    await started(worker, trunk, bystander.pid)
    killing = asyncio.ensure_future(worker.kill(timeout=0.1))
    await eventually(lambda: bystander.poll() == -signal.SIGKILL)
    worker.exited(-signal.SIGKILL)
    await asyncio.wait_for(killing, 3)
    assert trunk.exits == [-signal.SIGKILL]
    assert not worker.is_alive()


async def test_what_a_worker_spilled_is_removed_when_it_dies(tmp_path: Path) -> None:
    trunk = Trunk()
    worker = ForkedWorker(trunk)
    await started(worker, trunk, 2**22 + 1)
    spilled = tmp_path / "worker"
    spilled.mkdir()
    worker.worker_dir = str(spilled)
    worker.exited(1)
    await eventually(lambda: not spilled.exists())
