"""What the controller thinks about ten thousand jobs, beside one plain pass over them."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks.harness import Contender, Goal, Measurement
from dask_hpc.batch.model import JobId, Tag
from dask_hpc.cluster.slot import Slot
from dask_hpc.controller.decide import decide
from dask_hpc.controller.states import Phase, Snapshot, WorkerJob

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.harness import Quantities

JOBS = 10_000
_TIMES = 20
# How many are wanted, and since when the jobs are where they are: who starts for too long, hangs.
_SITUATIONS = {
    "nothing to do": (JOBS, 200.0),
    "half of them to go": (JOBS // 2, 200.0),
    "a quarter hangs": (JOBS, 10_000.0),
}


def measurement() -> Measurement:
    """Return the measurement."""
    return Measurement(
        name=f"Decisions on {JOBS:,} jobs",
        contenders=[
            Contender(name="decide", run=_decide),
            Contender(name="one pass in Python", run=_pass, yardstick=True),
        ],
        goals=[Goal(quantity=f"{name} ms", at_most=20.0) for name in _SITUATIONS],
    )


def _decide() -> Quantities:
    found = {}
    for name, (wanted, longest) in _SITUATIONS.items():
        snapshot = _snapshot(wanted=wanted, longest=longest)
        found[f"{name} ms"] = _milliseconds(partial(decide, snapshot))
    return found


def _pass() -> Quantities:
    jobs = _snapshot(wanted=JOBS, longest=0.0).jobs
    took = _milliseconds(lambda: [job for job in jobs if job.is_live])
    return {f"{name} ms": took for name in _SITUATIONS}


def _milliseconds(act: Callable[[], Any]) -> float:
    begin = time.process_time()
    for _ in range(_TIMES):
        act()
    return (time.process_time() - begin) / _TIMES * 1000


def _snapshot(*, wanted: int, longest: float) -> Snapshot:
    """Return jobs in every live phase, each for so many seconds at most."""
    phases = (Phase.RUNNING, Phase.RUNNING, Phase.PENDING, Phase.STARTING)
    now = 1e6
    jobs = tuple(
        WorkerJob(
            slot=Slot(Tag(f"bench-{number // 100}"), number % 100),
            phase=phases[number % len(phases)],
            since=now - longest * number / JOBS,
            job=JobId(str(number)),
            idle=number % 3 == 0,
            end_time=1e9,
        )
        for number in range(JOBS)
    )
    return Snapshot(jobs=jobs, wanted=wanted, now=now)
