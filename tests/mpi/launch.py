"""Tasks on this machine as mpirun starts them, and all that must be gone after them."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dask_hpc._clock import until_now

if TYPE_CHECKING:
    from collections.abc import Iterator
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
        return subprocess.run(
            self._argv(tasks, words),
            env=self.environment,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

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

        until_now(lambda: not found(), 10)
        return found()

    @property
    def environment(self) -> dict[str, str]:
        """What the tasks find in theirs."""
        own = self.bed.variables(self.flavour, mpi4py=self.mpi4py)
        return {**os.environ, "DASK_HPC_HOME": str(self.home), **own}

    def _argv(self, tasks: int, words: tuple[str | Path, ...]) -> list[str]:
        return [*self.bed.argv(self.flavour, tasks), sys.executable, *map(str, words)]


def dask_hpc(*words: str | Path) -> tuple[str, ...]:
    """Return the words for Python that are a command of ours."""
    return ("-c", "from dask_hpc.cli.main import main; main()", *map(str, words))


def tracebacks(text: str) -> int:
    """Return how many tracebacks a program has printed."""
    return text.count("Traceback (most recent call last)")
