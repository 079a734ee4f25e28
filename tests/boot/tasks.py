"""What workers run in these tests. They import it: `tests` is on their path."""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import dask
import psutil

if TYPE_CHECKING:
    from distributed import Worker


def leave_trace(number: int, *, directory: str, seconds: float) -> int:
    """Take a while, then leave a file whose name no other run of the task has."""
    time.sleep(seconds)
    Path(directory, f"{number}-{os.getpid()}-{time.time_ns()}").touch()
    return number


def wait_for_file(path: str) -> bool:
    """Make a file beside, then run until somebody makes this one, but not for ever."""
    Path(f"{path}.{os.getpid()}").touch()
    deadline = time.monotonic() + 60
    while not Path(path).exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    return Path(path).exists()


def eat_memory() -> NoReturn:
    """Take more memory than any worker has."""
    data = []
    while True:
        data.append(b"x" * 20_000_000)
        time.sleep(0.01)


def draw() -> tuple[float, float]:
    """Return a number of each generator that libraries use."""
    import numpy as np

    return random.random(), float(np.random.random())


def run_pool() -> float:
    """Return how long a pool of forked processes takes to work and to end."""
    begin = time.monotonic()
    with multiprocessing.get_context("fork").Pool(1) as pool:
        pool.map(abs, [1])
    return time.monotonic() - begin


def hash_text() -> int:
    """Return what differs between processes with different hash seeds."""
    return hash("spam")


def parent() -> int:
    """Return who made the worker's process."""
    return os.getppid()


def worker_name(dask_worker: Worker) -> str:
    """Return the name of the worker."""
    return str(dask_worker.name)


def memory_thresholds(dask_worker: Worker) -> tuple[object, ...]:
    """Return what a worker does about its memory, and where it keeps data."""
    own = dask_worker.memory_manager
    fractions = (own.memory_target_fraction, own.memory_spill_fraction, own.memory_pause_fraction)
    terminate = dask.config.get("distributed.worker.memory.terminate")
    return (*fractions, type(own.data).__name__, terminate)


def listening_ports() -> list[tuple[str, int]]:
    """Return every address that the worker's process listens at."""
    found = psutil.Process().net_connections(kind="tcp")
    return [(one.laddr.ip, one.laddr.port) for one in found if one.status == psutil.CONN_LISTEN]


def die(code: int) -> NoReturn:
    """End the worker's process without a word."""
    os._exit(code)
