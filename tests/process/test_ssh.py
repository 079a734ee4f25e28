"""What only the runner over ssh promises: the line it sends, what it reads, and connections."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dask_hpc.errors import BatchUnavailable, CommandMissing, ConfigError
from dask_hpc.process.runner import Command, Result
from dask_hpc.process.ssh import SSHOptions, SSHRunner, read_ssh, ssh_command
from tests.beds.beds import USER
from tests.process.traces import is_gone, is_there, living, new_trace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.beds.beds import SshBed

_LOGIN_SHELLS = ("bash", "dash", "ksh", "zsh", "tcsh", "fish")
_SHELLS = ("/bin/sh", "bash", "dash", "ksh", "busybox sh")
_WORDS = ("it's", "two\nlines\n", "$HOME `id` !! !x", '"', "\\", "*", "", "ünï", "-e", "\x1e")
_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


def _skip_without(program: str) -> None:
    if shutil.which(program.split()[0]) is None:
        pytest.skip(f"{program} is not installed")


def _run_in(
    command: Command, *, login_shell: str = "sh", shell: str = "/bin/sh", noise: str = ""
) -> Result:
    """Do as a server does with the line that it gets."""
    wrapped = ssh_command(command, "there", options=SSHOptions())
    line = noise + wrapped.argv[-1].replace("/bin/sh", shell)
    with subprocess.Popen(
        [login_shell, "-c", line],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write((wrapped.stdin or "").encode())
        process.stdin.flush()
        exit_code = process.wait(20)
        said = process.stdout.read().decode(), process.stderr.read().decode()
    result = Result(command=command, exit_code=exit_code, stdout=said[0], stderr=said[1])
    return read_ssh(result, "there")


# the line -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("login_shell", _LOGIN_SHELLS)
def test_every_login_shell_passes_the_line_on(login_shell: str) -> None:
    _skip_without(login_shell)
    command = Command(argv=("printf", "%s\\0", *_WORDS))
    result = _run_in(command, login_shell=login_shell)
    assert result.stdout.split("\0") == [*_WORDS, ""]


@pytest.mark.parametrize("shell", _SHELLS)
def test_every_shell_understands_the_script(shell: str) -> None:
    _skip_without(shell)
    script = 'cat; printf "%s|" "$@" "$ADDED" "${DROPPED-gone}"; echo why >&2; exit 7'
    command = Command(
        argv=("sh", "-c", script, "sh", *_WORDS),
        stdin="in\nput",
        env={"ADDED": "it's\nnew"},
        drop=("DROP",),
    )
    result = _run_in(command, shell=shell, noise="export DROPPED=1; ")
    assert result.stdout == "in\nput" + "".join(f"{w}|" for w in (*_WORDS, "it's\nnew", "gone"))
    assert (result.stderr, result.exit_code) == ("why\n", 7)


@pytest.mark.parametrize("shell", _SHELLS)
def test_every_shell_finds_that_a_program_is_missing(shell: str) -> None:
    _skip_without(shell)
    with pytest.raises(CommandMissing, match="no-such-program cannot be run on there"):
        _run_in(Command(argv=("no-such-program",)), shell=shell)


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["/bin/sh", "bash", "busybox sh"])
async def test_every_shell_ends_the_group_when_its_input_ends(shell: str) -> None:
    _skip_without(shell)
    trace = new_trace()
    script = f"trap '' TERM; sleep {trace} & sleep {trace}"
    wrapped = ssh_command(Command(argv=("sh", "-c", script)), "there", options=SSHOptions())
    line = wrapped.argv[-1].replace("/bin/sh", shell)
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", line, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
    )
    assert process.stdin is not None
    process.stdin.write((wrapped.stdin or "").encode())
    assert await is_there(trace)
    process.stdin.close()
    assert await is_gone(trace)
    await process.wait()


def test_words_of_login_files_are_left_out() -> None:
    command = Command(argv=("sh", "-c", "echo out; echo err >&2"))
    result = _run_in(command, noise="echo welcome; echo 'quota: 99%' >&2; ")
    assert (result.stdout, result.stderr) == ("out\n", "err\n")


@settings(max_examples=40, deadline=None)
@given(words=st.lists(_TEXT, max_size=5), value=_TEXT, stdin=st.none() | _TEXT)
def test_any_text_arrives_as_it_is(words: list[str], value: str, stdin: str | None) -> None:
    script = 'printf "%s\\0" "$@" "$VALUE"; cat'
    command = Command(argv=("sh", "-c", script, "sh", *words), stdin=stdin, env={"VALUE": value})
    result = _run_in(command)
    assert result.stdout == "".join(f"{word}\0" for word in (*words, value)) + (stdin or "")


def test_nothing_of_the_command_is_in_the_arguments_of_ssh() -> None:
    command = Command(argv=("sbatch", "s3cret"), stdin="s3cret", env={"S3CRET": "s3cret"})
    wrapped = ssh_command(command, "login", options=SSHOptions())
    assert "s3cret" not in " ".join(wrapped.argv).lower()
    assert wrapped.env == {}
    assert wrapped.drop == ()


def test_a_host_is_never_taken_for_an_option() -> None:
    wrapped = ssh_command(Command(argv=("true",)), "-oProxyCommand=x", options=SSHOptions())
    assert wrapped.argv[-3:-1] == ("--", "-oProxyCommand=x")


def test_ssh_asks_nothing_unless_it_may() -> None:
    command = Command(argv=("true",))
    quiet = ssh_command(command, "login", options=SSHOptions())
    asking = ssh_command(command, "login", options=SSHOptions(prompts=True))
    assert "BatchMode=yes" in quiet.argv
    assert "BatchMode=no" in asking.argv


@pytest.mark.parametrize("name", ["a b", "x;id", "BASH_FUNC_x%%", "", "ünï", "1A"])
def test_a_variable_that_a_shell_cannot_set_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be set"):
        ssh_command(Command(argv=("true",), env={name: "1"}), "login", options=SSHOptions())


# the answer ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("me@x: Permission denied (publickey,keyboard-interactive).", 'by "ssh x"'),
        ("Host key verification failed.", "key"),
        ("ssh: Could not resolve hostname x: Name or service not known", "~/.ssh/config"),
        ("ssh: connect to host x port 22: Connection timed out", "ssh x true"),
        ("", "ssh x true"),
    ],
)
def test_what_ssh_itself_says_becomes_a_hint(words: str, hint: str) -> None:
    result = Result(command=Command(argv=("a",)), exit_code=255, stdout="", stderr=f"!\n{words}\n")
    with pytest.raises(BatchUnavailable, match="ssh did not reach x: ") as caught:
        read_ssh(result, "x")
    assert words in str(caught.value)
    assert hint in caught.value.hint


async def test_a_host_that_refuses_connections_is_unavailable(tmp_path: Path) -> None:
    _skip_without("ssh")
    config = tmp_path / "config"
    config.write_text("Host closed\n HostName 127.0.0.1\n Port 1\n", encoding="utf-8")
    runner = SSHRunner(host="closed", options=SSHOptions(config=config))
    with pytest.raises(BatchUnavailable, match=r"did not reach closed: .*Connection refused"):
        await runner.run(Command(argv=("true",)))


# real servers -------------------------------------------------------------------------------------


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory with a path short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="dh", dir="/tmp") as path:
        yield Path(path)


def _runner(sshd: SshBed, host: str, *, config: Path | None = None) -> SSHRunner:
    return SSHRunner(host=host, options=SSHOptions(config=config or sshd.config()))


async def test_a_jump_host_of_the_configuration_is_used(sshd: SshBed) -> None:
    result = await _runner(sshd, "inner").run(Command(argv=("printenv", "SSH_CONNECTION")))
    assert "10.79.0.2 22" in result.stdout


async def test_a_host_without_a_shell_is_unavailable_in_its_own_words(sshd: SshBed) -> None:
    with pytest.raises(BatchUnavailable, match="no shell here"):
        await _runner(sshd, "gate").run(Command(argv=("true",)))


async def test_a_second_factor_is_not_asked_for(sshd: SshBed) -> None:
    with pytest.raises(BatchUnavailable, match="Permission denied") as caught:
        await _runner(sshd, "login-2fa").run(Command(argv=("true",)))
    assert "ssh login-2fa" in caught.value.hint


async def test_a_second_factor_is_asked_for_by_the_users_program(
    sshd: SshBed, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in sshd.answers.items():
        monkeypatch.setenv(name, value)
    options = SSHOptions(config=sshd.config(), prompts=True)
    result = await SSHRunner(host="login-2fa", options=options).run(Command(argv=("true",)))
    assert result.exit_code == 0


async def test_a_lost_connection_is_told_and_ends_the_command(sshd: SshBed) -> None:
    trace = new_trace()
    command = Command(argv=("sh", "-c", f"echo began >&2; sleep {trace}; true"))
    task = asyncio.create_task(_runner(sshd, "login").run(command))
    assert await is_there(trace)
    server = next(
        parent
        for parent in living(trace)[0].parents()
        if parent.name() == "sshd" and parent.username() == USER
    )
    server.kill()
    with pytest.raises(BatchUnavailable, match="connection to login was lost while sh ran: began"):
        await task
    assert await is_gone(trace)


async def test_a_killed_ssh_leaves_nothing_there(sshd: SshBed) -> None:
    trace = new_trace()
    command = Command(argv=("sh", "-c", f"trap '' TERM; sleep {trace}; true"))
    task = asyncio.create_task(_runner(sshd, "login").run(command))
    assert await is_there(trace)
    clients = [child for child in psutil.Process().children() if child.name() == "ssh"]
    for client in clients:
        client.send_signal(signal.SIGKILL)
    with pytest.raises(BatchUnavailable, match="lost"):
        await task
    assert await is_gone(trace)


async def test_nothing_of_the_command_shows_in_a_list_of_processes_here(sshd: SshBed) -> None:
    trace = new_trace()
    command = Command(argv=("sh", "-c", "read -r word; sleep $word; true"), stdin=f"{trace}\n")
    task = asyncio.create_task(_runner(sshd, "login").run(command))
    assert await is_there(trace)
    assert [process.name() for process in living(trace)] == ["sleep"]
    task.cancel()
    await asyncio.wait([task])


_UNUSUAL = """
Host login
  ControlMaster auto
  ControlPersist yes
  ControlPath {place}/%C
  ForwardAgent yes
  LocalForward {place}/forwarded localhost:1
  RequestTTY force
  RemoteCommand echo never
  PermitLocalCommand yes
  LocalCommand touch {place}/local
Include {config}
"""


async def test_an_unusual_configuration_changes_nothing_and_leaves_nothing(
    sshd: SshBed, place: Path
) -> None:
    config = place / "config"
    config.write_text(_UNUSUAL.format(place=place, config=sshd.config()), encoding="utf-8")
    script = "test -t 0 && echo terminal; echo ${SSH_AUTH_SOCK-none}"
    result = await _runner(sshd, "login", config=config).run(Command(argv=("sh", "-c", script)))
    assert result.stdout == "none\n"
    assert os.listdir(place) == ["config"]  # noqa: PTH208 - a list of names


@pytest.fixture
def shared(sshd: SshBed, place: Path) -> Iterator[Path]:
    """A configuration with a live connection to login, as a user's terminal holds it."""
    config = place / "config"
    config.write_text(
        f"Host *\n ControlPath {place}/%C\nInclude {sshd.config()}\n", encoding="utf-8"
    )
    ssh = ["ssh", "-F", str(config)]
    subprocess.run([*ssh, "-M", "-f", "-N", "login"], check=True, stderr=subprocess.DEVNULL)
    yield config
    subprocess.run([*ssh, "-O", "exit", "login"], check=True, stderr=subprocess.DEVNULL)


async def test_a_live_connection_of_the_user_is_used(sshd: SshBed, shared: Path) -> None:
    runner = _runner(sshd, "login", config=shared)
    command = Command(argv=("printenv", "SSH_CONNECTION"))
    results = await asyncio.gather(*(runner.run(command) for _ in range(8)))
    assert len({result.stdout for result in results}) == 1


async def test_the_deadline_ends_the_group_behind_a_live_connection(
    sshd: SshBed, shared: Path
) -> None:
    runner = _runner(sshd, "login", config=shared)
    trace = new_trace()
    command = Command(argv=("sh", "-c", f"trap '' TERM; echo began; sleep {trace}; true"))
    with pytest.raises(BatchUnavailable, match="began"):
        await runner.run(command, timeout=1)
    assert await is_gone(trace)
    assert (await runner.run(Command(argv=("true",)))).exit_code == 0
