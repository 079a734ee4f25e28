"""A run: a cluster that is one job and computes one script, from its start to its exit code."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from dask_hpc._clock import SystemClock
from dask_hpc.batch.programs import is_in_job
from dask_hpc.cluster.jobrecords import JobRecords, read_end
from dask_hpc.cluster.plan import OUR_FAILURE, Plan, write_plan
from dask_hpc.cluster.record import read_cluster
from dask_hpc.cluster.slot import Slot
from dask_hpc.deploy.starting import StartProgress, prepare, submit_prepared
from dask_hpc.engine.start import queue_of
from dask_hpc.errors import BatchError, ConfigError, LaunchError
from dask_hpc.launch.allocation import find_allocation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dask_hpc.batch.model import JobStatus
    from dask_hpc.batch.queue import Queue
    from dask_hpc.cluster.directory import ClusterDirectory
    from dask_hpc.cluster.jobrecords import JobRecord
    from dask_hpc.cluster.record import ClusterRecord
    from dask_hpc.cluster.spec import ClusterSpec

_LOOK = 0.2  # seconds between two looks at the files of a run
_ASK = 5.0  # seconds between two questions to the queue, growing
_ASK_MOST = 60.0
_LATE = 2.0  # seconds: a shared file system shows later what a job wrote last


def plan_of(words: Sequence[str], spec: ClusterSpec, *, min_workers: int | None) -> Plan:
    """Return what a command line asks to be run: a Python program, or any other.

    Raises
    ------
    ConfigError
        If there is no such program.
    """
    script, *arguments = words
    path = Path(script)
    if path.suffix == ".py":
        if not path.is_file():
            raise ConfigError(f"there is no script {script!r}", hint="give its path")
        start = [spec.python, str(path.absolute())]
    else:
        found = shutil.which(script)
        if found is None:
            raise ConfigError(
                f"{script!r} is no program here, and no script of Python",
                hint="scripts of Python end in .py",
            )
        start = [os.path.abspath(found)]  # noqa: PTH100 - a link is what was meant
    return Plan(
        argv=(*start, *arguments),
        directory=str(Path.cwd()),
        min_workers=min_workers,
    )


def is_inside(spec: ClusterSpec) -> bool:
    """Whether this is a process of a job that can be used instead of a new one."""
    return is_in_job(queue_of(spec).system)


def fitted(spec: ClusterSpec) -> ClusterSpec:
    """Return a cluster on all nodes of the job that this is a process of.

    Raises
    ------
    LaunchError
        If nothing says which nodes it has.
    """
    hosts = find_allocation().hosts
    worker = replace(spec.worker, nodes=len(hosts))
    return replace(spec, worker=worker, scheduler=worker)


def run_here(spec: ClusterSpec, plan: Plan) -> int:
    """Run in the job that this is a process of; return the exit code."""
    directory = prepare(spec)
    try:
        write_plan(directory, plan)
        words = ("--directory", str(directory.path), "--slot", "here.0", "--job", "here")
        environ = {**os.environ, "PYTHONPATH": str(directory.code)}
        argv = (sys.executable, "-m", "dask_hpc.boot.allocation", *words)
        return subprocess.run(argv, env=environ, check=False).returncode
    finally:
        directory.remove()


async def submit_run(spec: ClusterSpec, plan: Plan) -> ClusterRecord:
    """Submit the one job of a run.

    Raises
    ------
    BatchError
        If it was refused. Nothing is left then.
    """
    directory = prepare(spec)
    write_plan(directory, plan)
    return await submit_prepared(spec, directory)


@dataclass(slots=True)
class Run:
    """The job of a run, followed by its files, and by the queue while they say nothing."""

    spec: ClusterSpec
    record: ClusterRecord
    directory: ClusterDirectory
    _queue: Queue = field(init=False)
    _status: JobStatus | None = None
    _read: int = 0

    def __post_init__(self) -> None:
        self._queue = queue_of(self.spec)

    @property
    def log(self) -> Path:
        """What its job prints."""
        return self.directory.logs / f"{self._slot}.log"

    @property
    def cluster_log(self) -> Path:
        """What scheduler and workers print."""
        return self.directory.cluster_log_of(self._slot)

    @property
    def _slot(self) -> Slot:
        return Slot(self.record.tag, 0)

    async def follow(
        self, tell: Callable[[StartProgress], None], write: Callable[[bytes], None]
    ) -> int:
        """Hand on what the job prints, until it has ended; return the exit code of the script.

        Raises
        ------
        LaunchError
            If it ended without saying how.
        """
        clock = SystemClock()
        records = JobRecords(self.directory.jobs)
        pause, ask_at = _ASK, clock.monotonic() + 1.0
        while True:
            end = read_end(self.directory.jobs, self._slot)
            write(self._news())
            if end is not None:
                return self._code(end)
            records.refresh()
            has_begun = self._slot in records.starts
            if clock.monotonic() >= ask_at:
                await self._ask()
                pause = min(pause * 1.5, _ASK_MOST)
                ask_at = clock.monotonic() + pause
            if not has_begun or self._status is None:
                tell(StartProgress(job=self.record.job, status=self._status, has_begun=has_begun))
            await clock.sleep(_LOOK)

    def _code(self, end: JobRecord) -> int:
        """Return the exit code of the script: that of the job, if it ever came to the script."""
        has_run = bool(read_cluster(self.directory).address)
        return end.code if has_run and end.code is not None else OUR_FAILURE

    def _news(self) -> bytes:
        try:
            with self.log.open("rb") as stream:
                stream.seek(self._read)
                text = stream.read()
        except FileNotFoundError:
            return b""
        self._read += len(text)
        return text

    async def _ask(self) -> None:
        try:
            found = await self._queue.status([self.record.tag])
            status = next(iter(found.values()), None)
            if status is None or status.state.is_final:
                known = await self._queue.history([self.record.job])
                status = known.get(self.record.job, status)
        except BatchError as error:
            if error.transient:
                return
            raise
        self._status = status or self._status
        if status is not None and status.state.is_final:
            await self._check_end(status)

    async def _check_end(self, status: JobStatus) -> None:
        if read_end(self.directory.jobs, self._slot) is None:
            await SystemClock().sleep(_LATE)
        if read_end(self.directory.jobs, self._slot) is None:
            raise LaunchError(
                f"job {self.record.job} ended: {status.plain_reason or status.state}",
                hint=f"its log is {self.log}",
            )
