"""Sixteen workers on one node: ours with encryption and supervision, Dask's own without the first.

From the start of the program until the scheduler knows all workers; then what their processes
have cost so far.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from distributed import Scheduler

from benchmarks.harness import Contender, Goal, Measurement, TurnFailed
from dask_hpc._clock import SystemClock, until
from dask_hpc._files import write_record
from dask_hpc.batch.model import Resources, Tag
from dask_hpc.batch.system import JobVariables
from dask_hpc.cluster.commands import worker_job
from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.cluster.spec import ClusterSpec, Home
from dask_hpc.engine.start import start_scheduler
from dask_hpc.security.certificates import create_certificates

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from benchmarks.harness import Quantities

WORKERS = 16
_MEMORY = 2**30
_PATIENCE = 60.0  # seconds


def measurement() -> Measurement:
    """Return the measurement."""
    rival = f"dask worker --nworkers {WORKERS}, no TLS"
    return Measurement(
        name=f"{WORKERS} workers on a node",
        contenders=[
            Contender(name="worker host, TLS", run=lambda: asyncio.run(_worker_host())),
            Contender(name=rival, run=lambda: asyncio.run(_dask_worker())),
        ],
        goals=[
            Goal(quantity="wall s", at_most=0.20, beside=rival),
            Goal(quantity="CPU s", at_most=0.12, beside=rival),
            Goal(quantity="PSS MiB", at_most=0.42, beside=rival),
        ],
    )


async def _worker_host() -> Quantities:
    async with worker_host(WORKERS) as (scheduler, argv):
        return await _until_all_are_here(scheduler, argv)


async def _dask_worker() -> Quantities:
    async with dask_worker(WORKERS) as (scheduler, argv):
        return await _until_all_are_here(scheduler, argv)


@asynccontextmanager
async def worker_host(workers: int) -> AsyncIterator[tuple[Scheduler, list[str]]]:
    """Give a scheduler, and the program of a node that brings it workers of ours."""
    with new_cluster(processes=workers) as spec:
        scheduler = await start_scheduler(spec)
        body = worker_job(spec, JobVariables(job_id="1", index="0"), tag=Tag("bench")).body
        try:
            yield scheduler, ["bash", "-c", body]
        finally:
            await scheduler.close()


@asynccontextmanager
async def dask_worker(workers: int) -> AsyncIterator[tuple[Scheduler, list[str]]]:
    """Give a scheduler, and Dask's own program that brings it workers."""
    command = [sys.executable, "-m", "distributed.cli.dask_worker"]
    options = ["--nworkers", workers, "--nthreads", 1, "--memory-limit", _MEMORY]
    with _scratch() as place:
        async with Scheduler(host="127.0.0.1", port=0, dashboard=False) as scheduler:
            here = ["--host", "127.0.0.1", "--local-directory", place]
            yield scheduler, [str(word) for word in (*command, scheduler.address, *options, *here)]


async def _until_all_are_here(scheduler: Scheduler, argv: list[str]) -> Quantities:
    clock = SystemClock()
    begin = clock.monotonic()
    with started(argv) as process:
        await all_come(scheduler, WORKERS)
        return {"wall s": clock.monotonic() - begin, **_costs(process.pid)}


async def all_come(scheduler: Scheduler, workers: int) -> None:
    """Wait until the scheduler knows so many workers.

    Raises
    ------
    TurnFailed
        If they do not come.
    """
    have_come = partial(_have_come, scheduler, workers)
    if not await until(have_come, _PATIENCE, clock=SystemClock(), every=0.005):
        raise TurnFailed(f"{len(scheduler.workers)} of {workers} workers came")


def _have_come(scheduler: Scheduler, workers: int) -> bool:
    return len(scheduler.workers) == workers


def _costs(pid: int) -> Quantities:
    """Return what a process and its descendants have cost: PSS counts shared memory once."""
    cpu = pss = 0.0
    root = psutil.Process(pid)
    for process in [root, *root.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            cpu += sum(times[:4])  # its own, and of children that have ended
            pss += process.memory_full_info().pss
    return {"CPU s": cpu, "PSS MiB": pss / 2**20}


@contextmanager
def started(argv: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Give a running program, of which nothing is left afterwards."""
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            kill_below(process.pid)
            process.kill()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # those whose parent had gone before
        process.wait()


def kill_below(pid: int) -> None:
    """Kill every descendant of a process."""
    for each in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            each.kill()


@contextmanager
def new_cluster(*, processes: int = WORKERS) -> Iterator[ClusterSpec]:
    """Give a cluster of this machine, with keys, of which nothing runs yet."""
    with _scratch() as place:
        directory = ClusterDirectory(place / "clusters" / "bench")
        spec = ClusterSpec(
            name="bench",
            site="local",
            system="local",
            user=str(os.getuid()),
            home=Home.HERE,
            directory=directory.path,
            worker=Resources(cores=processes, memory=processes * _MEMORY, walltime=600.0),
            scheduler=Resources(cores=1, memory=_MEMORY),
            processes=processes,
            python=sys.executable,
            local_directory=str(place / "scratch"),
            loopback=True,
        )
        directory.create()
        create_certificates(directory.tls, name="bench")
        write_record(directory.spec, spec)
        yield spec


@contextmanager
def _scratch() -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="dask-hpc-bench-"))
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
