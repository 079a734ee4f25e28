"""The near end of a relay: many connections over the input and output of one process."""

from __future__ import annotations

import asyncio
import itertools
from asyncio.subprocess import PIPE
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dask_hpc.errors import TunnelError
from dask_hpc.remote.relay import HELLO, frame, read_frame

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Mapping, Sequence

_TAIL = 2000  # characters of what the process says in the end
_GRACE = 3.0  # seconds


@dataclass(slots=True, eq=False)
class RelayChannel:
    """One connection over a line."""

    line: RelayLine
    number: int
    news: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue)
    is_over: bool = False

    async def read(self) -> bytes:
        """Return what comes next, or nothing at the end."""
        if self.is_over and self.news.empty():
            return b""
        data = await self.news.get()
        self.is_over = self.is_over or not data
        return data

    async def write(self, data: bytes, /) -> None:
        """Send bytes, or the end."""
        await self.line.send(self.number, data)

    def abort(self) -> None:
        """Break it off."""
        self.line.drop(self.number)


class RelayLine:
    """A process that runs a relay elsewhere, and the connections over it.

    It runs in the one directory that every host has.

    Parameters
    ----------
    argv
        What starts it.
    env
        Its environment.
    """

    def __init__(self, argv: Sequence[str], *, env: Mapping[str, str]) -> None:
        self._argv = argv
        self._env = dict(env)
        self._process: Process | None = None
        self._listening: asyncio.Task[None] | None = None
        self._channels: dict[int, RelayChannel] = {}
        self._numbers = itertools.count(1)

    async def start(self, seconds: float) -> None:
        """Start it, and wait until it answers.

        Raises
        ------
        TunnelError
            If it does not, with what it says.
        """
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._argv, env=self._env, cwd="/", stdin=PIPE, stdout=PIPE, stderr=PIPE
            )
        except OSError as error:
            words = (error.strerror or str(error)).lower()
            raise TunnelError(f"{self._argv[0]} cannot be run: {words}") from None
        try:
            await asyncio.wait_for(self._output.readuntil(HELLO), seconds)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
            await self.close()
            words, _, hint = (await self._last_words()).partition("\nhint: ")
            raise TunnelError(words, hint=hint) from None
        self._listening = asyncio.ensure_future(self._listen())

    async def open(self) -> RelayChannel:
        """Return a new connection; raise `OSError` if the process has ended."""
        if self._listening is None or self._listening.done():
            raise ConnectionError("the relay has ended")
        channel = RelayChannel(self, next(self._numbers))
        self._channels[channel.number] = channel
        return channel

    async def send(self, number: int, data: bytes) -> None:
        """Send over one connection."""
        if self._process is None or self._process.stdin is None or number not in self._channels:
            raise ConnectionError("the relay has ended")
        self._process.stdin.write(frame(number, data))
        await self._process.stdin.drain()

    def drop(self, number: int) -> None:
        """End one connection."""
        if self._channels.pop(number, None) and self._process and self._process.stdin:
            with suppress(OSError):
                self._process.stdin.write(frame(number, b""))

    async def close(self) -> None:
        """End the process, and all connections with it."""
        if self._listening:
            self._listening.cancel()
        process = self._process
        if process is None or process.returncode is not None:
            return
        if process.stdin:
            process.stdin.close()  # the relay takes it as the order to end
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(process.wait(), _GRACE)
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    @property
    def _output(self) -> asyncio.StreamReader:
        if self._process is None or self._process.stdout is None:
            raise TunnelError("the relay was not started")
        return self._process.stdout

    async def _listen(self) -> None:
        try:
            while True:
                number, data = await read_frame(self._output)
                if channel := self._channels.get(number):
                    channel.news.put_nowait(data)
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            for channel in self._channels.values():
                channel.news.put_nowait(b"")
            self._channels.clear()

    async def _last_words(self) -> str:
        said = b""
        if self._process and self._process.stderr:
            said = await self._process.stderr.read()
        words = said.decode(errors="replace").strip()[-_TAIL:]
        return f"{Path(self._argv[0]).name} gives no answer{': ' + words if words else ''}"
