"""Connections to the dashboard, carried over connections to the scheduler.

Those are encrypted, and need the cluster's certificates; the dashboard itself needs no port.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from distributed import Status
from distributed.comm import connect
from tornado.iostream import IOStream

if TYPE_CHECKING:
    from collections.abc import Mapping

    from distributed.comm import Comm
    from tornado.httpserver import HTTPServer

_CHUNK = 65536  # bytes


class Channel(Protocol):
    """A connection that carries bytes; none of them are its end."""

    async def read(self) -> bytes:
        """Return what comes next, or nothing at the end."""

    async def write(self, data: bytes, /) -> Any:
        """Send bytes, or the end."""

    def abort(self) -> None:
        """Break it off."""


class Route(Protocol):
    """A way to who serves the pages of a cluster."""

    async def open(self) -> Channel:
        """Return a new connection; raise `OSError` if there is none to be had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DashboardRoute:
    """How to reach a scheduler. ``connection`` is as `distributed.comm.connect` wants it."""

    scheduler: str
    connection: Mapping[str, Any]
    seconds: float = 10.0

    async def open(self) -> Comm:
        """Return a connection that carries bytes to the dashboard and back.

        Raises
        ------
        OSError
            If the scheduler does not answer.
        """
        comm = await connect(self.scheduler, timeout=self.seconds, **self.connection)
        comm.name = "dashboard"
        await comm.write({"op": "hpc_dashboard", "reply": False})
        return comm


async def let_in(comm: Comm, server: HTTPServer) -> Status:
    """Serve the HTTP that comes over a connection to the scheduler, until it ends."""
    ours, theirs = socket.socketpair()
    server.handle_stream(IOStream(theirs), ("", 0))
    reader, writer = await asyncio.open_connection(sock=ours)
    await carry(comm, reader, writer=writer)
    return Status.dont_reply


async def carry(
    comm: Channel, reader: asyncio.StreamReader, *, writer: asyncio.StreamWriter
) -> None:
    """Carry bytes both ways until both sides have ended, or one of them breaks off."""
    try:
        async with asyncio.TaskGroup() as ways:
            ways.create_task(_send(reader, comm))
            ways.create_task(_receive(comm, writer))
    except* OSError:  # CommClosedError is one
        pass
    finally:
        writer.close()
        comm.abort()


async def _send(reader: asyncio.StreamReader, comm: Channel) -> None:
    while data := await reader.read(_CHUNK):
        await comm.write(data)
    # What was written may still be on its way: the connection must not be closed on this side.
    await comm.write(b"")


async def _receive(comm: Channel, writer: asyncio.StreamWriter) -> None:
    while data := await comm.read():
        writer.write(data)
        await writer.drain()
    writer.close()  # after all of it was sent; then the other way ends, too
