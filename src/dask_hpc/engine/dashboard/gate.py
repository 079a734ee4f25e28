"""A port of this host through which one user's browser sees a cluster's pages, and nobody else's.

Who serves them may be in this process or on another host: he is reached by a route.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from contextlib import suppress
from html import escape
from typing import TYPE_CHECKING

import psutil
from tornado.httputil import HTTPHeaders, HTTPInputError, parse_request_start_line

from dask_hpc._clock import SystemClock
from dask_hpc.cluster.record import read_cluster, read_spec
from dask_hpc.engine.dashboard.entry import Answer, Doorkeeper, Request, Show, dashboard_door
from dask_hpc.engine.dashboard.tunnel import DashboardRoute, carry
from dask_hpc.engine.tls import cluster_security

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dask_hpc.cluster.directory import ClusterDirectory
    from dask_hpc.engine.dashboard.entry import Door
    from dask_hpc.engine.dashboard.tunnel import Route

logger = logging.getLogger(__name__)

_HEAD_SECONDS = 10.0
_HEAD_BYTES = 65536
_PHRASES = {200: "OK", 400: "Bad Request", 403: "Forbidden", 405: "Method Not Allowed",
            502: "Bad Gateway", 503: "Service Unavailable"}  # fmt: skip

# Each request has a connection of its own, so that each of them is judged.
_DROPPED = ("Authorization", "Connection", "Keep-Alive", "Proxy-Connection")

_PAGE = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">{refresh}
<link rel="icon" href="data:,">
<title>{title}</title></head><body style="font: 16px/1.5 sans-serif; margin: 2em">
<p>{words}</p></body></html>
"""


def _no_answer() -> Answer:
    return Answer(status=502, words="The scheduler does not answer.")


class Gate:
    """Lets the user of a cluster, and nobody else, see what it serves.

    Parameters
    ----------
    door
        What that is.
    route
        The way to who serves it.
    headers
        What he is told with every request.
    absent
        What to answer in his place while there is no way to him.
    port
        Where to listen, if that port is free. Default: any.
    """

    def __init__(
        self,
        door: Door,
        route: Route,
        *,
        headers: Mapping[str, str] | None = None,
        absent: Callable[[], Answer] = _no_answer,
        port: int = 0,
    ) -> None:
        self._route = route
        self._title = door.what
        self._headers = headers or {}
        self._absent = absent
        self._keeps_cookies = door.knows_room
        self._listener = _listen(port)
        self._address = self._listener.getsockname()
        self._doorkeeper = Doorkeeper(
            self._address[1], door=door, monotonic=SystemClock().monotonic
        )
        self._server: asyncio.Server | None = None
        self._visits: set[asyncio.Task[None]] = set()
        self._is_closed = False

    @property
    def link(self) -> str:
        """A link that opens the pages in one browser, once, within an hour."""
        return self._doorkeeper.link

    async def open(self) -> None:
        """Answer, from now on. Who has come before was kept waiting."""
        if not self._is_closed:
            self._server = await asyncio.start_server(
                self._welcome, sock=self._listener, limit=_HEAD_BYTES
            )

    async def close(self) -> None:
        """Listen no more, and end what goes on."""
        self._is_closed = True
        if self._server:
            self._server.close()
        self._listener.close()
        for visit in tuple(self._visits):
            visit.cancel()
        await asyncio.gather(*self._visits, return_exceptions=True)

    def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visit = asyncio.ensure_future(self._attend(reader, writer))
        self._visits.add(visit)
        visit.add_done_callback(self._visits.discard)

    async def _attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._serve(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            logger.debug("a browser left early, or sent no request")
        finally:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _HEAD_SECONDS)
        request = _read(head)
        if request is None:
            writer.write(self._written(Answer(status=400, words="this is no HTTP")))
            return await writer.drain()
        peer = writer.get_extra_info("peername")
        verdict = self._doorkeeper.judge(request, is_ours=lambda: _is_own(peer, self._address))
        if isinstance(verdict, Show):
            try:
                comm = await self._route.open()
            except (OSError, TimeoutError):
                verdict = self._absent()
            else:
                await comm.write(self._passed_on(request, verdict.target))
                return await carry(comm, reader, writer=writer)
        writer.write(self._written(verdict, with_body=request.method != "HEAD"))
        return await writer.drain()

    def _passed_on(self, request: Request, target: str) -> bytes:
        """Return the head of a request as the server gets it: without what is not its business."""
        headers = request.headers.copy()
        cookies = request.other_cookies(self._doorkeeper.cookie) if self._keeps_cookies else ""
        for name in ("Cookie", *_DROPPED):
            headers.pop(name, None)
        if cookies:
            headers["Cookie"] = cookies
        for name, value in self._headers.items():
            headers[name] = value
        headers["Connection"] = "Upgrade" if "Upgrade" in headers else "close"
        lines = [f"{request.method} {target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers.get_all()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def _written(self, answer: Answer, *, with_body: bool = True) -> bytes:
        refresh = f'<meta http-equiv="refresh" content="0; url={escape(answer.goes_on)}">'
        body = answer.page or _PAGE.format(
            words=escape(answer.words),
            refresh=refresh if answer.goes_on else "",
            title=escape(self._title),
        )
        lines = [
            f"HTTP/1.1 {answer.status} {_PHRASES[answer.status]}",
            "Content-Type: text/html; charset=utf-8",
            f"Content-Length: {len(body.encode())}",
            "Cache-Control: no-store",
            "Referrer-Policy: no-referrer",
            "Connection: close",
        ]
        if answer.cookie:
            lines.append(f"Set-Cookie: {answer.cookie}")
        head = "\r\n".join(lines) + "\r\n\r\n"
        return (head + body if with_body else head).encode()


class DashboardGate(Gate):
    """Lets the user of a cluster, and nobody else, see its dashboard.

    Parameters
    ----------
    name
        The cluster's.
    route
        The way to its scheduler.
    """

    def __init__(self, name: str, route: DashboardRoute) -> None:
        super().__init__(dashboard_door(name), route)


def _listen(port: int) -> socket.socket:
    with suppress(OSError):
        return socket.create_server(("127.0.0.1", port))
    return socket.create_server(("127.0.0.1", 0))


def gate_of(directory: ClusterDirectory) -> DashboardGate:
    """Return a gate to the dashboard of a cluster that is reached by its record.

    Raises
    ------
    ClusterNotFound
        If there is no such cluster.
    SecurityError
        If its keys are not private.
    """
    record, spec = read_cluster(directory), read_spec(directory)
    connection = cluster_security(directory.tls, secure=spec.secure).get_connection_args("client")
    route = DashboardRoute(scheduler=record.address, connection=connection)
    return DashboardGate(record.name, route)


def _read(head: bytes) -> Request | None:
    with suppress(HTTPInputError, ValueError):
        first, _, rest = head.decode("latin-1").partition("\r\n")
        line = parse_request_start_line(first)
        return Request(method=line.method, target=line.path, headers=HTTPHeaders.parse(rest))
    return None


def _is_own(peer: tuple[str, int], own: tuple[str, int]) -> bool:
    """Whether this process made a connection that has come to it."""
    with suppress(psutil.Error, OSError):
        return any(
            each.laddr == peer and each.raddr == own
            for each in psutil.Process().net_connections("tcp4")
        )
    return False
