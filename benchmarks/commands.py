"""How often Slurm's commands are called: for many jobs at once, and while nothing changes."""

from __future__ import annotations

import asyncio
import subprocess
from typing import TYPE_CHECKING, Any

from benchmarks.bed import place, slurm
from benchmarks.calls import counted
from benchmarks.clusters import NAME, Size, ours, theirs, wait, workers
from benchmarks.harness import Contender, Goal, Measurement
from dask_hpc._clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from benchmarks.harness import Quantities

_SOME, _MANY, _FITTING = 100, 1000, 16
_SETTLED, _WATCHED = 70.0, 180.0  # seconds; the pace of the listings has become slow in the first
_SQUEUE = "/usr/bin/squeue"  # ours to look with: not counted


def submissions() -> Measurement:
    """Return what it takes to submit jobs and to cancel them: held ones, which bring no worker."""
    return Measurement(
        name=f"{_SOME} jobs submitted, then cancelled",
        contenders=[
            Contender(name="HPCCluster", run=lambda: asyncio.run(_there_and_back(ours))),
            Contender(name=NAME, run=lambda: asyncio.run(_there_and_back(theirs))),
        ],
        repeats=3,
        around=slurm,
    )


def steady() -> Measurement:
    """Return the calls for many jobs of which few run: what a user does to the batch system."""
    return Measurement(
        name=f"{_MANY:,} jobs wanted, {_FITTING} running, the rest pending",
        contenders=[Contender(name="HPCCluster", run=lambda: asyncio.run(_steady()))],
        repeats=1,
        goals=[
            Goal(quantity="sbatch calls", at_most=2),
            Goal(quantity="squeue, when settled calls/min", at_most=2),
        ],
        around=slurm,
        patience=420.0,
    )


async def _there_and_back(kind: Callable[[Size], AbstractAsyncContextManager[Any]]) -> Quantities:
    clock = SystemClock()
    size = Size(workers=1, cores=1, directives=("--hold",))
    async with kind(size) as cluster:
        with counted(place()) as calls:
            begin = clock.monotonic()
            await _scale(cluster, _SOME)
            await wait(lambda: _queued() == _SOME, f"{_SOME} jobs in the queue")
            there = clock.monotonic()
            await _scale(cluster, 0)
            await wait(lambda: _queued() == 0, "an empty queue")
            return {
                "all submitted s": there - begin,
                "all cancelled s": clock.monotonic() - there,
                "sbatch calls": calls.of("sbatch"),
                "scancel calls": calls.of("scancel"),
            }


async def _scale(cluster: Any, jobs: int) -> None:
    # One returns what can be awaited, the other nothing.
    if (scaling := cluster.scale(jobs=jobs)) is not None:
        await scaling


def _queued() -> int:
    done = subprocess.run(
        [_SQUEUE, "-h", "-r", "-o", "%i"], capture_output=True, text=True, check=True
    )
    return len(done.stdout.splitlines())


async def _steady() -> Quantities:
    clock = SystemClock()
    async with ours(Size(workers=1, cores=2)) as cluster:
        with counted(place()) as calls:
            await cluster.scale(jobs=_MANY)
            await wait(lambda: workers(cluster) == _FITTING, f"{_FITTING} workers")
            sbatch = calls.of("sbatch")
            await clock.sleep(_SETTLED)
            begin = clock.time()
            await clock.sleep(_WATCHED)
            squeue = calls.of("squeue", since=begin)
            begin = clock.time()
            await cluster.scale(jobs=_FITTING)
            await wait(lambda: _queued() == _FITTING, f"{_FITTING} jobs")
            return {
                "sbatch calls": sbatch,
                "squeue, when settled calls/min": squeue / _WATCHED * 60,
                f"scancel, down to {_FITTING} calls": calls.of("scancel", since=begin),
            }
