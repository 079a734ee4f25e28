"""``dask-hpc demo``: the main job, on any machine: compute, lose a job, get over it, clean up."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click
from distributed import as_completed

from dask_hpc import _envvars
from dask_hpc._clock import SystemClock
from dask_hpc._units import format_seconds
from dask_hpc.cli.bar import bar
from dask_hpc.cli.output import reports, resource_options, site_option
from dask_hpc.cli.progress import follow_scheduler, follow_workers
from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.cluster.spec import Home
from dask_hpc.controller.states import Phase
from dask_hpc.deploy.cluster import HPCCluster
from dask_hpc.deploy.ending import end_cluster
from dask_hpc.deploy.starting import submit_scheduler
from dask_hpc.engine.start import queue_of
from dask_hpc.errors import ClusterError
from dask_hpc.process.local import LocalRunner
from dask_hpc.process.runner import Command
from dask_hpc.sites.settings import from_keywords
from dask_hpc.sites.specs import new_name, resolve_spec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dask_hpc.batch.queue import Queue
    from dask_hpc.cli.output import Output
    from dask_hpc.cluster.spec import ClusterSpec
    from dask_hpc.controller.report import JobReport
    from dask_hpc.sites.layer import Layer

LOCAL = "local"

_JOBS = 3
_SIZE = {"cores": 1, "memory": "500MB", "walltime": "10min"}
# On this machine's own queue: the scheduler, the workers, and the replacement of the lost job.
_QUEUE_CORES = _JOBS + 2

_LIMIT = 1_200_000
_BLOCKS = 60
_PRIMES = 92_938  # below 1.2 million: https://oeis.org/A000720

_PATIENCE = 120.0  # seconds for a replacement
_LOOK = 0.2  # seconds


@click.command()
@site_option
@resource_options
@reports
def command(output: Output, *, site: str | None, resources: Layer) -> None:
    """Try dask-hpc: a cluster that computes, loses a job, and gets over it; nothing stays behind.

    Without --site it runs on the queue embedded in dask-hpc, on this machine.
    """
    is_local = site in (None, LOCAL)
    with _queue_of_its_own() if is_local else contextlib.nullcontext():
        asyncio.run(_demo(output, resources.over(from_keywords(_SIZE)), site=site or LOCAL))


async def _demo(output: Output, layer: Layer, *, site: str) -> None:
    spec = await resolve_spec(layer, site=site, name=new_name(), home=Home.JOB)
    spec = replace(spec, first_jobs=_JOBS)
    started = SystemClock().monotonic()
    output.note(f"cluster {spec.name} on {spec.site}: a scheduler and {_JOBS} worker jobs")
    submitted = await submit_scheduler(spec)
    try:
        await follow_scheduler(output, spec, submitted=submitted)
        await follow_workers(output, spec)
        lost, came = await _compute(output, spec)
    finally:
        ending = await end_cluster(ClusterDirectory(spec.directory))
    took = SystemClock().monotonic() - started
    left = ", ".join(job.id for job in ending.left) or "nothing"
    if output.as_json:
        output.json({"primes": _PRIMES, "lost": lost.job, "replaced_by": came.job, "left": left})
        return
    output.write(f"{_PRIMES} primes below {_LIMIT}, as it should be")
    output.write(f"job {lost.job} was killed on the way, job {came.job} took its place")
    output.write(f"{format_seconds(took)} from nothing to nothing; left behind: {left}")


async def _compute(output: Output, spec: ClusterSpec) -> tuple[JobReport, JobReport]:
    """Count primes while a job is killed; return that job and the one that replaced it."""
    async with (
        HPCCluster.from_name(spec.name, asynchronous=True) as cluster,
        cluster.get_client() as client,
    ):
        blocks = client.map(_counter(), range(_BLOCKS), pure=False)
        work = asyncio.ensure_future(_sum(output, blocks))
        before = await cluster.jobs()
        lost = await _kill_one(output, before, queue=queue_of(spec))
        came = await _replacement(cluster, before)
        output.note(f"job {came.job} replaces it: {came.workers} worker connected")
        if (count := await work) != _PRIMES:
            raise ClusterError(f"{count} primes counted, there are {_PRIMES}")
    return lost, came


def _counter() -> Callable[[int], int]:
    # A function inside a function travels whole: the jobs have no copy of this module.
    limit, blocks = _LIMIT, _BLOCKS

    def count_primes(block: int) -> int:
        size = limit // blocks
        first = max(2, block * size)
        found = 0
        for number in range(first, (block + 1) * size):
            divisor = 2
            while divisor * divisor <= number and number % divisor:
                divisor += 1
            found += divisor * divisor > number
        return found

    return count_primes


async def _sum(output: Output, blocks: list[Any]) -> int:
    total = 0
    with bar(output, "counting primes", total=len(blocks)) as progress:
        done = 0
        async for _, count in as_completed(blocks, with_results=True):
            total, done = total + count, done + 1
            progress.reach(done)
    return total


async def _kill_one(output: Output, jobs: Sequence[JobReport], *, queue: Queue) -> JobReport:
    """Take a worker job away behind the cluster's back, as a machine does."""
    victim = next(job for job in jobs if job.phase == Phase.RUNNING)
    if victim.job:
        await queue.cancel([victim.job])
    output.note(f"job {victim.job} was killed behind the cluster's back")
    return victim


async def _replacement(cluster: HPCCluster, before: Sequence[JobReport]) -> JobReport:
    """Wait for a job that was not there before one was lost."""
    clock = SystemClock()
    deadline = clock.monotonic() + _PATIENCE
    known = {job.slot for job in before}
    while clock.monotonic() < deadline:
        jobs: Sequence[JobReport] = await cluster.jobs()
        fresh = [job for job in jobs if job.phase == Phase.RUNNING and job.slot not in known]
        if fresh:
            return fresh[0]
        await clock.sleep(_LOOK)
    raise ClusterError(f"nothing replaced the lost job in {_PATIENCE:.0f} s")


async def _stop_queue() -> None:
    argv = (sys.executable, "-m", "dask_hpc.localqueue", "stop")
    result = await LocalRunner().run(Command(argv=argv))
    if result.exit_code:
        raise ClusterError(f"the queue of the demo did not end: {result.words}")


@contextlib.contextmanager
def _queue_of_its_own() -> Iterator[None]:
    """Keep all that the demo writes in a directory that is gone afterwards."""
    sizes = {f"{_envvars.SETTING_PREFIX}LOCAL__CORES": str(_QUEUE_CORES)}
    before = {name: os.environ.get(name) for name in (_envvars.HOME.name, *sizes)}
    with tempfile.TemporaryDirectory(prefix="dask-hpc-demo-") as home:
        os.environ.update({_envvars.HOME.name: home, **sizes})
        try:
            yield
            asyncio.run(_stop_queue())
        finally:
            for name in before:
                del os.environ[name]
            os.environ.update({name: value for name, value in before.items() if value})
