"""The connection to a site: one prompt for everything, and nothing left of it."""

from __future__ import annotations

import asyncio
import socket
import stat
from typing import TYPE_CHECKING

import pytest

from dask_hpc._clock import until_now
from dask_hpc.errors import ConfigError, SecurityError
from dask_hpc.process.runner import Command
from dask_hpc.process.ssh import SSHOptions, SSHRunner
from dask_hpc.remote.master import LoginNeeded, connect, disconnect, socket_of
from tests.beds.beds import USER

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.remote.laptop import Laptop


def who(host: str, options: SSHOptions) -> str:
    runner = SSHRunner(host=host, options=options)
    return asyncio.run(runner.run(Command(argv=("id", "-un")))).stdout.strip()


def test_two_factors_are_asked_for_once(laptop: Laptop) -> None:
    options = connect("login-2fa")
    asked = laptop.prompts
    assert asked == 2  # the password, and the code
    assert who("login-2fa", options) == USER
    assert who("login-2fa", connect("login-2fa")) == USER
    assert laptop.prompts == asked


def test_a_host_behind_another_is_reached_as_the_users_configuration_says(laptop: Laptop) -> None:
    assert who("inner", connect("inner")) == USER
    assert laptop.prompts == 0


def test_the_socket_is_private_and_goes_with_the_connection(laptop: Laptop) -> None:
    options = connect("login")
    path = socket_of("login")
    assert options.control == path
    assert path.is_relative_to(laptop.place)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    disconnect("login")
    assert until_now(lambda: not path.exists(), 30)


def test_a_connection_that_the_user_shares_is_taken_and_left(laptop: Laptop) -> None:
    theirs = laptop.place / "theirs"
    shim = laptop.place / "bin" / "ssh"
    own = shim.read_text()
    connect("login")
    socket_of("login").rename(theirs)
    # As if "ControlPath" stood in the user's configuration: whoever names another one has it.
    first, rest = own.split("\n", 1)
    theirs_unless = f'case "$*" in *ControlPath=*) ;; *) set -- -o ControlPath={theirs} "$@";; esac'
    shim.write_text(f"{first}\n{theirs_unless}\n{rest}")
    assert connect("login") == SSHOptions()
    disconnect("login")
    assert theirs.exists()
    shim.write_text(own)
    theirs.rename(socket_of("login"))


@pytest.fixture
def calls(laptop: Laptop) -> Callable[[], list[str]]:
    """How ssh was called."""
    shim, log = laptop.place / "bin" / "ssh", laptop.place / "calls"
    shim.write_text(shim.read_text().replace("exec", f'echo "$*" >>{log}\nexec', 1))
    return lambda: log.read_text().splitlines()


def test_without_prompts_a_second_factor_is_refused_until_somebody_has_logged_in(
    laptop: Laptop, calls: Callable[[], list[str]]
) -> None:
    for _ in range(3):
        with pytest.raises(LoginNeeded, match=r"^login-2fa asks for a login$"):
            connect("login-2fa", prompts=False)
    # The host itself was asked but once.
    assert len([each for each in calls() if "ControlMaster=yes" in each]) == 1
    assert laptop.prompts == 0
    assert not socket_of("login-2fa").exists()
    connect("login-2fa")
    assert connect("login-2fa", prompts=False).control == socket_of("login-2fa")
    assert laptop.prompts == 2


@pytest.mark.parametrize(("own", "ours"), [("0", 1), ("5", 0), ("300", 1)])
def test_a_lost_connection_is_found_as_soon_as_the_user_wants_or_sooner(
    laptop: Laptop, calls: Callable[[], list[str]], own: str, ours: int
) -> None:
    shim = laptop.place / "bin" / "ssh"
    shim.write_text(shim.read_text().replace(' "$@"', f' -o ServerAliveInterval={own} "$@"'))
    connect("login")
    assert len([each for each in calls() if "ServerAliveInterval=15" in each]) == ours


@pytest.mark.parametrize("prompts", [True, False])
def test_only_a_try_that_asks_nobody_is_short(
    calls: Callable[[], list[str]], *, prompts: bool
) -> None:
    connect("login", prompts=prompts)
    assert any("ConnectTimeout=20" in each for each in calls()) is not prompts


@pytest.mark.usefixtures("laptop")
def test_the_socket_of_a_connection_that_was_killed_goes_too() -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(socket_of("login")))
    assert socket_of("login").exists()
    disconnect("login")
    assert not socket_of("login").exists()


@pytest.mark.usefixtures("laptop")
def test_a_host_that_is_an_option_is_refused() -> None:
    with pytest.raises(ConfigError, match="is no name of a host"):
        connect("-oProxyCommand=touch /tmp/owned")


def test_a_place_that_others_enter_is_refused(laptop: Laptop) -> None:
    place: Path = laptop.place / "run" / "dask-hpc"
    place.mkdir()
    place.chmod(0o777)
    with pytest.raises(SecurityError):
        connect("login")
    place.chmod(0o700)
