"""A scheduler starts as the spec of its cluster says."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from distributed import Client

from dask_hpc._hosts import own_mark
from dask_hpc.batch.model import JobId, Tag
from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.cluster.record import ClusterRecord, ClusterState, read_cluster
from dask_hpc.engine.start import queue_of, start_scheduler
from dask_hpc.errors import ConfigError, LaunchError
from tests.boot.stage import new_cluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from dask_hpc.engine.scheduler import HPCScheduler


@asynccontextmanager
async def running(**changes: Any) -> AsyncIterator[tuple[HPCScheduler, ClusterRecord]]:
    with new_cluster(**changes) as spec:
        scheduler = await start_scheduler(
            spec, tag=Tag("boot-x"), job=JobId("77"), end_time=2_000_000_000.0
        )
        try:
            yield scheduler, read_cluster(ClusterDirectory(spec.directory))
        finally:
            await scheduler.close()


async def test_the_record_says_how_to_reach_it() -> None:
    async with running() as (scheduler, record):
        assert record.state is ClusterState.RUNNING
        assert record.address == scheduler.address
        assert (record.tag, record.job, record.end_time) == ("boot-x", "77", 2_000_000_000.0)
        assert record.process == own_mark()
        assert not record.is_stale


async def test_whatever_it_makes_is_private() -> None:
    before = os.umask(0o022)
    try:
        async with running() as (scheduler, _):
            root = Path(scheduler.dashboard_socket).parent
            assert open_to_others(root) == []
            assert Path(scheduler.local_directory).is_relative_to(root)
    finally:
        os.umask(before)


def open_to_others(root: Path) -> list[Path]:
    """Return what others could reach if they could enter this directory."""
    return [path for path in root.iterdir() if path.stat().st_mode & 0o077]


async def test_every_start_has_another_nonce() -> None:
    async with running() as (_, first), running() as (_, second):
        assert len(first.nonce) == 16
        assert first.nonce != second.nonce


async def test_jobs_on_this_machine_reach_it_by_loopback_and_nobody_else_does() -> None:
    async with running() as (scheduler, _):
        assert scheduler.address.startswith("tls://127.0.0.1:")
        found = psutil.Process(os.getpid()).net_connections(kind="inet")
        places = {each.laddr for each in found if each.status == psutil.CONN_LISTEN}
        assert {ip for ip, port in places if port == scheduler.port} == {"127.0.0.1"}


async def test_without_encryption_it_says_so_in_its_address() -> None:
    async with running(secure=False) as (scheduler, _):
        assert scheduler.address.startswith("tcp://")
        async with Client(scheduler.address, asynchronous=True) as client:
            assert await client.scheduler.hpc_status()


async def test_it_takes_a_free_port_of_the_site() -> None:
    async with running(ports="21870:21890") as (first, _), running(ports="21870:21890") as (two, _):
        assert {first.port, two.port} < set(range(21870, 21891))
        assert first.port != two.port


async def test_it_listens_on_the_interface_of_the_scheduler() -> None:
    async with running(loopback=False, interface="nowhere0", scheduler_interface="lo") as (
        scheduler,
        _,
    ):
        assert scheduler.address.startswith("tls://127.0.0.1:")


async def test_an_interface_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ConfigError, match="has no network interface 'nowhere0'"):
        async with running(loopback=False, interface="nowhere0"):
            pass


async def test_a_range_without_a_free_port_is_an_error() -> None:
    async with running() as (scheduler, _):
        with pytest.raises(LaunchError, match="is in use"):
            async with running(ports=str(scheduler.port)):
                pass


def test_the_queue_is_that_of_the_spec() -> None:
    with new_cluster(system="slurm", user="ada") as spec:
        queue = queue_of(spec)
    assert (queue.system.name, queue.user) == ("slurm", "ada")
