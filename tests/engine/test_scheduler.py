"""The scheduler's dashboard is its user's alone, and it knows when it is idle."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import tempfile
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from distributed import Client, Status, Worker, fire_and_forget
from distributed.core import connect

from dask_hpc.engine.scheduler import HPCScheduler, listen_privately
from tests.boot import tasks
from tests.boot.stage import entries, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.conftest import OtherUser


@asynccontextmanager
async def new_scheduler(
    path: Path, idle_timeout: float | None = None
) -> AsyncIterator[HPCScheduler]:
    scheduler = HPCScheduler(
        dashboard_socket=path,
        host="127.0.0.1",
        port=0,
        dashboard=True,
        protocol="tcp",
        idle_timeout=idle_timeout,
    )
    async with scheduler:
        yield scheduler


def listening() -> set[int]:
    found = psutil.Process().net_connections(kind="inet")
    return {one.laddr.port for one in found if one.status == psutil.CONN_LISTEN}


@pytest.fixture(params=["short", "long"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Where the socket goes; the system takes names of about a hundred bytes only."""
    folder = tmp_path if request.param == "short" else tmp_path / ("d" * 100) / ("e" * 100)
    folder.mkdir(parents=True, exist_ok=True)
    return folder / "dashboard.sock"


def mode(path: Path) -> str:
    return stat.filemode(path.stat().st_mode)


async def get(path: Path, page: str) -> bytes:
    """Ask the dashboard for a page."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        reader, writer = await asyncio.open_unix_connection(f"/proc/self/fd/{folder}/{path.name}")
    finally:
        os.close(folder)
    writer.write(f"GET {page} HTTP/1.0\r\n\r\n".encode())
    answer = await asyncio.wait_for(reader.read(), 30)
    writer.close()
    return answer


async def test_the_dashboard_listens_on_a_private_socket_alone(path: Path) -> None:
    before = listening()
    async with new_scheduler(path) as scheduler:
        assert mode(path) == "srw-------"
        assert listening() - before == {scheduler.port}
    assert path not in entries(path.parent)


async def test_the_dashboard_answers_on_its_socket(path: Path) -> None:
    async with new_scheduler(path):
        assert (await get(path, "/health")).endswith(b"\r\n\r\nok")
        assert b"200 OK" in await get(path, "/json/counts.json")


async def test_a_socket_that_an_earlier_scheduler_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "dashboard.sock"
    listen_privately(path).close()
    async with new_scheduler(path):
        assert (await get(path, "/health")).endswith(b"ok")


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that everybody may enter."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


_CONNECT = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"


def test_another_user_cannot_connect_wherever_the_socket_is(
    open_directory: Path, other_user: OtherUser
) -> None:
    path = open_directory / "dashboard.sock"
    with listen_privately(path):
        with socket.socket(socket.AF_UNIX) as ours:
            ours.connect(str(path))
        refused = other_user("/usr/bin/python3", "-c", _CONNECT, path)
        assert "PermissionError" in refused.stderr
        path.chmod(0o666)
        assert other_user("/usr/bin/python3", "-c", _CONNECT, path).returncode == 0


async def test_a_scheduler_without_client_and_work_is_idle(tmp_path: Path) -> None:
    async with new_scheduler(tmp_path / "s") as scheduler:
        scheduler.check_idle()
        since = scheduler.check_idle()
        assert since is not None
        assert scheduler.check_idle() == since


async def test_a_scheduler_with_a_client_is_not_idle(tmp_path: Path) -> None:
    async with new_scheduler(tmp_path / "s") as scheduler:
        async with Client(scheduler.address, asynchronous=True):
            assert [scheduler.check_idle() for _ in range(3)] == [None] * 3
        assert [scheduler.check_idle() for _ in range(3)][-1] is not None


async def test_a_scheduler_with_work_that_nobody_waits_for_is_not_idle(tmp_path: Path) -> None:
    async with new_scheduler(tmp_path / "s") as scheduler:
        async with Client(scheduler.address, asynchronous=True) as client:
            future = client.submit(abs, -1)
            fire_and_forget(future)
            await eventually(lambda: bool(scheduler.queued or scheduler.unrunnable))
        assert not [client for client in scheduler.clients if client.startswith("Client-")]
        assert [scheduler.check_idle() for _ in range(3)] == [None] * 3


async def test_a_scheduler_whose_notebooks_are_in_use_is_not_idle(tmp_path: Path) -> None:
    async with new_scheduler(tmp_path / "s", idle_timeout=600.0) as scheduler:
        scheduler.last_use = lambda: time.time() - 500
        assert [scheduler.check_idle() for _ in range(3)] == [None] * 3
        scheduler.last_use = lambda: time.time() - 700
        assert [scheduler.check_idle() for _ in range(3)][-1] is not None


async def test_an_idle_scheduler_ends_in_time(tmp_path: Path) -> None:
    async with new_scheduler(tmp_path / "s", idle_timeout=0.2) as scheduler:
        await asyncio.wait_for(scheduler.finished(), 30)


@asynccontextmanager
async def new_worker(scheduler: HPCScheduler, name: str) -> AsyncIterator[Worker]:
    async with Worker(
        scheduler.address, name=name, nthreads=1, host="127.0.0.1", dashboard=False
    ) as worker:
        seen = scheduler.workers[worker.address]
        await eventually(lambda: bool(seen.status == Status.running))
        yield worker


async def test_every_handle_hears_of_workers(tmp_path: Path) -> None:
    async with new_scheduler(tmp_path / "s") as scheduler:
        comms = [await connect(scheduler.address) for _ in range(2)]
        for comm in comms:
            await comm.write({"op": "subscribe_worker_status"})
            assert (await comm.read())["type"] == "HPCScheduler"
        async with new_worker(scheduler, "x.0-0") as worker:
            for comm in comms:
                (message,) = await comm.read()
                assert message[0] == "add"
                assert list(message[1]["workers"]) == [worker.address]
        for comm in comms:
            await comm.close()


@pytest.mark.parametrize("has_said_so", [True, False])
async def test_a_task_is_not_blamed_for_the_end_of_a_worker_that_had_said_that_it_leaves(
    tmp_path: Path, has_said_so: bool
) -> None:
    gate = tmp_path / "gate"
    async with (
        new_scheduler(tmp_path / "s") as scheduler,
        new_worker(scheduler, "x.0-0") as worker,
        Client(scheduler.address, asynchronous=True) as client,
    ):
        future = client.submit(tasks.wait_for_file, str(gate))
        await eventually(lambda: bool(worker.state.executing))
        if has_said_so:
            await client.scheduler.hpc_leave(names=["x.0-0"])
        await scheduler.remove_worker(worker.address, stimulus_id="test")
        blamed = sum(each.suspicious for each in scheduler.task_prefixes.values())
        assert blamed == (0 if has_said_so else 1)
        gate.touch()
        del future


async def test_those_who_leave_wait_if_others_are_on_their_way_and_nobody_else_is_here(
    tmp_path: Path,
) -> None:
    async with new_scheduler(tmp_path / "s") as scheduler, new_worker(scheduler, "x.0-0"):
        assert not await scheduler.leave(["x.0-0"])
        scheduler.expects_workers = lambda: True
        assert await scheduler.leave(["x.0-0"])
        async with new_worker(scheduler, "y.0-0"):
            assert not await scheduler.leave(["x.0-0"])
