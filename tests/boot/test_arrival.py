"""How a host finds its scheduler, and what it leaves when it does not."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from dask_hpc._files import check_private
from dask_hpc.batch.model import Resources, Tag
from dask_hpc.cluster import network
from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.cluster.jobrecords import JobRecords, Unreachable, unreachable_of
from dask_hpc.cluster.network import host_of
from dask_hpc.cluster.record import ClusterRecord, ClusterState, read_cluster, write_cluster
from dask_hpc.cluster.slot import Slot
from dask_hpc.cluster.spec import Home
from tests.boot.stage import (
    Job,
    entries,
    eventually,
    new_cluster,
    new_stage,
    started,
    worker_spec,
)
from tests.boot.test_workers import with_record
from tests.engine.test_reach import black_hole, nobody

if TYPE_CHECKING:
    from dask_hpc.cluster.spec import ClusterSpec

pytestmark = pytest.mark.slow

SLOT = Slot(Tag("a"), 0)


def signs(spec: ClusterSpec) -> dict[Slot, Unreachable]:
    records = JobRecords(ClusterDirectory(spec.directory).jobs)
    records.refresh()
    return dict(records.unreachable)


def change_record(spec: ClusterSpec, **changes: Any) -> ClusterRecord:
    """Say something else of the cluster."""
    directory = ClusterDirectory(spec.directory)
    values = {name: getattr(read_cluster(directory), name) for name in ClusterRecord.__slots__}
    record = ClusterRecord(**{**values, **changes})
    write_cluster(directory, record)
    return record


async def told(spec: ClusterSpec, host: Job) -> Unreachable:
    """Wait for the sign of a host."""
    await eventually(lambda: bool(signs(spec)) or host.process.poll() is not None)
    assert SLOT in signs(spec), host.said()
    return signs(spec)[SLOT]


# the way -----------------------------------------------------------------------------------------


async def test_a_host_takes_another_address_of_its_scheduler_and_says_so() -> None:
    async with new_stage() as stage:
        with nobody() as refusing:
            there = {"eth7": "127.0.0.1/8"}
            changes = {"addresses": (refusing, stage.address), "interfaces": there}
            change_record(stage.spec, address=refusing, **changes)
            host = await stage.host()
        said = host.said()
        assert f"the scheduler is reached at {stage.address}, and not at {refusing}" in said
        assert "(refused); hint: scheduler_interface=eth7 spares the search" in said
        assert signs(stage.spec) == {}
        assert await stage.client.submit(sum, [1, 2]) == 3
        host.process.terminate()
        assert await host.exit_code() == 0, host.said()
        assert stage.lost() == []


async def test_workers_listen_where_the_route_to_the_scheduler_begins() -> None:
    outward = network.look().outward
    if not outward:
        pytest.skip("this machine has no network")
    async with new_stage(loopback=False) as stage:
        host = await stage.host()
        ip = host_of(stage.address)
        assert {host_of(each) for each in stage.addresses("a")} == {ip}
        (chosen,) = [one for one in outward if one.ip == ip]
        assert f"workers listen at {chosen}: the route to the scheduler" in host.said()


async def test_workers_listen_at_the_interface_that_is_named() -> None:
    async with new_stage(loopback=False, interface="lo") as stage:
        host = await stage.host()
        assert {host_of(each) for each in stage.addresses("a")} == {"127.0.0.1"}
        assert "workers listen at lo 127.0.0.1: interface names it" in host.said()


# no way ------------------------------------------------------------------------------------------


async def test_a_host_that_is_refused_says_so_within_seconds_and_goes_on_trying() -> None:
    async with new_stage(death_timeout=60.0) as stage:
        with nobody() as refusing:
            gone = {"home": Home.JOB, "address": refusing, "addresses": (refusing,)}
            change_record(stage.spec, **gone)
            begin = time.monotonic()
            host = stage.starting_host()
            sign = await told(stage.spec, host)
            assert time.monotonic() - begin < 45
            assert sign.message.endswith(f"cannot reach the scheduler at {refusing} (refused)")
            assert (sign.slot, sign.job) == ("a.0", "77")
            assert sign.message in host.said()
            check_private(unreachable_of(ClusterDirectory(stage.spec.directory).jobs, SLOT))
        # Then it starts again elsewhere.
        change_record(stage.spec, address=stage.address, addresses=(stage.address,))
        await eventually(lambda: len(stage.workers("a")) == stage.spec.processes)
        assert signs(stage.spec) == {}


async def test_a_host_whose_packets_are_lost_says_what_it_tried_and_what_may_help() -> None:
    with new_cluster(death_timeout=60.0) as spec, black_hole() as silent, nobody() as refusing:
        with_record(spec, silent)
        change_record(
            spec,
            addresses=(silent, refusing),
            interfaces={"wan0": "127.0.0.1/8", "eth0": "203.0.113.7/32"},
        )
        begin = time.monotonic()
        with started(worker_spec(spec, "a")) as host:
            sign = await told(spec, host)
            assert time.monotonic() - begin < 45
            assert [one.address for one in sign.tried] == [silent, refusing]
            assert [one.error for one in sign.tried] == ["timed out after 9 s", "refused"]
            assert sign.hint == (
                "scheduler_interface may name another one of the scheduler's host: eth0 203.0.113.7"
            )
            assert host.process.poll() is None


async def test_a_host_gives_up_when_its_time_is_over() -> None:
    with new_cluster(death_timeout=1.0) as spec, nobody() as refusing:
        with_record(spec, refusing)
        change_record(spec, home=Home.JOB)
        with started(worker_spec(spec, "a")) as host:
            assert await host.exit_code() == 1
        assert f"cannot reach the scheduler at {refusing} (refused)\nhint: " in host.said()
        assert "Traceback" not in host.said()
        assert SLOT in signs(spec)


async def test_a_host_of_a_program_that_was_killed_does_not_wait_for_it() -> None:
    with new_cluster(death_timeout=60.0) as spec, nobody() as refusing:
        with_record(spec, refusing)
        begin = time.monotonic()
        with started(worker_spec(spec, "a")) as host:
            assert await host.exit_code() == 1
        assert time.monotonic() - begin < 45
        assert f"cannot reach the scheduler at {refusing} (refused)" in host.said()
        assert SLOT in signs(spec)


async def test_a_host_that_is_told_to_leave_does_not_go_on_trying() -> None:
    with new_cluster(death_timeout=60.0) as spec, nobody() as refusing:
        with_record(spec, refusing)
        change_record(spec, home=Home.JOB)
        with started(worker_spec(spec, "a")) as host:
            await told(spec, host)
            begin = time.monotonic()
            host.process.terminate()
            assert await host.exit_code() == 0, host.said()
            assert time.monotonic() - begin < 45


async def test_a_host_of_a_cluster_that_has_ended_ends_at_once() -> None:
    with new_cluster(death_timeout=60.0) as spec:
        with_record(spec, "tls://127.0.0.1:1")
        change_record(spec, state=ClusterState.ENDED, reason="it was idle for too long")
        with started(worker_spec(spec, "a")) as host:
            assert await host.exit_code() == 1
        assert "cluster 'boot' has ended: it was idle for too long" in host.said()
        assert signs(spec) == {}


# ports -------------------------------------------------------------------------------------------


def free_range(count: int) -> int:
    """Return the first of so many free ports in a row, which the system gives to nobody."""
    first = 21000
    for port in range(first, 32000):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", port))
            except OSError:
                first = port + 1
        if port - first == count - 1:
            return first
    raise LookupError(f"no {count} ports in a row are free")


def listening(host: Job) -> list[int]:
    """Return the ports that the processes of a host listen at."""
    found = [one for each in host.programs() for one in each.net_connections(kind="inet")]
    return [one.laddr.port for one in found if one.status == psutil.CONN_LISTEN]


async def test_sixteen_workers_that_start_at_once_share_a_range_without_a_port_to_spare() -> None:
    first = free_range(33)
    worker = Resources(cores=16, memory=4 * 2**30, walltime=3600.0)
    ports = f"{first}:{first + 32}"
    async with new_stage(worker=worker, processes=16, ports=ports) as stage:
        assert stage.scheduler.port == first
        host = stage.starting_host()
        await eventually(lambda: len(stage.workers()) == 16, 60)
        assert sorted(listening(host)) == list(range(first + 1, first + 33))
        assert "died" not in host.said()


async def test_a_range_that_is_too_small_is_said_with_the_numbers() -> None:
    first = free_range(5)
    async with new_stage(processes=2, ports=f"{first}:{first + 3}") as stage:
        host = stage.starting_host()
        assert await host.exit_code() == 1
        assert f"error: 3 of the ports {first}:{first + 3} are free on " in host.said()
        assert "2 workers need 4: each has a nanny that listens, too\nhint: " in host.said()
        assert stage.workers() == {}
        assert entries(ClusterDirectory(stage.spec.directory).path / "jobs")


async def test_ports_that_others_took_are_passed_over() -> None:
    first = free_range(6)
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("", first))
        stranger.listen()
        async with new_stage(processes=2, ports=f"{first}:{first + 5}") as stage:
            assert stage.scheduler.port == first + 1
            host = await stage.host()
            assert sorted(listening(host)) == list(range(first + 2, first + 6))
