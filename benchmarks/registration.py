"""Thousands of workers that come at once and leave at once: what that costs the scheduler's CPU.

Ours, with its controller, beside distributed's own; both with TLS. The workers are simulated: each
is a connection that says what a worker says when it registers, and all end with their process, as
those of an array of jobs that is cancelled.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask
from distributed import Scheduler, rpc
from distributed.comm import connect
from distributed.versions import get_versions

from benchmarks.harness import Contender, Goal, Measurement
from benchmarks.node import new_cluster
from dask_hpc._clock import SystemClock
from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.cluster.record import read_spec
from dask_hpc.engine.limits import raise_open_file_limit
from dask_hpc.engine.start import start_scheduler
from dask_hpc.engine.tls import cluster_security

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from distributed.comm import Comm

    from benchmarks.harness import Quantities
    from dask_hpc.cluster.spec import ClusterSpec

WORKERS = int(os.environ.get("DASK_HPC_BENCH_WORKERS", "2000"))
_AT_A_TIME = 128  # connections that are being made
_SETTLED = 1.0  # seconds after the last one left
_TIMEOUT = {"distributed.comm.timeouts.connect": "120s"}
_TRAFFIC = ("bytes", "count", "count_total")
_METRICS: dict[str, Any] = {
    "bandwidth": {"total": 1e8, "workers": {}, "types": {}},
    "task_counts": {},
    "digests_total_since_heartbeat": {},
    "managed_bytes": 0,
    "spilled_bytes": {"memory": 0, "disk": 0},
    "transfer": {f"{way}_{what}": 0 for way in ("incoming", "outgoing") for what in _TRAFFIC},
    "event_loop_interval": 0.02,
    "cpu": 2.0,
    "memory": 10**8,
    "host_net_io": {"read_bps": 0.0, "write_bps": 0.0},
    "host_disk_io": {"read_bps": 0.0, "write_bps": 0.0},
    "num_fds": 30,
}


def measurement() -> Measurement:
    """Return the measurement."""
    rival = "dask scheduler, TLS"
    return Measurement(
        name=f"{WORKERS} workers come and leave at once",
        contenders=[
            Contender(name="HPCScheduler, TLS", run=lambda: _run("ours")),
            Contender(name=rival, run=lambda: _run("theirs")),
        ],
        repeats=3,
        goals=[
            Goal(quantity="come, each CPU ms", at_most=0.75, beside=rival),
            Goal(quantity="leave, each CPU ms", at_most=0.15, beside=rival),
        ],
        patience=900.0,
    )


def _run(kind: str) -> Quantities:
    with new_cluster() as spec:
        return asyncio.run(_measure(kind, spec))


async def _measure(kind: str, spec: ClusterSpec) -> Quantities:
    arguments = _security(spec).get_connection_args("client")
    with _program(kind, spec=spec) as scheduler_process:
        address = _line(scheduler_process)
        async with rpc(address, connection_args=arguments) as scheduler:
            before = await scheduler.bench()
            with _program("workers", address, spec=spec) as workers:
                await asyncio.to_thread(_line, workers)
                here = await scheduler.bench()
            left = await _all_left(scheduler)
    return {
        "come, each CPU ms": (here["cpu"] - before["cpu"]) / WORKERS * 1000,
        "leave, each CPU ms": (left["cpu"] - here["cpu"]) / WORKERS * 1000,
    }


async def _all_left(scheduler: Any) -> dict[str, Any]:
    clock = SystemClock()
    while (await scheduler.bench())["workers"]:
        await clock.sleep(0.2)
    await clock.sleep(_SETTLED)
    answer: dict[str, Any] = await scheduler.bench()
    return answer


@contextmanager
def _program(*words: str, spec: ClusterSpec) -> Iterator[subprocess.Popen[str]]:
    """Give a process of this module, and kill it: that ends all its connections at once."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.registration", str(spec.directory), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _line(process: subprocess.Popen[str]) -> str:
    """Return what a program says when it is ready."""
    assert process.stdout
    if line := process.stdout.readline().strip():
        return line
    raise RuntimeError("a program of the benchmark ended")


# the workers' process ----------------------------------------------------------------------------


async def _work(address: str, spec: ClusterSpec) -> None:
    arguments = _security(spec).get_connection_args("worker")
    comms = await _all_come(address, arguments)
    print("all are here", flush=True)
    await asyncio.gather(*map(_listen, comms))


async def _all_come(address: str, arguments: dict[str, Any]) -> list[Comm]:
    gate = asyncio.Semaphore(_AT_A_TIME)
    return await asyncio.gather(
        *(_come(number, address, gate=gate, arguments=arguments) for number in range(WORKERS))
    )


async def _come(
    number: int, address: str, *, gate: asyncio.Semaphore, arguments: dict[str, Any]
) -> Comm:
    async with gate:
        comm = await connect(address, **arguments)
        await comm.write(_registration(number), serializers=["msgpack"])
        answer = await comm.read()
    if answer["status"] != "OK" or answer["warning"]:
        raise RuntimeError(answer)
    return comm


def _registration(number: int) -> dict[str, Any]:
    """Return what a worker says first."""
    now = time.time()
    return {
        "op": "register-worker",
        "reply": False,
        "address": f"tls://127.1.{number // 250}.{number % 250 + 1}:40000",
        "status": "running",
        "nthreads": 1,
        "name": f"worker-{number}",
        "now": now,
        "resources": {},
        "memory_limit": 2**30,
        "local_directory": "/nowhere",
        "services": {},
        "nanny": None,
        "pid": number,
        "versions": get_versions(),
        "metrics": {**_METRICS, "time": now},
        "extra": {},
        "stimulus_id": f"come-{number}",
        "server_id": f"Worker-{number}",
    }


async def _listen(comm: Comm) -> None:
    """Read what a worker is told, until it is gone."""
    try:
        while True:
            await comm.read()
    except OSError:
        return


# the scheduler's process -------------------------------------------------------------------------


def _security(spec: ClusterSpec) -> Any:
    return cluster_security(ClusterDirectory(spec.directory).tls, secure=True)


@asynccontextmanager
async def _scheduler(kind: str, spec: ClusterSpec) -> AsyncIterator[Scheduler]:
    if kind == "ours":
        yield await start_scheduler(spec)
        return
    options = {"host": "127.0.0.1", "port": 0, "dashboard": False, "protocol": "tls"}
    async with Scheduler(security=_security(spec), **options) as scheduler:
        yield scheduler


async def _schedule(kind: str, spec: ClusterSpec) -> None:
    async with _scheduler(kind, spec) as scheduler:
        scheduler.handlers["bench"] = lambda: {
            "cpu": time.process_time(),
            "workers": len(scheduler.workers),
        }
        print(scheduler.address, flush=True)
        await scheduler.finished()


def _main(directory: str, kind: str, address: str = "") -> None:
    raise_open_file_limit()
    spec = read_spec(ClusterDirectory(Path(directory)))
    with dask.config.set(_TIMEOUT):
        asyncio.run(_work(address, spec) if kind == "workers" else _schedule(kind, spec))


if __name__ == "__main__":
    _main(*sys.argv[1:])
