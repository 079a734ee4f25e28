"""A nanny whose worker is forked from the trunk instead of spawned.

It overrides ``instantiate``, ``kill``, ``plugin_add`` and ``close_gracefully`` of distributed's
nanny, and uses these names of it that are not public; tests hold them: ``_on_worker_exit_sync``
(overridden, too), ``_original_local_dir``, ``_ongoing_background_tasks``, ``worker_kwargs``.
"""

from __future__ import annotations

import functools
import sys
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Any

import dask
from distributed import Nanny, Status
from distributed.nanny import WorkerProcess
from distributed.protocol import pickle

from dask_hpc._clock import SystemClock
from dask_hpc.boot.forked import ForkedWorker, WorkerDied
from dask_hpc.errors import LaunchError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from distributed.diagnostics.plugin import NannyPlugin

_CLOSE_GRACE = 2.0  # seconds until a closing worker is killed
_CRASH_WINDOW = 60.0  # seconds in which so many crashes are too many:
_MAX_CRASHES = 5
# Twice a second a server looks at itself and at all disks; of a nanny nobody wants to know.
_UNWATCHED = {
    "distributed.admin.system-monitor.disk": False,
    "distributed.admin.system-monitor.interval": "60s",
}
_LEAVING = (Status.closing_gracefully, Status.closing, Status.closed)

_SAME = ("name", "nthreads", "resources", "death_timeout", "preload", "preload_argv")


class ForkNanny(Nanny):
    """Minds a forked worker, as long as forking it equals spawning it.

    Without ``fork`` it spawns, as distributed's own does. A worker that keeps crashing is started
    later and later, and at last not.
    """

    process: Any

    def __init__(
        self,
        fork: Callable[[ForkedWorker, socket.socket], None] | None,
        *arguments: Any,
        **options: Any,
    ) -> None:
        of_worker = {key: dask.config.get(key) for key in _UNWATCHED}
        with dask.config.set(_UNWATCHED):
            super().__init__(*arguments, **options)
        dask.config.set(of_worker, config=self.config)
        self.gave_up = False
        self._fork = fork
        self._spawns = fork is None
        self._clock = SystemClock()
        self._crashes: deque[float] = deque(maxlen=_MAX_CRASHES)
        self._is_killing = False

    async def instantiate(self) -> Status:
        """Start the worker."""
        while True:
            try:
                return await self._instantiate()
            except WorkerDied:
                # Later on, distributed tries again when it hears of the exit.
                if self.status not in (Status.init, Status.starting):
                    raise

    async def _instantiate(self) -> Status:
        await self._wait_after_crashes()
        if self._spawns and isinstance(self.process, ForkedWorker) and not self.process.is_alive():
            self.process = None
        if self.process is None and not self._spawns:
            self.process = ForkedWorker(self)
        return await super().instantiate()

    async def _wait_after_crashes(self) -> None:
        recent = sum(when > monotonic() - _CRASH_WINDOW for when in self._crashes)
        if recent >= _MAX_CRASHES:
            self.gave_up = True
            await self.close(reason="worker-keeps-crashing")
            raise LaunchError(f"worker {self.name} died {recent} times in a minute; giving up")
        if recent > 1:
            await self._clock.sleep(2.0 ** (recent - 2))
        if self.status in _LEAVING:
            raise LaunchError(f"worker {self.name} is not started again: its host is leaving")

    async def kill(self, timeout: float = 5, reason: str = "nanny-kill") -> None:
        """Stop the worker, which then has not crashed."""
        self._is_killing = True
        try:
            await self._kill_if_not_connected()
            await super().kill(timeout=timeout, reason=reason)
        finally:
            self._is_killing = False

    async def _kill_if_not_connected(self) -> None:
        # A spawned process does not listen before it is connected to the scheduler. distributed
        # waits for that, or (2025.1.0) fails after a timeout and can then never be closed.
        spawned = self.process
        if isinstance(spawned, WorkerProcess) and spawned.status == Status.starting:
            if spawned.process:
                await spawned.process.kill()
            await spawned.stopped.wait()

    def _on_worker_exit_sync(self, exitcode: int) -> None:
        if not self._is_killing:  # also with status 0: a task may have called os._exit
            self._crashes.append(monotonic())
        super()._on_worker_exit_sync(exitcode)

    def request_fork(self, worker: ForkedWorker, channel: socket.socket) -> None:
        """Have the trunk fork a process that reads its specification from a channel."""
        if self._fork is None:
            raise LaunchError(f"worker {self.name} cannot be forked: there is no trunk")
        self._fork(worker, channel)

    def worker_specification(self) -> dict[str, Any]:
        """Return what the worker process needs to know."""
        worker = {name: getattr(self, name) for name in _SAME}
        worker.update(
            scheduler_ip=self.scheduler_addr,
            nanny=self.address,
            memory_limit=self.memory_manager.memory_limit,
            local_directory=self._original_local_dir,
            **self.worker_kwargs,
        )
        return {"env": self.env, "path": sys.path, "config": self.config, "worker": worker}

    def worker_exited(self, status: int) -> None:
        """Hear that the process is gone."""
        self._on_worker_exit_sync(status)

    async def plugin_add(self, plugin: NannyPlugin | bytes, name: str | None = None) -> Any:
        """Set up a plugin; if it restarts the worker, that is not forked any more."""
        if isinstance(plugin, bytes):
            plugin = pickle.loads(plugin)
        self._spawns |= plugin.restart  # it wants fresh imports
        return await super().plugin_add(plugin=plugin, name=name)

    def close_gracefully(self, reason: str = "nanny-close-gracefully") -> None:
        """Hear that the worker is closing; do not wait half a minute for its tasks."""
        super().close_gracefully(reason=reason)
        close = functools.partial(self.close, timeout=1, reason=reason)
        self._ongoing_background_tasks.call_later(_CLOSE_GRACE, close)
