"""``dask-hpc site``: list, show, detect."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from dask_hpc.cli.main import cli
from dask_hpc.sites import profile
from dask_hpc.sites.values import Duration

if TYPE_CHECKING:
    from click.testing import Result

    from tests.sites.conftest import WriteProfile


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["site", *arguments])


def rows(done: Result) -> dict[str, list[str]]:
    """Return the cells of each line of a table by its first one."""
    return {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()[1:]}


@pytest.fixture
def without_commands(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A machine without any batch system."""
    monkeypatch.setenv("PATH", str(tmp_path_factory.mktemp("bin")))


def test_list_shows_what_is_always_there_and_the_users_own(users: WriteProfile) -> None:
    path = users("alpine", "system: slurm\ndescription: our machine\n")
    done = run("list")
    assert done.exit_code == 0
    assert rows(done)["alpine"] == ["slurm", "our", "machine", str(path)]
    assert {"local", "slurm"} < rows(done).keys()


def test_list_shows_the_others_beside_a_bad_profile(users: WriteProfile) -> None:
    path = users("bad", "coers: 4\n")
    done = run("list", "--json")
    assert done.exit_code == 0
    found = {site["name"]: site for site in json.loads(done.stdout)}
    assert found["bad"]["problem"] == f"{path}:1: key 'coers' is unknown"
    assert found["slurm"]["problem"] == ""
    assert f"{path}:1: key 'coers' is unknown" in run("list").stdout


def test_show_prints_each_setting_with_its_origin(
    users: WriteProfile, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = users("alpine", "system: slurm\nmemory: 100GB\nprologue: |\n  a\n  b\n")
    monkeypatch.setenv("DASK_HPC__CORES", "36")
    done = run("show", "alpine")
    assert done.exit_code == 0
    found = rows(done)
    assert found["cores"] == ["36", "environment", "DASK_HPC__CORES"]
    assert found["memory"] == ["100GB", f"{path}:2"]
    assert found["prologue"] == ["a;", "b", f"{path}:3"]
    assert found["walltime"] == ["1h", "default"]
    assert found["secure"] == ["true", "default"]
    assert found["queue"] == ["default"]


def test_show_gives_programs_numbers(users: WriteProfile) -> None:
    path = users("alpine", "system: slurm\nmemory: 100GB\nidle_timeout: never\nprologue: a\n")
    found = json.loads(run("show", "alpine", "--json").stdout)
    assert found["memory"] == {"value": 100 * 10**9, "origin": f"{path}:2"}
    assert found["idle_timeout"]["value"] == "never"
    assert found["prologue"]["value"] == ["a"]
    assert found["walltime"] == {"value": 3600.0, "origin": "default"}


def test_show_names_file_and_line_of_a_mistake(users: WriteProfile) -> None:
    path = users("alpine", "system: slurm\ncoers: 4\n")
    done = run("show", "alpine")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == (
        f"error: {path}:2: key 'coers' is unknown\nhint: did you mean 'cores'?\n"
    )


def test_show_refuses_a_profile_with_an_object(users: WriteProfile) -> None:
    path = users("alpine", "env: !!python/object/apply:os.system ['touch owned']\n")
    done = run("show", "alpine")
    assert done.exit_code == 1
    assert done.stderr.startswith(f"error: {path}:1: tag 'tag:yaml.org,2002:python/object/apply")
    assert not (path.parent / "owned").exists()


@pytest.mark.usefixtures("without_commands")
def test_detect_says_the_site_on_one_stream_and_the_reason_on_the_other() -> None:
    done = run("detect")
    assert done.exit_code == 0
    assert (done.stdout, done.stderr) == ("local\n", "no batch system is installed here\n")


@pytest.mark.usefixtures("without_commands")
def test_detect_finds_the_profile_that_fits(users: WriteProfile) -> None:
    users("alpine", f"system: slurm\nrecognise:\n  hosts: {socket.gethostname()}\n")
    found = json.loads(run("detect", "--json").stdout)
    assert found["site"] == "alpine"
    assert found["reason"].startswith(f"host name {socket.gethostname()} fits")
    assert (found["found"], found["written"]) == ([], None)


@pytest.mark.usefixtures("without_commands")
def test_detect_writes_nothing_where_there_is_nothing() -> None:
    done = run("detect", "--write")
    assert done.exit_code == 1
    assert done.stderr == (
        "error: no batch system is installed here: there is nothing to write\n"
        "hint: the site 'local' needs no profile\n"
    )
    assert not profile.user_directory().exists()


@pytest.mark.usefixtures("without_commands")
def test_detect_writes_no_second_profile_of_a_site_unless_told(users: WriteProfile) -> None:
    users("alpine", f"system: slurm\nrecognise:\n  hosts: {socket.gethostname()}\n")
    done = run("detect", "--write")
    assert done.exit_code == 1
    assert done.stderr.startswith("error: site 'alpine' has a profile already: host name")


@pytest.mark.usefixtures("slurm")
def test_detect_writes_a_profile_that_is_recognised_then() -> None:
    done = run("detect", "--write", "--name", "bed", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["site"] == "slurm"
    found = json.loads(run("detect", "--json").stdout)
    assert found["site"] == "bed"
    settings = profile.find("bed").settings
    assert settings.system == "slurm"
    assert settings.queues["debug"].max_walltime == Duration(120)
    assert run("detect", "--write", "--name", "bed").stderr.endswith("or take another name\n")
