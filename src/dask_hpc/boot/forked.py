"""A worker forked from the trunk: its own side, and the side of the nanny that minds it."""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import os
import random
import shutil
import signal
import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

import cloudpickle
import dask
from distributed import Status, Worker

from dask_hpc.boot.trunk import ignore_signals

if TYPE_CHECKING:
    from distributed import Security

logger = logging.getLogger("distributed.nanny")


class QuietWorker(Worker):
    """A worker that serves no HTTP, which every user of the node could read, and survives signals.

    Batch systems send them to every process of a job; whether to leave is for the supervisor.
    """

    async def start_unsafe(self) -> Any:
        """Start, deaf to what the supervisor listens for."""
        ignore_signals()
        return await super().start_unsafe()

    def start_http_server(self, routes: Any, *_: Any, **__: Any) -> None:  # noqa: ARG002 - distributed calls it so
        """Start nothing; what distributed closes later is there."""
        self.http_server = _NoServer()


class _NoServer:
    """Stands where a worker's HTTP server would be when distributed stops it."""

    port = 0

    def stop(self) -> None:
        """Stop nothing."""


class WorkerDied(Exception):
    """A worker process exited before it was registered."""


class Minder(Protocol):
    """What a forked worker needs of its nanny."""

    name: str

    def request_fork(self, worker: ForkedWorker, channel: socket.socket) -> None:
        """Have the trunk fork a process that reads its specification from a channel."""

    def worker_specification(self) -> dict[str, Any]:
        """Return what the worker process needs to know."""

    def worker_exited(self, status: int) -> None:
        """Hear that the process is gone."""


def work(channel: socket.socket, name: str, *, security: Security) -> int:
    """Run a worker in a freshly forked process, as its nanny specifies.

    ``security`` is the trunk's: its contexts are there already.
    """
    with channel.makefile("rb") as stream:
        specification = cloudpickle.load(stream)
    # Forked processes would all draw the same numbers.
    random.seed()
    if numpy_random := sys.modules.get("numpy.random"):
        numpy_random.seed()
    os.environ.update(specification["env"])
    sys.path[:] = specification["path"]
    dask.config.update(dask.config.config, specification["config"])
    log_format = f"[{name}] " + dask.config.get("distributed.admin.log-format")
    for handler in logging.getLogger("distributed").handlers:
        handler.setFormatter(logging.Formatter(log_format))
    return asyncio.run(_work(channel, {**specification["worker"], "security": security}))


async def _work(channel: socket.socket, options: dict[str, Any]) -> int:
    reader, writer = await asyncio.open_unix_connection(sock=channel)
    worker = await QuietWorker(**options)
    _write(writer, address=worker.address, directory=worker.local_directory)
    stop = asyncio.create_task(_stop_when_told(reader, worker))
    await worker.finished()
    stop.cancel()
    return 0


async def _stop_when_told(reader: asyncio.StreamReader, worker: Worker) -> None:
    if line := await reader.readline():
        await worker.close(nanny=False, **json.loads(line))


def _write(writer: asyncio.StreamWriter, **message: object) -> None:
    writer.write(json.dumps(message).encode() + b"\n")


class ForkedProcess:
    """What distributed's memory manager needs of a process."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def kill(self) -> None:
        """Kill it at once: workers ignore SIGTERM, which batch systems send to everybody."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    terminate = kill


class ForkedWorker:
    """A worker made by the trunk; to its nanny, what ``distributed.nanny.WorkerProcess`` is."""

    def __init__(self, nanny: Minder) -> None:
        self.nanny = nanny
        self.status = Status.init
        self.process: ForkedProcess | None = None
        self.worker_address: str | None = None
        self.worker_dir: str | None = None
        self._started = asyncio.Event()
        self._stopped = asyncio.Event()
        self._writer: asyncio.StreamWriter | None = None

    async def start(self) -> Status:
        """Fork the worker and wait until it is registered with the scheduler.

        Raises
        ------
        WorkerDied
            If it exits before that.
        """
        if self.status == Status.starting:
            await self._started.wait()
        if self.status == Status.running:
            return self.status
        self.status = Status.starting
        self._started, self._stopped = asyncio.Event(), asyncio.Event()
        try:
            ready = await self._fork()
            self.worker_address, self.worker_dir = ready["address"], ready["directory"]
            if self.status == Status.starting:  # and not told to stop meanwhile
                self.status = Status.running
            return self.status
        finally:
            self._started.set()

    async def _fork(self) -> dict[str, str]:
        ours, theirs = socket.socketpair()
        reader, self._writer = await asyncio.open_unix_connection(sock=ours)
        with theirs:
            self.nanny.request_fork(self, theirs)
        self._writer.write(cloudpickle.dumps(self.nanny.worker_specification()))
        if line := await reader.readline():
            ready: dict[str, str] = json.loads(line)
            return ready
        await self._stopped.wait()
        raise WorkerDied("the worker died while it was starting")

    async def kill(self, timeout: float = 5, reason: str = "") -> None:
        """Close the worker, by force if it does not close in time."""
        before, stopped = self.status, self._stopped
        if before in (Status.init, Status.stopped):
            return
        self.status = Status.stopping
        if before == Status.running and self._writer:
            _write(self._writer, timeout=timeout * 0.8, reason=reason)
        if before != Status.starting:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(stopped.wait(), timeout * 0.8)
        # The nanny may have started the next process already: that one is to live.
        if self.process and not stopped.is_set():
            self.process.kill()
        await stopped.wait()

    def forked(self, pid: int) -> None:
        """Hear from the trunk that the process exists."""
        self.process = ForkedProcess(pid)
        if self.status == Status.stopping:
            self.process.kill()

    def exited(self, status: int) -> None:
        """Hear from the trunk that the process is gone, and clean up after it."""
        if self.status in (Status.starting, Status.running) and status != 0:
            logger.warning("worker %s died: status %s", self.nanny.name, status)
        if self.worker_dir:  # in a thread: there may be gigabytes of spilled data
            remove = functools.partial(shutil.rmtree, self.worker_dir, ignore_errors=True)
            asyncio.get_running_loop().run_in_executor(None, remove)
        self.process = self.worker_dir = None
        self.status = Status.stopped
        if self._writer:
            self._writer.close()
        self._stopped.set()
        self.nanny.worker_exited(status)

    @property
    def pid(self) -> int | None:
        """The process id, while there is a process."""
        return self.process.pid if self.process else None

    def is_alive(self) -> bool:
        """Whether the process exists."""
        return self.process is not None
