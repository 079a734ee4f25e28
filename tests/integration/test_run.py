"""``dask-hpc run``: one job, a scheduler, workers on its nodes, a script, and its exit code."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.integration.places import PROGRAM, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.places import Place

pytestmark = pytest.mark.timeout(120)

SCRIPT = """
import sys
from distributed import Client

if __name__ == "__main__":
    with Client() as client:
        workers = client.scheduler_info(n_workers=-1)["workers"]
        print(len(workers), "workers over", client.scheduler.address.partition(":")[0])
        print(sum(client.gather(client.map(lambda number: number**2, range(10)))), sys.argv[2:])
    sys.exit(int(sys.argv[1]))
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "it's a script.py"
    path.write_text(SCRIPT, encoding="utf-8")
    return path


def size(place: Place) -> tuple[str, ...]:
    return ("--site", place.site, "--cores=4", "--processes=4", "--memory=1GB", "--walltime=10m")


def run(place: Place, *words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run to the end, from a directory of its own; its words are on its standard output."""
    argv = [*PROGRAM, "run", *map(str, words)]
    environ = {**os.environ, **place.environ}
    return subprocess.run(
        argv, env=environ, cwd=cwd, capture_output=True, text=True, timeout=100, check=False
    )


@pytest.mark.parametrize("code", [0, 3])
def test_the_exit_code_is_that_of_the_script(
    place: Place, script: Path, tmp_path: Path, code: int
) -> None:
    name = place.name()
    done = run(place, *size(place), "--name", name, script, code, "a b", "--x", cwd=tmp_path)
    assert done.returncode == code, done.stdout + done.stderr
    # Of four one is left out, for the scheduler and the script.
    assert "3 workers over tls" in done.stdout
    assert "285 ['a b', '--x']" in done.stdout
    assert f"exit code {code}\nlogs are" in done.stderr
    assert "285" in (tmp_path / f"{name}.log").read_text()
    assert "Register worker" in (tmp_path / f"{name}.cluster.log").read_text()
    assert place.left(name) == []


def test_a_script_that_is_killed_is_reported(place: Place, tmp_path: Path) -> None:
    name = place.name()
    done = run(place, *size(place), "--name", name, "bash", "-c", "kill -9 $$", cwd=tmp_path)
    assert done.returncode == 128 + signal.SIGKILL
    assert "the script was ended by signal 9" in done.stdout
    assert place.left(name) == []


def test_a_script_that_is_not_there_is_our_failure(place: Place, tmp_path: Path) -> None:
    done = run(place, *size(place), "nowhere.py", cwd=tmp_path)
    assert done.returncode == 125
    assert "error: there is no script 'nowhere.py'" in done.stderr
    assert place.left() == []


def test_a_job_that_dies_before_the_script_is_our_failure(
    place: Place, script: Path, tmp_path: Path
) -> None:
    name = place.name()
    early = ("--prologue", "echo alas >&2; exit 3")
    done = run(place, *size(place), *early, "--name", name, script, "0", cwd=tmp_path)
    assert done.returncode == 125
    assert "alas" in done.stdout
    assert place.left(name) == []


def test_too_few_workers_are_our_failure(place: Place, script: Path, tmp_path: Path) -> None:
    name = place.name()
    broken = ("--local-directory", "/proc/no/such/place")
    done = run(place, *size(place), *broken, "--name", name, script, "0", cwd=tmp_path)
    assert done.returncode == 125, done.stdout
    assert "0 workers of 3 came, 3 are needed" in done.stdout
    assert "/proc/no/such/place" in done.stdout
    assert place.left(name) == []


def test_a_dry_run_prints_the_script_and_submits_nothing(
    place: Place, script: Path, tmp_path: Path
) -> None:
    done = run(place, *size(place), "--dry-run", script, "0", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("#!/usr/bin/env bash")
    assert "dask_hpc.boot.allocation" in done.stdout
    assert place.left() == []


def test_a_job_that_nobody_waits_for_is_found_by_its_name(
    place: Place, script: Path, tmp_path: Path
) -> None:
    name = place.name()
    done = run(place, *size(place), "--no-wait", "--name", name, script, "0", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.strip() in {job.id for job in place.jobs(name)}
    wait_for(lambda: not place.live_jobs(name), 60)
    assert "285" in place.dask_hpc("logs", name).stdout
    place.ask("down", name)
    assert place.left(name) == []


def on_two_nodes(place: Place) -> tuple[str, ...]:
    if place.site != "slurm":
        pytest.skip("its jobs have one node")
    return (*size(place), "--nodes=2")


def test_two_nodes_bring_their_workers(place: Place, script: Path, tmp_path: Path) -> None:
    name = place.name()
    done = run(place, *on_two_nodes(place), "--name", name, script, "0", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "7 workers over tls" in done.stdout
    assert place.left(name) == []


SLOW = """
import sys, time
from pathlib import Path
from distributed import Client

if __name__ == "__main__":
    with Client() as client:
        Path(sys.argv[1]).touch()
        deadline = time.time() + 60
        while len(client.scheduler_info(n_workers=-1)["workers"]) > 3 and time.time() < deadline:
            time.sleep(0.2)
        time.sleep(14)
        print("left:", len(client.scheduler_info(n_workers=-1)["workers"]))
        print(sum(client.gather(client.map(lambda number: number**2, range(10)))))
"""


@pytest.mark.parametrize("least", [3, 7])
def test_a_lost_node_ends_a_run_that_needs_it(
    place: Place, tmp_path: Path, request: pytest.FixtureRequest, least: int
) -> None:
    name, begun, slow = place.name(), tmp_path / "begun", tmp_path / "slow.py"
    slow.write_text(SLOW, encoding="utf-8")
    words = (*on_two_nodes(place), f"--min-workers={least}", "--name", name, slow, begun)
    nodes = ("--directives", "--nodelist=node3,node4")
    bed = request.getfixturevalue("slurm")
    with ThreadPoolExecutor() as pool:
        running = pool.submit(run, place, *words[:-4], *nodes, *words[-4:], cwd=tmp_path)
        wait_for(begun.exists, 40)
        with bed.without_node(4, announced=True):
            done = running.result(timeout=90)
    if least == 3:
        assert done.returncode == 0, done.stdout + done.stderr
        assert "left: 3" in done.stdout
        assert "285" in done.stdout
    else:
        assert done.returncode == 125, done.stdout + done.stderr
        assert "3 workers of 7 are left, 7 are needed: the script is ended" in done.stdout
    assert place.left(name) == []


def test_inside_a_job_that_job_is_used(place: Place, script: Path, tmp_path: Path) -> None:
    name = place.name()
    allocation = ("salloc", "-Q", "-N2", "--ntasks-per-node=1", "-c4", "--mem=1200")
    argv = [*allocation, *PROGRAM, "run", *on_two_nodes(place), "--name", name, str(script), "3"]
    environ = {**os.environ, **place.environ}
    done = subprocess.run(
        argv, env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 3, done.stdout + done.stderr
    assert "7 workers over tls" in done.stdout
    assert f"exit code 3\nlogs are {tmp_path / name}.log and " in done.stderr
    assert (tmp_path / f"{name}.log").read_text() == done.stdout
    assert "Register worker" in (tmp_path / f"{name}.cluster.log").read_text()
    assert place.left() == []


LATE = """
import sys, time
from distributed import Client

if __name__ == "__main__":
    with Client() as client:
        print(len(client.scheduler_info(n_workers=-1)["workers"]), "workers", flush=True)
        time.sleep(600)
"""


def test_a_walltime_that_ends_a_run_is_told(place: Place, tmp_path: Path) -> None:
    if place.site != "local":
        pytest.skip("its walltimes are minutes")
    name, late = place.name(), tmp_path / "late.py"
    late.write_text(LATE, encoding="utf-8")
    done = run(place, *size(place), "--walltime=40s", "--name", name, late, cwd=tmp_path)
    assert done.returncode == 128 + signal.SIGTERM, done.stdout + done.stderr
    assert "3 workers\n" in done.stdout
    assert re.search(r"the walltime of its job ends in \d+ s: the script is told to", done.stdout)
    assert place.left(name) == []


@pytest.mark.timeout(300)
def test_up_keeps_one_job_open(place: Place) -> None:
    name = place.name()
    words = ("--site", *size(place)[1:], "--one-job", "--name", name)
    done = place.dask_hpc("up", *words, timeout=100)
    assert done.returncode == 0, done.stderr
    program = (
        "import sys; from dask_hpc import HPCCluster; c = HPCCluster.from_name(sys.argv[1]);"
        "client = c.get_client(); print(len(client.scheduler_info(n_workers=-1)['workers']),"
        "client.submit(sum, [1, 2]).result())"
    )
    with place.python(program, name) as process:
        out, err = process.communicate(timeout=100)
    assert out.strip() == "3 3", err  # all workers were there when up came back
    assert len(place.live_jobs(name)) == 1
    place.ask("scale", name, "1")  # a job like any other comes to it
    wait_for(lambda: "7 of 7 workers" in place.dask_hpc("status", name).stdout, 100)
    assert len(place.live_jobs(name)) == 2
    place.ask("down", name)
    assert place.left(name) == []
