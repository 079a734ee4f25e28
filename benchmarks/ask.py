"""From asking for workers until all are connected, beside what the batch system alone needs.

On real Slurm while the bed of the tests is up, else on the local queue.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from tests.beds import beds

from benchmarks.harness import Contender, Measurement
from dask_hpc import HPCCluster
from dask_hpc._clock import SystemClock, until
from dask_hpc.batch.model import JobSpec
from dask_hpc.cluster.slot import new_tag
from dask_hpc.engine.start import queue_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from benchmarks.harness import Quantities
    from dask_hpc.cluster.spec import ClusterSpec

JOBS, WORKERS = 2, 8
_PATIENCE = 60.0  # seconds
_LOOK = 0.02  # seconds


def measurement() -> Measurement:
    """Return the measurement."""
    site = "slurm" if _slurm_is_up() else "local"
    return Measurement(
        name=f"{WORKERS} workers in {JOBS} jobs on {site}",
        contenders=[
            Contender(name="ask to connected, TLS", run=partial(_run, _connect, site)),
            Contender(name="start of empty jobs", run=partial(_run, _start_empty, site)),
        ],
    )


def _run(way: Callable[[HPCCluster], Awaitable[None]], site: str) -> Quantities:
    with _place(site):
        return asyncio.run(_with_cluster(way, site))


async def _with_cluster(way: Callable[[HPCCluster], Awaitable[None]], site: str) -> Quantities:
    per_job = WORKERS // JOBS
    async with HPCCluster(
        site=site,
        cores=per_job,
        memory="1GiB",
        processes=per_job,
        walltime="10m",
        asynchronous=True,
    ) as cluster:
        clock = SystemClock()
        begin = clock.monotonic()
        await way(cluster)
        return {"wall s": clock.monotonic() - begin}


async def _connect(cluster: HPCCluster) -> None:
    await cluster.scale(jobs=JOBS)
    await _wait(lambda: len(cluster.scheduler_info["workers"]) == WORKERS, "workers")


async def _start_empty(cluster: HPCCluster) -> None:
    """Wait until jobs of the same size that do nothing have left a file each."""
    spec: ClusterSpec = cluster.spec
    tag = new_tag(spec.name)
    place = spec.directory / "jobs"
    queue = queue_of(spec)
    job = JobSpec(
        tag=tag,
        resources=spec.worker,
        body=f"echo >{place}/{tag}.{queue.system.variables.index}.empty",
        log=str(spec.directory / "logs" / "empty.{index}.log"),
    )
    await queue.submit(job, JOBS)
    await _wait(lambda: _count(place, "*.empty") == JOBS, "empty jobs")


def _count(place: Path, pattern: str) -> int:
    return len(list(place.glob(pattern)))


async def _wait(condition: Callable[[], bool], what: str) -> None:
    if not await until(condition, _PATIENCE, clock=SystemClock(), every=_LOOK):
        raise RuntimeError(f"not all {what} came within {_PATIENCE:.0f} s")


def _slurm_is_up() -> bool:
    bed = beds.make("slurm")
    try:
        bed.control("status")
    except (beds.BedUnavailable, OSError):
        return False
    return True


@contextmanager
def _place(site: str) -> Iterator[None]:
    """Keep out of the way of the clusters of whoever measures."""
    with tempfile.TemporaryDirectory(prefix="dhb", dir="/tmp") as home:
        os.environ["DASK_HPC_HOME"] = f"{home}/h"
        if site == "slurm":
            os.environ.update(beds.make("slurm").environ)
        else:
            os.environ["DASK_HPC__LOCAL__CORES"] = str(WORKERS)
            os.environ["DASK_HPC__LOCAL__MEMORY"] = "8GiB"
        yield
