"""A scheduler in a job of its own: its record, its end, and what becomes of the workers then."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
from distributed import Client

from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.cluster.record import ClusterRecord, ClusterState, read_cluster
from dask_hpc.cluster.spec import Home
from dask_hpc.engine.tls import cluster_security
from dask_hpc.errors import ClusterNotFound
from tests.boot import tasks
from tests.boot.stage import (
    Job,
    alive,
    entries,
    eventually,
    new_cluster,
    scheduler_spec,
    started,
    worker_spec,
)

if TYPE_CHECKING:
    from pathlib import Path

    from dask_hpc.cluster.spec import ClusterSpec

pytestmark = pytest.mark.slow


async def record_of(spec: ClusterSpec, job: Job) -> ClusterRecord:
    """Wait until the scheduler is there, and return its record."""
    directory = ClusterDirectory(spec.directory)
    await eventually(lambda: directory.record.exists() or job.process.poll() is not None)
    assert job.process.poll() is None, job.said()
    return read_cluster(directory)


def client_of(spec: ClusterSpec, record: ClusterRecord) -> Client:
    security = cluster_security(ClusterDirectory(spec.directory).tls, secure=True)
    return Client(record.address, security=security, asynchronous=True)


async def test_a_scheduler_that_is_told_to_end_says_so_and_keeps_no_key() -> None:
    with (
        new_cluster(home=Home.JOB) as spec,
        started(scheduler_spec(spec, "boot-x", end_time=2_000_000_000)) as job,
    ):
        directory = ClusterDirectory(spec.directory)
        record = await record_of(spec, job)
        assert (record.state, record.tag, record.job) == (ClusterState.RUNNING, "boot-x", "77")
        assert record.end_time == 2_000_000_000
        assert record.address.startswith("tls://127.0.0.1:")
        assert directory.dashboard.is_socket()
        job.process.send_signal(signal.SIGTERM)
        assert await job.exit_code() == 0, job.said()
        assert read_cluster(directory).state is ClusterState.ENDED
        assert read_cluster(directory).reason == "its job got signal SIGTERM"
        assert not directory.tls.exists()
        assert not directory.dashboard.exists()


async def test_an_idle_scheduler_ends() -> None:
    with (
        new_cluster(home=Home.JOB, idle_timeout=0.3) as spec,
        started(scheduler_spec(spec, "boot-x")) as job,
    ):
        await record_of(spec, job)
        assert await job.exit_code() == 0, job.said()
        record = read_cluster(ClusterDirectory(spec.directory))
        assert record.reason == "it was shut down, or idle for too long"


async def test_a_scheduler_does_not_bring_back_a_directory_that_was_removed() -> None:
    with new_cluster(home=Home.JOB) as spec, started(scheduler_spec(spec, "boot-x")) as job:
        await record_of(spec, job)
        ClusterDirectory(spec.directory).remove()
        job.process.terminate()
        await job.exit_code()
        with pytest.raises(ClusterNotFound):
            read_cluster(ClusterDirectory(spec.directory))


async def test_no_process_outlives_a_scheduler_killed_with_its_keeper(tmp_path: Path) -> None:
    with (
        new_cluster(home=Home.JOB) as spec,
        started(scheduler_spec(spec, "boot-x")) as job,
    ):
        record = await record_of(spec, job)
        with started(worker_spec(spec, "idle")) as idle, started(worker_spec(spec, "busy")) as busy:
            async with client_of(spec, record) as client:
                await client.wait_for_workers(4, timeout=20)
                names = await client.run(tasks.worker_name)
                on_busy = [each for each, name in names.items() if name.startswith("busy")]
                paths = [f"{tmp_path}/{number}" for number in range(2)]
                futures = client.map(tasks.wait_for_file, paths, workers=on_busy)
                await eventually(lambda: len(entries(tmp_path)) == len(futures))
                families = [*idle.family(), *busy.family()]
                keeper, _ = job.programs()
                keeper.kill()
                await eventually(lambda: not alive(families), 30)
        codes = [await idle.exit_code(), await busy.exit_code()]
        assert codes == [0, 0], idle.said() + busy.said()


async def test_workers_begin_anew_for_the_scheduler_that_follows_one_that_was_killed() -> None:
    with (
        new_cluster(home=Home.JOB) as spec,
        started(scheduler_spec(spec, "boot-x")) as job,
    ):
        first = await record_of(spec, job)
        directory = ClusterDirectory(spec.directory)
        with started(worker_spec(spec, "host")) as host:
            async with client_of(spec, first) as client:
                await client.wait_for_workers(2, timeout=20)
                _, scheduler = job.programs()
                scheduler.kill()
                await eventually(lambda: read_cluster(directory).nonce != first.nonce, 20)
            second = read_cluster(directory)
            assert (second.state, second.created) == (ClusterState.RUNNING, first.created)
            async with client_of(spec, second) as client:
                await client.wait_for_workers(2, timeout=30)
                assert await client.submit(sum, [1, 2]) == 3
            assert host.process.poll() is None
            assert "another scheduler follows: the workers begin anew" in host.said()
            job.process.send_signal(signal.SIGTERM)
            assert await host.exit_code(30) == 0
        assert "it is started again" in job.said()
