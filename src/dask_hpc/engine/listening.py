"""Where a scheduler listens: at which addresses of its host, and at which port."""

from __future__ import annotations

import errno
import itertools
import logging
import socket
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import dask

from dask_hpc.cluster import network
from dask_hpc.cluster.network import Address, Choice, bracketed, contact, family_of, host_of
from dask_hpc.engine.limits import free_ports
from dask_hpc.errors import ConfigError, LaunchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from distributed import Scheduler

    from dask_hpc.cluster.record import ClusterRecord
    from dask_hpc.cluster.spec import ClusterSpec

logger = logging.getLogger("distributed.scheduler")

_LOOPBACK = "127.0.0.1"
_TRIES = 20  # of ports that the system gives, and that somebody else then takes


@dataclass(frozen=True, slots=True, kw_only=True)
class Ears:
    """The addresses of a host at which a scheduler listens, the best one first.

    ``interfaces`` are those of the host that lead out, with their networks; ``contact`` is the
    address for others if that is another one.
    """

    choice: Choice
    ips: tuple[str, ...]
    interfaces: dict[str, str]
    contact: str | None = None

    @property
    def hosts(self) -> list[str]:
        """The addresses as distributed takes them."""
        return [bracketed(ip) for ip in self.ips]


async def choose_ears(spec: ClusterSpec) -> Ears:
    """Return where the scheduler of a cluster listens on this host.

    An interface that is named for it is the only one. Else it listens everywhere, so that who
    cannot reach it at one address may try the next; without encryption, at one address only.

    Raises
    ------
    ConfigError
        If this host does not have the network interface, or the contact address is none.
    """
    told = spec.contact_address or dask.config.get("distributed.scheduler.contact-address")
    if told:
        contact(told, f"tcp://{_LOOPBACK}:1")
    here = network.look()
    choice = await _choose(spec, here)
    ips = [choice.ip]
    if spec.secure and not spec.loopback and not spec.scheduler_interface:
        ips += [one.ip for one in here.outward]
        ips += [_LOOPBACK]
    usable = (ip for ip in dict.fromkeys(ips) if ip == choice.ip or _is_usable(ip))
    interfaces = {one.interface: one.network for one in here.outward}
    return Ears(choice=choice, ips=tuple(usable), interfaces=interfaces, contact=told)


async def _choose(spec: ClusterSpec, here: network.Network) -> Choice:
    if spec.scheduler_interface:
        return network.named(here, spec.scheduler_interface, setting="scheduler_interface")
    if spec.loopback:
        address = Address(interface="lo", ip=_LOOPBACK, prefix=8)
        return Choice(address=address, why="its jobs run on this machine")
    if spec.interface:
        return _as_workers(here, spec.interface)
    return await network.of_scheduler(here, node=spec.facts.get("node"))


def _as_workers(here: network.Network, interface: str) -> Choice:
    try:
        return network.named(here, interface)
    except ConfigError as error:
        hint = f"{error.hint}; scheduler_interface names another one for the scheduler alone"
        raise ConfigError(str(error), hint=hint) from None


def _is_usable(ip: str) -> bool:
    """Return whether one can listen there: an address that was just given may not be ready."""
    with suppress(OSError), socket.socket(family_of(ip)) as probe:
        probe.bind((ip, 0))
        return True
    return False


async def start_at_free_port(
    make: Callable[[int], Scheduler], ports: str | None, *, first: int | None = None
) -> Scheduler:
    """Return a scheduler that listens at the first port of a range where it can, or at any.

    ``first`` is tried before all others.

    Raises
    ------
    LaunchError
        If every port is in use.
    """
    others = free_ports(ports) if ports else _any_ports()
    for port in others if first is None else itertools.chain([first], others):
        scheduler = make(port)
        try:
            return await scheduler
        except RuntimeError as error:  # distributed's word for all that goes wrong at the start
            if not _is_taken(error.__cause__):
                raise
            logger.info("port %s was taken meanwhile: tries the next one", port)
    raise LaunchError(
        f"every port of {ports or 'this host'} is in use on this host", hint="give a wider range"
    )


def _any_ports() -> Iterator[int]:
    # Not 0, which would be another port at each address.
    for _ in range(_TRIES):
        with socket.socket() as probe:
            probe.bind(("", 0))
            port: int = probe.getsockname()[1]
        yield port


def _is_taken(error: BaseException | None) -> bool:
    return isinstance(error, OSError) and error.errno == errno.EADDRINUSE


def with_addresses(record: ClusterRecord, scheduler: Scheduler, *, ears: Ears) -> ClusterRecord:
    """Return a record that says where a scheduler is reached which has started; log it, too."""
    found = [str(each.contact_address) for each in scheduler.listeners]
    addresses = [address for address in found if host_of(address) != _LOOPBACK] or found
    if ears.contact:
        scheduler.contact_address = contact(ears.contact, addresses[0])
        addresses.insert(0, scheduler.contact_address)
    logger.info("the scheduler is at %s; %s", " and ".join(addresses), ears.choice)
    return replace(
        record,
        address=addresses[0],
        addresses=tuple(dict.fromkeys(addresses)),
        interfaces=ears.interfaces,
        network=str(ears.choice),
    )
