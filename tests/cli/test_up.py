"""``dask-hpc up``."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from dask_hpc.cli.main import cli
from tests.integration.places import PROGRAM, untagged, wait_for

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.places import Place, Standing
    from tests.sites.conftest import WriteProfile


@pytest.fixture
def name(place: Place) -> Iterator[str]:
    """The name of a cluster that is not there any more after the test."""
    name = place.name()
    yield name
    if place.directory(name).exists():
        assert place.dask_hpc("down", name).returncode == 0
    assert place.left(name) == []


# on its way --------------------------------------------------------------------------------------


def test_it_says_what_happens_until_there_are_workers(place: Place, name: str) -> None:
    done = place.dask_hpc("up", *place.small_options, "--name", name, "--workers", "3")
    assert (done.returncode, done.stdout) == (0, f"HPCCluster.from_name({name!r})\n"), done
    said = done.stderr.splitlines()
    assert said[0] == f"site {place.site}: site names it"
    assert said[1].startswith(f"{name}: scheduler job ")
    assert said[1].endswith(f" submitted to {place.site}")
    assert said[2] == "waiting for the scheduler"
    assert any(line.startswith("scheduler at tls://") for line in said)
    assert said[-2].startswith("4 of 4 workers, 2 jobs up")
    assert said[-1] == f"see it with dask-hpc status {name}, end it with dask-hpc down {name}"
    assert len(said) == len(set(said)), "a line was said twice"


def test_the_scripts_of_a_dry_run_are_those_that_are_submitted(place: Place, name: str) -> None:
    words = ("up", *place.small_options, "--name", name, "--jobs", "1")
    shown = place.dask_hpc(*words, "--dry-run")
    assert shown.returncode == 0, shown
    assert place.jobs(name) == []
    assert not place.directory(name).exists()
    assert place.dask_hpc(*words).returncode == 0
    scheduler, workers = (place.script(job.id) for job in place.live_jobs(name))
    assert untagged(shown.stdout) == f"{untagged(scheduler)}\n\n{untagged(workers)}"


def test_detached_it_comes_back_at_once_and_the_cluster_comes_up(place: Place, name: str) -> None:
    record = place.ask("up", *place.small_options, "--name", name, "--adapt", "1:5", "--detach")
    assert (record["name"], record["site"], record["state"]) == (name, place.site, "starting")
    wait_for(lambda: place.ask("status", name)["report"])
    report = place.ask("status", name)["report"]
    assert (report["minimum"], report["maximum"]) == (1, 2)
    wait_for(lambda: place.ask("status", name)["report"]["workers"] == 2)


def interrupted(place: Place, words: tuple[str, ...], sign: str, **env: str) -> list[str]:
    """Return what a command said that was interrupted when it had said something."""
    process: subprocess.Popen[str] = place.start(*PROGRAM, *words, env=env)
    with process:
        assert process.stderr
        said = []
        for line in process.stderr:
            said.append(line)
            if sign in line:
                process.send_signal(signal.SIGINT)
                break
        _, rest = process.communicate(timeout=30)
    assert process.returncode == 0, said
    return [*"".join(said).splitlines(), *rest.splitlines()]


@pytest.mark.parametrize(
    ("sign", "variables", "words"),
    [
        pytest.param(
            "waiting for the scheduler", {"DASK_HPC__SCHEDULER_CORES": "64"}, (), id="scheduler"
        ),
        pytest.param("waits for the queue", {}, ("--cores=64",), id="workers"),
    ],
)
def test_ctrl_c_detaches_and_says_how_to_come_back(
    place: Place, name: str, sign: str, variables: dict[str, str], words: tuple[str, ...]
) -> None:
    command = ("up", *place.small_options, "--name", name, *words)
    said = interrupted(place, command, sign, **variables)
    assert said[-2:] == [
        f"detached: {name} goes on",
        f"come back with dask-hpc status {name}, end it with dask-hpc down {name}",
    ]
    assert place.live_jobs(name)


def test_it_waits_for_what_the_queue_says(place: Place, name: str) -> None:
    command = ("up", *place.small_options, "--name", name, "--cores=64")
    said = interrupted(place, command, "waits for the queue: ")
    reasons = {"local": "needs 64 cores, this machine has 16", "slurm": "PartitionConfig"}
    assert any(reasons[place.site] in line for line in said) or place.site == "slurm", said


# what cannot be ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "message", "hint"),
    [
        (["--coers", "3"], 2, "option '--coers' is unknown", "did you mean '--cores'?"),
        (["--workers", "many"], 2, "invalid value for '--workers'", "see hpc up --help"),
        (["extra"], 2, "got unexpected extra argument (extra)", "see hpc up --help"),
        (["--memory", "10XB"], 1, "--memory '10XB' is not an amount of memory", "100GB"),
        (["--walltime", "soon"], 1, "--walltime 'soon' is not a duration", "2h"),
        (["--idle-timeout", "soon"], 1, "--idle-timeout 'soon' is not a duration", "2h"),
        (["--cores", "0"], 1, "--cores '0' is not a whole number of at least 1", ""),
        (["--cores", "2", "--processes", "3"], 1, "--processes 3 is more than --cores 2", ""),
        (["--ports", "99999"], 1, "--ports '99999' is not a port", "8786"),
        (["--workers", "-1"], 1, "workers -1 is negative", ""),
        (["--workers", "2", "--jobs", "1"], 1, "--workers and --jobs both say the size", ""),
        (["--adapt", "many"], 1, "--adapt 'many' is not a size", "0:40"),
        (["--adapt", "5:2"], 1, "--adapt '5:2' is not a size", "0:40"),
        (["--adapt", "40"], 1, "--adapt '40' is not bounds", "0:40"),
        (["--name", "Climate 2"], 1, "cluster name 'Climate 2' cannot be used", "climate-2"),
        (["--site", "slrm"], 1, "site is both 'local' and 'slrm'", "name it once"),
        (["--account", "a\nb"], 1, "--account 'a\\nb' holds a control character", ""),
        (["--queue", "debug"], 1, 'queue "debug" is unknown to the local queue', "local"),
        (["--env", "/nowhere"], 1, "/nowhere", ""),
    ],
)
def test_bad_input_is_answered_with_what_would_do(
    home: Path, words: list[str], code: int, message: str, hint: str
) -> None:
    done = CliRunner().invoke(cli, ["up", "local", *words])
    said = done.stderr.removeprefix("site local: site names it\n")
    assert (done.exit_code, done.stdout) == (code, ""), done.output
    assert said.startswith("error: "), said
    assert message in said.splitlines()[0]
    assert hint in said.partition("\nhint: ")[2]
    assert not (home / "clusters").exists() or not list((home / "clusters").iterdir())


@pytest.mark.usefixtures("home")
def test_an_unknown_site_is_answered_with_the_nearest() -> None:
    done = CliRunner().invoke(cli, ["up", "slrm"])
    assert done.exit_code == 1
    assert done.stderr == "error: site 'slrm' is unknown\nhint: did you mean 'slurm'?\n"


@pytest.mark.usefixtures("home")
def test_an_unknown_key_of_a_profile_is_told_with_its_line(users: WriteProfile) -> None:
    path = users("alpine", "system: local\ncoers: 3\n")
    done = CliRunner().invoke(cli, ["up", "alpine"])
    assert done.exit_code == 1
    assert done.stderr == f"error: {path}:2: key 'coers' is unknown\nhint: did you mean 'cores'?\n"


@pytest.mark.usefixtures("home")
def test_an_unknown_variable_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASK_HPC__COERS", "3")
    done = CliRunner().invoke(cli, ["up", "local"])
    assert done.exit_code == 1
    assert done.stderr == (
        "error: variable 'DASK_HPC__COERS' is unknown\nhint: did you mean 'DASK_HPC__CORES'?\n"
    )


def test_a_name_in_use_is_told_by_what(standing: Standing) -> None:
    place, name = standing.place, standing.name
    before = place.jobs(name)
    done = place.dask_hpc("up", *place.small_options, "--name", name)
    assert (done.returncode, done.stdout) == (1, "")
    error, hint = done.stderr.splitlines()[-2:]
    assert error == f"error: a cluster named {name!r} exists"
    assert hint == f"hint: dask-hpc status {name}, or dask-hpc down {name}"
    assert place.jobs(name) == before
    assert json.loads(place.dask_hpc("status", name, "--json").stdout)["state"] == "running"
