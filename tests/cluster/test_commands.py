from __future__ import annotations

import shlex
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dask_hpc.batch.model import Tag
from dask_hpc.batch.system import JobVariables
from dask_hpc.cluster.commands import scheduler_job, worker_job
from tests.cluster.specs import a_spec

if TYPE_CHECKING:
    from collections.abc import Callable

    from dask_hpc.batch.model import JobSpec

GOLDEN = Path(__file__).parent / "golden"
TAG = Tag("climate-2-abcd2345")
VARIABLES = JobVariables(
    job_id="${BATCH_JOB}", index="${BATCH_INDEX:-0}", end_time="${BATCH_END:-}"
)
SPEC = a_spec(
    directory=Path("/home/o'neill/state $HOME/clusters/climate-2"),
    python="/home/o'neill/my env/bin/python",
    prologue=("module purge", 'export FLAVOUR="mild"  # the user\'s own'),
)


@pytest.mark.parametrize(("make", "name"), [(worker_job, "worker"), (scheduler_job, "scheduler")])
def test_the_script_of_a_job_is_as_it_should_be(make: Callable[..., JobSpec], name: str) -> None:
    body = make(SPEC, VARIABLES, tag=TAG).body
    assert body == (GOLDEN / f"{name}.sh").read_text(encoding="utf-8")


def test_bash_can_read_the_golden_scripts() -> None:
    for path in GOLDEN.glob("*.sh"):
        run = subprocess.run(["bash", "-n", path], capture_output=True, timeout=10, check=False)
        assert (run.returncode, run.stderr) == (0, b"")


def test_a_job_is_found_and_read_by_its_submission() -> None:
    job = worker_job(SPEC, VARIABLES, tag=TAG)
    assert job.tag == TAG
    assert job.log == f"{SPEC.directory}/logs/climate-2-abcd2345.{{index}}.log"
    assert job.comment == "dask-hpc climate-2"


def test_each_kind_of_job_asks_for_its_own_resources() -> None:
    assert worker_job(SPEC, VARIABLES, tag=TAG).resources == SPEC.worker
    assert scheduler_job(SPEC, VARIABLES, tag=TAG).resources == SPEC.scheduler


def test_without_a_walltime_the_end_is_not_guessed() -> None:
    endless = replace(SPEC, worker=replace(SPEC.worker, walltime=None))
    assert "dask_hpc_begin +" in worker_job(SPEC, VARIABLES, tag=TAG).body
    assert "dask_hpc_begin +" not in worker_job(endless, VARIABLES, tag=TAG).body


def test_no_secret_and_no_address_is_in_a_script() -> None:
    body = worker_job(SPEC, VARIABLES, tag=TAG).body
    assert "tls" not in body
    assert "key" not in body
    assert "://" not in body


def test_a_program_runs_as_a_module_of_the_clusters_own_copy() -> None:
    body = worker_job(SPEC, VARIABLES, tag=TAG).body
    code = shlex.quote("/home/o'neill/state $HOME/clusters/climate-2/lib")
    assert f"export PYTHONPATH={code}" in body
    assert f"{shlex.quote(SPEC.python)} \\\n  -m \\\n  dask_hpc.boot.workers" in body
