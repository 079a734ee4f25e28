"""A detached cluster whose scheduler lands where nobody can submit says so, and goes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import dask_hpc
from tests.integration.test_foreign_environment import whoever_can_read_us

if TYPE_CHECKING:
    from tests.beds.beds import SlurmBed

UP = ("up", "slurm", "--name", "net", "--cores=1", "--memory=500MB", "--walltime=10m")


def test_up_says_that_nodes_cannot_submit_and_leaves_nothing(slurm_net: SlurmBed) -> None:
    user = whoever_can_read_us(slurm_net)
    home = slurm_net.directory("home", user=user)
    environ = {
        "DASK_HPC_HOME": str(home),
        "PYTHONPATH": str(Path(dask_hpc.__file__).parents[1]),
    }
    program = (sys.executable, "-m", "dask_hpc.cli.main", *UP)
    done = slurm_net.run(*program, user=user, env=environ, check=False, timeout=100)
    assert done.returncode == 1
    error, hint = done.stderr.splitlines()[-2:]
    assert error == "error: sbatch cannot be run here: no such file or directory"
    assert hint.startswith("hint: load the module that brings it")
    assert hint.endswith("; where nodes may not submit, set submit_from to login")
    assert slurm_net.run("ls", home / "clusters", user=user).stdout == ""
    assert not [job for job in slurm_net.jobs() if " net-" in job]
