"""``dask-hpc doctor``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from dask_hpc.cli.main import cli

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

    from tests.beds.beds import SlurmBed
    from tests.sites.conftest import WriteProfile


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["doctor", *arguments])


@pytest.mark.slow
@pytest.mark.usefixtures("home")
def test_a_good_place_has_no_error() -> None:
    done = run("--site", "local")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[0].split() == ["what", "finding", "hint"]
    assert "local: --site names it" in done.stdout
    assert done.stderr == "looking around\n"


@pytest.mark.slow
@pytest.mark.usefixtures("home")
def test_an_error_is_the_exit_code_too(users: WriteProfile) -> None:
    path = users("bad", "coers: 4\n")
    done = run("--site", "local", "--json")
    assert done.exit_code == 1
    errors = [found for found in json.loads(done.stdout) if found["severity"] == "error"]
    assert errors == [
        {
            "about": "profile",
            "severity": "error",
            "text": f"{path}:1: key 'coers' is unknown",
            "hint": "did you mean 'cores'?",
            "is_security": True,
        }
    ]


@pytest.mark.slow
def test_security_is_what_keeps_others_out(home: Path) -> None:
    home.chmod(0o755)
    done = run("--site", "local", "--security", "--json")
    assert done.exit_code == 1
    found = json.loads(done.stdout)
    assert {one["about"] for one in found} == {"tls", "home", "profile", "cluster"}
    assert [one["text"] for one in found if one["severity"] == "error"] == [
        f"{home} is open to others (mode 0755)"
    ]


@pytest.mark.usefixtures("home")
def test_a_batch_system_that_does_not_answer_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = run("--site", "slurm", "--json")
    assert done.exit_code == 1
    (error,) = [one for one in json.loads(done.stdout) if one["severity"] == "error"]
    assert error["about"] == "batch system"


@pytest.mark.usefixtures("home")
def test_a_real_batch_system_answers(slurm: SlurmBed) -> None:
    found = {one["about"]: one["text"] for one in json.loads(run("--json").stdout)}
    assert found["batch system"] == ("slurm answers; open queues: batch, debug, preempt, scavenge")
    assert found["site"].startswith("slurm: slurm 22.05.8 is installed here")
