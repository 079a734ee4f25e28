"""Which address of a host is taken, from facts; and the facts about this one."""

from __future__ import annotations

import socket

import pytest

from dask_hpc._hosts import host_name
from dask_hpc.cluster import network
from dask_hpc.cluster.network import Address, Network, Route
from dask_hpc.errors import ConfigError

LO = Address(interface="lo", ip="127.0.0.1", prefix=8)
ETH = Address(interface="eth0", ip="10.77.0.11", prefix=24)
IB = Address(interface="ib0", ip="10.78.0.11", prefix=24)
IB6 = Address(interface="ib0", ip="fd00::11", prefix=64)
BRIDGE = Address(interface="virbr0", ip="192.168.122.1", prefix=24)
DOWN = Address(interface="eth1", ip="10.79.0.11", prefix=24, is_up=False)


def host(*addresses: Address, bare: tuple[str, ...] = ()) -> Network:
    names = {*(one.interface for one in addresses), *bare}
    return Network(host="n1", interfaces=tuple(sorted(names)), addresses=addresses)


NODE = host(LO, ETH, IB, BRIDGE, DOWN, IB6, bare=("ib1",))


# what there is -----------------------------------------------------------------------------------


def test_other_hosts_reach_one_address_of_each_interface_that_leads_out() -> None:
    assert NODE.outward == (ETH, IB)
    assert host(LO, IB6).outward == (IB6,)


def test_this_host_has_a_loopback_that_leads_nowhere() -> None:
    here = network.look()
    (loopback,) = [one for one in here.addresses if one.ip == "127.0.0.1"]
    assert (here.host, loopback.prefix, loopback.leads_out) == (host_name(), 8, False)
    assert loopback.interface in here.interfaces
    assert not any(one.ip.startswith("fe80") for one in here.addresses)


def test_the_way_to_oneself_begins_at_oneself() -> None:
    assert network.own_address_towards("127.0.0.1") == "127.0.0.1"
    assert network.own_address_towards("::1") in ("::1", None)  # there may be no such thing here


def test_nothing_leads_to_what_is_no_address() -> None:
    assert network.own_address_towards("256.0.0.1") is None


async def test_a_name_stands_for_addresses_or_for_nothing() -> None:
    assert "127.0.0.1" in await network.resolve("localhost")
    assert await network.resolve("no-such-host.invalid") == ()
    assert await network.resolve("x" * 70) == ()
    assert await network.resolve("10.1.2.3") == ("10.1.2.3",)


# what is chosen ----------------------------------------------------------------------------------


def test_an_interface_that_is_named_is_taken() -> None:
    assert str(network.named(NODE, "ib0")) == "ib0 10.78.0.11: interface names it"
    chosen = network.named(NODE, "lo", setting="scheduler_interface")
    assert str(chosen) == "lo 127.0.0.1: scheduler_interface names it"


def test_an_interface_without_the_older_kind_of_address_has_the_newer_one() -> None:
    assert network.named(host(LO, IB6), "ib0").ip == "fd00::11"


def test_an_interface_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(ConfigError) as caught:
        network.named(NODE, "ib7")
    assert str(caught.value) == "this host, n1, has no network interface 'ib7'"
    assert caught.value.hint == "it has eth0, eth1, ib0, ib1, lo, virbr0"


def test_an_interface_without_an_address_is_refused_with_those_that_have_one() -> None:
    with pytest.raises(ConfigError) as caught:
        network.named(NODE, "ib1")
    assert str(caught.value) == "network interface 'ib1' of this host, n1, has no address"
    assert caught.value.hint.startswith("lo 127.0.0.1, eth0 10.77.0.11, ib0 10.78.0.11, ")


@pytest.mark.parametrize(
    ("there", "routes", "chosen"),
    [
        (NODE, [("10.78.0.11", "a")], "ib0 10.78.0.11: a"),
        (NODE, [(None, "a"), ("10.77.0.11", "b"), ("10.78.0.11", "c")], "eth0 10.77.0.11: b"),
        (NODE, [("127.0.1.1", "a"), ("fd00::11", "b")], "ib0 fd00::11: b"),
        (NODE, [("127.0.0.1", "a")], "lo 127.0.0.1: a"),
        (NODE, [("10.9.9.9", "a")], "eth0 10.77.0.11: no route says more"),
        (host(LO, BRIDGE, IB), [], "ib0 10.78.0.11: the only one that leads out"),
        (host(LO, BRIDGE), [], "lo 127.0.0.1: this host has no network"),
        (host(), [], "lo 127.0.0.1: this host has no network"),
    ],
)
def test_else_the_first_route_decides(
    there: Network, routes: list[tuple[str | None, str]], chosen: str
) -> None:
    ways = [Route(ip=ip, why=why) for ip, why in routes]
    assert str(network.by_route(there, ways)) == chosen


async def test_a_worker_takes_the_address_that_the_scheduler_sees() -> None:
    here = network.look()
    chosen = await network.of_worker(here, "tls://127.0.0.1:8786")
    assert (chosen.ip, chosen.why) == ("127.0.0.1", "the route to the scheduler")


async def test_a_scheduler_takes_an_address_from_which_a_node_is_reached() -> None:
    """Of two that seem to lead out: one is that of the way to the node, which is this host."""
    twins = tuple(Address(interface=name, ip=ip) for name, ip in (("a", "10.9.9.9"), ("b", "x")))
    own = network.own_address_towards("8.8.8.8")
    if own is None:
        pytest.skip("this machine has no network")
    there = host(LO, twins[0], Address(interface="eth7", ip=own))
    chosen = await network.of_scheduler(there, node=own)
    assert str(chosen) == f"eth7 {own}: the route to node {own}"
    chosen = await network.of_scheduler(there, node="no-such-host.invalid")
    assert chosen.ip == own
    assert chosen.why in ("what this host's name stands for", "the default route")


async def test_a_scheduler_never_takes_the_loopback_that_a_name_stands_for() -> None:
    chosen = await network.of_scheduler(host(LO, ETH, IB), node="localhost")
    assert chosen.address.leads_out


# what is said ------------------------------------------------------------------------------------

ANOTHER = "scheduler_interface may name another one of the scheduler's host"
FIREWALL = (
    "a firewall may be between them: ports names those that it lets through, "
    "contact_address an address that it forwards"
)
LOGIN = {"wan0": "10.76.0.1/24", "eth0": "10.77.0.1/24", "ib0": "10.78.0.1/24"}


@pytest.mark.parametrize(
    ("theirs", "tried", "words"),
    [
        (
            LOGIN,
            ["tls://10.76.0.1:40123"],
            "scheduler_interface=eth0: n1 is on its network, 10.77.0.0/24",
        ),
        (
            LOGIN,
            ["tls://10.76.0.1:40123", "tls://10.77.0.1:40123"],
            "scheduler_interface=ib0: n1 is on its network, 10.78.0.0/24",
        ),
        (
            {"wan0": "10.76.0.1/24", "lan0": "10.9.0.1/16", "lan1": "10.10.0.1/16"},
            ["tls://10.76.0.1:1"],
            f"{ANOTHER}: lan0 10.9.0.1, lan1 10.10.0.1",
        ),
        (
            {"eth0": "10.77.0.11/24", "wan0": "10.76.0.1/24"},  # its own address is not theirs
            ["tls://10.76.0.1:1"],
            f"{ANOTHER}: eth0 10.77.0.11",
        ),
        (
            {"wan0": "10.76.0.1/24"},
            ["tls://10.76.0.1:1"],
            FIREWALL,
        ),
    ],
)
def test_what_may_help_is_said(theirs: dict[str, str], tried: list[str], words: str) -> None:
    assert network.advice(theirs, NODE, tried=tried) == words


# addresses ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "full"),
    [
        ("gate.example.org", "tls://gate.example.org:40123"),
        ("gate.example.org:8786", "tls://gate.example.org:8786"),
        ("tcp://gate:8786", "tls://gate:8786"),
        ("192.0.2.7", "tls://192.0.2.7:40123"),
        ("[fd00::7]:8786", "tls://[fd00::7]:8786"),
        ("$GATE", "tls://gate:40123"),
        ("${GATE}.x:9", "tls://gate.x:9"),
    ],
)
def test_a_contact_address_is_completed(given: str, full: str) -> None:
    made = network.contact(given, "tls://10.77.0.1:40123", environ={"GATE": "gate"})
    assert made == full


@pytest.mark.parametrize("given", ["", "a b", "gate:", "gate:x", "fd00::7", "gate:123456", "a/b"])
def test_what_is_no_contact_address_is_refused(given: str) -> None:
    with pytest.raises(ConfigError, match="is not an address") as caught:
        network.contact(given, "tls://10.77.0.1:40123")
    assert caught.value.hint == "a host, or host and port, as in login.example.org:8786"


@pytest.mark.parametrize(
    ("address", "found"),
    [("tls://10.1.0.5:8786", "10.1.0.5"), ("tcp://[::1]:1", "::1"), ("tls://gate:1", "gate")],
)
def test_the_host_of_an_address_is_found(address: str, found: str) -> None:
    assert network.host_of(address) == found
    assert address.startswith(address.partition("://")[0] + "://" + network.bracketed(found))


def test_the_name_of_this_host_is_its_short_one() -> None:
    assert network.look().host == socket.gethostname().partition(".")[0]
