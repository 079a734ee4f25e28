"""Runs commands on another machine, over the user's own OpenSSH.

The login shell there sees one constant line that any shell reads alike; what to run follows on
standard input, quoted once, so that arguments and variables never show in a list of processes.
The input stays open until the end: when the connection goes, for whatever reason, a watchdog on
the other side ends the command's process group.
"""

from __future__ import annotations

import asyncio
import re
import shlex
import signal
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from dask_hpc._clock import Clock, SystemClock
from dask_hpc.errors import BatchError, BatchUnavailable, CommandMissing, ConfigError
from dask_hpc.process.child import start_child
from dask_hpc.process.local import deadline_error
from dask_hpc.process.runner import Command

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Semaphore
    from pathlib import Path

    from dask_hpc.process.runner import Result

_BOOTSTRAP = "exec /bin/sh -c 'IFS= read -r dh_line && eval \"$dh_line\"'"
# What stands before the first mark are the words of login files and banners.
_BEGIN = "\x1edask-hpc begin\x1e\n"
_END = "\x1edask-hpc end "
_ENDING = re.compile(rf"{_END}(\d+)\x1e\n")
_MISSING = "\x1edask-hpc missing\x1e\n"
# The user's own configuration may not change what a command of ours means: a live shared
# connection (ControlPath) is used, but none is left behind; no forwarding, no terminal.
OPTIONS = (
    *("-T", "-a", "-x"),
    *("-o", "ClearAllForwardings=yes"),
    *("-o", "RemoteCommand=none"),
    *("-o", "PermitLocalCommand=no"),
)
_HINTS = {
    r"Permission denied|Too many authentication": 'log in once by "ssh {host}"; a shared '
    "connection (ControlMaster, ControlPersist) lets later commands in without a prompt",
    r"Host key verification failed|HOST IDENTIFICATION": 'compare its key: "ssh {host}"',
    r"Could not resolve|Bad configuration|[Bb]ad port": "check the name, and ~/.ssh/config",
}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class SSHOptions:
    """How to reach the other machine.

    ``config`` replaces ``~/.ssh/config``; ``control`` is the socket of a shared connection, if
    it is not the user's own; ``prompts`` lets ssh ask through the program that
    ``SSH_ASKPASS`` names (there is no terminal); ``concurrency`` is the number of connections
    at a time, because servers drop new ones by chance when ten wait for their login.
    """

    config: Path | None = None
    control: Path | None = None
    prompts: bool = False
    concurrency: int = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class SSHRunner:
    """Runs commands on a host, as ``ssh`` reaches it."""

    host: str
    options: SSHOptions = field(default_factory=SSHOptions)
    clock: Clock = field(default_factory=SystemClock)
    _gates: WeakKeyDictionary[AbstractEventLoop, Semaphore] = field(
        default_factory=WeakKeyDictionary, init=False, repr=False, compare=False
    )

    async def run(self, command: Command, *, timeout: float = 60) -> Result:
        """Run a command to its end, and return what it said.

        As `LocalRunner.run`, but for a program that a signal ended the exit code is 128 and the
        signal's number, as shells give it. ``drop`` has to be a POSIX extended regular
        expression, too.

        Parameters
        ----------
        command
            What to run there.
        timeout
            Seconds, counted from the start of ssh.

        Raises
        ------
        CommandMissing
            If the program does not exist, or is not executable, there or is ssh itself here.
        BatchUnavailable
            If it did not end in time, or the host was not reached, or lost meanwhile.
        ConfigError
            If a variable has a name that a shell cannot export.
        """
        wrapped = ssh_command(command, self.host, options=self.options)
        async with self._gate():
            child = await start_child(wrapped, clock=self.clock, hold_stdin=True, end_mark=_END)
            try:
                ended = await child.wait(timeout)
            finally:
                await child.end()
        result = child.result(command)
        if ended:
            return read_ssh(result, self.host)
        said = _without_marks(result)
        name = f"{command.argv[0]} on {self.host}"
        raise deadline_error(said, f"{name} did not end within {timeout:g} s")

    def _gate(self) -> Semaphore:
        # A semaphore belongs to the loop of its first waiter.
        loop = asyncio.get_running_loop()
        return self._gates.setdefault(loop, asyncio.Semaphore(self.options.concurrency))


def ssh_command(command: Command, host: str, *, options: SSHOptions) -> Command:
    """Return the command that runs another one on a host.

    Its input must stay open until it has ended.
    """
    return Command(
        argv=("ssh", *ssh_options(options), "--", host, _BOOTSTRAP),
        stdin=_remote_line(command) + (command.stdin or ""),
        stop_at=command.stop_at,
    )


def ssh_options(options: SSHOptions) -> tuple[str, ...]:
    """Return the options of ssh for a command of ours."""
    config = () if options.config is None else ("-F", str(options.config))
    control = () if options.control is None else ("-o", f"ControlPath={options.control}")
    batch = ("-o", f"BatchMode={'no' if options.prompts else 'yes'}")
    return (*config, *control, *batch, *OPTIONS, "-o", "ControlMaster=no")


def read_ssh(result: Result, host: str) -> Result:
    """Return what the command itself said.

    Raises
    ------
    CommandMissing
        If the program does not exist there.
    BatchUnavailable
        If the host was not reached, or lost before the command ended.
    """
    ending = _ENDING.search(result.stderr)
    if ending is None:
        if (mark := result.command.stop_at) and mark in result.stderr:
            return _without_marks(result, exit_code=-signal.SIGTERM)
        raise _connection_error(result, host)
    words = _answer(result.stderr[: ending.start()]) + result.stderr[ending.end() :]
    said = replace(result, exit_code=int(ending[1]), stdout=_answer(result.stdout), stderr=words)
    if _MISSING not in said.stderr:
        return said
    raise CommandMissing(
        f"{result.command.argv[0]} cannot be run on {host}: no such program",
        result=said,
        hint=f"commands over ssh get the path that \"ssh {host} 'echo $PATH'\" shows; "
        "add the program's directory in the login files there",
    )


def _connection_error(result: Result, host: str) -> BatchError:
    if _BEGIN in result.stdout:
        lost = _without_marks(result)
        return BatchUnavailable(
            f"the connection to {host} was lost while {result.command.argv[0]} ran"
            + (f": {lost.words}" if lost.words else ""),
            result=lost,
            hint="it may have done its work, or a part of it",
        )
    hints = (hint for pattern, hint in _HINTS.items() if re.search(pattern, result.words))
    last_line = (result.words.splitlines() or ["it said nothing"])[-1].strip()
    return BatchUnavailable(
        f"ssh did not reach {host}: {last_line}",
        result=result,
        hint=next(hints, 'try "ssh {host} true"').format(host=host),
    )


def _without_marks(result: Result, *, exit_code: int | None = None) -> Result:
    code = result.exit_code if exit_code is None else exit_code
    stdout, stderr = _answer(result.stdout), _answer(result.stderr)
    return replace(result, exit_code=code, stdout=stdout, stderr=stderr)


def _answer(text: str) -> str:
    noise, mark, answer = text.partition(_BEGIN)
    return answer if mark else noise


def _remote_line(command: Command) -> str:
    # $$ is the leader of a session and of a process group: sshd makes it one. The input passes
    # through the watchdog, which so begins to listen for the end of the connection after it.
    # The watchdog is the part in the background, because shells ignore SIGINT for those. Names
    # begin with dh_: a variable that is exported already would reach the command.
    size = len((command.stdin or "").encode(errors="surrogateescape"))
    feed = f"head -c {size} <&3; " if size else ""
    watchdog = (
        f"{{ {feed}exec >/dev/null; cat <&3; trap '' TERM; kill -s TERM -- -$$; sleep 1; "
        "kill -s KILL -- -$$; } 2>/dev/null &"
    )
    program = (
        f"exec 3<&-; {_drop(command)}{_exports(command)}"
        'case $1 in */*) [ -x "$1" ] && [ ! -d "$1" ] ;; *) command -v "$1" >/dev/null ;; esac '
        f"|| {{ {_print(_MISSING)} >&2; exit 127; }}; "
        'exec "$@"'
    )
    argv = " ".join(map(_quote, command.argv))
    return (
        "dh_n=$(printf '\\nx'); dh_n=${dh_n%x}; exec 3<&0; "
        f"set -- {argv}; {_print(_BEGIN)}; {_print(_BEGIN)} >&2; "
        f"{{ {watchdog} }} | ( {program} ); dh_code=$?; "
        f"printf '{_octal(_END)}%d\\036\\n' $dh_code >&2; exit $dh_code\n"
    )


def _drop(command: Command) -> str:
    if not command.drop:
        return ""
    pattern = _quote("|".join(f"^({each})" for each in command.drop))
    names = "awk 'BEGIN { for (name in ENVIRON) print name }'"
    return (
        f"for dh_name in $({names} | grep -E '^[A-Za-z_][A-Za-z0-9_]*$' | grep -E {pattern}); "
        "do unset $dh_name; done; "
    )


def _exports(command: Command) -> str:
    for name in command.env:
        if not _NAME.fullmatch(name):
            raise ConfigError(
                f"environment variable {name!r} cannot be set by a shell",
                hint="use letters, digits and underscores",
            )
    return "".join(f"export {name}={_quote(value)}; " for name, value in command.env.items())


def _quote(word: str) -> str:
    # The script is one line: a shell that reads it by blocks would take the input with it.
    return '"$dh_n"'.join(shlex.quote(part) for part in word.split("\n"))


def _print(text: str) -> str:
    return f"printf '{_octal(text)}'"


def _octal(text: str) -> str:
    return text.replace("\x1e", "\\036").replace("\n", "\\n")
