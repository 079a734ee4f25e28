"""What is told of a user's set-up for dask-jobqueue."""

from __future__ import annotations

import pytest

from dask_hpc.compat.check import in_line, in_sections, read_file
from dask_hpc.errors import ConfigError

FILE = """
jobqueue:
  slurm:
    cores: 8
    memory: 24GB
    env-extra: [module load python]
    project: geo
    wall-time: 2h
  sge:
    project: geo
  mine:
    shared-temp-directory: /scratch
"""


def told(line: str = "") -> dict[str, str]:
    sections = read_file(FILE, name="jobqueue.yaml")
    found = [*in_sections(sections), *(in_line(line, sections) if line else ())]
    return {each.place: each.words for each in found}


def test_keys_that_are_old_unknown_or_without_effect_are_told() -> None:
    found = told()
    assert set(found) == {
        "jobqueue.slurm.env-extra",
        "jobqueue.slurm.project",
        "jobqueue.slurm.wall-time",
        "jobqueue.mine.shared-temp-directory",
    }
    assert "job-script-prologue" in found["jobqueue.slurm.env-extra"]
    assert "'walltime'" in found["jobqueue.slurm.wall-time"]


def test_a_line_is_tried_with_the_file() -> None:
    found = told("cluster = SLURMCluster(worker_command='dask_cuda.cli')")
    assert "the worker command is dask_cuda.cli" in found["SLURMCluster"]


@pytest.mark.parametrize(
    "line", ["", "SLURMCluster", "Cluster(cores=1)", "SLURMCluster(cores=x)", "SGECluster(cores=1)"]
)
def test_a_line_that_is_no_call_or_would_fail_is_an_error(line: str) -> None:
    with pytest.raises(ConfigError):
        list(in_line(line, {}))


@pytest.mark.parametrize("text", ["a: [", "slurm: {}", "3"])
def test_a_file_without_sections_is_an_error(text: str) -> None:
    with pytest.raises(ConfigError, match=r"jobqueue\.yaml"):
        read_file(text, name="jobqueue.yaml")
