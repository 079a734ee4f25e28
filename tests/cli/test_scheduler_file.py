"""``dask-hpc up --scheduler-file``: for programs that know only distributed."""

from __future__ import annotations

import json
import stat
import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from dask_hpc import HPCCluster
from dask_hpc.cli.main import cli

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.places import Place

PROGRAM = """
import json, sys
from distributed import Client, Security
facts = json.load(open(sys.argv[1]))
with Client(scheduler_file=sys.argv[1], security=Security(**facts["security"])) as client:
    print(client.submit(pow, 2, 10).result(timeout=30))
"""


def test_a_program_that_knows_only_distributed_computes_there(place: Place, tmp_path: Path) -> None:
    path, name = tmp_path / "scheduler.json", place.name()
    words = ("--name", name, "--jobs", "1", "--scheduler-file", str(path))
    record = place.ask("up", *place.small_options, *words)
    assert json.loads(path.read_text())["address"] == record["address"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with place.start(sys.executable, "-c", PROGRAM, str(path)) as process:
        out, err = process.communicate(timeout=60)
    assert out == "1024\n", err
    assert place.ask("down", name) == [{"name": name, "left": []}]
    assert not path.exists()


def test_it_is_gone_with_a_cluster_that_was_killed(local_place: Place, tmp_path: Path) -> None:
    path, name = tmp_path / "scheduler.json", local_place.name()
    words = ("--name", name, "--jobs", "0", "--scheduler-file", str(path))
    local_place.ask("up", *local_place.small_options, *words)
    for process in local_place.processes():
        process.kill()
    local_place.ask("down", name)
    assert not path.exists()


@pytest.mark.parametrize("scheduler", ["here", "job"])
def test_a_notebook_can_have_one_too(place: Place, tmp_path: Path, scheduler: str) -> None:
    path, name = tmp_path / "scheduler.json", place.name()
    with HPCCluster(
        **place.small, name=name, scheduler=scheduler, scheduler_file=str(path)
    ) as cluster:
        assert json.loads(path.read_text())["address"] == cluster.scheduler_address
        cluster.shutdown()
    assert not path.exists()


@pytest.mark.parametrize(
    ("name", "trouble"), [("nowhere/s.json", "cannot be: "), ("", "is a directory")]
)
def test_a_place_where_no_file_can_be_is_told_before_anything_is_submitted(
    home: Path, tmp_path: Path, name: str, trouble: str
) -> None:
    path = f"{tmp_path}/{name}"
    done = CliRunner().invoke(cli, ["up", "local", "--scheduler-file", path])
    said = done.stderr.removeprefix("site local: site names it\n")
    assert (done.exit_code, done.stdout) == (1, "")
    assert said.startswith(f"error: --scheduler-file {path!r} {trouble}")
    assert "hint: name a file in a directory that exists" in said
    assert not (home / "clusters").exists() or not list((home / "clusters").iterdir())
