"""How a cluster shows itself to its user: the link to its dashboard, its card, its controls."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from distributed.core import Status

from dask_hpc._clock import SystemClock
from dask_hpc.cluster.spec import Home
from dask_hpc.deploy.card import CardFacts, card
from dask_hpc.deploy.inside import seen_from_notebook
from dask_hpc.engine.dashboard.gate import DashboardGate
from dask_hpc.engine.dashboard.tunnel import DashboardRoute
from dask_hpc.errors import HPCError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from dask_hpc.controller.report import Report
    from dask_hpc.engine.scheduler import HPCScheduler

_SECONDS = 2.0  # that a notebook waits for a report


class ClusterFace:
    """What a handle shows of its cluster. Nothing of it exists until somebody looks.

    Parameters
    ----------
    cluster
        The handle.
    ask
        How it asks the controller.
    scheduler
        What returns the scheduler if that is in this process.
    """

    def __init__(
        self,
        cluster: Any,
        *,
        ask: Callable[[], Awaitable[Report]],
        scheduler: Callable[[], HPCScheduler | None],
    ) -> None:
        self._cluster = cluster
        self._ask = ask
        self._scheduler = scheduler
        self._gate: DashboardGate | None = None
        self._lock = threading.Lock()
        self.report: Report | None = None

    @property
    def link(self) -> str:
        """A link that opens the dashboard in one browser; empty without a cluster."""
        cluster = self._cluster
        if cluster.status != Status.running:
            return ""
        with self._lock:  # a widget asks in another thread
            if self._gate is None:
                connection = cluster.security.get_connection_args("client")
                route = DashboardRoute(scheduler=cluster.scheduler_address, connection=connection)
                self._gate = DashboardGate(cluster.name, route)
                cluster.loop.add_callback(self._gate.open)
            return seen_from_notebook(self._gate.link)

    def card(self) -> str:
        """Return the cluster in HTML, after the controller was asked, if that can be waited for."""
        self.ask_now()
        return card(self.facts())

    def facts(self) -> CardFacts:
        """Return what is known of the cluster at this moment."""
        cluster = self._cluster
        workers = cluster.scheduler_info["workers"].values()
        return CardFacts(
            kind=type(cluster).__name__,
            name=cluster.name,
            place=self._place(),
            now=SystemClock().time(),
            address=cluster.scheduler_address,
            link=self.link,
            workers=len(workers),
            threads=sum(worker["nthreads"] for worker in workers),
            memory=sum(worker["memory_limit"] for worker in workers),
            report=self.report,
            walltime=self._walltime(),
        )

    async def look(self) -> None:
        """Ask the controller; if it does not answer, what it said before is still shown."""
        with suppress(HPCError, OSError, asyncio.TimeoutError):
            self.report = await asyncio.wait_for(self._ask(), _SECONDS)

    async def close(self) -> None:
        """Let nobody see the dashboard any more."""
        with self._lock:
            gate, self._gate = self._gate, None
        if gate:
            await gate.close()

    def ask_now(self) -> None:
        """Ask the controller, and wait for its answer where that is possible."""
        cluster = self._cluster
        if cluster.status != Status.running:
            return
        if not cluster.asynchronous:
            cluster.sync(self.look)
        elif scheduler := self._scheduler():
            scheduler.jobs.look()
            self.report = scheduler.jobs.history.report
        else:
            cluster.loop.add_callback(self.look)  # for whoever looks again

    def _walltime(self) -> float | None:
        cluster = self._cluster
        is_known = cluster.status == Status.running and cluster.spec.home is Home.JOB
        return cluster.spec.scheduler.walltime if is_known else None

    def _place(self) -> str:
        cluster = self._cluster
        if cluster.status != Status.running:
            return cluster.status.name
        home = "its scheduler is here" if cluster.spec.home is Home.HERE else "in jobs of its own"
        return f"{cluster.spec.site}, {home}"
