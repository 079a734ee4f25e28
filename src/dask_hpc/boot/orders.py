"""What ends a task from outside: a signal, or the end of whoever launched it."""

from __future__ import annotations

import asyncio
import os

from dask_hpc._clock import SystemClock
from dask_hpc.boot.trunk import DRAIN_SIGNALS

_LOOK = 1.0  # seconds


class Told(SystemExit):
    """A signal said that it is time to end."""


def listen() -> asyncio.Future[int]:
    """Return the signal that says that it is time to end, once it comes."""
    loop = asyncio.get_running_loop()
    told: asyncio.Future[int] = loop.create_future()
    for number in DRAIN_SIGNALS:
        loop.add_signal_handler(number, _tell, told, number)
    return told


def _tell(told: asyncio.Future[int], number: int) -> None:
    if not told.done():
        told.set_result(number)


async def orphaned() -> None:
    """Return when whoever launched this task is gone: nobody would end it then."""
    parent, clock = os.getppid(), SystemClock()
    while os.getppid() == parent:
        await clock.sleep(_LOOK)
