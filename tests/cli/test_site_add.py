"""``dask-hpc site add``: a profile of a site that ssh reaches."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from dask_hpc.cli.main import cli
from dask_hpc.sites import profile
from tests.beds.beds import CHECKOUT

if TYPE_CHECKING:
    from click.testing import Result

    from tests.remote.laptop import Laptop

PROGRAM = str(CHECKOUT / ".venv" / "bin" / "dask-hpc")


def add(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["site", "add", *arguments])


@pytest.mark.usefixtures("slurm")
def test_a_site_behind_two_factors_is_looked_at_with_one_login(laptop: Laptop) -> None:
    done = add("alpine", "--host", "login-2fa", "--command", PROGRAM)
    assert done.exit_code == 0, done.output
    assert laptop.prompts == 2  # the password, and the code
    settings = profile.find("alpine").settings
    assert (settings.system, settings.host, settings.command) == ("slurm", "login-2fa", PROGRAM)
    assert settings.queues
    assert "slurm" in done.stdout
    assert "ssh, srun, TLS: the first session finds out which works" in done.stdout
    assert add("second", "--host", "login-2fa", "--command", PROGRAM).exit_code == 0
    assert laptop.prompts == 2


@pytest.mark.usefixtures("slurm", "laptop")
def test_where_dask_hpc_is_not_there_the_profile_comes_with_a_word() -> None:
    done = add("bare", "--host", "login", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["system"] == "slurm"
    assert found["command"] is None
    assert found["ways"] == ["ssh", "srun", "TLS"]
    assert "dask-hpc was not found there" in done.stderr
    assert profile.find("bare").settings.command is None


@pytest.mark.usefixtures("slurm", "laptop")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("x", "--host", "login", "--command", "/bin/true"), "/bin/true on "),
        (("x", "--host", "nowhere.invalid"), "ssh did not reach nowhere.invalid"),
        (("x", "--host", "-oProxyCommand=id"), "is no name of a host"),
        (("../x", "--host", "login"), "site name '../x' cannot be used"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(
    arguments: tuple[str, ...], words: str
) -> None:
    done = add(*arguments)
    assert done.exit_code == 1
    assert words in done.stderr
    assert not list(profile.user_directory().glob("*.yaml"))
