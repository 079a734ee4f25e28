"""The runners of dask-jobqueue: its own program, in the tasks of a launch on each system."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from dask_hpc.compat import runner
from dask_hpc.errors import ConfigError, LaunchError
from tests.beds.beds import CHECKOUT
from tests.mpi.launch import PATIENCE, tracebacks

if TYPE_CHECKING:
    from pathlib import Path

# As in dask-jobqueue 0.9.0, tests/slurm_runner/basic.py, but for the import.
BASIC = """
import sys
from dask.distributed import Client
from dask_hpc.compat.runner import {kind}

with {kind}(scheduler_file=sys.argv[1] + "/{{job_id}}.json") as runner:
    with Client(runner) as client:
        print(runner.n_workers, "workers at", runner.scheduler_address.partition(":")[0])
        assert client.submit(lambda x: x + 1, 10).result() == 11
        assert client.submit(lambda x: x + 1, 20, workers=2).result() == 21
        print(runner.role, runner.scheduler_file.exists(), "Test passed")
"""
ASYNCHRONOUS = """
import asyncio
from dask.distributed import Client
from dask_hpc.compat.runner import SLURMRunner

async def main():
    async with SLURMRunner(worker_options={"nthreads": 2}, asynchronous=True) as runner:
        async with Client(runner, asynchronous=True) as client:
            await client.wait_for_workers(runner.n_workers)
            print(sum((await client.nthreads()).values()), "threads")
            raise ValueError("on purpose")

asyncio.run(main())
"""


def environment(home: Path, **more: str) -> dict[str, str]:
    found = {"PYTHONPATH": str(CHECKOUT / "src"), "DASK_HPC_HOME": str(home / "state")}
    return {**os.environ, **found, **more}


def srun(home: Path, program: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Python in four tasks, on two nodes of the bed."""
    return subprocess.run(
        ["srun", "-N2", "-n4", "--mpi=none", sys.executable, "-c", program, *words],
        env=environment(home),
        cwd=home,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.mark.usefixtures("slurm")
def test_the_program_of_dask_jobqueue_runs_in_the_tasks_of_a_step(home: Path) -> None:
    done = srun(home, BASIC.format(kind="SLURMRunner"), str(home))
    assert done.returncode == 0, done.stderr
    assert "2 workers at tls\n" in done.stdout
    assert "Role.client True Test passed\n" in done.stdout
    assert tracebacks(done.stderr) == 0
    assert not [*home.glob("*.json*"), *(home / "state" / "mpi").rglob("*")]


@pytest.mark.usefixtures("slurm")
def test_an_asynchronous_program_that_fails_ends_all_tasks(home: Path) -> None:
    done = srun(home, ASYNCHRONOUS)
    assert done.returncode not in (0, None)
    assert "4 threads\n" in done.stdout, done.stderr
    assert done.stderr.count("ValueError: on purpose") == 1
    assert not [*home.glob("*.json*"), *(home / "state" / "mpi").rglob("*")]


@pytest.mark.parametrize("kind", ["PBSRunner", "LSFRunner", "SGERunner", "OARRunner"])
def test_tasks_that_a_job_script_numbers_are_a_cluster(home: Path, kind: str) -> None:
    argv = [sys.executable, "-c", BASIC.format(kind=kind), str(home)]
    job = {getattr(runner, kind).job_variable: "42", "DASK_HPC_TASKS": "3"}
    tasks = [
        subprocess.Popen(
            argv,
            env=environment(home, **job, DASK_HPC_RANK=str(rank)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(3)
    ]
    said = [task.communicate(timeout=PATIENCE) for task in tasks]
    assert [task.returncode for task in tasks] == [0, 0, 0], said
    assert "1 workers at tls\nRole.client True Test passed\n" in said[1][0]
    assert sum(tracebacks(err) for _, err in said) == 0
    assert not [*home.glob("*.json*"), *(home / "state" / "mpi").rglob("*")]


VARIABLES = {
    "SLURMRunner": "SLURM_JOB_ID",
    "PBSRunner": "PBS_JOBID",
    "LSFRunner": "LSB_JOBID",
    "SGERunner": "JOB_ID",
    "OARRunner": "OAR_JOB_ID",
}


@pytest.mark.parametrize(("kind", "variable"), VARIABLES.items())
def test_outside_of_a_job_there_is_no_runner(
    monkeypatch: pytest.MonkeyPatch, kind: str, variable: str
) -> None:
    monkeypatch.delenv(variable, raising=False)
    with pytest.raises(LaunchError, match=f"that a {kind} knows: {variable} is not set"):
        getattr(runner, kind)()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"scheduler": False, "client": True}, ConfigError, "a client without a scheduler"),
        ({"colour": "red"}, TypeError, "unexpected keyword argument 'colour'"),
        ({"scheduler_options": {"colour": "red"}}, ConfigError, "has 'colour'"),
        ({}, runner.WorldTooSmallException, "2 tasks cannot be a cluster that needs 3"),
    ],
)
def test_what_cannot_be_is_refused(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], error: type, words: str
) -> None:
    for name, value in {"PBS_JOBID": "42", "DASK_HPC_RANK": "1", "DASK_HPC_TASKS": "2"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(error, match=words):
        runner.PBSRunner(**options)
