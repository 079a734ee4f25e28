"""Where a scheduler listens, and how it is told to others."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from dask_hpc.cluster import network
from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.cluster.network import host_of
from dask_hpc.cluster.record import ClusterRecord, read_cluster
from dask_hpc.engine.listening import choose_ears, start_at_free_port
from dask_hpc.engine.scheduler import HPCScheduler
from dask_hpc.engine.start import start_scheduler
from dask_hpc.errors import ConfigError, LaunchError
from tests.boot.stage import new_cluster
from tests.engine.test_limits import listening, two_neighbours

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
def outward() -> network.Address:
    """An address of this machine that others may reach."""
    found = network.look().outward
    if not found:
        pytest.skip("this machine has no network")
    return found[0]


@asynccontextmanager
async def running(**changes: Any) -> AsyncIterator[tuple[HPCScheduler, ClusterRecord]]:
    with new_cluster(**changes) as spec:
        scheduler = await start_scheduler(spec)
        try:
            yield scheduler, read_cluster(ClusterDirectory(spec.directory))
        finally:
            await scheduler.close()


def hosts(scheduler: HPCScheduler) -> list[str]:
    return [host_of(each.contact_address) for each in scheduler.listeners]


# interfaces --------------------------------------------------------------------------------------


async def test_jobs_on_this_machine_need_the_loopback_alone() -> None:
    async with running() as (scheduler, record):
        assert hosts(scheduler) == ["127.0.0.1"]
        assert record.addresses == (record.address,)
        assert record.network == "lo 127.0.0.1: its jobs run on this machine"


async def test_it_listens_at_every_interface_and_says_which_one_to_take(
    outward: network.Address,
) -> None:
    async with running(loopback=False) as (scheduler, record):
        here = network.look()
        assert {*hosts(scheduler)} == {*(one.ip for one in here.outward), "127.0.0.1"}
        assert host_of(record.address) in {one.ip for one in here.outward}
        assert {host_of(address) for address in record.addresses} == {
            one.ip for one in here.outward
        }
        assert record.interfaces[outward.interface] == outward.network
        chosen, _, why = record.network.partition(": ")
        assert chosen.split()[1] == host_of(record.address)
        assert why


async def test_it_has_one_port_at_all_of_them(outward: network.Address) -> None:
    async with running(loopback=False) as (scheduler, _):
        ports = {each.contact_address.rpartition(":")[2] for each in scheduler.listeners}
        assert len(scheduler.listeners) > 1
        assert ports == {str(scheduler.port)}


async def test_an_interface_of_its_own_is_the_only_one() -> None:
    async with running(loopback=False, scheduler_interface="lo") as (scheduler, record):
        assert hosts(scheduler) == ["127.0.0.1"]
        assert record.network == "lo 127.0.0.1: scheduler_interface names it"


async def test_the_interface_of_the_workers_is_the_one_to_take(outward: network.Address) -> None:
    name = outward.interface
    async with running(loopback=False, interface=name) as (scheduler, record):
        assert host_of(record.address) == outward.ip
        assert record.network == f"{name} {outward.ip}: interface names it"
        assert "127.0.0.1" in hosts(scheduler)


async def test_without_encryption_it_listens_at_one_address_alone(
    outward: network.Address,
) -> None:
    async with running(loopback=False, secure=False) as (scheduler, record):
        assert hosts(scheduler) == [host_of(record.address)]


async def test_an_interface_that_it_does_not_have_is_refused_with_what_to_do() -> None:
    with (
        new_cluster(loopback=False, interface="ib7") as spec,
        pytest.raises(ConfigError, match="has no network interface 'ib7'") as caught,
    ):
        await choose_ears(spec)
    hint = "scheduler_interface names another one for the scheduler alone"
    assert caught.value.hint.endswith(hint)


async def test_the_route_to_a_node_is_a_reason(outward: network.Address) -> None:
    with new_cluster(loopback=False, facts={"node": outward.ip}) as spec:
        ears = await choose_ears(spec)
    expected = "the route to node" if len(network.look().outward) > 1 else "the only one"
    assert ears.choice.why.startswith(expected)


# ports -------------------------------------------------------------------------------------------


async def test_schedulers_on_one_host_share_a_range() -> None:
    async with AsyncExitStack() as stack:
        ports = f"{two_neighbours(stack.enter_context(ExitStack()))}:65535"
        specs = [stack.enter_context(new_cluster(ports=ports)) for _ in range(3)]
        schedulers = await asyncio.gather(*map(start_scheduler, specs))
        for each in schedulers:
            stack.push_async_callback(each.close)
        assert len({each.port for each in schedulers}) == 3
        for spec, each in zip(specs, schedulers, strict=True):
            assert read_cluster(ClusterDirectory(spec.directory)).address == each.address


async def test_a_port_that_somebody_takes_meanwhile_is_not_the_end(tmp_path: Path) -> None:
    tried: list[int] = []
    with ExitStack() as stack:
        first = two_neighbours(stack) + 1

        def make(port: int) -> HPCScheduler:
            if not tried:  # it was free a moment ago
                listening(stack, port)
            tried.append(port)
            return HPCScheduler(
                dashboard_socket=tmp_path / "socket",
                host=["127.0.0.1"],
                port=[port],
                protocol=["tcp"],
                dashboard=True,
            )

        scheduler = await start_at_free_port(make, f"{first}:65535")
        try:
            assert tried[0] == first
            assert scheduler.port == tried[-1] > first
            assert (tmp_path / "socket").is_socket()
        finally:
            await scheduler.close()


async def test_what_else_goes_wrong_at_the_start_is_not_tried_again(tmp_path: Path) -> None:
    tried: list[int] = []

    def make(port: int) -> HPCScheduler:
        tried.append(port)
        return HPCScheduler(
            dashboard_socket=tmp_path / "socket", host="203.0.113.1", port=port, dashboard=True
        )

    with pytest.raises(RuntimeError):
        await start_at_free_port(make, "20000:20009")
    assert len(tried) == 1


async def test_a_range_that_is_taken_is_an_error() -> None:
    with ExitStack() as stack:
        taken = two_neighbours(stack)
        with pytest.raises(LaunchError, match=f"every port of {taken} is in use") as caught:
            async with running(ports=str(taken)):
                pass
    assert caught.value.hint == "give a wider range"


# contact address ---------------------------------------------------------------------------------


async def test_a_contact_address_goes_before_those_where_it_listens() -> None:
    async with running(contact_address="gate.example.org:8786") as (scheduler, record):
        assert record.address == "tls://gate.example.org:8786"
        assert record.addresses == (record.address, scheduler.address)
        assert scheduler.contact_address == record.address
        assert scheduler.address.startswith("tls://127.0.0.1:")


async def test_a_contact_address_without_a_port_has_that_of_the_scheduler(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GATE", "gate.example.org")
    async with running(contact_address="$GATE") as (scheduler, record):
        assert record.address == f"tls://gate.example.org:{scheduler.port}"


async def test_a_contact_address_that_is_none_is_an_error_and_nothing_listens() -> None:
    with new_cluster(contact_address="a b") as spec:
        with pytest.raises(ConfigError, match="contact_address 'a b' is not an address"):
            await start_scheduler(spec)
        assert not ClusterDirectory(spec.directory).record.exists()
        assert not ClusterDirectory(spec.directory).dashboard.exists()
