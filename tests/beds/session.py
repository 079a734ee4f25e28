"""What one test session holds: the beds it uses, and the processes that it started.

Several sessions may run at once. Each holds a shared lock on a bed while it uses it; the last one
to go stops the bed, unless somebody had started it by hand.
"""

from __future__ import annotations

import fcntl
import os
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import psutil

from dask_hpc._clock import until_now
from tests.beds.beds import (
    CHECKOUT,
    SESSION_VARIABLE,
    Bed,
    BedUnavailable,
    Name,
    SgeBed,
    SlurmBed,
    control,
    make,
    state,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

WITH_JOBS = (SlurmBed, SgeBed)
_OURS = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")  # end with pytest


@dataclass(slots=True)
class Attempt:
    """How the start of a bed went."""

    bed: Bed
    seconds: float
    use: TextIO | None = None
    jobs: tuple[str, ...] = ()  # of somebody who started the bed by hand
    failure: BedUnavailable | None = None


@dataclass(slots=True)
class Beds:
    """The beds of a session, each tried once."""

    attempts: dict[Name, Attempt] = field(default_factory=dict)

    def prepare(self, name: Name) -> Attempt:
        """Start a bed if nobody did yet, and remember how it went."""
        if name not in self.attempts:
            self.attempts[name] = _attempt(make(name), name)
        return self.attempts[name]

    def leftover_jobs(self, *, seconds: float = 30) -> list[str]:
        """Return the jobs that the tests left in a queue that is ours alone, and cancel them."""
        found = []
        for name, attempt in self.attempts.items():
            bed = attempt.bed
            if isinstance(bed, WITH_JOBS) and attempt.use and _alone(attempt.use):
                found += [f"{name}: job {job}" for job in _end_jobs(bed, attempt.jobs, seconds)]
        return found

    def stop(self) -> None:
        """Stop what no other session uses."""
        for name, attempt in reversed(self.attempts.items()):
            if attempt.use is not None:
                with _changing(name):
                    if _alone(attempt.use) and _mark(name).exists():
                        control(attempt.bed.script, "stop", *attempt.bed.options)
                        _mark(name).unlink(missing_ok=True)
                    attempt.use.close()

    def summary(self) -> Iterator[str]:
        """Say for each bed how long its start took, or why there was none."""
        for name, attempt in self.attempts.items():
            said = f"not started: {attempt.failure}" if attempt.failure else "up"
            yield f"{name}: {said} ({attempt.seconds:.1f} s)"


def _end_jobs(bed: SlurmBed | SgeBed, before: tuple[str, ...], seconds: float) -> list[str]:
    known = {job.split()[0] for job in before}

    def ours() -> list[str]:
        return [job for job in bed.jobs() if job.split()[0] not in known]

    until_now(lambda: not ours(), seconds, every=0.2)
    jobs = ours()
    if jobs:
        bed.cancel(*(job.split()[0] for job in jobs))
    return jobs


def _attempt(bed: Bed, name: Name) -> Attempt:
    begin = time.monotonic()
    attempt = Attempt(bed=bed, seconds=0)
    try:
        attempt.use = _start(bed, name)
    except BedUnavailable as failure:
        attempt.failure = failure
    else:
        attempt.jobs = bed.jobs() if isinstance(bed, WITH_JOBS) else ()
    attempt.seconds = time.monotonic() - begin
    return attempt


def _start(bed: Bed, name: Name) -> TextIO:
    if os.geteuid():
        raise BedUnavailable("only root can start it", possible=False)
    try:
        with _changing(name):
            _start_or_mend(bed, name)
            use = _path(name, "use").open("w", encoding="utf-8")
            fcntl.flock(use, fcntl.LOCK_SH)
    except OSError as error:
        raise BedUnavailable(str(error), possible=True) from error
    if isinstance(bed, SlurmBed) and bed.separate:
        _check_sight(bed)
    return use


def _start_or_mend(bed: Bed, name: Name) -> None:
    was_up = _is_up(bed)
    if not was_up:
        _mark(name).touch()
    try:
        # A bed that is up is mended where an earlier session broke it.
        control(bed.script, "start", *bed.options, timeout=900)  # the first time, with packages
    except BedUnavailable:
        if not was_up:
            with suppress(BedUnavailable):
                control(bed.script, "stop", *bed.options)
            _mark(name).unlink(missing_ok=True)
        raise


def _is_up(bed: Bed) -> bool:
    try:
        control(bed.script, "status", *bed.options)
    except BedUnavailable:
        return False
    return True


def _check_sight(bed: SlurmBed) -> None:
    for path in (CHECKOUT, Path(sys.prefix)):
        if bed.run("test", "-d", path, host="node1", check=False).returncode:
            raise BedUnavailable(
                f"the hosts of another session do not see {path}: set another DASK_HPC_BEDS",
                possible=True,
            )


def _path(name: Name, suffix: str) -> Path:
    state().mkdir(parents=True, exist_ok=True)
    return state() / f"{name}.{suffix}"


def _mark(name: Name) -> Path:
    return _path(name, "started-by-a-session")


@contextmanager
def _changing(name: Name) -> Iterator[None]:
    with _path(name, "lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _alone(use: TextIO) -> bool:
    try:
        fcntl.flock(use, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        alone = False
    else:
        alone = True
    fcntl.flock(use, fcntl.LOCK_SH)  # also after a refusal, which gives the first lock up
    return alone


def end_leftovers(session: str, *, seconds: float = 5) -> list[str]:
    """Wait for every process of this session to end, kill the others, and say which they were."""
    until_now(lambda: not _living(session), seconds, every=0.1)
    found = _living(session)
    said = [_describe(process) for process in found]
    for process in found:
        with suppress(psutil.Error):
            process.kill()
    until_now(lambda: not _living(session), 30)
    return said


def _living(session: str) -> list[psutil.Process]:
    found = {process.pid: process for process in psutil.Process().children(recursive=True)}
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(SESSION_VARIABLE) == session:
                found[process.pid] = process
    found.pop(os.getpid(), None)
    return [process for process in found.values() if _counts(process)]


def _counts(process: psutil.Process) -> bool:
    try:
        words = process.cmdline()
        return process.status() != psutil.STATUS_ZOMBIE and not any(
            ours in word for word in words for ours in _OURS
        )
    except psutil.Error:
        return False


def _describe(process: psutil.Process) -> str:
    try:
        words, test = process.cmdline(), process.environ().get("PYTEST_CURRENT_TEST", "no test")
    except psutil.Error:
        return f"process {process.pid}"
    return f"process {process.pid}, started by {test}: {' '.join(words)[:200]}"
