"""The clusters that are measured beside each other: equal jobs, each project's own defaults."""

from __future__ import annotations

import importlib
import os
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.bed import GIB, place
from benchmarks.environment import JOBQUEUE
from benchmarks.harness import TurnFailed
from dask_hpc import HPCCluster
from dask_hpc._clock import SystemClock, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

NAME = JOBQUEUE.replace("==", " ")
_LOOK = 0.01  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What a job asks for: a core and a GiB for each worker, or more cores."""

    workers: int
    cores: int
    directives: tuple[str, ...] = ()


@asynccontextmanager
async def ours(size: Size) -> AsyncIterator[HPCCluster]:
    """Enter with a cluster of ours: with TLS, supervised."""
    async with HPCCluster(
        site="slurm",
        cores=size.cores,
        processes=size.workers,
        memory=size.workers * GIB,
        walltime="30m",
        directives=list(size.directives),
        local_directory=str(place()),
        asynchronous=True,
    ) as cluster:
        yield cluster


@asynccontextmanager
async def theirs(size: Size) -> AsyncIterator[Any]:
    """Enter with a cluster of dask-jobqueue: without TLS, with its nannies."""
    kind = importlib.import_module("dask_jobqueue").SLURMCluster
    os.chdir(place())  # where it writes what it is not asked to write elsewhere
    async with kind(
        cores=size.cores,
        processes=size.workers,
        memory=f"{size.workers}GiB",
        walltime="00:30:00",
        job_extra_directives=list(size.directives),
        local_directory=str(place()),
        log_directory=str(place()),
        scheduler_options={"dashboard_address": ":0"},
        asynchronous=True,
    ) as cluster:
        yield cluster


def workers(cluster: Any) -> int:
    """Return how many workers are connected, as Dask's own cluster objects know it."""
    return len(cluster.scheduler_info["workers"])


async def wait(condition: Callable[[], bool], what: str, *, seconds: float = 90.0) -> None:
    """Wait for something that must come.

    Raises
    ------
    TurnFailed
        If it did not.
    """
    if not await until(condition, seconds, clock=SystemClock(), every=_LOOK):
        raise TurnFailed(f"{what} within {seconds:.0f} s: no")
