"""From asking for workers until all are connected, on real Slurm, beside dask-jobqueue.

Both get equal jobs and one environment; ours has TLS on. What Slurm alone needs to start as many
empty jobs stands beside it.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks.bed import slurm
from benchmarks.clusters import NAME, Size, ours, theirs, wait, workers
from benchmarks.harness import Contender, Goal, Measurement
from dask_hpc._clock import SystemClock
from dask_hpc.batch.model import JobSpec
from dask_hpc.cluster.slot import new_tag
from dask_hpc.engine.start import queue_of

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.harness import Quantities

_LOOK = 0.01  # seconds


def measurement() -> Measurement:
    """Return the measurement of jobs that bring several workers each."""
    return _measurement(4, Size(workers=8, cores=8), goals=[Goal(quantity="wall s", at_most=0.22)])


def single() -> Measurement:
    """Return the measurement of jobs that bring one worker each: nothing is shared then."""
    return _measurement(16, Size(workers=1, cores=2), goals=[])


def _measurement(jobs: int, size: Size, *, goals: list[Goal]) -> Measurement:
    rival = f"{NAME}, no TLS"
    return Measurement(
        name=f"Ask to connected: {jobs * size.workers} workers in {jobs} jobs",
        contenders=[
            Contender(name="HPCCluster, TLS", run=lambda: asyncio.run(_ours(jobs, size))),
            Contender(name=rival, run=lambda: asyncio.run(_theirs(jobs, size))),
            Contender(
                name="empty jobs of Slurm",
                run=lambda: asyncio.run(_empty(jobs, size)),
                yardstick=True,
            ),
        ],
        goals=[Goal(quantity=one.quantity, at_most=one.at_most, beside=rival) for one in goals],
        around=slurm,
    )


async def _ours(jobs: int, size: Size) -> Quantities:
    async with ours(size) as cluster:
        begin = SystemClock().monotonic()
        await cluster.scale(jobs=jobs)
        return await _until_connected(cluster, jobs * size.workers, begin=begin)


async def _theirs(jobs: int, size: Size) -> Quantities:
    async with theirs(size) as cluster:
        begin = SystemClock().monotonic()
        cluster.scale(jobs=jobs)
        return await _until_connected(cluster, jobs * size.workers, begin=begin)


async def _until_connected(cluster: Any, wanted: int, *, begin: float) -> Quantities:
    await wait(lambda: workers(cluster) >= wanted, f"{wanted} workers")
    return {"wall s": SystemClock().monotonic() - begin}


async def _empty(jobs: int, size: Size) -> Quantities:
    """Wait until jobs of the same size that do nothing have left a file each."""
    async with ours(size) as cluster:
        spec = cluster.spec
        tag = new_tag(spec.name)
        queue = queue_of(spec)
        job = JobSpec(
            tag=tag,
            resources=spec.worker,
            body=f"echo >{spec.directory}/jobs/{tag}.{queue.system.variables.index}.empty",
            log=str(spec.directory / "logs" / "empty.{index}.log"),
        )
        begin = SystemClock().monotonic()
        await queue.submit(job, jobs)
        await wait(partial(_have_left, spec.directory / "jobs", jobs), f"{jobs} empty jobs")
        return {"wall s": SystemClock().monotonic() - begin}


def _have_left(place: Path, jobs: int) -> bool:
    return len(list(place.glob("*.empty"))) == jobs
