"""Connections to a unix socket over the input and output of one process."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from dask_hpc.errors import TunnelError
from dask_hpc.remote.line import RelayLine
from tests.beds.beds import CHECKOUT
from tests.boot.stage import eventually
from tests.places import scratch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from dask_hpc.remote.line import RelayChannel

RELAY = (sys.executable, "-m", "dask_hpc.remote.relay")
ENV = {"PYTHONPATH": str(CHECKOUT / "src")}


@asynccontextmanager
async def echo(folder: Path) -> AsyncIterator[Path]:
    """Give a socket whose server sends back what it gets, until the end."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(serve, folder / "echo.sock")
    async with server:
        yield folder / "echo.sock"


@asynccontextmanager
async def line_to(socket: Path) -> AsyncIterator[RelayLine]:
    line = RelayLine([*RELAY, str(socket)], env=ENV)
    await line.start(30)
    try:
        yield line
    finally:
        await line.close()


async def receive(channel: RelayChannel, size: int) -> bytes:
    said = b""
    while len(said) < size:
        data = await asyncio.wait_for(channel.read(), 20)
        assert data, "it has ended"
        said += data
    return said


async def test_many_connections_do_not_disturb_each_other() -> None:
    with scratch() as folder:
        async with echo(folder) as socket, line_to(socket) as line:

            async def talk(number: int) -> None:
                channel = await line.open()
                text = bytes([number]) * 300_000
                sending = asyncio.ensure_future(channel.write(text))
                assert await receive(channel, len(text)) == text
                await sending
                await channel.write(b"")

            await asyncio.gather(*(talk(number) for number in range(8)))


async def test_an_end_is_told_to_the_other_side() -> None:
    with scratch() as folder:
        async with echo(folder) as socket, line_to(socket) as line:
            channel = await line.open()
            await channel.write(b"x")
            assert await receive(channel, 1) == b"x"
            await channel.write(b"")
            assert await asyncio.wait_for(channel.read(), 10) == b""
            assert await asyncio.wait_for(channel.read(), 10) == b""


async def test_where_nobody_listens_it_says_so_and_does_not_begin() -> None:
    with scratch() as folder:
        line = RelayLine([*RELAY, str(folder / "nobody.sock")], env=ENV)
        with pytest.raises(TunnelError, match=r"nobody\.sock: no such file or directory"):
            await line.start(30)


async def test_where_nobody_listens_any_more_a_connection_ends_at_once() -> None:
    with scratch() as folder:
        async with echo(folder) as socket, line_to(socket) as line:
            socket.unlink()
            channel = await line.open()
            await channel.write(b"x")
            assert await asyncio.wait_for(channel.read(), 20) == b""


async def test_the_process_ends_with_the_line_and_the_other_way_round() -> None:
    with scratch() as folder:
        async with echo(folder) as socket, line_to(socket) as line:
            channel = await line.open()
            await channel.write(b"x")
            assert await receive(channel, 1) == b"x"
            assert line._process
            line._process.kill()
            assert await asyncio.wait_for(channel.read(), 10) == b""
            await eventually(lambda: line._listening is not None and line._listening.done())
            with pytest.raises(OSError, match="the relay has ended"):
                await line.open()


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["/nowhere/relay"], "/nowhere/relay cannot be run: no such file"),
        (["sh", "-c", "echo no such job >&2; exit 1"], "sh gives no answer: no such job"),
        (["sh", "-c", "echo Welcome; exec cat"], "sh gives no answer"),
    ],
)
async def test_a_relay_that_does_not_come_is_told_in_its_own_words(
    argv: list[str], words: str
) -> None:
    line = RelayLine(argv, env={})
    with pytest.raises(TunnelError, match=words):
        await line.start(1)
    assert line._process is None or line._process.returncode is not None


async def test_what_a_site_prints_first_is_passed_over() -> None:
    with scratch() as folder:
        async with echo(folder) as socket:
            greeting = f'echo Welcome; exec "{RELAY[0]}" -m dask_hpc.remote.relay "$0"'
            line = RelayLine(["sh", "-c", greeting, str(socket)], env=ENV)
            await line.start(30)
            channel = await line.open()
            await channel.write(b"x")
            assert await receive(channel, 1) == b"x"
            await line.close()
