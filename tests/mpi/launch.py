"""Tasks on this machine as mpirun starts them, and all that must be gone after them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from dask_hpc._clock import until_now

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tests.beds.beds import Flavour, MPIBed

PATIENCE = 90  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Tasks:
    """One way to start tasks: a library of MPI, with mpi4py or without."""

    bed: MPIBed
    flavour: Flavour
    mpi4py: bool
    home: Path

    def run(self, tasks: int, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """Start tasks of a Python program, and wait for their end."""
        return finished(self._argv(tasks, words), environ=self.environment, home=self.home)

    @contextmanager
    def started(self, tasks: int, *words: str | Path) -> Iterator[subprocess.Popen[bytes]]:
        """Start tasks, and end them if they live at the end of the block."""
        with tempfile.TemporaryFile() as log:
            process = subprocess.Popen(
                self._argv(tasks, words),
                env=self.environment,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
            try:
                yield process
            finally:
                process.terminate()
                process.wait(PATIENCE)

    def left(self) -> list[str]:
        """Return what is left in the home of dask-hpc, after a moment at most."""

        def found() -> list[str]:
            return [str(path) for path in (self.home / "mpi").rglob("*")]

        until_now(lambda: not found(), 30)
        return found()

    @property
    def environment(self) -> dict[str, str]:
        """What the tasks find in theirs."""
        own = self.bed.variables(self.flavour, mpi4py=self.mpi4py)
        return {**os.environ, "DASK_HPC_HOME": str(self.home), **own}

    def _argv(self, tasks: int, words: tuple[str | Path, ...]) -> list[str]:
        return [*self.bed.argv(self.flavour, tasks), sys.executable, *map(str, words)]


def finished(
    argv: Sequence[str], *, environ: Mapping[str, str], home: Path
) -> subprocess.CompletedProcess[str]:
    """Start tasks whose state is in a directory, and wait for their end.

    Tasks that do not end say where they are.
    """
    with subprocess.Popen(
        argv,
        env={**environ, "PYTHONFAULTHANDLER": "1"},
        cwd=home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            out, err = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            where = [_abort(task) for task in _python_in(home)]
            out, err = process.communicate(timeout=20)
            raise AssertionError(f"did not end: {where}\n{out}\n{err}") from None
    return subprocess.CompletedProcess(argv, process.returncode, out, err)


def _python_in(home: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            is_ours = process.environ().get("DASK_HPC_HOME") == str(home)
            if is_ours and "python" in process.name():
                found.append(process)
    return found


def _abort(process: psutil.Process) -> str:
    """Make Python print its stacks, and end."""
    with suppress(psutil.Error):
        said = f"{process.pid} of {process.ppid()}: {process.cmdline()[1:3]}"
        process.send_signal(signal.SIGABRT)
        return said
    return "gone"


def dask_hpc(*words: str | Path) -> tuple[str, ...]:
    """Return the words for Python that are a command of ours."""
    return ("-c", "from dask_hpc.cli.main import main; main()", *map(str, words))


def tracebacks(text: str) -> int:
    """Return how many tracebacks a program has printed."""
    return text.count("Traceback (most recent call last)")
