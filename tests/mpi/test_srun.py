"""Tasks that Slurm starts: no MPI is there, and none is needed."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from tests.beds.beds import CHECKOUT
from tests.mpi.launch import finished, tracebacks
from tests.mpi.programs import AT_ONCE, EXECUTE

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

EXAMPLE = CHECKOUT / "examples" / "mpi.py"


def srun(home: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run Python in four tasks, on two nodes of the bed."""
    return finished(
        ["srun", "-N2", "-n4", "--mpi=none", sys.executable, *map(str, words)],
        environ={**os.environ, "PYTHONPATH": str(CHECKOUT / "src"), "DASK_HPC_HOME": str(home)},
        home=home,
    )


@pytest.mark.usefixtures("slurm")
def test_the_example_runs_in_the_tasks_of_a_step(home: Path) -> None:
    done = srun(home, EXAMPLE, "--darts", "100000")
    assert done.returncode == 0, done.stderr
    assert "pi is about 3.1" in done.stdout
    assert tracebacks(done.stderr) == 0
    assert not list((home / "mpi").rglob("*"))


@pytest.mark.usefixtures("slurm")
def test_a_function_that_fails_ends_the_step_and_says_why_once(home: Path) -> None:
    done = srun(home, "-c", EXECUTE, "raise ValueError('on purpose')", "{}")
    assert done.returncode not in (0, None)
    assert done.stderr.count("ValueError: on purpose") == 1
    assert tracebacks(done.stderr) == 1


@pytest.mark.usefixtures("slurm")
def test_a_function_that_fails_before_the_workers_have_begun_ends_the_step(home: Path) -> None:
    done = srun(home, "-c", AT_ONCE, "raise ValueError('on purpose')")
    assert done.returncode == 1
    assert tracebacks(done.stderr) == 1
    assert "after" not in done.stdout
    assert not list((home / "mpi").rglob("*"))
