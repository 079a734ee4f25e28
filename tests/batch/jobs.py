"""The jobs that every batch system is asked for in tests, and where their scripts stand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from dask_hpc.batch.model import JobSpec, Resources, Tag

GOLDEN = Path(__file__).parents[1] / "golden"
GIB = 2**30

SMALL = JobSpec(
    tag=Tag("dask-climate-7f3a"),
    resources=Resources(cores=1, memory=GIB),
    body="exec true",
    log="/home/ada/.local/state/dask-hpc/clusters/climate/logs/dask-climate-7f3a.{index}.log",
)
_EVERYTHING = Resources(
    cores=36,
    memory=100 * 10**9,
    nodes=2,
    gpus=4,
    walltime=93600,
    queue="premium",
    account="physics-1",
)


def asking(**changes: Any) -> JobSpec:
    """Return the small job with other resources."""
    return replace(SMALL, resources=replace(SMALL.resources, **changes))


def full(*directives: str, **changes: Any) -> JobSpec:
    """Return a job that asks for everything there is, and for what only one system has."""
    resources = replace(_EVERYTHING, directives=directives, **changes)
    return replace(SMALL, resources=resources, comment="a worker of climate")


def samples(full: JobSpec, weird: JobSpec) -> list[tuple[str, JobSpec, int]]:
    """Return the name of each golden script, with its job and how many of it."""
    return [("small", SMALL, 1), ("array", SMALL, 10), ("full", full, 1), ("weird", weird, 2)]
