"""Sixteen workers on one node: ours with encryption and supervision, Dask's own without the first.

From the start of the program until the scheduler knows all workers; then what their processes
have cost so far.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from distributed import Scheduler

from benchmarks.harness import Contender, Measurement
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
    from collections.abc import Iterator

    from benchmarks.harness import Quantities

WORKERS = 16
_MEMORY = 2**30
_PATIENCE = 60.0  # seconds


def measurement() -> Measurement:
    """Return the measurement."""
    return Measurement(
        name=f"{WORKERS} workers on a node",
        contenders=[
            Contender(name="worker host, TLS", run=lambda: asyncio.run(_worker_host())),
            Contender(name="dask worker, no TLS", run=lambda: asyncio.run(_dask_worker())),
        ],
    )


async def _worker_host() -> Quantities:
    with _cluster() as spec:
        scheduler = await start_scheduler(spec)
        body = worker_job(spec, JobVariables(job_id="1", index="0"), tag=Tag("bench")).body
        try:
            return await _until_all_are_here(scheduler, ["bash", "-c", body])
        finally:
            await scheduler.close()


async def _dask_worker() -> Quantities:
    command = [sys.executable, "-m", "distributed.cli.dask_worker"]
    options = ["--nworkers", WORKERS, "--nthreads", 1, "--memory-limit", _MEMORY]
    async with Scheduler(host="127.0.0.1", port=0, dashboard=False) as scheduler:
        words = [*command, scheduler.address, *options, "--host", "127.0.0.1"]
        return await _until_all_are_here(scheduler, [str(word) for word in words])


async def _until_all_are_here(scheduler: Scheduler, argv: list[str]) -> Quantities:
    clock = SystemClock()
    begin = clock.monotonic()
    with _started(argv) as process:
        all_are_here = partial(_have_come, scheduler)
        if not await until(all_are_here, _PATIENCE, clock=clock, every=0.005):
            raise RuntimeError(f"{argv[0]}: {len(scheduler.workers)} of {WORKERS} workers came")
        return {"wall s": clock.monotonic() - begin, **_costs(process.pid)}


def _have_come(scheduler: Scheduler) -> bool:
    return len(scheduler.workers) == WORKERS


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
def _started(argv: list[str]) -> Iterator[subprocess.Popen[bytes]]:
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
        root = psutil.Process(process.pid)
        for each in [root, *root.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        process.wait()


@contextmanager
def _cluster() -> Iterator[ClusterSpec]:
    place = Path(tempfile.mkdtemp(prefix="dask-hpc-bench-"))
    directory = ClusterDirectory(place / "clusters" / "bench")
    spec = ClusterSpec(
        name="bench",
        site="local",
        system="local",
        user=str(os.getuid()),
        home=Home.HERE,
        directory=directory.path,
        worker=Resources(cores=WORKERS, memory=WORKERS * _MEMORY, walltime=600.0),
        scheduler=Resources(cores=1, memory=_MEMORY),
        processes=WORKERS,
        python=sys.executable,
        local_directory=str(place / "scratch"),
        loopback=True,
    )
    try:
        directory.create()
        create_certificates(directory.tls, name="bench")
        write_record(directory.spec, spec)
        yield spec
    finally:
        shutil.rmtree(place, ignore_errors=True)
