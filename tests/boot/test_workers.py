"""The program of a worker job: what it reads, when it gives up, what it leaves."""

from __future__ import annotations

import asyncio
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from distributed import wait

from dask_hpc.boot.node import drain_time
from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.cluster.record import ClusterRecord, ClusterState, write_cluster
from tests.boot import tasks
from tests.boot.stage import (
    THREADS,
    alive,
    entries,
    eventually,
    new_cluster,
    new_stage,
    started,
    worker_spec,
)
from tests.boot.test_host import every_signal_to_every_process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dask_hpc.cluster.spec import ClusterSpec

slow = pytest.mark.slow


@pytest.mark.parametrize(
    ("end_time", "when"),
    [
        (None, None),  # nobody knows
        (10_000.0, 9910.0),
        (1_000.0 + 60, 1_000.0 + 45),  # of a short job, a quarter
        (990.0, 990.0),  # clocks differ, or there is a time of grace
    ],
)
def test_leaving_takes_a_margin_but_not_most_of_a_job(
    end_time: float | None, when: float | None
) -> None:
    assert drain_time(end_time, now=1_000.0, margin=90.0) == when


def with_record(spec: ClusterSpec, address: str) -> ClusterRecord:
    record = ClusterRecord(
        name=spec.name,
        site=spec.site,
        home=spec.home,
        state=ClusterState.RUNNING,
        created=0.0,
        address=address,
    )
    write_cluster(ClusterDirectory(spec.directory), record)
    return record


@slow
@pytest.mark.parametrize(
    ("missing", "words"),
    [("record.json", "holds no record"), ("tls/worker-key.pem", "worker-key.pem is missing")],
)
async def test_a_host_without_what_it_needs_says_so(missing: str, words: str) -> None:
    with new_cluster() as spec:
        with_record(spec, "tls://127.0.0.1:1")
        (spec.directory / missing).unlink()
        with started(worker_spec(spec, "a")) as host:
            assert await host.exit_code() == 1
        assert words in host.said()
        assert "hint: " in host.said()
        assert "Traceback" not in host.said()


@slow
async def test_a_host_on_a_node_without_the_interface_says_so() -> None:
    with new_cluster(interface="ib7") as spec:
        with_record(spec, "tls://127.0.0.1:1")
        with started(worker_spec(spec, "a")) as host:
            assert await host.exit_code() == 1
        assert "has no network interface 'ib7'" in host.said()
        assert "Traceback" not in host.said()


@slow
async def test_a_host_on_a_node_without_the_variable_says_so_and_makes_nothing(
    tmp_path: Path,
) -> None:
    with new_cluster(local_directory="$NO_SUCH_SCRATCH/dask") as spec:
        with_record(spec, "tls://127.0.0.1:1")
        with started(worker_spec(spec, "a"), {"SLURM_JOB_ID": "77", "HOME": str(tmp_path)}) as host:
            assert await host.exit_code() == 1
        assert "error: local_directory '$NO_SUCH_SCRATCH/dask' cannot be used on " in host.said()
        assert ": NO_SUCH_SCRATCH is not set there\nhint: " in host.said()
        assert "Traceback" not in host.said()
    assert entries(tmp_path) == []


@slow
async def test_a_host_that_cannot_write_its_scratch_space_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with new_cluster(local_directory=f"{tmp_path}/file") as spec:
        with_record(spec, "tls://127.0.0.1:1")
        with started(worker_spec(spec, "a")) as host:
            assert await host.exit_code() == 1
        assert f"error: {tmp_path}/file cannot be used on " in host.said()
        assert "Traceback" not in host.said()


@slow
async def test_scratch_space_has_the_variables_of_the_job(tmp_path: Path) -> None:
    environment = {"TMPDIR": str(tmp_path), "SLURM_JOB_ID": "77"}
    async with new_stage(local_directory="$TMPDIR/${SLURM_JOB_ID}/dask") as stage:
        await stage.host(environment=environment)
        (scratch,) = entries(tmp_path / "77" / "dask")
        places = [Path(each.local_directory) for each in stage.scheduler.workers.values()]
        assert [scratch in place.parents for place in places] == [True, True]


@slow
async def test_scratch_space_in_memory_is_remarked_on() -> None:
    with tempfile.TemporaryDirectory(prefix="dh", dir="/dev/shm") as place:
        async with new_stage(local_directory=place) as stage:
            host = await stage.host()
            assert host.said().count(" is on tmpfs: what workers spill there stays in memory") == 1
            assert "; hint: spill: false" in host.said()


@slow
@pytest.mark.parametrize("way", ["forked", "spawned"])
async def test_workers_that_may_not_spill_keep_all_in_memory(way: str) -> None:
    if way == "spawned":
        pytest.importorskip("numpy")
    with tempfile.TemporaryDirectory(prefix="dh", dir="/dev/shm") as place:
        async with new_stage(local_directory=place, spill=False) as stage:
            host = await stage.host(environment=THREADS if way == "spawned" else {})
            told = (await stage.client.run(tasks.memory_thresholds)).values()
            assert list(told) == [(False, False, 0.8, "dict", 0.95)] * 2
            assert "stays in memory" not in host.said()


@slow
async def test_workers_spill_as_distributed_does_unless_told_otherwise() -> None:
    async with new_stage() as stage:
        await stage.host()
        (first, _) = (await stage.client.run(tasks.memory_thresholds)).values()
        assert first == (0.6, 0.7, 0.8, "SpillBuffer", 0.95)


@pytest.fixture
def small_group() -> Iterator[Path]:
    """The file that takes processes into a group with 800 MiB of memory."""
    versions = (("memory/", "memory.limit_in_bytes"), ("", "memory.max"))
    for tree, limit in versions:
        group = Path(f"/sys/fs/cgroup/{tree}dask-hpc-test-{os.getpid()}")
        with suppress(OSError):
            group.mkdir()
            (group / limit).write_text(str(800 * 2**20))
            break
    else:
        pytest.skip("this machine lets nobody limit memory")
    yield group / "cgroup.procs"
    group.rmdir()


@slow
async def test_workers_share_what_the_job_may_have_if_that_is_less(small_group: Path) -> None:
    async with new_stage(prologue=(f"echo $$ >{small_group}",)) as stage:
        host = await stage.host()
        limits = {each.memory_limit for each in stage.scheduler.workers.values()}
        assert limits == {400 * 2**20}
        assert "this job may have 800 MiB, and asked for 1 GiB" in host.said()


@slow
async def test_a_host_whose_scheduler_is_gone_ends() -> None:
    with new_cluster(death_timeout=1.0) as spec:
        with_record(spec, "tls://127.0.0.1:1")
        with started(worker_spec(spec, "a")) as host:
            assert await host.exit_code() == 1, host.said()
        assert entries(Path(str(spec.local_directory))) == []


@slow
@pytest.mark.parametrize("way", ["forked", "spawned"])
async def test_a_host_whose_workers_are_not_answered_ends(way: str) -> None:
    environment = THREADS if way == "spawned" else {}
    async with new_stage(death_timeout=2.0) as stage:

        async def never_answer(*_: Any, **__: Any) -> None:
            await asyncio.Event().wait()

        stage.scheduler.handlers["register-worker"] = never_answer
        host = stage.starting_host(environment=environment)
        await eventually(lambda: len(host.programs()) > 1)
        family = host.family()
        assert await host.exit_code(45) == 1, host.said()
        await eventually(lambda: not alive(family))
        assert ("workers are spawned" in host.said()) is (way == "spawned")


@slow
async def test_scratch_space_is_removed_at_the_end(tmp_path: Path) -> None:
    async with new_stage() as stage:
        host = await stage.host()
        await stage.client.gather(stage.client.map(abs, range(4)))
        (scratch,) = stage.scratch()
        assert entries(scratch)
        host.process.terminate()
        assert await host.exit_code() == 0
        assert not scratch.exists()


@slow
async def test_workers_are_spawned_if_an_import_left_threads(tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    async with new_stage() as stage:
        await stage.host("b")
        host = await stage.host(environment=THREADS)
        assert "workers are spawned, which is slower" in host.said()
        parents = await stage.client.run(tasks.parent, workers=stage.addresses("a"))
        assert set(parents.values()) == {host.trunk().pid}
        await stage.client.restart()
        futures = stage.client.map(
            tasks.leave_trace, range(16), directory=str(tmp_path), seconds=0.3, pure=False
        )
        await eventually(lambda: len(entries(tmp_path)) >= 2)
        every_signal_to_every_process(host)
        await wait(futures, timeout=20)
        assert await host.exit_code() == 0, host.said()
        assert len(entries(tmp_path)) == 16
        assert stage.blamed() == 0


@slow
async def test_a_host_whose_spawned_workers_cannot_start_ends(tmp_path: Path) -> None:
    preload = tmp_path / "broken.py"
    preload.write_text("import os\ndef dask_setup(worker): os._exit(3)\n", encoding="utf-8")
    environment = {"DASK_DISTRIBUTED__WORKER__PRELOAD": str(preload), **THREADS}
    async with new_stage(processes=1) as stage:
        host = stage.starting_host(environment=environment)
        assert await host.exit_code() == 1, host.said()
        assert stage.workers() == {}
