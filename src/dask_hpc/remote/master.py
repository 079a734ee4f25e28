"""One connection to a site that all commands share: one prompt for all of them.

It is the user's own OpenSSH, with its configuration, agent, jump hosts and prompts as they are; a
shared connection that the user keeps already is taken as it is.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

from dask_hpc._files import make_private_directory
from dask_hpc.errors import ConfigError, TunnelError
from dask_hpc.process.ssh import OPTIONS, SSHOptions

_STAYS = "12h"  # after the last command
_ALIVE = ("-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=4")
_WORD = "ready"


def connect(host: str, *, prompts: bool = True) -> SSHOptions:
    """Return how to run commands on a host over a connection that is there, or is now.

    ssh may ask on the terminal, or through the program that ``SSH_ASKPASS`` names.

    Parameters
    ----------
    host
        As ssh knows it: a name of its configuration, or ``user@host``.
    prompts
        Whether it may ask. Without, a new connection comes from keys and tickets alone.

    Raises
    ------
    TunnelError
        If the host is not reached; ssh itself has said why.
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
        _open(host, shared, prompts=prompts)
    return SSHOptions(control=path)


def disconnect(host: str) -> None:
    """End the connection to a host, if it is ours; one of the user's own stays."""
    path = socket_of(host)
    if path.exists():
        _ssh(host, ("-o", f"ControlPath={path}", "-O", "exit"), quiet=True)


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
    done = _ssh(host, (*shared, *master, *batch, *_ALIVE, *OPTIONS), f"echo {_WORD}")
    if done.returncode == 0 and _WORD in done.stdout:
        return
    raise TunnelError(
        f"ssh did not reach {host}" + (f": {done.stdout.strip()}" if done.stdout.strip() else ""),
        hint=f"see what it said; does 'ssh {host} true' work?",
    )


def _ssh(
    host: str, options: tuple[str, ...], *command: str, quiet: bool = False
) -> subprocess.CompletedProcess[str]:
    argv = ["ssh", *options, "--", host, *command]
    try:
        return subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if quiet else None,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        raise ConfigError("ssh is not installed", hint="install OpenSSH's client") from None
