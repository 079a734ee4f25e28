"""Processes that a test can tell from all others, on whichever side of a connection they run."""

from __future__ import annotations

import random
from contextlib import suppress

import psutil

from dask_hpc._clock import SystemClock, until


def new_trace() -> str:
    """Return a number of seconds, about twenty minutes, that no other test sleeps for."""
    return f"1234.{random.randrange(10**9):09d}"


def living(trace: str) -> list[psutil.Process]:
    """Return every process that has it in its command line."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if any(trace in word for word in process.cmdline()):
                found.append(process)
    return found


async def is_gone(trace: str, *, seconds: float = 30) -> bool:
    """Wait until no process has it, and return whether that came."""
    return await until(lambda: not living(trace), seconds, clock=SystemClock())


async def is_there(trace: str, *, seconds: float = 30) -> bool:
    """Wait until a process has it, and return whether that came."""
    return await until(lambda: bool(living(trace)), seconds, clock=SystemClock())
