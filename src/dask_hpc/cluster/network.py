"""Which address of a host to take, and why. `look` gathers what there is, the rest decides."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import re
import socket
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dask_hpc._hosts import host_name
from dask_hpc.cluster.variables import expand
from dask_hpc.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_ANYWHERE = "8.8.8.8"  # whatever is far away: nothing is sent there
_RESOLVING = 2.0  # seconds
_PLACE = re.compile(r"(\[[0-9a-fA-F:.]+\]|[\w.-]+)(?::(\d{1,5}))?")
_FAMILIES = (socket.AF_INET, socket.AF_INET6)  # in the order in which they are taken
# Bridges of containers and virtual machines: nothing but this host is behind them, and every host
# has the same address there.
_INWARD = ("docker", "podman", "virbr", "lxc", "br-", "veth", "cni", "flannel", "cali")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """An address of a network interface; ``prefix`` says how many bits are its network's."""

    interface: str
    ip: str
    prefix: int = 32
    is_up: bool = True

    @property
    def leads_out(self) -> bool:
        """Whether other hosts may reach it."""
        return self.is_up and not _is_loopback(self.ip) and not self.interface.startswith(_INWARD)

    @property
    def network(self) -> str:
        """The address with the length of its network's prefix, as in ``10.1.0.5/24``."""
        return f"{self.ip}/{self.prefix}"

    def __str__(self) -> str:
        return f"{self.interface} {self.ip}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """The interfaces of a host, and their addresses in the order in which they are taken."""

    host: str
    interfaces: tuple[str, ...]
    addresses: tuple[Address, ...]

    @property
    def outward(self) -> tuple[Address, ...]:
        """One address of each interface that other hosts may reach."""
        found: dict[str, Address] = {}
        for address in self.addresses:
            if address.leads_out:
                found.setdefault(address.interface, address)
        return tuple(found.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The own address that the system takes towards something, and what that is."""

    ip: str | None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The address that is taken, and why."""

    address: Address
    why: str

    @property
    def ip(self) -> str:
        """The address alone."""
        return self.address.ip

    def __str__(self) -> str:
        return f"{self.address}: {self.why}"


# facts -------------------------------------------------------------------------------------------


def look() -> Network:
    """Return the network interfaces of this host."""
    import psutil  # where Dask is; what reads clusters alone needs the standard library alone

    states = psutil.net_if_stats()
    found = psutil.net_if_addrs()
    addresses = [
        Address(
            interface=name,
            ip=one.address.partition("%")[0],
            prefix=_prefix(one.netmask, one.family),
            is_up=name not in states or states[name].isup,
        )
        for family in _FAMILIES
        for name, each in found.items()
        for one in each
        if one.family == family and not _is_of_one_link(one.address)
    ]
    return Network(host=host_name(), interfaces=tuple(sorted(found)), addresses=tuple(addresses))


def own_address_towards(ip: str) -> str | None:
    """Return the address that this host would show to another one. Nothing is sent."""
    try:
        with socket.socket(family_of(ip), socket.SOCK_DGRAM) as probe:
            probe.connect((ip, 9))
            own: str = probe.getsockname()[0]
            return own
    except OSError:
        return None


async def resolve(name: str) -> tuple[str, ...]:
    """Return the addresses that a name stands for; nothing if nobody says in time."""
    loop = asyncio.get_running_loop()
    asking = loop.getaddrinfo(name, None, type=socket.SOCK_DGRAM)
    try:
        found = await asyncio.wait_for(asking, _RESOLVING)
    except (TimeoutError, OSError, UnicodeError):
        return ()
    return tuple(dict.fromkeys(str(one[4][0]) for one in found))


# decisions ---------------------------------------------------------------------------------------


def named(network: Network, interface: str, *, setting: str = "interface") -> Choice:
    """Return the address of an interface that somebody named.

    Raises
    ------
    ConfigError
        If this host does not have it, or it has no address; with those that would do.
    """
    if interface not in network.interfaces:
        raise ConfigError(
            f"this host, {network.host}, has no network interface {interface!r}",
            hint=f"it has {', '.join(network.interfaces)}",
        )
    for address in network.addresses:
        if address.interface == interface:
            return Choice(address=address, why=f"{setting} names it")
    raise ConfigError(
        f"network interface {interface!r} of this host, {network.host}, has no address",
        hint=f"{', '.join(map(str, network.addresses)) or 'none of them'} has one",
    )


def by_route(network: Network, routes: Iterable[Route]) -> Choice:
    """Return the first address of this host that a route leads through, else the first at all."""
    for route in routes:
        for address in network.addresses:
            if address.ip == route.ip:
                return Choice(address=address, why=route.why)
    outward = network.outward
    if not outward:
        loopback = Address(interface="lo", ip="127.0.0.1", prefix=8)
        return Choice(address=loopback, why="this host has no network")
    why = "no route says more" if outward[1:] else "the only one that leads out"
    return Choice(address=outward[0], why=why)


async def of_scheduler(network: Network, *, node: str | None = None) -> Choice:
    """Return the address at which the nodes of a site will best reach this host.

    The first of these that belongs to an interface which leads out: the one from which a node of
    the site would be reached; what this host's own name stands for, which is how its neighbours
    know it; the one of the default route.
    """
    outward = replace(network, addresses=network.outward)
    if not outward.addresses[1:]:
        return by_route(outward, ())
    theirs = await resolve(node) if node else ()
    own = await resolve(socket.gethostname())
    routes = [
        *(Route(ip=own_address_towards(ip), why=f"the route to node {node}") for ip in theirs),
        *(Route(ip=ip, why="what this host's name stands for") for ip in own),
        Route(ip=own_address_towards(_ANYWHERE), why="the default route"),
    ]
    return by_route(outward, routes)


async def of_worker(network: Network, scheduler: str) -> Choice:
    """Return the address from which this host reaches a scheduler."""
    routes = [
        Route(ip=own_address_towards(ip), why="the route to the scheduler")
        for ip in await resolve(host_of(scheduler))
    ]
    return by_route(network, routes)


def advice(theirs: Mapping[str, str], network: Network, *, tried: Iterable[str]) -> str:
    """Return what to do if this host cannot reach a scheduler.

    Parameters
    ----------
    theirs
        The interfaces of the scheduler's host with their networks, as in ``10.1.0.5/24``.
    tried
        The addresses that do not answer.
    """
    used = {host_of(address) for address in tried}
    others = {
        name: ipaddress.ip_interface(own)
        for name, own in theirs.items()
        if own.partition("/")[0] not in used
    }
    if not others:
        return (
            "a firewall may be between them: ports names those that it lets through, "
            "contact_address an address that it forwards"
        )
    listed = ", ".join(f"{name} {own.ip}" for name, own in others.items())
    ours = [ipaddress.ip_interface(one.network) for one in network.outward]
    for name, own in others.items():
        if any(own.network == one.network and own.ip != one.ip for one in ours):
            return f"scheduler_interface={name}: {network.host} is on its network, {own.network}"
    return f"scheduler_interface may name another one of the scheduler's host: {listed}"


def contact(text: str, listening: str, *, environ: Mapping[str, str] = os.environ) -> str:
    """Return a contact address in full; what it lacks is as in the one of a listening scheduler.

    Raises
    ------
    ConfigError
        If it is none, or holds a variable that is not set here.
    """
    protocol, _, place = listening.partition("://")
    given = expand(text, environ, setting="contact_address").rpartition("://")[2]
    match = _PLACE.fullmatch(given)
    if match is None:
        raise ConfigError(
            f"contact_address {text!r} is not an address",
            hint="a host, or host and port, as in login.example.org:8786",
        )
    return f"{protocol}://{match[1]}:{match[2] or place.rpartition(':')[2]}"


def host_of(address: str) -> str:
    """Return the host in an address such as ``tls://[::1]:8786``."""
    host, _, _ = address.rpartition("://")[2].rpartition(":")
    return host.strip("[]")


def family_of(ip: str) -> socket.AddressFamily:
    """Return the family of sockets that an address is for; of no address, the older one."""
    return socket.AF_INET6 if ":" in ip else socket.AF_INET


def bracketed(ip: str) -> str:
    """Return an address as it stands before a port."""
    return f"[{ip}]" if ":" in ip else ip


def _prefix(mask: str | None, family: int) -> int:
    if not mask:
        return 128 if family == socket.AF_INET6 else 32
    return int(ipaddress.ip_address(mask)).bit_count()


def _is_of_one_link(ip: str) -> bool:
    return ipaddress.ip_address(ip.partition("%")[0]).is_link_local


def _is_loopback(ip: str) -> bool:
    return ipaddress.ip_address(ip).is_loopback
