"""A scheduler with its gate, and a browser without a window that visits it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tornado.httpclient import AsyncHTTPClient, HTTPRequest, HTTPResponse
from tornado.websocket import WebSocketClientConnection, websocket_connect

from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.engine.dashboard.gate import DashboardGate, gate_of
from dask_hpc.engine.start import start_scheduler
from tests.boot.stage import new_cluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from dask_hpc.engine.scheduler import HPCScheduler


@dataclass(slots=True, kw_only=True)
class Visitor:
    """Asks the gate of a scheduler as a browser does."""

    scheduler: HPCScheduler
    directory: ClusterDirectory
    gate: DashboardGate
    cookie: str = ""
    front: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.front = self.gate.link.rpartition("/")[0]

    async def get(self, page: str, *, method: str = "GET", **headers: str) -> HTTPResponse:
        """Ask for a page below the front; redirections are not followed."""
        return await self.fetch(f"{self.front}/{page}", method=method, **headers)

    async def fetch(self, url: str, *, method: str = "GET", **headers: str) -> HTTPResponse:
        """Ask for an address."""
        request = HTTPRequest(
            url,
            method=method,
            headers=self._with_cookie(headers),
            follow_redirects=False,
            request_timeout=30,
            allow_nonstandard_methods=True,
        )
        return await AsyncHTTPClient(force_instance=True).fetch(request, raise_error=False)

    async def enter(self) -> HTTPResponse:
        """Use a link."""
        answer = await self.fetch(self.gate.link)
        self.cookie = answer.headers.get("Set-Cookie", "").partition(";")[0]
        return answer

    async def websocket(
        self, page: str, *, session: str = "", **headers: str
    ) -> WebSocketClientConnection:
        """Open a websocket of bokeh below the front."""
        url = f"{self.front}/{page}".replace("http://", "ws://")
        request = HTTPRequest(url, headers=self._with_cookie(headers))
        return await websocket_connect(request, subprotocols=["bokeh", session])

    def _with_cookie(self, headers: dict[str, str]) -> dict[str, str]:
        return {**({"Cookie": self.cookie} if self.cookie else {}), **headers}


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """A scheduler that many may visit."""

    scheduler: HPCScheduler
    directory: ClusterDirectory

    @asynccontextmanager
    async def visited(self) -> AsyncIterator[Visitor]:
        """Give a visitor who comes by a gate of his own."""
        gate = gate_of(self.directory)
        await gate.open()
        try:
            yield Visitor(scheduler=self.scheduler, directory=self.directory, gate=gate)
        finally:
            await gate.close()


@asynccontextmanager
async def housing(*, secure: bool = True) -> AsyncIterator[House]:
    """Give a cluster's scheduler."""
    with new_cluster(secure=secure) as spec:
        scheduler = await start_scheduler(spec)
        try:
            yield House(scheduler=scheduler, directory=ClusterDirectory(spec.directory))
        finally:
            await scheduler.close()


@asynccontextmanager
async def visiting(*, secure: bool = True) -> AsyncIterator[Visitor]:
    """Give a visitor of a scheduler that nobody else visits."""
    async with housing(secure=secure) as house, house.visited() as visitor:
        yield visitor
