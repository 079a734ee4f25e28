"""Jobs and reports as a controller gives them."""

from __future__ import annotations

from typing import Any

from dask_hpc.batch.model import JobId
from dask_hpc.controller.report import JobReport, PoolReport, Report
from dask_hpc.controller.states import Step


def job(slot: str, *steps: tuple[str, float], **facts: Any) -> JobReport:
    """Return a job that went through these phases, at these times."""
    phase, since = steps[-1]
    seen = tuple(Step(phase=phase, time=time) for phase, time in steps)
    named = {"job": JobId(slot.partition(".")[2])}
    return JobReport(slot=slot, phase=phase, since=since, steps=seen, **{**named, **facts})


def report(*jobs: JobReport, **facts: Any) -> Report:
    """Return a report on them."""
    usual = {"wanted": len(jobs), "workers": sum(each.workers for each in jobs)}
    facts = {**usual, "workers_per_job": 2, **facts}
    pool = {name: facts[name] for name in ("wanted", "workers", "workers_per_job")}
    return Report(jobs=jobs, **{"pools": {"default": PoolReport(**pool)}, **facts})


WAITS = job("x.1", ("submitting", 0.0), ("pending", 1.0), reason="resources are not free")
RUNS = job("x.2", ("pending", 0.0), ("starting", 10.0), ("running", 15.0), workers=2, host="n1")
FAILED = job(
    "x.3", ("pending", 0.0), ("starting", 5.0), ("ended", 8.0), exit_code=7, reason="it failed"
)
