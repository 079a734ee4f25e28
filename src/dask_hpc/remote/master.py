"""One connection to a site that all commands share: one prompt for all of them.

It is the user's own OpenSSH, with its configuration, agent, jump hosts and prompts as they are; a
shared connection that the user keeps already is taken as it is.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tempfile
from pathlib import Path

from dask_hpc._files import make_private_directory
from dask_hpc.errors import ConfigError, TunnelError
from dask_hpc.process.ssh import OPTIONS, SSHOptions

_STAYS = "12h"  # after the last command
_ALIVE = 15  # seconds between two signs of life; without four of them the connection is lost
_TRY = 20  # seconds in which a host has to answer when nobody is asked anything
_WORD = "ready"

# What wants somebody to log in is not tried again and again: sites take that for an attack.
_WANTS_LOGIN: set[str] = set()


class LoginNeeded(TunnelError):
    """A site that asks for a password or a code, while nobody can be asked."""

    def __init__(self, host: str) -> None:
        super().__init__(f"{host} asks for a login", hint=f"log in to {host} from another terminal")


def connect(host: str, *, prompts: bool = True) -> SSHOptions:
    """Return how to run commands on a host over a connection that is there, or is now.

    ssh may ask on the terminal, or through the program that ``SSH_ASKPASS`` names.

    Parameters
    ----------
    host
        As ssh knows it: a name of its configuration, or ``user@host``.
    prompts
        Whether it may ask. Without, a new connection comes from keys and tickets alone; a host
        that wants more is left alone until somebody has logged in, from any terminal.

    Raises
    ------
    TunnelError
        If the host is not reached; ssh itself has said why. `LoginNeeded` without prompts.
    ConfigError
        If ssh is not installed, or the host's name is an option.
    """
    if host.startswith("-"):
        raise ConfigError(f"host {host!r} is no name of a host", hint="as in me@login.example.org")
    if _is_there(host, ()):
        return SSHOptions()
    path = socket_of(host)
    shared = ("-o", f"ControlPath={path}")
    if not _is_there(host, shared):
        if host in _WANTS_LOGIN and not prompts:
            raise LoginNeeded(host)
        _open(host, shared, prompts=prompts)
    _WANTS_LOGIN.discard(host)
    return SSHOptions(control=path)


def disconnect(host: str) -> None:
    """End the connection to a host, if it is ours; one of the user's own stays."""
    path = socket_of(host)
    if path.exists():
        done = _ssh(host, ("-o", f"ControlPath={path}", "-O", "exit"), quiet=True)
        if done.returncode:  # what was killed leaves its socket
            path.unlink(missing_ok=True)


def socket_of(host: str) -> Path:
    """Return where our connection to a host listens: a private place, with a short path."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    place = Path(runtime) / "dask-hpc" if runtime else Path("/tmp") / f"dask-hpc-{os.getuid()}"  # noqa: S108 - private, and checked to be
    word = hashlib.sha256(host.encode()).hexdigest()[:16]
    return make_private_directory(place) / f"ssh-{word}"


def _is_there(host: str, shared: tuple[str, ...]) -> bool:
    return _ssh(host, (*shared, "-O", "check"), quiet=True).returncode == 0


def _open(host: str, shared: tuple[str, ...], *, prompts: bool) -> None:
    batch = ("-o", f"BatchMode={'no' if prompts else 'yes'}")
    master = ("-o", "ControlMaster=yes", "-o", f"ControlPersist={_STAYS}")
    options = (*shared, *master, *batch, *_limits(host, prompts=prompts), *OPTIONS)
    done = _ssh(host, options, f"echo {_WORD}", quiet=not prompts)
    if done.returncode == 0 and _WORD in done.stdout:
        return
    if not prompts and "Permission denied" in done.stderr:
        _WANTS_LOGIN.add(host)
        raise LoginNeeded(host)
    said = (done.stdout.strip() or done.stderr.strip()).splitlines()[-1:]
    raise TunnelError(
        ": ".join([f"ssh did not reach {host}", *said]),
        hint=f"see what it said; does 'ssh {host} true' work?",
    )


def _limits(host: str, *, prompts: bool) -> tuple[str, ...]:
    """Return the options that find a lost connection, unless the user's own find it sooner."""
    said = _ssh(host, ("-G",), quiet=True).stdout
    own = re.search(r"^serveraliveinterval (\d+)$", said, re.MULTILINE)
    has_own = own is not None and 0 < int(own[1]) <= _ALIVE
    alive = ("-o", f"ServerAliveInterval={_ALIVE}", "-o", "ServerAliveCountMax=4")
    # Where packets are dropped without a word, a try lasts minutes, longer than the trouble.
    has_patience = prompts or "connecttimeout none" not in said.splitlines()
    short = ("-o", f"ConnectTimeout={_TRY}")
    return (*(() if has_own else alive), *(() if has_patience else short))


def _ssh(
    host: str, options: tuple[str, ...], *command: str, quiet: bool = False
) -> subprocess.CompletedProcess[str]:
    argv = ["ssh", *options, "--", host, *command]
    # No pipe: older ones keep it open as long as the shared connection lasts.
    with tempfile.TemporaryFile("w+", errors="replace") as words:
        try:
            done = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=words if quiet else None,
                text=True,
                check=False,
            )
        except FileNotFoundError:
            raise ConfigError("ssh is not installed", hint="install OpenSSH's client") from None
        words.seek(0)
        return subprocess.CompletedProcess(argv, done.returncode, done.stdout, words.read())
