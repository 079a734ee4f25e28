"""The session of a cluster as its user has it: a port for the browser, and what it waits for."""

from __future__ import annotations

import asyncio
import zlib
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Self

from dask_hpc._clock import SystemClock
from dask_hpc.cluster.record import ClusterState, read_cluster
from dask_hpc.cluster.session import SessionState, read_session, read_token
from dask_hpc.engine.dashboard.entry import Answer, Door
from dask_hpc.engine.dashboard.gate import Gate
from dask_hpc.errors import HPCError, SessionError, TunnelError
from dask_hpc.jupyter.waiting import Wait, waiting_page
from dask_hpc.remote.routes import Target, find_way

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from dask_hpc.cluster.directory import ClusterDirectory
    from dask_hpc.cluster.session import Session
    from dask_hpc.engine.dashboard.tunnel import Channel
    from dask_hpc.remote.routes import Way

_LOOK = 0.2  # seconds between two looks at the files
_PORTS = range(20000, 32000)  # below those that systems give out by chance


class SessionGate:
    """A port of this host by which one browser has the JupyterLab of a cluster.

    Until that is there, it shows what is waited for.

    Parameters
    ----------
    directory
        The cluster's.
    find
        Finds a way to it. Default: one from a login node; see `dask_hpc.remote.routes`.
    routes
        The ways that this one may try. Default: all of them.
    token
        What it wants to be told. Default: what is in the cluster's own file.

    Raises
    ------
    SessionError
        If the cluster was started without JupyterLab, or that has ended.
    """

    def __init__(
        self,
        directory: ClusterDirectory,
        *,
        find: Callable[[Target], Awaitable[Way]] | None = None,
        routes: tuple[str, ...] = (),
        token: str = "",
    ) -> None:
        self._directory = directory
        self._find_way = find or partial(find_way, only=routes)
        self._way: Way | None = None
        self._finding = asyncio.Lock()
        self.trouble = ""  # why there is no way, the last time that one was looked for
        session, record = read_session(directory), read_cluster(directory)
        self._wait = Wait(
            name=record.name,
            site=record.site,
            words="its job is in the queue",
            since=record.created,
        )
        door = Door(
            what="JupyterLab",
            again=f"dask-hpc attach {record.name}",
            room=session.room,
            first="lab",
            is_only_seen=False,
            knows_room=True,
        )
        self._gate = Gate(
            door,
            self,
            headers={"Authorization": f"token {token or read_token(session)}"},
            absent=self._absent,
            port=_port(session.room),
        )

    @property
    def link(self) -> str:
        """A link that opens JupyterLab in one browser of this host, once, within an hour."""
        return self._gate.link

    def tell(self, words: str, *, hint: str = "", is_over: bool = False) -> None:
        """Say on the page what is waited for, or that there is nothing to wait for."""
        self._wait = replace(self._wait, words=words, hint=hint, is_over=is_over)

    async def __aenter__(self) -> Self:
        await self._gate.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._gate.close()
        if self._way:
            await self._way.close()

    async def open(self) -> Channel:
        """Return a connection to JupyterLab; raise `OSError` if there is none to be had."""
        async with self._finding:
            if self._way is None:
                self._way = await self._find()
            way = self._way
        try:
            return await way.open()
        except OSError:
            # It may have moved, or the way may have broken: the next one looks again.
            if self._way is way:
                self._way = None
                await way.close()
            raise

    async def _find(self) -> Way:
        try:
            session = read_session(self._directory)
            if session.state is not SessionState.RUNNING:
                raise ConnectionError(session.reason or session.state)
            way = await self._find_way(Target.of(self._directory))
        except TunnelError as error:
            self.trouble = "; ".join(filter(None, (str(error), error.hint)))
            self.tell(self.trouble)
            raise ConnectionError(str(error)) from error
        except HPCError as error:
            raise ConnectionError(str(error)) from error
        self.trouble = ""
        return way

    def _absent(self) -> Answer:
        page = waiting_page(self._wait, now=SystemClock().time())
        return Answer(status=503, words=self._wait.words, page=page)


def _port(room: str) -> int:
    """Return the same port for a session each time: a tab that is open finds it again."""
    return _PORTS[zlib.crc32(room.encode()) % len(_PORTS)]


async def wait_for_lab(directory: ClusterDirectory, tell: Callable[[str], None]) -> Session:
    """Wait until JupyterLab serves, saying where it is.

    Raises
    ------
    SessionError
        If it will not, with the reason.
    """
    clock = SystemClock()
    while True:
        session = read_session(directory)
        if session.state is SessionState.RUNNING:
            return session
        if session.state in (SessionState.FAILED, SessionState.ENDED):
            raise SessionError(
                f"JupyterLab of {directory.path.name!r} has {session.state}: {session.reason}",
                hint=session.hint,
            )
        _check_alive(directory)
        where = f" on {session.node}" if session.node else ""
        tell(f"JupyterLab is starting{where}")
        await clock.sleep(_LOOK)


def _check_alive(directory: ClusterDirectory) -> None:
    record = read_cluster(directory)
    if record.state is ClusterState.ENDED or record.is_stale:
        raise SessionError(
            f"cluster {record.name!r} has ended: {record.reason or 'its process is gone'}",
            hint=f"dask-hpc logs {record.name}",
        )


def is_followed(directory: ClusterDirectory) -> bool:
    """Whether a session that is over begins again, in a job that waits or starts."""
    with suppress(HPCError):
        record, session = read_cluster(directory), read_session(directory)
        is_coming = session.state in (SessionState.WANTED, SessionState.STARTING)
        return record.state is ClusterState.STARTING or is_coming
    return False


async def until_over(directory: ClusterDirectory) -> str:
    """Return why a session is over, when it is."""
    clock = SystemClock()
    with suppress(HPCError):
        while True:
            session, record = read_session(directory), read_cluster(directory)
            if session.state is not SessionState.RUNNING:
                return session.reason or str(session.state)
            if record.state is not ClusterState.RUNNING:
                return record.reason or "its cluster has ended"
            await clock.sleep(_LOOK * 5)
    return "its cluster was taken down"
