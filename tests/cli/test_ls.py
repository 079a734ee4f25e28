"""``dask-hpc ls``."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

import pytest

from tests.integration.places import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.places import Place, Standing


def test_without_clusters_it_says_so(place: Place) -> None:
    done = place.dask_hpc("ls")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "there are no clusters; dask-hpc up starts one\n"
    assert place.ask("ls") == []


def test_every_cluster_has_a_line(standing: Standing) -> None:
    done = standing.place.dask_hpc("ls")
    assert done.returncode == 0
    header, line = (row.split() for row in done.stdout.splitlines())
    assert header[:3] == ["name", "site", "state"]
    assert line[:3] == [standing.name, "local", "running"]
    assert " ".join(line).startswith(f"{standing.name} local running 2 of 2 1 of 1 0 ")
    assert line[-1].startswith("tls://127.0.0.1:")


def test_programs_get_all_of_it(standing: Standing) -> None:
    (cluster,) = standing.place.ask("ls")
    assert (cluster["name"], cluster["state"], cluster["home"]) == (standing.name, "running", "job")
    assert (cluster["report"]["wanted"], cluster["report"]["workers"]) == (1, 2)
    assert 0 < cluster["end_time"] - time.time() < 600


def test_a_cluster_that_is_gone_without_a_word_is_told_apart_at_once(place: Place) -> None:
    name = place.name()
    place.ask("up", *place.small_options, "--name", name, "--workers", "2")
    for process in place.processes():
        if "dask_hpc.boot.keeper" in process.cmdline():
            process.kill()
    wait_for(lambda: place.ask("ls")[0]["state"] != "running")
    begin = time.monotonic()
    (cluster,) = place.ask("ls")
    assert time.monotonic() - begin < 20  # and not only after some long time without an answer
    assert cluster["state"] in ("ended", "lost")
    assert f"the scheduler of {name!r} has ended" in cluster["trouble"]
    assert place.ask("down", name) == [{"name": name, "left": []}]


@pytest.mark.skipif(
    not entry_points(group="dask_cli", name="hpc"), reason="this package is not installed"
)
def test_dask_knows_it_too(home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dask", "hpc", "ls", "--json"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert json.loads(done.stdout) == []
