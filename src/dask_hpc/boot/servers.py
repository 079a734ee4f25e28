"""A scheduler and a worker of Dask as a task of a launch, or a site's own script, runs them."""

from __future__ import annotations

import getpass
import logging
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import dask
from distributed import Nanny, SchedulerPlugin, Worker
from tornado.netutil import bind_sockets

from dask_hpc._clock import SystemClock, until
from dask_hpc._files import make_private_directory
from dask_hpc.batch.model import Resources
from dask_hpc.boot.classes import imported
from dask_hpc.boot.forked import QuietWorker
from dask_hpc.boot.nanny import ForkNanny
from dask_hpc.boot.share import look_at_node
from dask_hpc.cluster import network
from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.cluster.spec import ClusterSpec, Home
from dask_hpc.engine.limits import make_ready_for_thousands
from dask_hpc.engine.listening import choose_ears, start_at_free_port
from dask_hpc.engine.scheduler import HPCScheduler
from dask_hpc.engine.tls import cluster_security
from dask_hpc.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from distributed import Scheduler, Security

    from dask_hpc.boot.ranks import Ranks

logger = logging.getLogger("distributed.boot")

_FAREWELL = 5.0  # seconds
LATE = 20.0  # seconds in which whoever was started with the others comes, too
HASTEN = "hpc_hasten"  # asks a scheduler to wait for nobody when it ends
_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What somebody wants of the servers of a cluster; the words are dask-mpi's.

    ``nthreads`` of ``None`` and ``memory_limit`` of ``"auto"`` are this task's part of its node;
    ``dashboard_address`` is a port that others reach, besides the private socket. Without
    ``secure`` nothing is encrypted. Times are in seconds.
    """

    interface: str | None = None
    protocol: str | None = None
    nthreads: int | None = None
    memory_limit: str | float = "auto"
    local_directory: str | None = None
    worker_class: str = "distributed.Worker"
    worker_options: Mapping[str, Any] = field(default_factory=dict)
    worker_name: str | None = None
    scheduler_port: int | None = None
    scheduler_file: Path | None = None
    dashboard_address: str | None = None
    secure: bool = True
    loopback: bool = False
    death_timeout: float = 60.0
    idle_timeout: float | None = None

    def name(self, rank: int) -> int | str:
        """Return the name of the worker of a task."""
        return rank if self.worker_name is None else f"{self.worker_name}-{rank}"


def spec_of(wishes: Wishes, room: Path, *, name: str = "mpi") -> ClusterSpec:
    """Return what the parts of the engine need to know of such a cluster.

    ``room`` is a private directory, for the certificates and the dashboard's socket.
    """
    none = Resources(cores=1, memory=1)
    return ClusterSpec(
        name=name,
        site=name,
        system=name,
        user=getpass.getuser(),
        home=Home.HERE,
        directory=room,
        worker=none,
        scheduler=none,
        processes=1,
        python=sys.executable,
        interface=wishes.interface,
        loopback=wishes.loopback,
        secure=wishes.secure,
        scheduler_file=wishes.scheduler_file,
        idle_timeout=wishes.idle_timeout,
        client_lease=0.0,
    )


async def start_scheduler(spec: ClusterSpec, wishes: Wishes, *, expected: int = 0) -> HPCScheduler:
    """Return a running scheduler, which no batch system stands behind.

    Its end waits a while for as many workers as are ``expected``: they are starting, perhaps.

    Raises
    ------
    ConfigError
        If this host does not have the network interface.
    LaunchError
        If the port is in use.
    """
    _make_ready()
    directory = ClusterDirectory(make_private_directory(spec.directory))
    (directory.path / "dask-scratch-space").mkdir(mode=0o700, exist_ok=True)
    ears = await choose_ears(spec)
    security = cluster_security(directory.tls, secure=spec.secure)

    def make(port: int) -> HPCScheduler:
        return HPCScheduler(
            dashboard_socket=directory.dashboard,
            security=security,
            protocol=wishes.protocol or ("tls" if spec.secure else "tcp"),
            host=ears.hosts,
            port=[port] * len(ears.hosts),
            idle_timeout=spec.idle_timeout,
            local_directory=str(directory.path),
        )

    ports = None if wishes.scheduler_port is None else str(wishes.scheduler_port)
    scheduler: HPCScheduler = await start_at_free_port(make, ports)
    scheduler.add_plugin(Farewell(scheduler, expected=expected))
    if wishes.dashboard_address:
        _open_dashboard(scheduler, wishes.dashboard_address, is_open=not spec.secure)
    return scheduler


def _make_ready() -> None:
    make_ready_for_thousands()
    # The directories are this run's own, and shared file systems are slow to lock, or hang.
    dask.config.set({"distributed.worker.use-file-locking": False})


def _open_dashboard(scheduler: HPCScheduler, address: str, *, is_open: bool) -> None:
    """Serve the dashboard at a port, too, because somebody named it."""
    host, _, port = address.rpartition(":")
    if not port.isdecimal():
        raise ConfigError(
            f"dashboard address {address!r} has no port", hint="as in :8787 or 127.0.0.1:8787"
        )
    try:
        scheduler.http_server.add_sockets(bind_sockets(int(port), host.strip("[]") or None))
    except OSError as error:
        logger.warning("the dashboard cannot be at %s: %s", address, str(error).lower())
        return
    if not is_open:
        logger.warning("everybody who reaches %s can read the dashboard", address)


def beside(scheduler_file: Path) -> Path:
    """Return the private directory of the scheduler that a file is about."""
    return scheduler_file.absolute().with_name(f"{scheduler_file.name}.private")


async def start_worker(
    wishes: Wishes,
    scheduler: str,
    *,
    security: Security,
    ranks: Ranks,
    scratch: Path,
) -> Worker | Nanny:
    """Return a running worker, or the nanny of one.

    Raises
    ------
    ConfigError
        If this host does not have the network interface, or the class is none.
    """
    _make_ready()
    options = {
        "name": wishes.name(ranks.rank),
        "local_directory": str(scratch),
        "death_timeout": wishes.death_timeout,
        "security": security,
        **_of_node(wishes, ranks),
        **await _of_network(wishes, scheduler),
        **wishes.worker_options,
    }
    kind = wishes.worker_class
    if kind not in _NANNIES:
        return await imported(kind)(scheduler, **options)
    try:
        return await ForkNanny(None, scheduler, worker_class=QuietWorker, **options)
    except RuntimeError as error:  # distributed's word for all that goes wrong at the start
        # Some libraries of MPI, and some sites, let no task start others.
        if not isinstance(error.__cause__, OSError):
            raise
        logger.warning("no process can be started for the worker, it runs here: %s", error)
        return await QuietWorker(scheduler, **options)


class Farewell(SchedulerPlugin):
    """Sends the workers home before the scheduler closes: else they complain that it is gone."""

    name = "hpc-farewell"

    def __init__(self, scheduler: HPCScheduler, *, expected: int) -> None:
        self._scheduler = scheduler
        self._missing = expected
        scheduler.handlers[HASTEN] = self.hasten

    def add_worker(self, scheduler: Scheduler, worker: str) -> None:  # noqa: ARG002 - distributed calls it so
        """Count those that have come."""
        self._missing -= 1

    def hasten(self) -> None:
        """Wait for nobody who has not come."""
        self._missing = 0

    async def before_close(self) -> None:
        """Wait for all of them, but not for long."""
        await until(lambda: self._missing <= 0, LATE, clock=SystemClock(), every=0.02)
        for address in list(self._scheduler.workers):
            self._scheduler.worker_send(address, {"op": "close", "reason": "scheduler-close"})
        clock = SystemClock()
        await until(lambda: not self._scheduler.workers, _FAREWELL, clock=clock, every=0.02)


# Ours in the place of these: its worker serves no HTTP, which every user of the node could read.
_NANNIES = {"distributed.Nanny", "distributed.nanny.Nanny", "dask.distributed.Nanny"}


def _of_node(wishes: Wishes, ranks: Ranks) -> dict[str, Any]:
    node = look_at_node()
    limit = wishes.memory_limit
    return {
        "nthreads": wishes.nthreads or node.threads(ranks.local_size),
        "memory_limit": node.memory_of(ranks.local_size) if limit == "auto" else limit,
    }


async def _of_network(wishes: Wishes, scheduler: str) -> dict[str, Any]:
    protocol = {"protocol": wishes.protocol} if wishes.protocol else {}
    if wishes.interface:
        network.named(network.look(), wishes.interface)
        return {"interface": wishes.interface, **protocol}
    return {"host": network.bracketed(await own_host(None, scheduler)), **protocol}


async def own_host(interface: str | None, scheduler: str) -> str:
    """Return the address of this host at which a worker listens.

    Raises
    ------
    ConfigError
        If this host does not have the network interface.
    """
    if network.host_of(scheduler) == _LOOPBACK:
        return _LOOPBACK
    here = network.look()
    if interface:
        return network.named(here, interface).ip
    return (await network.of_worker(here, scheduler)).ip
