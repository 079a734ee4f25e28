"""Each worker of a node sees GPUs of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dask_hpc.batch.model import Resources
from dask_hpc.boot.gpus import gpus_of
from dask_hpc.cluster.spec import ClusterSpec, Home

SPEC = ClusterSpec(
    name="a",
    site="slurm",
    system="slurm",
    user="me",
    home=Home.JOB,
    directory=Path("/none"),
    worker=Resources(cores=4, memory=2**30),
    scheduler=Resources(cores=1, memory=2**30),
    processes=4,
    python="python",
)


def seen(environ: dict[str, str], *, gpus: int, processes: int) -> list[dict[str, str]]:
    spec = replace(SPEC, worker=replace(SPEC.worker, gpus=gpus), processes=processes)
    return [gpus_of(worker, spec, environ=environ) for worker in range(processes)]


def test_without_gpus_nothing_is_set() -> None:
    assert seen({"CUDA_VISIBLE_DEVICES": "0,1"}, gpus=0, processes=2) == [{}, {}]


@pytest.mark.parametrize(
    ("devices", "processes", "each"),
    [
        ("2,5", 2, ["2", "5"]),
        ("GPU-7a,GPU-9c", 1, ["GPU-7a,GPU-9c"]),
        ("0,1,2,3", 2, ["0,1", "2,3"]),
        ("0,1", 4, ["0", "1", "0", "1"]),
    ],
)
def test_the_gpus_of_the_job_are_divided(devices: str, processes: int, each: list[str]) -> None:
    found = seen({"CUDA_VISIBLE_DEVICES": devices}, gpus=2, processes=processes)
    assert found == [{"CUDA_VISIBLE_DEVICES": one} for one in each]


def test_where_the_system_says_nothing_they_are_counted() -> None:
    assert seen({}, gpus=2, processes=2) == [
        {"CUDA_VISIBLE_DEVICES": one, "ROCR_VISIBLE_DEVICES": one} for one in ("0", "1")
    ]


def test_gpus_of_amd_have_their_own_variable() -> None:
    found = seen({"ROCR_VISIBLE_DEVICES": "0,1"}, gpus=2, processes=2)
    assert found == [{"ROCR_VISIBLE_DEVICES": "0"}, {"ROCR_VISIBLE_DEVICES": "1"}]
