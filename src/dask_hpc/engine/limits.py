"""What a host must have for Dask: open files, a free port of the site, the network interface."""

from __future__ import annotations

import resource
import socket
from contextlib import suppress

import psutil

from dask_hpc.errors import ConfigError, LaunchError


def raise_open_file_limit() -> int:
    """Raise the soft limit of open files to the hard one; return it.

    A worker costs its scheduler two or three descriptors, so that the usual 1024 end at about
    400 workers. Only distributed's own command line raises it, and only half way.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or soft >= hard:
        return soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def free_port(ports: str) -> int:
    """Return a port of a range, as ``"8700:8799"``, on which nobody listens yet.

    distributed takes a range for workers, but for a scheduler one port only.

    Raises
    ------
    LaunchError
        If all of them are taken.
    """
    first, _, last = ports.partition(":")
    for port in range(int(first), int(last or first) + 1):
        with suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("", port))
            return port
    raise LaunchError(f"every port of {ports} is in use on this host", hint="give a wider range")


def check_interface(name: str | None) -> None:
    """Refuse a network interface that this host does not have.

    Raises
    ------
    ConfigError
        With those that it has.
    """
    found = psutil.net_if_addrs()
    if name is not None and name not in found:
        raise ConfigError(
            f"this host, {socket.gethostname()}, has no network interface {name!r}",
            hint=f"it has {', '.join(sorted(found))}",
        )
