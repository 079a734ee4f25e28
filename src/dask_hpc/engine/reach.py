"""Find out at which of its addresses a scheduler can be reached from here.

What is tried first is the network alone: a scheduler that is busy with thousands of workers takes
its time to answer, but the kernel of its host does not.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from time import monotonic
from typing import TYPE_CHECKING

from distributed.comm import parse_host_port

from dask_hpc.cluster.jobrecords import Attempt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from distributed import Security

    from dask_hpc.cluster.record import ClusterRecord

_HEAD_START = 1 / 3  # of the time that there is, the first address has so much for itself
_PLAIN = {
    errno.ECONNREFUSED: "refused",
    errno.EHOSTUNREACH: "no route to it",
    errno.ENETUNREACH: "no route to it",
    errno.ETIMEDOUT: "timed out",
}


class Search:
    """A look at all addresses of a scheduler, at the first one before the others.

    An address is taken when who listens there has the certificates of the cluster, too, and the
    first one already when somebody listens.
    """

    def __init__(self, addresses: Sequence[str], security: Security) -> None:
        self._addresses = tuple(addresses)
        self._context = security.get_connection_args("worker").get("ssl_context")
        self._errors: dict[str, str] = {}
        self._heard: set[str] = set()
        self._begin = monotonic()

    @property
    def tried(self) -> tuple[Attempt, ...]:
        """Every address at which nobody answered, and why not."""
        return tuple(
            Attempt(address=address, error=self._errors[address])
            for address in self._addresses
            if address in self._errors
        )

    @property
    def is_refused(self) -> bool:
        """Whether the hosts of all addresses say that nobody listens there."""
        refused = _PLAIN[errno.ECONNREFUSED]
        return all(self._errors.get(address) == refused for address in self._addresses)

    async def once(self, seconds: float) -> str | None:
        """Return the address to take, or nothing if none answers in time."""
        first, *others = self._addresses
        self._heard.clear()
        deadline = monotonic() + seconds
        dialling: dict[asyncio.Future[bool], str] = {}
        dialling[asyncio.ensure_future(self._dial(first))] = first
        try:
            await asyncio.wait(dialling, timeout=seconds * _HEAD_START)
            if first not in self._heard:
                dialling |= {asyncio.ensure_future(self._dial(each)): each for each in others}
            found = await self._first_of(dialling, deadline)
            if not found and first in self._heard and first in dialling.values():
                found = first
            return found
        finally:
            self._give_up(dialling)

    async def _first_of(
        self, dialling: dict[asyncio.Future[bool], str], deadline: float
    ) -> str | None:
        """Return the address that is the first to answer; take those that do not out."""
        while dialling:
            left = max(0.0, deadline - monotonic())
            done, _ = await asyncio.wait(
                dialling, timeout=left, return_when=asyncio.FIRST_COMPLETED
            )
            answers = {dialling.pop(task): task.result() for task in done}
            for address in self._addresses:
                if answers.get(address):
                    return address
            if not done:
                break
        return None

    def _give_up(self, dialling: dict[asyncio.Future[bool], str]) -> None:
        waited = f"{monotonic() - self._begin:.0f} s"
        for task, address in dialling.items():
            task.cancel()
            how = "is silent" if address in self._heard else "timed out"
            self._errors[address] = f"{how} after {waited}"

    async def _dial(self, address: str) -> bool:
        try:
            await self._greet(address)
        except (OSError, EOFError, ValueError) as error:
            self._errors[address] = _words(error)
            self._heard.discard(address)
            return False
        return True

    async def _greet(self, address: str) -> None:
        """Connect, and wait for the first word that a server of Dask says to everybody."""
        host, port = parse_host_port(address.rpartition("://")[2])
        stream = await _connect(host, port)
        self._heard.add(address)
        name = "" if self._context else None
        reader, writer = await asyncio.open_connection(
            sock=stream, ssl=self._context, server_hostname=name
        )
        try:
            await reader.readexactly(1)
        finally:
            writer.close()


async def address_from_here(
    record: ClusterRecord, security: Security, *, seconds: float = 3.0
) -> str:
    """Return the address at which a scheduler can be reached from here, else the one it gave."""
    if not record.addresses[1:]:
        return record.address
    return await Search(record.addresses, security).once(seconds) or record.address


async def listens(record: ClusterRecord, *, seconds: float) -> bool:
    """Return whether anybody listens at one of the addresses that a scheduler gave."""
    addresses = record.addresses or (record.address,)
    knocks = [asyncio.ensure_future(_is_open(address)) for address in addresses]
    try:
        for knock in asyncio.as_completed(knocks, timeout=seconds):
            if await knock:
                return True
    except TimeoutError:
        return False
    finally:
        for knock in knocks:
            knock.cancel()
    return False


async def _is_open(address: str) -> bool:
    try:
        await knock(address)
    except OSError:
        return False
    return True


async def knock(address: str) -> None:
    """Raise `OSError` if nobody listens at an address, with how its host says so."""
    host, port = parse_host_port(address.rpartition("://")[2])
    (await _connect(host, port)).close()


async def _connect(host: str, port: int) -> socket.socket:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    family, kind, protocol, _, place = found[0]
    stream = socket.socket(family, kind, protocol)
    try:
        stream.setblocking(False)
        await loop.sock_connect(stream, place)
    except BaseException:
        stream.close()
        raise
    return stream


def _words(error: Exception) -> str:
    if isinstance(error, socket.gaierror):
        return "its name stands for no address here"
    if isinstance(error, ssl.SSLError | EOFError | ConnectionResetError):
        return "who listens there is not this cluster's scheduler"
    if isinstance(error, OSError) and error.errno in _PLAIN:
        return _PLAIN[error.errno]
    return str(error).lower()
