"""Carries connections to unix sockets over its standard input and output, on the node of a job.

It needs the standard library alone. A frame is a number of a connection, a length and so many
bytes; a connection begins with its first frame, and one without bytes is its end.

``python -m dask_hpc.remote.relay SOCKET``
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import struct
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from dask_hpc.errors import HPCError

if TYPE_CHECKING:
    from collections.abc import Sequence

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[], Awaitable[Streams]]

HELLO = b"dask-hpc relay 1\n"  # after whatever a site's shell prints first
CHUNK = 65536  # bytes
_HEAD = struct.Struct("!II")


async def read_frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Return the number of a connection, and what comes over it.

    Raises
    ------
    asyncio.IncompleteReadError
        If nothing comes any more.
    """
    number, size = _HEAD.unpack(await reader.readexactly(_HEAD.size))
    return number, await reader.readexactly(size)


def frame(number: int, data: bytes) -> bytes:
    """Return a frame."""
    return _HEAD.pack(number, len(data)) + data


async def connect_own(path: str) -> Streams:
    """Connect to a unix socket if it is a process of this user that listens there.

    Raises
    ------
    OSError
        If nobody listens, or somebody else.
    """
    reader, writer = await asyncio.open_unix_connection(path)
    peer = writer.get_extra_info("socket")
    user = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1]
    if user != os.getuid():
        writer.close()
        raise PermissionError(f"it belongs to user id {user}")
    return reader, writer


class Relay:
    """Gives each connection that the other end opens one of its own making."""

    def __init__(self, connect: Connect, out: asyncio.StreamWriter) -> None:
        self._connect = connect
        self._out = out
        self._open: dict[int, asyncio.StreamWriter] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader) -> None:
        """Carry until the other end goes away."""
        self._out.write(HELLO)
        with suppress(asyncio.IncompleteReadError):
            while True:
                number, data = await read_frame(reader)
                if number not in self._open and data:
                    await self._begin(number)
                await self._pass_on(number, data)
        for writer in self._open.values():
            writer.close()

    async def _begin(self, number: int) -> None:
        try:
            reader, writer = await self._connect()
        except (OSError, HPCError):
            self._out.write(frame(number, b""))
            return
        self._open[number] = writer
        task = asyncio.ensure_future(self._answer(number, reader))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pass_on(self, number: int, data: bytes) -> None:
        writer = self._open.get(number)
        if writer is None:
            return
        with suppress(OSError):
            if data:
                writer.write(data)
                await writer.drain()
            else:
                # Not write_eof: a server that keeps the connection would never end its answer.
                writer.close()
                self._open.pop(number, None)

    async def _answer(self, number: int, reader: asyncio.StreamReader) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                self._out.write(frame(number, data))
                await self._out.drain()
        self._out.write(frame(number, b""))
        if writer := self._open.pop(number, None):
            writer.close()


async def relay(connect: Connect) -> None:
    """Carry connections over the standard input and output until the input ends.

    Raises
    ------
    OSError
        If there is no connection to be had to begin with.
    """
    _, first = await connect()
    first.close()
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    transport, protocol = await loop.connect_write_pipe(
        asyncio.streams.FlowControlMixin, sys.stdout.buffer
    )
    await Relay(connect, asyncio.StreamWriter(transport, protocol, None, loop)).serve(reader)


def in_words(error: OSError) -> str:
    """Return what is wrong, as a part of a sentence."""
    if error.errno and not isinstance(error, ssl.SSLError):  # asyncio says what it tried instead
        return os.strerror(error.errno).lower()
    return str(error) or type(error).__name__


def main(arguments: Sequence[str]) -> int:
    """Carry connections to one socket."""
    (path,) = arguments
    try:
        asyncio.run(relay(partial(connect_own, path)))
    except OSError as error:
        # Some sites show the directories of a job to its own processes alone.
        sys.stderr.write(f"{path}: {in_words(error)}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
