"""Worker jobs as values, in few words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dask_hpc.batch.model import JobId, Tag
from dask_hpc.cluster.slot import Slot
from dask_hpc.controller.states import Limits, Phase, Snapshot, WorkerJob

NOW = 1_000_000.0
CANCELLABLE = (Phase.PENDING, Phase.STARTING, Phase.MISSING, Phase.RUNNING)
LASTING = (Phase.SUBMITTING, *CANCELLABLE)


def slot(name: str | int) -> Slot:
    return Slot(Tag(f"c-{name}"), 0)


def a_job(name: str | int, phase: Phase, **facts: Any) -> WorkerJob:
    """Return a job of this phase, with an id wherever a job of this phase has one."""
    plain = WorkerJob(
        slot=slot(name),
        phase=phase,
        since=NOW - 5,
        job=None if phase is Phase.SUBMITTING else JobId(str(name)),
        served=phase in (Phase.RUNNING, Phase.MISSING),
        workers=1 if phase is Phase.RUNNING else 0,
    )
    return replace(plain, **facts)


def a_snapshot(*jobs: WorkerJob, wanted: int, **facts: Any) -> Snapshot:
    return Snapshot(jobs=jobs, wanted=wanted, now=NOW, limits=Limits(), **facts)
