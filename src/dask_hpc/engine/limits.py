"""What a host must have for Dask: open files, free ports of the site, memory."""

from __future__ import annotations

import resource
import socket
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import dask
from dask.utils import parse_timedelta

from dask_hpc._hosts import host_name
from dask_hpc._units import counted
from dask_hpc.cluster.network import family_of
from dask_hpc.cluster.spec import PORTS_OF_A_WORKER
from dask_hpc.errors import LaunchError

if TYPE_CHECKING:
    from collections.abc import Iterator

_CONNECT = 120.0  # seconds


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


def connect_timeout() -> float:
    """Return how many seconds to try to connect: as configured, but long enough for thousands.

    Of 5000 workers that come at once the last one waits for about half a minute, which is what
    distributed allows.
    """
    configured = dask.config.get("distributed.comm.timeouts.connect")
    return max(_CONNECT, float(parse_timedelta(configured, default="s")))


def make_ready_for_thousands() -> None:
    """Let this process open many files, and try long enough to connect to a busy scheduler."""
    raise_open_file_limit()
    dask.config.set({"distributed.comm.timeouts.connect": f"{connect_timeout():g}s"})


def free_ports(ports: str, host: str = "") -> Iterator[int]:
    """Return the ports of a range, as ``"8700:8799"``, on which nobody listens yet.

    Somebody may do so a moment later: whoever takes one must be ready to take the next.
    """
    first, _, last = ports.partition(":")
    return (port for port in range(int(first), int(last or first) + 1) if _is_free(port, host))


def _is_free(port: int, host: str) -> bool:
    with suppress(OSError), socket.socket(family_of(host)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
        return True
    return False


def check_ports(ports: str | None, processes: int, *, host: str = "") -> None:
    """Refuse a range with too few free ports for so many workers.

    Raises
    ------
    LaunchError
        With the numbers.
    """
    wanted = PORTS_OF_A_WORKER * processes
    if ports is None:
        return
    found = len(list(islice(free_ports(ports, host), wanted)))
    if found < wanted:
        raise LaunchError(
            f"{found} of the ports {ports} are free on {host_name()}, and "
            f"{counted(processes, 'worker')} need {wanted}: each has a nanny that listens, too",
            hint="give a wider range in ports; jobs on one node share it",
        )


def memory_of_job(
    asked: int, *, root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")
) -> int:
    """Return the bytes that a job may have: what it asked for, or less if the system allows less.

    distributed reads the limits of the whole machine alone, and not those of a job.
    """
    limits = [asked]
    with suppress(OSError):
        for line in own.read_text(encoding="utf-8").splitlines():
            _, controllers, place = line.split(":", 2)
            limits += _memory_limits(root, place, controllers=controllers)
    return min(limits)


def _memory_limits(root: Path, place: str, *, controllers: str) -> Iterator[int]:
    # https://docs.kernel.org/admin-guide/cgroup-v2.html: memory.max; of version 1 the other one.
    if "memory" in controllers.split(","):
        tree, name = root / "memory", "memory.limit_in_bytes"
    elif not controllers:
        tree, name = root, "memory.max"
    else:
        return
    own = tree / place.strip("/")
    for group in (own, *own.parents):
        with suppress(OSError, ValueError):  # "max", say, or the root, which has none
            yield int((group / name).read_text())
        if group == tree:
            return
