"""From the moment that a lost job's workers are gone until its replacement is submitted.

The job is cancelled behind the controller's back, which lets its workers say goodbye, and killed,
which does not. The first moment is the scheduler's event, the second the journal's entry.
"""

from __future__ import annotations

import asyncio
import subprocess
from typing import TYPE_CHECKING, Any

from distributed import Client

from benchmarks.bed import slurm
from benchmarks.clusters import NAME, Size, ours, theirs, wait, workers
from benchmarks.harness import Contender, Goal, Measurement, TurnFailed
from dask_hpc._clock import SystemClock, until
from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.cluster.slot import slot_of
from dask_hpc.controller.journal import Event, read_journal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.harness import Quantities
    from dask_hpc import HPCCluster
    from dask_hpc.controller.report import JobReport

_JOBS, _SIZE = 2, Size(workers=2, cores=2)
_ALL = _JOBS * _SIZE.workers
_PATIENCE = 20.0  # seconds: who has not replaced a job then never will
_WAYS = {"scancel": (), "kill -9": ("--signal=KILL", "--full")}


def measurement() -> Measurement:
    """Return the measurement."""
    return Measurement(
        name="Lost job: from its workers' disconnect to its replacement's submission",
        contenders=[
            Contender(name="HPCCluster", run=lambda: asyncio.run(_ours())),
            Contender(
                name=f"{NAME}, within {_PATIENCE:.0f} s",
                run=lambda: asyncio.run(_theirs()),
                turns=1,
            ),
        ],
        goals=[Goal(quantity=f"after {way} s", at_most=1.0) for way in _WAYS],
        around=slurm,
    )


async def _ours() -> Quantities:
    found = {}
    async with ours(_SIZE) as cluster, Client(cluster, asynchronous=True) as client:
        await cluster.scale(jobs=_JOBS)
        for way, options in _WAYS.items():
            await wait(lambda: workers(cluster) == _ALL, f"{_ALL} workers")
            found[f"after {way} s"] = await _replaced(cluster, client, options=options)
    return found


async def _replaced(cluster: HPCCluster, client: Any, *, options: Sequence[str]) -> float:
    """Let a job be lost; return how long it took from then to the next submission."""
    names = _names(cluster)
    job = await _running(cluster)
    victims = {address for address, name in names.items() if str(slot_of(name)) == job.slot}
    before = len(_submissions(cluster))
    _scancel(*options, str(job.job))
    await wait(lambda: len(_submissions(cluster)) > before, "a replacement", seconds=_PATIENCE)
    submitted = _submissions(cluster)[before]
    await wait(lambda: not victims & set(_names(cluster)), "the workers' end")
    gone = [
        float(time)
        for time, event in await client.get_events("all")
        if event.get("action") == "remove-worker" and event.get("worker") in victims
    ]
    return submitted - max(gone)


async def _running(cluster: HPCCluster) -> JobReport:
    """Return a job that the controller has seen to serve with all its workers."""
    clock = SystemClock()
    deadline = clock.monotonic() + _PATIENCE
    while clock.monotonic() < deadline:
        serving: list[JobReport]
        serving = [job for job in await cluster.jobs() if job.workers == _SIZE.workers]
        if serving:
            return serving[0]
        await clock.sleep(0.1)
    raise TurnFailed("no job serves")


def _names(cluster: Any) -> dict[str, str]:
    """Return the connected workers, by address."""
    known = cluster.scheduler_info["workers"].items()
    return {address: str(worker["name"]) for address, worker in known}


def _submissions(cluster: HPCCluster) -> list[float]:
    """Return when each submission was known to be accepted."""
    entries = read_journal(ClusterDirectory(cluster.spec.directory).journal)
    return [entry.time for entry in entries if entry.event is Event.SUBMITTED]


async def _theirs() -> Quantities:
    async with theirs(_SIZE) as cluster:
        cluster.scale(jobs=_JOBS)
        await wait(lambda: workers(cluster) == _ALL, f"{_ALL} workers")
        _scancel(str(next(iter(cluster.workers.values())).job_id))
        await wait(lambda: workers(cluster) < _ALL, "the workers' end")
        begin = SystemClock().monotonic()
        came = await until(lambda: _queued() == _JOBS, _PATIENCE, clock=SystemClock(), every=0.1)
        return {"after scancel s": SystemClock().monotonic() - begin if came else float("inf")}


def _queued() -> int:
    argv = ["squeue", "-h", "-t", "pending,running", "-o", "%i"]
    return len(subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split())


def _scancel(*words: str) -> None:
    subprocess.run(["scancel", *words], check=True)
