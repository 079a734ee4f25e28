"""Time that passes when everybody waits for it."""

from __future__ import annotations

import asyncio
import heapq
import itertools

# A chain of awaits takes one turn of the event loop for each link; none of ours is as long.
_TURNS = 64


class FakeClock:
    """A clock that jumps to the next moment anybody waits for, once nobody has more to do.

    Waiting for something real, such as a process or a thread, looks like having nothing to do:
    where that happens, switch the jumping off and call `advance`.

    Parameters
    ----------
    start
        What `time` says at the beginning, in seconds since the epoch.
    autojump
        Whether time passes by itself. If not, only `advance` lets it pass.
    """

    def __init__(self, *, start: float = 1_800_000_000.0, autojump: bool = True) -> None:
        self._start = start
        self._now = 0.0
        self._autojump = autojump
        self._settling = False
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def time(self) -> float:
        """Seconds since the epoch."""
        return self._start + self._now

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Wait until this much time has passed."""
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        moment = self._now + max(0.0, seconds)
        heapq.heappush(self._sleepers, (moment, next(self._order), woken))
        if self._autojump:
            self._settle()
        await woken

    async def advance(self, seconds: float) -> None:
        """Let time pass, and everybody do what they do meanwhile."""
        until = self._now + seconds
        await self._quiet()
        while (moment := self._next()) is not None and moment <= until:
            self._wake(moment)
            await self._quiet()
        self._now = max(self._now, until)

    def _settle(self, turns: int = _TURNS) -> None:
        if turns == _TURNS and self._settling:
            return
        self._settling = True
        if turns:
            asyncio.get_running_loop().call_soon(self._settle, turns - 1)
            return
        self._settling = False
        if (moment := self._next()) is not None:
            self._wake(moment)
            self._settle()

    def _next(self) -> float | None:
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)  # cancelled meanwhile
        return self._sleepers[0][0] if self._sleepers else None

    def _wake(self, moment: float) -> None:
        self._now = max(self._now, moment)
        while self._sleepers and self._sleepers[0][0] <= self._now:
            woken = heapq.heappop(self._sleepers)[2]
            if not woken.done():
                woken.set_result(None)

    async def _quiet(self) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(_TURNS):
            turn: asyncio.Future[None] = loop.create_future()
            loop.call_soon(turn.set_result, None)
            await turn
