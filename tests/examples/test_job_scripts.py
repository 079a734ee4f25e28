"""The word count in one job of each batch system: what is submitted, and what comes out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.examples.test_examples import EXAMPLES, counted_by_one_process
from tests.integration.systems import SystemPlace, system_at

if TYPE_CHECKING:
    from collections.abc import Iterator

SMALL = ("--cores=2", "--processes=2", "--memory=600MB", "--walltime=10m")
# What the stand-ins have no more than one of: a node.
NODES = {
    "pbs": (
        "--nodes=2",
        *("--prologue", 'printf "node1\nnode2\n" >"$TMPDIR/nodes"'),
        *("--prologue", 'export PBS_NODEFILE="$TMPDIR/nodes"'),
        *("--directives", "-l select=1:ncpus=4:mem=1200mb"),
    ),
    "lsf": ("--nodes=2", "--prologue", 'export LSB_MCPU_HOSTS="node1 2 node2 2"'),
    "sge": (),
}
DIRECTIVES = {
    "pbs": "#PBS -l select=9:ncpus=8:",
    "slurm": "#SBATCH --nodes=9",
    "lsf": "#BSUB -n 72",
    "sge": "#$ -pe smp 8",
}


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let scripts find our command, and their logs go elsewhere than where the tests began."""
    monkeypatch.setenv(
        "PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    )
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def run(system: str, *options: str) -> subprocess.CompletedProcess[str]:
    argv = ["sh", str(EXAMPLES / f"{system}.sh"), *options]
    return subprocess.run(argv, capture_output=True, text=True, timeout=100, check=False)


def test_there_is_one_for_each_of_these_systems() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.sh")} == DIRECTIVES.keys()


@pytest.mark.usefixtures("home", "path")
@pytest.mark.parametrize("system", DIRECTIVES)
def test_a_dry_run_shows_the_job(system: str) -> None:
    done = run(system, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert DIRECTIVES[system] in done.stdout
    assert "dask_hpc.boot.allocation" in done.stdout


# Slurm's is run on separate hosts, see tests/integration/test_run_on_hosts.py.
@pytest.fixture(params=["pbs", "lsf", pytest.param("sge", marks=pytest.mark.bed("sge"))])
def place(request: pytest.FixtureRequest, path: None) -> Iterator[SystemPlace]:
    with system_at(request, request.param) as found:
        yield found


@pytest.mark.timeout(180)
def test_the_words_are_those_that_one_process_counts(place: SystemPlace) -> None:
    more = NODES[place.site]
    done = run(place.site, *SMALL, *more)
    assert done.returncode == 0, done.stdout + done.stderr
    first, *words = done.stdout.splitlines()
    assert first.startswith(f"dask-hpc: {3 if more else 1} worker"), done.stdout
    assert words == counted_by_one_process()
    assert place.left() == []
