"""The supervisor of a worker host: one nanny a worker, until all have closed or it must drain."""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from distributed import Status

from dask_hpc._clock import SystemClock
from dask_hpc.boot.classes import imported, is_worker, make
from dask_hpc.boot.forked import QuietWorker
from dask_hpc.boot.gpus import gpus_of
from dask_hpc.boot.guest import Guest
from dask_hpc.boot.nanny import ForkNanny
from dask_hpc.boot.trunk import DRAIN_SIGNALS
from dask_hpc.cluster.network import bracketed
from dask_hpc.cluster.slot import worker_name
from dask_hpc.engine.admission import RUN, say_run
from dask_hpc.engine.drain import DrainRoute, drain
from dask_hpc.engine.limits import check_ports

if TYPE_CHECKING:
    from pathlib import Path

    from distributed import Security

    from dask_hpc.boot.arrival import Approach, Place
    from dask_hpc.boot.forked import ForkedWorker
    from dask_hpc.cluster.slot import Slot
    from dask_hpc.cluster.spec import ClusterSpec

logger = logging.getLogger("distributed.worker_host")

_MESSAGE = 4096  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """Where a worker host stands: its job, the way to its scheduler, its scratch space.

    ``first`` is the number of its first worker, of those of all nodes of the job;
    ``memory_limit`` is that of each worker, in bytes; ``drain_at`` is when the host leaves, in
    seconds since the epoch, or never.
    """

    spec: ClusterSpec
    slot: Slot
    first: int
    arrival: Approach
    security: Security
    scratch: Path
    memory_limit: int
    drain_at: float | None

    def name_of(self, index: int) -> str:
        """Return the name of a worker of this node; that of a worker job says which job it is."""
        number = self.first + index
        if self.spec.is_one_job:
            return f"{self.spec.name}-{number}"
        return worker_name(self.slot, number)


class Supervisor:
    """Runs a node's workers: forked by the trunk at the other end of ``control``, else spawned."""

    def __init__(self, post: Post, control: socket.socket | None) -> None:
        self._post = post
        self._control = control
        self._clock = SystemClock()
        self._workers: dict[str, ForkedWorker] = {}
        self._asked_to_drain = asyncio.Event()
        self._nannies: list[ForkNanny | Guest] = []

    async def run(self) -> int:
        """Return the exit status of the host.

        Raises
        ------
        HPCError
            If the workers cannot work here, or not reach the scheduler.
        """
        self._listen()
        timer = asyncio.ensure_future(self._drain_in_time())
        code = await self._serve()
        while code == 0 and await self._is_followed():
            logger.info("another scheduler follows: the workers begin anew")
            code = await self._serve()
        timer.cancel()
        return code

    async def _is_followed(self) -> bool:
        """Whether the workers ended because their scheduler did, and another one follows it."""
        following = asyncio.ensure_future(self._post.arrival.is_followed())
        await self._unless_drained(following)
        following.cancel()
        return not self._asked_to_drain.is_set() and following.result()

    async def _serve(self) -> int:
        """Run the workers until they have ended; return the exit status of the host."""
        arriving = asyncio.ensure_future(self._post.arrival.place(self._post.security))
        await self._unless_drained(arriving)
        if not arriving.done():
            arriving.cancel()
            return 0
        place = arriving.result()
        spec = self._post.spec
        check_ports(spec.ports, spec.processes, host=place.host)
        self._nannies = [self._nanny(index, place) for index in range(spec.processes)]
        starting = asyncio.gather(*map(self._start, self._nannies))
        await self._unless_drained(starting)
        ending = asyncio.gather(*(nanny.finished() for nanny in self._nannies))
        await self._unless_drained(ending)
        await self._leave(place)
        await asyncio.gather(*(nanny.close(timeout=1) for nanny in self._nannies))
        if self._asked_to_drain.is_set():
            return 0
        gave_up = any(nanny.gave_up for nanny in self._nannies)
        return int(gave_up or not any(starting.result()))

    def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        if self._control:
            loop.add_reader(self._control, self._receive, self._control)
            return
        for number in DRAIN_SIGNALS:
            loop.add_signal_handler(number, self._asked_to_drain.set)

    def _nanny(self, index: int, place: Place) -> ForkNanny | Guest:
        spec = self._post.spec
        options: dict[str, Any] = {
            "name": self._post.name_of(index),
            "nthreads": spec.threads,
            "memory_limit": self._post.memory_limit,
            "resources": spec.offers,
            "env": gpus_of(index, spec),
            "startup_information": {RUN: functools.partial(say_run, run=self._post.arrival.run)},
            "local_directory": str(self._post.scratch),
            "death_timeout": spec.death_timeout,
            "security": self._post.security,
            "host": bracketed(place.host),
        }
        kind = spec.worker_class
        if kind and not is_worker(kind):
            return Guest(imported(kind), place.scheduler, **options)
        return ForkNanny(
            functools.partial(self._fork, control=self._control) if self._control else None,
            place.scheduler,
            worker_class=functools.partial(make, kind) if kind else QuietWorker,
            port=spec.ports,
            worker_port=spec.ports or 0,
            **options,
        )

    def _fork(
        self, worker: ForkedWorker, channel: socket.socket, *, control: socket.socket
    ) -> None:
        """Ask the trunk for a process that reads its specification from a channel."""
        name = worker.nanny.name
        self._workers[name] = worker
        socket.send_fds(control, [name.encode()], [channel.fileno()])

    def _receive(self, control: socket.socket) -> None:
        """Act on a message from the trunk."""
        message = json.loads(control.recv(_MESSAGE))
        if "drain" in message:
            self._asked_to_drain.set()
        elif "pid" in message:
            self._workers[message["name"]].forked(message["pid"])
        else:
            self._workers[message["name"]].exited(message["status"])

    async def _drain_in_time(self) -> None:
        if self._post.drain_at is None:
            return
        await self._clock.sleep(max(0.0, self._post.drain_at - self._clock.time()))
        logger.info("the job's walltime ends soon: draining")
        self._asked_to_drain.set()

    async def _unless_drained(self, future: asyncio.Future[Any]) -> None:
        """Wait for a future or the order to drain, whichever comes first."""
        order: asyncio.Future[Any] = asyncio.ensure_future(self._asked_to_drain.wait())
        await asyncio.wait({future, order}, return_when=asyncio.FIRST_COMPLETED)
        order.cancel()

    async def _start(self, nanny: ForkNanny | Guest) -> bool:
        """Start a nanny; return whether that worked."""
        try:
            await nanny
        except Exception:
            logger.exception("worker %s did not start", nanny.name)
            await nanny.close(timeout=1)
        return bool(nanny.status == Status.running)

    async def _leave(self, place: Place) -> None:
        """Drain the workers that are still running, and restart none of them."""
        running = [nanny for nanny in self._nannies if nanny.status == Status.running]
        if not running:
            return
        for nanny in running:
            nanny.status = Status.closing_gracefully
        route = DrainRoute(place.scheduler, running[0].connection_args)
        addresses = {nanny.name: nanny.worker_address for nanny in running}
        await drain(route, addresses, seconds=self._post.spec.drain_timeout)
