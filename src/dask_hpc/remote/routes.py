"""Ways from here to the unix socket of a session: a table, tried from its begin.

Each says why it cannot be taken, so that a person knows what to change.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from dask_hpc._files import check_private
from dask_hpc._hosts import host_name
from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.errors import HPCError, TunnelError
from dask_hpc.remote.far import argv_there, far_cluster, far_site
from dask_hpc.remote.line import RelayLine
from dask_hpc.remote.master import connect
from dask_hpc.remote.relay import CHUNK, connect_own

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from dask_hpc.cluster.record import ClusterRecord
    from dask_hpc.cluster.session import Session
    from dask_hpc.cluster.spec import ClusterSpec
    from dask_hpc.remote.line import RelayChannel

_PATIENCE = 30.0  # seconds until a relay answers: its step waits for its turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A session to be reached, with what is known of its cluster."""

    session: Session
    record: ClusterRecord
    spec: ClusterSpec

    @property
    def socket(self) -> Path:
        """Where it listens, on its node."""
        if self.session.socket is None:
            raise TunnelError("JupyterLab has not started yet")
        return self.session.socket


@dataclass(frozen=True, slots=True)
class SocketChannel:
    """A connection to a unix socket of this host."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def read(self) -> bytes:
        """Return what comes next, or nothing at the end."""
        return await self.reader.read(CHUNK)

    async def write(self, data: bytes, /) -> None:
        """Send bytes, or the end."""
        if data:
            self.writer.write(data)
            await self.writer.drain()
        elif self.writer.can_write_eof():
            self.writer.write_eof()

    def abort(self) -> None:
        """Break it off."""
        self.writer.close()


class Way(Protocol):
    """A way that was taken."""

    async def open(self) -> SocketChannel | RelayChannel:
        """Return a new connection; raise `OSError` if there is none to be had."""

    async def close(self) -> None:
        """Leave nothing of it behind."""


@dataclass(frozen=True, slots=True)
class Direct:
    """The socket itself, on this host."""

    socket: Path

    async def open(self) -> SocketChannel:
        """Connect to it."""
        return SocketChannel(*await connect_own(str(self.socket)))

    async def close(self) -> None:
        """There is nothing to close."""


async def _direct(target: Target) -> Way:
    if target.session.node != host_name():
        raise TunnelError(f"it is on {target.session.node}, this is {host_name()}")
    try:
        check_private(target.socket.parent)
        way = Direct(target.socket)
        (await way.open()).abort()
    except OSError as error:
        raise TunnelError(f"{target.socket}: {(error.strerror or str(error)).lower()}") from None
    return way


async def _srun(target: Target) -> Way:
    return await _line(_srun_relay(target), environ=_environ(target))


def _srun_relay(target: Target) -> tuple[str, ...]:
    if target.spec.system != "slurm":
        raise TunnelError("this is not Slurm")
    if shutil.which("srun") is None:
        raise TunnelError("there is no srun here")
    if not target.record.job:
        raise TunnelError("its scheduler is in no job")
    step = ("--overlap", f"--jobid={target.record.job}", "--nodes=1", "--ntasks=1")
    place = (f"--nodelist={target.session.node}",) if target.spec.scheduler.nodes > 1 else ()
    quiet = ("--quiet", "--unbuffered", "--export=ALL", "--chdir=/")
    return ("srun", *step, *place, *quiet, *_relay(target))


async def _ssh(target: Target) -> Way:
    cluster = far_cluster(target.record.name)
    site = far_site(cluster.site) if cluster else None
    if site is None:
        raise TunnelError("it is not on a site that ssh reaches")
    options = await asyncio.to_thread(connect, site.host, prompts=False)
    argv = argv_there(site, ("relay", target.record.name), options=options)
    return await _line(argv, environ=os.environ)


def relay_of(target: Target) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the relay to a session, for somebody who is elsewhere: words and environment.

    Raises
    ------
    TunnelError
        If there is no way to its node from here.
    """
    is_here = target.session.node == host_name()
    return (_relay(target) if is_here else _srun_relay(target)), _environ(target)


def _environ(target: Target) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ClusterDirectory(target.spec.directory).code)}


def _relay(target: Target) -> tuple[str, ...]:
    return (target.spec.python, "-m", "dask_hpc.remote.relay", str(target.socket))


async def _line(argv: tuple[str, ...], *, environ: Mapping[str, str]) -> RelayLine:
    line = RelayLine(argv, env=environ)
    await line.start(_PATIENCE)
    return line


# In the order in which they are tried; each raises `TunnelError` with the reason why not.
ROUTES: dict[str, Callable[[Target], Awaitable[Way]]] = {
    "direct": _direct,
    "srun": _srun,
    "ssh": _ssh,
}


async def find_way(target: Target, *, only: tuple[str, ...] = tuple(ROUTES)) -> Way:
    """Return the first way to a session that can be taken.

    Raises
    ------
    TunnelError
        If there is none, with what speaks against each.
    """
    against = []
    for name in only:
        try:
            way = await ROUTES[name](target)
        except HPCError as error:
            against.append(f"{name}: {error}")
        else:
            return way
    raise TunnelError(
        f"there is no way to JupyterLab on {target.session.node}: {'; '.join(against)}",
        hint="run this on that node, or where its batch system's commands are",
    )
