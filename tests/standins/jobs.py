"""Jobs that really run, for stand-ins of batch systems: a directory of records, no daemon.

Every command takes the lock, reads the records, changes some. A job that may start gets a process
of its own (`python -m tests.standins.jobs DIRECTORY NUMBER`), which runs the script, ends it at
its walltime or when it is cancelled, writes down how it ended, and lets the next jobs start. Which
system this is, nothing here knows.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

VARIABLE = "DASK_HPC_STANDIN"  # names the directory
ROOT = Path(__file__).resolve().parents[2]
WAITING, HELD, RUNNING, ENDED = "waiting", "held", "running", "ended"
CANCELLED, OUT_OF_TIME = "cancelled", "out of time"
_PAUSE = 0.05


@dataclass(frozen=True, kw_only=True)
class Job:
    """One job, or one element of an array.

    ``number`` is its place in the directory and in the order of submissions; ``id`` is what the
    system calls it. ``signals`` are sent one after the other, ``patience`` seconds apart, when it
    is cancelled, and ``late_signals`` at its walltime (seconds); the last must be SIGKILL.
    ``output`` is written while the job runs; ``delivery`` gets a copy when it has ended.
    """

    id: str
    name: str
    script: str
    environ: Mapping[str, str]
    directory: str
    number: int = 0
    index: int = 0
    slots: int = 1
    walltime: float | None = None
    output: str = ""
    delivery: str = ""
    signals: tuple[str, ...] = ("SIGTERM", "SIGKILL")
    late_signals: tuple[str, ...] = ("SIGTERM", "SIGKILL")
    patience: float = 1.0
    more: Mapping[str, str] = field(default_factory=dict)  # what the system itself keeps
    # Of its life:
    state: str = WAITING
    why: str = ""
    submitted: float = 0.0
    started: float = 0.0
    ended: float = 0.0
    code: int | None = None  # of a shell: 128 and the signal
    keeper: int = 0  # the process that watches it
    group: int = 0  # of its own processes


class Jobs:
    """The jobs of a directory.

    Parameters
    ----------
    directory
        Where they are kept; ``settings.json`` in it holds what a test has set.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @classmethod
    def here(cls) -> Jobs:
        """Return the jobs of the directory that the environment names."""
        return cls(Path(os.environ[VARIABLE]))

    def settings(self) -> dict[str, str]:
        """Return what a test has set."""
        path = self.directory / "settings.json"
        said: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        return said

    def set(self, **settings: str) -> None:
        """Set what commands read."""
        (self.directory / "settings.json").write_text(json.dumps(self.settings() | settings))

    def all(self) -> list[Job]:
        """Return every job in the order of their submission."""
        with self._lock():
            return self._read()

    def next_id(self) -> int:
        """Return a number that no submission had."""
        with self._lock():
            path = self.directory / "next"
            number = int(path.read_text()) if path.exists() else 101
            path.write_text(str(number + 1))
            return number

    def submit(self, jobs: Iterable[Job]) -> None:
        """Take jobs in, and start those that may."""
        with self._lock():
            first = len(self._read())
            now = time.time()
            for number, job in enumerate(jobs, first):
                self._write(replace(job, number=number, submitted=now))
        self.start_what_may()

    def start_what_may(self) -> None:
        """Start waiting jobs while there are slots: ``slots`` of the settings, or 16."""
        with self._lock():
            jobs = self._read()
            free = int(self.settings().get("slots", "16"))
            free -= sum(job.slots for job in jobs if job.state == RUNNING)
            for job in jobs:
                if job.state == WAITING and job.slots <= free:
                    free -= job.slots
                    self._start(job)

    def cancel(self, numbers: Iterable[int]) -> None:
        """End jobs: those that wait at once, those that run by their signals."""
        with self._lock():
            wanted = set(numbers)
            for job in self._read():
                if job.number in wanted and job.state in (WAITING, HELD):
                    self._write(replace(job, state=ENDED, why=CANCELLED, ended=time.time()))
                elif job.number in wanted and job.state == RUNNING:
                    self._write(replace(job, why=job.why or CANCELLED))
        self.start_what_may()

    def end_all(self) -> None:
        """End every process of every job, and return when none is left."""
        with self._lock():
            # No keeper starts another one.
            jobs = self._read()
            for job in jobs:
                if job.state != ENDED:
                    self._write(replace(job, state=ENDED, why=job.why or CANCELLED))
        for job in jobs:
            _kill_group(job.group)
        keepers = [job.keeper for job in jobs if job.keeper]
        deadline = time.monotonic() + 10
        while any(map(_lives, keepers)):
            for job in self.all():  # whose group was not written down yet
                _kill_group(job.group)
            if time.monotonic() > deadline:
                raise AssertionError(f"{[pid for pid in keepers if _lives(pid)]} do not end")
            time.sleep(_PAUSE)

    def one(self, number: int) -> Job:
        """Return one job."""
        with self._lock():
            return _decoded(self._path(number).read_text())

    def update(self, number: int, **changes: object) -> Job:
        """Change one job, and return it as it is then."""
        with self._lock():
            job = _decoded(self._path(number).read_text())
            job = replace(job, **changes)  # type: ignore[arg-type]  # fields by name
            self._write(job)
            return job

    def _start(self, job: Job) -> None:
        argv = [sys.executable, "-m", "tests.standins.jobs", str(self.directory), str(job.number)]
        keeper = subprocess.Popen(
            argv,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._write(replace(job, state=RUNNING, started=time.time(), keeper=keeper.pid))

    def _read(self) -> list[Job]:
        found = (_decoded(path.read_text()) for path in self.directory.glob("job-*.json"))
        return sorted(found, key=lambda job: job.number)

    def _write(self, job: Job) -> None:
        path = self._path(job.number)
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(job)))
        fresh.replace(path)

    def _path(self, number: int) -> Path:
        return self.directory / f"job-{number}.json"

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        with (self.directory / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _decoded(text: str) -> Job:
    fields = json.loads(text)
    for name in ("signals", "late_signals"):
        fields[name] = tuple(fields[name])
    return Job(**fields)


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def _kill_group(group: int, name: str = "SIGKILL") -> None:
    if group:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.Signals[name])


def keep(jobs: Jobs, number: int) -> None:
    """Run one job to its end, and write down how it ended."""
    # An ignored signal would stay ignored in the job.
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(name, signal.SIG_DFL)
    job = jobs.one(number)
    script = jobs.directory / f"script-{number}"
    script.write_text(job.script)
    script.chmod(0o700)
    output = Path(job.output or jobs.directory / f"output-{number}")
    with _opened(output) as log:
        argv = [str(script)] if job.script.startswith("#!") else ["/bin/sh", str(script)]
        process = subprocess.Popen(
            argv,
            cwd=job.directory,
            env=dict(job.environ),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    job = jobs.update(number, group=process.pid)
    code = _watch(jobs, job, process)
    # What the script left behind ends with it.
    _kill_group(process.pid)
    if job.delivery and output.exists():
        with contextlib.suppress(OSError):
            shutil.copyfile(output, job.delivery)
    if jobs.directory.exists():
        jobs.update(number, state=ENDED, ended=time.time(), code=code)
        jobs.start_what_may()


def _opened(path: Path):  # type: ignore[no-untyped-def]  # a file
    try:
        return path.open("ab")
    except OSError:
        return Path(os.devnull).open("ab")


def _watch(jobs: Jobs, job: Job, process: subprocess.Popen[bytes]) -> int:
    late = None if job.walltime is None else time.monotonic() + job.walltime
    left: list[str] | None = None  # signals still to be sent
    due = 0.0
    while process.poll() is None:
        now = time.monotonic()
        if left is None:
            left = _signals_due(jobs, job, is_late=late is not None and now >= late)
            due = now
        if left and now >= due:
            _kill_group(process.pid, left.pop(0))
            due = now + job.patience
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_PAUSE)
    code = process.returncode
    return 128 - code if code < 0 else code


def _signals_due(jobs: Jobs, job: Job, *, is_late: bool) -> list[str] | None:
    if not jobs.directory.exists():
        return ["SIGKILL"]
    now = jobs.one(job.number)
    if now.state == ENDED:  # everything is to end
        return ["SIGKILL"]
    if now.why == CANCELLED:
        return list(job.signals)
    if is_late:
        jobs.update(job.number, why=OUT_OF_TIME)
        return list(job.late_signals)
    return None


if __name__ == "__main__":
    keep(Jobs(Path(sys.argv[1])), int(sys.argv[2]))
