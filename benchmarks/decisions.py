"""What the controller thinks about ten thousand jobs, beside one plain pass over them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from benchmarks.harness import Contender, Measurement
from dask_hpc.batch.model import JobId, Tag
from dask_hpc.cluster.slot import Slot
from dask_hpc.controller.decide import decide
from dask_hpc.controller.states import Phase, Snapshot, WorkerJob

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.harness import Quantities

JOBS = 10_000
_TIMES = 20


def measurement() -> Measurement:
    """Return the measurement."""
    steady, fewer = _snapshot(wanted=JOBS), _snapshot(wanted=JOBS // 2)
    return Measurement(
        name=f"decisions on {JOBS} jobs",
        contenders=[
            Contender(
                name="decide",
                run=lambda: {
                    "steady ms": _milliseconds(lambda: decide(steady)),
                    "halve ms": _milliseconds(lambda: decide(fewer)),
                },
            ),
            Contender(name="one pass in Python", run=lambda: _pass(steady)),
        ],
    )


def _pass(snapshot: Snapshot) -> Quantities:
    took = _milliseconds(lambda: [job for job in snapshot.jobs if job.is_live])
    return {"steady ms": took, "halve ms": took}


def _milliseconds(act: Callable[[], Any]) -> float:
    begin = time.process_time()
    for _ in range(_TIMES):
        act()
    return (time.process_time() - begin) / _TIMES * 1000


def _snapshot(*, wanted: int) -> Snapshot:
    phases = (Phase.RUNNING, Phase.RUNNING, Phase.PENDING, Phase.STARTING)
    jobs = tuple(
        WorkerJob(
            slot=Slot(Tag(f"bench-{number // 100}"), number % 100),
            phase=phases[number % len(phases)],
            since=float(number),
            job=JobId(str(number)),
            idle=number % 3 == 0,
            end_time=1e9,
        )
        for number in range(JOBS)
    )
    return Snapshot(jobs=jobs, wanted=wanted, now=float(JOBS))
