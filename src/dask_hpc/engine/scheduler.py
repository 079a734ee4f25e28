"""The scheduler of a cluster: distributed's own, for users that come back and for many workers.

Its dashboard is for its user alone.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from typing import TYPE_CHECKING, Any

import dask
from distributed import Scheduler, Status
from distributed.scheduler import WorkerStatusPlugin
from tornado.httpserver import HTTPServer

from dask_hpc.engine.admission import Admissions
from dask_hpc.engine.dashboard.application import DashboardApplication, own_routes
from dask_hpc.engine.dashboard.link import PrivateDashboard
from dask_hpc.engine.dashboard.tunnel import let_in
from dask_hpc.engine.dashboard.watch import JobWatch
from dask_hpc.engine.lease import LEASE, Leases
from dask_hpc.engine.registration import (
    REGISTRATION,
    Departures,
    Installations,
    list_quickly,
    quicken,
)
from dask_hpc.engine.releases import fits

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from dask.typing import Key
    from distributed.comm import Comm

_ROUTES = "distributed.scheduler.http.routes"


class HPCScheduler(Scheduler):
    """A scheduler that keeps what dropped clients want, and whose HTTP server is its user's alone.

    Thousands of workers may come or leave at once.

    Parameters
    ----------
    dashboard_socket
        Where the dashboard is served. The directory must belong to the user alone.
    client_lease
        For how many seconds it is kept. Default 0: not at all.
    options
        As of `distributed.Scheduler`.
    """

    def __init__(
        self, *, dashboard_socket: Path, client_lease: float = 0.0, **options: Any
    ) -> None:
        self.dashboard_socket = dashboard_socket
        self.expects_workers: Callable[[], bool] = lambda: False
        self.last_use: Callable[[], float] = lambda: 0.0
        self.jobs = JobWatch()
        self._leaving: set[str] = set()
        self._admissions = Admissions()
        self._is_quick = fits(REGISTRATION)
        self._installations = Installations()
        # Not dashboard=True: that loads bokeh at once, and DashboardApplication when it is needed.
        with dask.config.set({_ROUTES: own_routes(dask.config.get(_ROUTES))}):
            super().__init__(**{**options, "dashboard": False})
        self._departures = Departures(self.stream_comms)
        self._leases = Leases(self, seconds=client_lease if fits(LEASE) else 0.0)
        self.handlers.update(
            hpc_leave=self.leave,
            hpc_retiring=self.retiring,
            hpc_expected=self._expected_from,
            hpc_dashboard=self.show_dashboard,
        )
        if self._is_quick:
            quicken()
            list_quickly(self.workers)
        if self._leases.seconds:
            self.handlers["identity"] = self._introduce
            # The one message that only a client sends which closes.
            self.stream_handlers["close-client"] = self._forget_client

    def start_http_server(
        self,
        routes: Any,
        dashboard_address: Any,  # noqa: ARG002 - distributed's signature
        default_port: int = 0,  # noqa: ARG002 - likewise
        ssl_options: Any = None,  # noqa: ARG002 - likewise
    ) -> None:
        """Serve on the socket instead of a port, which every user of the machine could open."""
        self.http_application = DashboardApplication(routes, scheduler=self, jobs=self.jobs)
        self.http_server = HTTPServer(self.http_application)
        self.http_server.add_socket(listen_privately(self.dashboard_socket))
        self.http_server.port = 0  # bokeh asks for it
        # What clients make a link of.
        self.services["dashboard"] = PrivateDashboard(self.jobs)

    async def show_dashboard(self, comm: Any) -> Status:
        """Serve a connection to the dashboard over one to this scheduler."""
        return await let_in(comm, self.http_server)

    def subscribe_worker_status(self, comm: Any) -> Any:
        """Tell one more handle of workers that come and go; the others are told as before."""
        answer = super().subscribe_worker_status(comm)
        # All of them have one name, and each would take the place of the last one.
        plugin = self.plugins.pop(WorkerStatusPlugin.name)
        plugin.name = f"{plugin.name}-{secrets.token_hex(4)}"
        self.plugins[plugin.name] = plugin
        return answer

    async def add_client(self, comm: Comm, client: str, **options: Any) -> None:
        """Serve a client until its connection ends."""
        async with self._leases.alone(client, comm):
            await super().add_client(comm, client, **options)

    def remove_client(self, client: str, stimulus_id: str | None = None) -> None:
        """Let a client go whose connection ended; what it wants is kept for a time."""
        self._leases.park(client)
        super().remove_client(client, stimulus_id)

    def _introduce(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        """Return what clients are told about the scheduler: also how long their lease is."""
        return {**self.identity(*arguments, **options), "client_lease": self._leases.seconds}

    def _forget_client(self, client: str) -> None:
        """Let a client go that has closed, with all that it wanted."""
        super().remove_client(client)
        self._leases.end(client)

    async def add_worker(self, comm: Comm, *, address: str, **options: Any) -> None:
        """Serve a worker until it leaves, unless another job has its place."""
        names = (worker.name for worker in self.workers.values())
        if refusal := self._admissions.refuses(options["name"], options["extra"], here=names):
            await comm.write({"status": "error", "message": refusal, "time": time.time()})
            return
        if self.coerce_address(address) in self._departures:
            self._departures.tell()  # before anybody hears of the new one there
        if self._is_quick:
            options["versions"] = self._installations.shared(options["versions"])
        await super().add_worker(comm, address=address, **options)

    def worker_send(self, worker: str, msg: dict[str, Any]) -> None:
        """Send a message to a worker; news of others that left is sent a little later, at once."""
        if msg["op"] != "remove-worker" or not self._is_quick:
            super().worker_send(worker, msg)
        elif msg["worker"] != self._departures.latest:
            self._departures.add(msg["worker"], msg)

    async def leave(self, names: Collection[str]) -> bool:
        """Hear which workers will leave; return whether they should wait for others first.

        That is so if nobody is here who could take their results, and somebody is on the way.
        """
        self._leaving.update(names)
        others = any(
            worker.status == Status.running and worker.name not in self._leaving
            for worker in self.workers.values()
        )
        return not others and self.expects_workers()

    async def retiring(self, names: Collection[str]) -> list[str]:
        """Return the addresses of those among these workers that get no tasks any more."""
        return [
            worker.address
            for worker in self.workers.values()
            if worker.name in names and worker.status != Status.running
        ]

    async def _expected_from(self, address: str) -> list[Key]:
        """Return the tasks whose end this worker has not told yet."""
        worker = self.workers.get(address)
        return [task.key for task in worker.processing] if worker else []

    async def remove_worker(
        self, address: str, *, stimulus_id: str, expected: bool = False, **options: Any
    ) -> Any:
        """Let a worker go; if it had said that it would leave, no task is blamed for its end."""
        worker = self.workers.get(address)
        if worker is not None and worker.name in self._leaving:
            expected = True
            self._leaving.discard(worker.name)
        return await super().remove_worker(
            address, stimulus_id=stimulus_id, expected=expected, **options
        )

    def check_idle(self) -> float | None:
        """Return since when there is nothing to do; a client, also one to come, may want more."""
        is_used = time.time() - self.last_use() < (self.idle_timeout or 0.0)
        if is_used or self._leases.keep_work or any(map(self._leases.is_user, self.client_comms)):
            self.idle_since = None
            return None
        since: float | None = super().check_idle()
        return since

    async def close(self, *arguments: Any, **options: Any) -> None:
        """Close, and take the dashboard's socket away."""
        self._departures.close()
        await super().close(*arguments, **options)
        self._leases.close()
        self.dashboard_socket.unlink(missing_ok=True)


def listen_privately(path: Path) -> socket.socket:
    """Return a listening socket that only its owner can connect to.

    The name of a socket may have about a hundred bytes; paths in state directories are longer.
    """
    path.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(f"/proc/self/fd/{folder}/{path.name}")
        path.chmod(0o600)
    finally:
        os.close(folder)
    listener.setblocking(False)
    listener.listen(128)
    return listener
