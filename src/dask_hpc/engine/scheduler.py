"""The scheduler of a cluster: distributed's own, with a dashboard that only its user can reach."""

from __future__ import annotations

import os
import secrets
import socket
from typing import TYPE_CHECKING, Any

from distributed import Scheduler, Status
from distributed.http.routing import RoutingApplication
from distributed.scheduler import WorkerStatusPlugin
from tornado.httpserver import HTTPServer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path


class HPCScheduler(Scheduler):
    """A scheduler whose HTTP server listens on a socket in a private directory.

    Parameters
    ----------
    dashboard_socket
        Where the dashboard is served. The directory must belong to the user alone.
    options
        As of `distributed.Scheduler`.
    """

    def __init__(self, *, dashboard_socket: Path, **options: Any) -> None:
        self.dashboard_socket = dashboard_socket
        self.expects_workers: Callable[[], bool] = lambda: False
        self._leaving: set[str] = set()
        super().__init__(**options)
        self.handlers.update(hpc_leave=self.leave, hpc_retiring=self.retiring)

    def start_http_server(
        self,
        routes: Any,
        dashboard_address: Any,  # noqa: ARG002 - distributed's signature
        default_port: int = 0,  # noqa: ARG002 - likewise
        ssl_options: Any = None,  # noqa: ARG002 - likewise
    ) -> None:
        """Serve on the socket instead of a port, which every user of the machine could open."""
        self.http_application = RoutingApplication(routes)
        self.http_server = HTTPServer(self.http_application)
        self.http_server.add_socket(listen_privately(self.dashboard_socket))

    def subscribe_worker_status(self, comm: Any) -> Any:
        """Tell one more handle of workers that come and go; the others are told as before."""
        answer = super().subscribe_worker_status(comm)
        # All of them have one name, and each would take the place of the last one.
        plugin = self.plugins.pop(WorkerStatusPlugin.name)
        plugin.name = f"{plugin.name}-{secrets.token_hex(4)}"
        self.plugins[plugin.name] = plugin
        return answer

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
        """Return since when there is nothing to do; a client that is connected may yet come up."""
        if any(client.startswith("Client-") for client in self.clients):
            self.idle_since = None
            return None
        since: float | None = super().check_idle()
        return since

    async def close(self, *arguments: Any, **options: Any) -> None:
        """Close, and take the dashboard's socket away."""
        await super().close(*arguments, **options)
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
