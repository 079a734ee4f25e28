"""Ways from a login node, or from the node itself, to the unix socket of a session there.

They are tried in the order of a table, and each says why it cannot be taken. What was found out of
a site is remembered: the way that was taken is the first to be tried the next time.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

from dask_hpc._files import check_private
from dask_hpc._hosts import host_name
from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.cluster.record import read_cluster, read_spec
from dask_hpc.cluster.session import read_session
from dask_hpc.errors import HPCError, TunnelError
from dask_hpc.remote.line import RelayLine
from dask_hpc.remote.relay import CHUNK, connect_own, in_words
from dask_hpc.remote.shells import Seat, attached, by_ssh, can_attach, environment_at
from dask_hpc.remote.verdicts import Verdict, recall, refused_lately, remember

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from dask_hpc.cluster.record import ClusterRecord
    from dask_hpc.cluster.session import Session
    from dask_hpc.cluster.spec import ClusterSpec
    from dask_hpc.remote.line import RelayChannel

_PATIENCE = 30.0  # seconds until a relay answers: its step waits for its turn
_HINTS = {
    "Host key verification failed": 'type "ssh {node}" once where this runs, and compare its key',
    "forwarding request failed|open failed": "the login node may forward no ports "
    "(AllowTcpForwarding), or {node} take no ssh",
    "Permission denied": "a key of yours must be let in on {node} without a question",
    "no active jobs": "the node lets in who has a job there: it may have ended",
    "Connection refused|timed out|No route to host": "the nodes of this site may take no ssh",
    "cannot be run": "run this where the commands of the batch system are",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A session to be reached, with what is known of its cluster."""

    session: Session
    record: ClusterRecord
    spec: ClusterSpec

    @classmethod
    def of(cls, directory: ClusterDirectory) -> Self:
        """Return the session of a cluster.

        Raises
        ------
        HPCError
            If there is no such cluster, or it was started without a session.
        """
        session, record = read_session(directory), read_cluster(directory)
        return cls(session=session, record=record, spec=read_spec(directory))

    @property
    def socket(self) -> Path:
        """Where it listens, on its node."""
        if self.session.socket is None:
            raise TunnelError("JupyterLab has not started yet")
        return self.session.socket

    @property
    def is_here(self) -> bool:
        """Whether its node is this host."""
        return self.session.node == host_name()

    @property
    def seat(self) -> Seat:
        """The place in the batch system where it is."""
        return Seat(
            system=self.spec.system,
            job=self.record.job,
            node=self.session.node,
            is_here=self.is_here,
            is_alone=self.spec.scheduler.nodes == 1,
        )

    def relay(self) -> tuple[str, ...]:
        """Return the relay to it, as its node runs that, from a directory that is there."""
        code = ClusterDirectory(self.spec.directory).code
        python = ("env", f"PYTHONPATH={code}", *self.spec.wrapper, self.spec.python)
        words = (*python, "-m", "dask_hpc.remote.relay", str(self.socket))
        return ("/bin/sh", "-c", 'cd / && exec "$@"', "relay", *words)


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


# the ways ----------------------------------------------------------------------------------------


def _direct(target: Target) -> tuple[str, ...]:
    if not target.is_here:
        raise TunnelError(f"it is on {target.session.node}, this is {host_name()}")
    try:
        check_private(target.socket.parent)
    except OSError as error:
        raise TunnelError(f"{target.socket}: {in_words(error)}") from None
    return (sys.executable, "-m", "dask_hpc.remote.relay", str(target.socket))


def _ssh(target: Target) -> tuple[str, ...]:
    return by_ssh(target.session.node, target.relay())


def _job(target: Target) -> tuple[str, ...]:
    if not target.record.job:
        raise TunnelError("its scheduler is in no job")
    if not can_attach(target.seat):
        raise TunnelError(f"{target.spec.system} has no command that gets into a job from outside")
    return attached(target.seat, target.relay())


def _tls(target: Target) -> tuple[str, ...]:
    own = ("--directory", str(target.spec.directory))
    return (sys.executable, "-m", "dask_hpc.remote.port", "reach", *own)


# In the order in which they are tried: the relay to run from here, or `TunnelError` with the reason
# why there is none.
ROUTES: dict[str, Callable[[Target], tuple[str, ...]]] = {
    "direct": _direct,
    "ssh": _ssh,
    "job": _job,
    "tls": _tls,
}
_ALWAYS = "direct"  # costs nothing to try, and says nothing of the site


async def find_way(target: Target, *, only: Sequence[str] = ()) -> Way:
    """Return the first way to a session that can be taken.

    Parameters
    ----------
    only
        The ways to try. Default: the one that is set, else the one that was taken last at this
        site, else each of `ROUTES`.

    Raises
    ------
    TunnelError
        If there is none, with what speaks against each.
    """
    return (await _search(target, only))[1]


async def relay_of(
    target: Target, *, only: Sequence[str] = (), afresh: bool = False
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the relay to a session, for somebody who is elsewhere: words and environment.

    The way that was taken last at this site is not tried before, unless ``afresh``.

    Raises
    ------
    TunnelError
        If there is no way to its node from here.
    """
    name = "" if afresh or only or target.is_here else _first(target)
    if not name:
        name, way = await _search(target, only, afresh=afresh)
        await way.close()
    return ROUTES[name](target), {**os.environ, **environment_at(target.seat)}


def _first(target: Target) -> str:
    """Return the way that is set, or was taken the last time."""
    known = recall(target.record.site)
    return target.spec.route or (known.taken if known else "")


async def verdicts_on(target: Target, *, only: Sequence[str] = ()) -> tuple[Verdict, ...]:
    """Return how each way to a session does, now; what is said of all of them is remembered."""
    found = []
    for name in only or ROUTES:
        verdict, way = await _try(name, target)
        found.append(verdict)
        if way:
            await way.close()
    if not only:
        remember(target.record.site, _of_the_site(found))
    return tuple(found)


async def _search(target: Target, only: Sequence[str], *, afresh: bool = False) -> tuple[str, Way]:
    """Return the first way that can be taken and its name, and remember what was found out."""
    wanted = only or ((target.spec.route,) if target.spec.route else ())
    first = "" if afresh or wanted else _first(target)
    names = wanted or sorted(ROUTES, key=lambda name: (name != _ALWAYS, name != first))
    found: list[Verdict] = []
    for name in names:
        verdict, way = await _try(name, target)
        found.append(verdict)
        if way:
            if not wanted and name not in (_ALWAYS, first):
                remember(target.record.site, _of_the_site(found))
            return name, way
        if not wanted and name == _ALWAYS and (lately := refused_lately(target.record.site)):
            raise _no_way(target, (*found, *lately))
    if not wanted:
        remember(target.record.site, _of_the_site(found))
    raise _no_way(target, found)


def _no_way(target: Target, found: Sequence[Verdict]) -> TunnelError:
    hints = [f"{each.route}: {each.hint}" for each in found if each.hint]
    return TunnelError(
        f"there is no way to JupyterLab on {target.session.node}: {'; '.join(map(str, found))}",
        hint="; ".join(hints) or "run this on that node, or on a login node of its site",
    )


def _of_the_site(found: Sequence[Verdict]) -> tuple[Verdict, ...]:
    return tuple(each for each in found if each.route != _ALWAYS)


async def tried(name: str, taking: Awaitable[Way], *, node: str) -> tuple[Verdict, Way | None]:
    """Return how a way to a node does that is being taken, and the way if it works."""
    try:
        way = await taking
    except HPCError as error:
        hint = error.hint or _hint_for(str(error), node=node)
        return Verdict(route=name, works=False, reason=str(error), hint=hint), None
    return Verdict(route=name, works=True, reason="it works"), way


async def _try(name: str, target: Target) -> tuple[Verdict, Way | None]:
    return await tried(name, _take(name, target), node=target.session.node)


async def _take(name: str, target: Target) -> Way:
    argv = ROUTES[name](target)
    if name == _ALWAYS:
        way = Direct(target.socket)
        try:
            (await way.open()).abort()
        except OSError as error:
            raise TunnelError(f"{target.socket}: {in_words(error)}") from None
        return way
    line = RelayLine(argv, env={**os.environ, **environment_at(target.seat)})
    await line.start(_PATIENCE)
    return line


def _hint_for(words: str, *, node: str) -> str:
    """Return what would help where a way to a node failed with these words; nothing if unknown."""
    found = (hint for pattern, hint in _HINTS.items() if re.search(pattern, words))
    return next(found, "").format(node=node)
