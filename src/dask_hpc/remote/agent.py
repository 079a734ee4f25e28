"""The agent of a cluster on a login node: it runs the batch commands that nodes may not run.

``python -P -m dask_hpc.remote.agent --directory DIR``

Rule 1: it runs the commands of the cluster's batch system, and nothing else.
Rule 2: a cluster has one agent, whom its record names. Who finds somebody else there leaves.
Rule 3: it ends with the cluster: when the record says so, when the directory is gone, or when the
batch system says that the scheduler's job is over. It needs no signal, and leaves nothing.
Rule 4: it costs a listing of a directory a second, and no memory but Python's own.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from dask_hpc._clock import SystemClock, wait_for
from dask_hpc._files import append_private, check_private, write_record
from dask_hpc._hosts import is_alive, own_mark
from dask_hpc.batch.programs import programs_of
from dask_hpc.batch.queue import Queue
from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.cluster.fate import bury, ending, scheduler_status
from dask_hpc.cluster.record import ClusterState, read_cluster, read_spec
from dask_hpc.errors import BatchError, ClusterNotFound, ConfigError, HPCError, SecurityError
from dask_hpc.plugins import BATCH_SYSTEMS, load
from dask_hpc.process.local import LocalRunner
from dask_hpc.process.requests import AGENT, AgentRecord, Requests, read_agent
from dask_hpc.remote.serving import Serving

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dask_hpc._clock import Clock
    from dask_hpc.process.runner import Runner

logger = logging.getLogger(__name__)

_FIRST_LOOK, _LAST_LOOK, _GROWTH = 0.1, 1.0, 1.3  # seconds between looks for requests
_BEAT = 2.0  # seconds between signs of life
_QUIET = 300.0  # seconds without a request until the batch system is asked for the scheduler
_ASK = 10.0  # seconds that this may take
_ABSENCES = 2  # answers without the job until it counts as gone


class Agent:
    """Serves the requests of one cluster until the cluster has ended."""

    def __init__(
        self,
        directory: ClusterDirectory,
        *,
        runner: Runner | None = None,
        clock: Clock | None = None,
    ) -> None:
        spec = read_spec(directory)
        system = load(BATCH_SYSTEMS, spec.system).from_facts(spec.facts)
        runner = runner or LocalRunner()
        self._directory = directory
        self._clock = clock or SystemClock()
        self._queue = Queue(system, runner, user=spec.user, timeout=_ASK)
        self._requests = Requests(directory.requests)
        self._serving = Serving(self._requests, programs_of(system), runner=runner)
        self._told = asyncio.Event()
        self._ahead = 0.0  # seconds by which the file system's clock is ahead of ours
        self._busy_at = self._clock.monotonic()
        self._absences = 0

    def leave(self) -> None:
        """End soon."""
        self._told.set()

    async def run(self) -> str:
        """Serve, and return why it ended.

        Raises
        ------
        SecurityError
            If others could have left requests.
        """
        check_private(self._directory.requests)
        if lives(self._directory):
            return "another agent serves this cluster"
        write_record(self._record, AgentRecord(process=own_mark()))
        self._serving.take_over()
        try:
            return await self._serve()
        finally:
            await self._serving.close()
            self._withdraw()

    async def _serve(self) -> str:
        beat_at, pause = self._clock.monotonic(), _FIRST_LOOK
        while not self._told.is_set():
            if self._clock.monotonic() >= beat_at:
                beat_at = self._clock.monotonic() + _BEAT
                if over := await self._over():
                    return over
            pause = _FIRST_LOOK if self._look() else min(_LAST_LOOK, pause * _GROWTH)
            await wait_for(self._told, pause, clock=self._clock)
        return "it was told to end"

    def _look(self) -> bool:
        with suppress(FileNotFoundError):  # the directory is gone: the next beat says so
            if self._serving.look(self._clock.time() + self._ahead):
                self._busy_at = self._clock.monotonic()
                return True
        return False

    async def _over(self) -> str:
        """Show that the agent lives; return why it should not any more, if so."""
        try:
            return self._beat() or await self._ended()
        except (ClusterNotFound, FileNotFoundError):
            return "the cluster is gone"

    def _beat(self) -> str:
        check_private(self._directory.requests)
        seen = read_agent(self._directory.requests)
        if seen is None or self._requests.listing().closed:
            return "it was asked to leave"
        if seen.process != own_mark():
            return f"an agent on {seen.process.host} took over"
        os.utime(self._record)
        self._ahead = self._record.stat().st_mtime - self._clock.time()
        self._serving.tidy(self._clock.time() + self._ahead)
        return ""

    async def _ended(self) -> str:
        try:
            record = read_cluster(self._directory)
        except ConfigError:  # damaged: the controller lives without it
            return ""
        if record.state is ClusterState.ENDED:
            return f"the cluster has ended: {record.reason}"
        if self._clock.monotonic() - self._busy_at < _QUIET:
            return ""
        self._busy_at = self._clock.monotonic()
        try:
            status = await scheduler_status(self._queue, record)
        except BatchError as error:
            logger.warning("nobody says whether the scheduler's job lives: %s", error)
            return ""
        self._absences = self._absences + 1 if status is None else 0
        if self._absences >= _ABSENCES:
            return "the scheduler's job is not in the queue any more"
        reason = ending(status) if status else ""
        if reason and bury(self._directory, record, reason=reason).state is ClusterState.ENDED:
            return f"the cluster has ended: {reason}"
        return ""

    @property
    def _record(self) -> Path:
        return self._directory.requests / AGENT

    def _withdraw(self) -> None:
        """Take the record away, which tells others that this agent is gone, if it is still ours."""
        with suppress(HPCError, OSError):
            seen = read_agent(self._directory.requests)
            if seen and seen.process == own_mark():
                self._record.unlink()


def lives(directory: ClusterDirectory) -> bool:
    """Whether an agent of this cluster lives on this host; one that cannot be read does not."""
    with suppress(ConfigError):
        seen = read_agent(directory.requests)
        return seen is not None and seen.process != own_mark() and is_alive(seen.process) is True
    return False


class _PrivateLog(logging.Handler):
    """Keeps no file open: the directory that it lies in may be removed at any time."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self.setFormatter(logging.Formatter("%(asctime)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Add a line."""
        with suppress(OSError, SecurityError):
            append_private(self._path, self.format(record))


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve a cluster until it has ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, required=True)
    options = parser.parse_args(arguments)
    directory = ClusterDirectory(options.directory)
    logging.basicConfig(level=logging.INFO, handlers=[_PrivateLog(directory.logs / "agent.log")])
    _forget_path(directory.code)
    try:
        asyncio.run(_run(directory))
    except Exception as error:
        logger.exception("agent %d stumbled", os.getpid())
        return 1 if isinstance(error, HPCError) else 2
    return 0


async def _run(directory: ClusterDirectory) -> None:
    agent = Agent(directory)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, agent.leave)
    # The end of the session that it was started in is no reason to end.
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, lambda: None)
    mark = own_mark()
    logger.info("agent %d on %s begins", mark.pid, mark.host)
    why = await agent.run()
    logger.info("agent %d on %s ends: %s", mark.pid, mark.host, why)


def _forget_path(code: Path) -> None:
    """Forget how this program was found: jobs inherit the environment of who submits them."""
    path = os.environ.pop("PYTHONPATH", "").split(os.pathsep)
    if left := os.pathsep.join(path[1:] if path[0] == str(code) else path):
        os.environ["PYTHONPATH"] = left


if __name__ == "__main__":
    raise SystemExit(main())
