"""``dask-hpc jobqueue check``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from click.testing import CliRunner

from dask_hpc.cli.main import cli

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result


def check(file: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["jobqueue", "check", str(file), *arguments])


def test_what_differs_is_told(tmp_path: Path) -> None:
    file = tmp_path / "jobqueue.yaml"
    file.write_text("jobqueue: {slurm: {core: 8}}\n", encoding="utf-8")
    line = 'SLURMCluster(cores=1, memory="1GB", nanny=False)'
    done = check(file, "--json", "--line", line)
    assert done.exit_code == 0, done.output
    found = {each["place"]: each["words"] for each in json.loads(done.stdout)}
    assert "did you mean 'cores'?" in found["jobqueue.slurm.core"]
    assert "the workers have no nanny" in found["SLURMCluster"]


def test_it_says_so_if_nothing_differs(tmp_path: Path) -> None:
    file = tmp_path / "jobqueue.yaml"
    file.write_text("jobqueue: {slurm: {cores: 8}}\n", encoding="utf-8")
    done = check(file)
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "nothing differs\n")


def test_a_file_without_sections_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "jobqueue.yaml"
    file.write_text("slurm: {cores: 8}\n", encoding="utf-8")
    done = check(file)
    assert done.exit_code == 1
    assert "has no table jobqueue" in done.stderr
