"""Time, and every way to wait for it. Nothing else in the project sleeps."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Clock(Protocol):
    """Where a component gets its time from; tests give it another one."""

    def time(self) -> float:
        """Seconds since the epoch: for records that others read."""

    def monotonic(self) -> float:
        """Seconds that never jump: for deadlines."""

    async def sleep(self, seconds: float) -> None:
        """Let others run for a while."""


class SystemClock:
    """The machine's clock."""

    def time(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that never jump."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Let others run for a while."""
        await asyncio.sleep(seconds)


async def wait_for(event: asyncio.Event, seconds: float, *, clock: Clock) -> bool:
    """Wait for an event, but not longer; return whether it came."""
    if event.is_set():
        return True
    tasks = {asyncio.ensure_future(event.wait()), asyncio.ensure_future(clock.sleep(seconds))}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
    return event.is_set()


async def until(
    condition: Callable[[], bool], seconds: float, *, clock: Clock, every: float = 0.05
) -> bool:
    """Look at a condition until it holds or the time is up; return whether it holds."""
    deadline = clock.monotonic() + seconds
    while not condition():
        if clock.monotonic() >= deadline:
            return False
        await clock.sleep(every)
    return True


def until_now(condition: Callable[[], bool], seconds: float, *, every: float = 0.02) -> bool:
    """Do as `until` does, in a program without an event loop."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(every)
    return True
