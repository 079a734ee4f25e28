"""A TCP proxy that loses connections in the ways that networks do."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Cut(StrEnum):
    """How a connection ends."""

    RESET = "both ends are told, rudely"
    CLOSE = "both ends are told"
    HALF = "the client alone is told"


@dataclass(slots=True, eq=False)
class _Pair:
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    server_is_kept: bool = False


@dataclass(slots=True)
class Proxy:
    """Stands between clients and one server; ``swallows_up`` and ``_down`` are what it drops."""

    port: int
    target: int
    is_open: bool = True
    swallows_up: bool = False
    swallows_down: bool = False
    pairs: set[_Pair] = field(default_factory=set)

    def cut(self, how: Cut = Cut.RESET) -> None:
        """End every connection, and let nobody in."""
        self.is_open = False
        for pair in self.pairs:
            pair.server_is_kept = how is Cut.HALF
            ends = [pair.client] if how is Cut.HALF else [pair.client, pair.server]
            for end in ends:
                _end(end, is_rude=how is Cut.RESET)

    def restore(self) -> None:
        """Be a good connection again."""
        self.is_open = True
        self.swallows_up = self.swallows_down = False

    async def serve(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        """Pass on what comes, both ways."""
        if not self.is_open:
            _end(client, is_rude=True)
            return
        answers, server = await asyncio.open_connection("127.0.0.1", self.target)
        pair = _Pair(client, server)
        self.pairs.add(pair)
        await asyncio.gather(self._up(reader, pair), self._down(answers, pair))
        self.pairs.discard(pair)

    async def _up(self, reader: asyncio.StreamReader, pair: _Pair) -> None:
        with suppress(OSError):
            while data := await reader.read(2**16):
                if not self.swallows_up:
                    pair.server.write(data)
                    await pair.server.drain()
        if not pair.server_is_kept:
            pair.server.close()

    async def _down(self, reader: asyncio.StreamReader, pair: _Pair) -> None:
        with suppress(OSError):
            while data := await reader.read(2**16):
                if not self.swallows_down:
                    pair.client.write(data)
                    await pair.client.drain()
        pair.client.close()


def _end(writer: asyncio.StreamWriter, *, is_rude: bool) -> None:
    if is_rude:
        linger = struct.pack("ii", 1, 0)
        with suppress(OSError):
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()
    else:
        writer.close()


@asynccontextmanager
async def proxy_to(port: int) -> AsyncIterator[Proxy]:
    """Give a proxy to a port of this machine."""
    proxy = Proxy(port=0, target=port)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for pair in list(proxy.pairs):
            pair.client.close()
            pair.server.close()
