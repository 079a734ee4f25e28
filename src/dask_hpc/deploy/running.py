"""A run: a cluster that is one job and computes one script, from its start to its exit code."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from dask_hpc._clock import SystemClock
from dask_hpc.batch.model import JobState, Tag
from dask_hpc.batch.programs import is_in_job
from dask_hpc.cluster.jobrecords import JobRecords, read_end
from dask_hpc.cluster.plan import OUR_FAILURE, Plan, write_plan
from dask_hpc.cluster.pulse import Pulse, pulse_of
from dask_hpc.cluster.record import read_cluster
from dask_hpc.cluster.slot import Slot
from dask_hpc.deploy.starting import StartProgress, prepare, submit_prepared
from dask_hpc.engine.reach import listens
from dask_hpc.engine.start import queue_of
from dask_hpc.errors import BatchError, ConfigError, LaunchError
from dask_hpc.launch.allocation import find_allocation

if TYPE_CHECKING:
    from asyncio.subprocess import Process
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
_HERE = Slot(Tag("here"), 0)  # the place of a run in a job that somebody else began
_SILENCE = 15.0  # seconds without a pulse after which the first node is looked at
_SILENCE_OF_FAR = 120.0  # the same where its scheduler could never be reached from here
_KNOCK = 3.0  # seconds
_BEATING = (
    JobState.RUNNING,
    JobState.COMPLETING,
)  # Grid Engine ends a job that loses its first node
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


async def run_here(
    spec: ClusterSpec, plan: Plan, *, write: Callable[[bytes], None]
) -> tuple[int, tuple[Path, ...]]:
    """Run in the job that this is a process of; return the exit code, and where its logs are."""
    directory = prepare(spec)
    try:
        write_plan(directory, plan)
        log = _Log(directory.logs / f"{_HERE}.log")
        words = ("--directory", str(directory.path), "--slot", str(_HERE), "--job", _HERE.tag)
        argv = (sys.executable, "-m", "dask_hpc.boot.allocation", *words)
        with log.path.open("wb") as stream:
            process = await asyncio.create_subprocess_exec(
                *argv,
                env={**os.environ, "PYTHONPATH": str(directory.code)},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,  # signals come through us alone
            )
        _pass_signals_to(process)
        while process.returncode is None:
            write(log.news())
            await SystemClock().sleep(_LOOK)
        write(log.news())
        return process.returncode, keep_logs(directory, _HERE)
    finally:
        directory.remove()


def _pass_signals_to(process: Process) -> None:
    def tell() -> None:
        with suppress(ProcessLookupError):
            process.terminate()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            asyncio.get_running_loop().add_signal_handler(number, tell)


def keep_logs(directory: ClusterDirectory, slot: Slot) -> tuple[Path, ...]:
    """Copy the logs of a run to where we are, before its files go; return the copies."""
    kept = []
    own = (
        (directory.logs / f"{slot}.log", ".log"),
        (directory.cluster_log_of(slot), ".cluster.log"),
    )
    for path, end in own:
        if path.is_file():
            kept.append(Path.cwd() / f"{directory.path.name}{end}")
            shutil.copyfile(path, kept[-1])
            kept[-1].chmod(0o600)
    return tuple(kept)


@dataclass(slots=True)
class _Log:
    """A file that somebody else writes, read bit by bit."""

    path: Path
    _read: int = 0

    def news(self) -> bytes:
        """Return what has come since the last time."""
        try:
            with self.path.open("rb") as stream:
                stream.seek(self._read)
                text = stream.read()
        except FileNotFoundError:
            return b""
        self._read += len(text)
        return text


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
    _log: _Log = field(init=False)
    _pulse: Pulse = field(init=False)
    _was_reached: bool | None = None

    def __post_init__(self) -> None:
        self._queue = queue_of(self.spec)
        self._log = _Log(self.log)
        self._pulse = Pulse(pulse_of(self.directory.jobs, self._slot), SystemClock())

    @property
    def log(self) -> Path:
        """What its job prints."""
        return self.directory.logs / f"{self._slot}.log"

    def keep_logs(self) -> tuple[Path, ...]:
        """Copy the logs to where we are; return the copies."""
        return keep_logs(self.directory, self._slot)

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
            write(self._log.news())
            if end is not None:
                return self._code(end)
            records.refresh()
            has_begun = self._slot in records.starts
            if clock.monotonic() >= ask_at:
                await self._ask()
                pause = min(pause * 1.5, _ASK_MOST)
                ask_at = clock.monotonic() + pause
            await self._check_life()
            if not has_begun or self._status is None:
                tell(StartProgress(job=self.record.job, status=self._status, has_begun=has_begun))
            await clock.sleep(_LOOK)

    def _code(self, end: JobRecord) -> int:
        """Return the exit code of the script: that of the job, if it ever came to the script."""
        has_run = bool(read_cluster(self.directory).address)
        return end.code if has_run and end.code is not None else OUR_FAILURE

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

    async def _check_life(self) -> None:
        """Raise `LaunchError` if the first node is lost and the batch system does not say so."""
        silence = self._pulse.silence()
        if self._was_reached is None:
            self._was_reached = await self._reaches()
        if silence < (_SILENCE if self._was_reached else _SILENCE_OF_FAR):
            return
        # A file system that is slow, or a job that is suspended, is no node that is lost.
        is_there = await self._reaches()
        if not is_there:
            await self._ask()
        if is_there or self._status is None or self._status.state not in _BEATING:
            self._pulse.forgive()
            return
        raise LaunchError(
            f"the first node of job {self.record.job} is lost: scheduler and script were there, "
            f"and nothing was heard of it for {silence:.0f} s",
            hint="its nodes are given back; run it again",
        )

    async def _reaches(self) -> bool | None:
        """Return whether the scheduler can be reached from here, or nothing while there is none."""
        record = read_cluster(self.directory)
        return await listens(record, seconds=_KNOCK) if record.address else None

    async def _check_end(self, status: JobStatus) -> None:
        if read_end(self.directory.jobs, self._slot) is None:
            await SystemClock().sleep(_LATE)
        if read_end(self.directory.jobs, self._slot) is None:
            raise LaunchError(
                f"job {self.record.job} ended: {status.plain_reason or status.state}",
                hint=f"its log is {self.log}",
            )
