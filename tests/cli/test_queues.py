"""``dask-hpc queues``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from dask_hpc.cli.main import cli

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

    from tests.sites.conftest import WriteProfile


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["queues", *arguments])


@pytest.mark.slow
@pytest.mark.usefixtures("home")
def test_the_local_queue_is_as_large_as_it_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASK_HPC__LOCAL__CORES", "16")
    monkeypatch.setenv("DASK_HPC__LOCAL__MEMORY", "64 GiB")
    done = run("--site", "local", "--cores", "8", "--json")
    assert done.exit_code == 0, done.output
    (queue,) = json.loads(done.stdout)
    assert (queue["name"], queue["cores_per_node"]) == ("local", 16)
    assert queue["memory_per_node"] == 64 * 2**30
    assert (queue["start"], queue["reason"]) == ("now", "")
    assert done.stderr == "site local: --site names it\n"


@pytest.mark.slow
@pytest.mark.usefixtures("home")
def test_a_job_that_is_too_large_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASK_HPC__LOCAL__CORES", "4")
    done = run("--site", "local", "--cores", "8", "--memory", "1GB")
    assert "never: cores 8 is more than the 4 of a node" in done.stdout


@pytest.mark.usefixtures("slurm")
def test_real_queues_are_shown_with_their_limits() -> None:
    done = run("--site", "slurm", "--walltime", "30m")
    assert done.exit_code == 0, done.output
    header, *lines = done.stdout.splitlines()
    assert header.startswith("queue ")
    assert lines[0].startswith("batch (default)  open   1d")
    assert "never: walltime 30m is more than the 2m" in lines[1]


@pytest.mark.usefixtures("slurm")
def test_an_unknown_queue_is_refused_with_those_that_there_are() -> None:
    done = run("--site", "slurm", "--queue", "batsh")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.endswith(
        "error: queue 'batsh' is unknown to slurm\nhint: did you mean 'batch'?\n"
    )


@pytest.mark.usefixtures("slurm")
def test_the_profiles_own_limits_count_too(users: WriteProfile) -> None:
    users("alpine", "system: slurm\nqueues:\n  batch: {max_walltime: 10 min}\n")
    done = run("--site", "alpine", "--queue", "batch", "--json")
    (queue,) = json.loads(done.stdout)
    assert queue["start"] == "never"
    assert queue["reason"] == "walltime 1h is more than the 10m of the profile"


def test_a_batch_system_that_is_not_there_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = run("--site", "slurm")
    assert done.exit_code == 1
    assert "error: " in done.stderr
    assert "sinfo" in done.stderr
