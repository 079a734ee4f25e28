"""Commands of a batch system that leave a line for each call, or tell lies: what others see."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_SLURM = ("sbatch", "scancel", "squeue")
# A call of ours that finds a lie takes it: the file that stands for it is removed by one alone.
_SHIM = """#!/bin/bash
echo "$*" >>{log}
program={program}
twist={twist}
[ -e "$twist" ] && . "$twist"
case $* in
*--Format*)
  for lie in {lies}/*; do
    if rm "$lie" 2>/dev/null; then "$program" "$@" | head -n 1; exit; fi
  done;;
esac
exec "$program" "$@"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """The calls of some commands from this process, and from those that it starts."""

    directory: Path
    commands: Sequence[str] = _SLURM

    def of(self, command: str) -> list[str]:
        """Return the arguments of every call so far."""
        log = self.directory / f"{command}.log"
        return log.read_text(encoding="utf-8").splitlines() if log.exists() else []

    def lie(self, *, times: int) -> None:
        """Let the next listings that we ask for be tables without a job."""
        for number in range(times):
            (self._lies / f"{number}").touch()

    def twist(self, command: str, lines: str) -> None:
        """Let a command do these lines of bash instead, in which ``$program`` is the real one.

        ``$twist`` is the file of these lines; the real one is run after them unless they exit.
        """
        self._twist(command).write_text(lines, encoding="utf-8")

    def straighten(self) -> None:
        """Let all commands be what they were."""
        for command in self.commands:
            self._twist(command).unlink(missing_ok=True)

    @property
    def lies_left(self) -> int:
        """How many lies have not been told."""
        return len(list(self._lies.iterdir()))

    def _twist(self, command: str) -> Path:
        return self.directory / f"{command}.twist"

    @property
    def _lies(self) -> Path:
        return self.directory / "lies"

    def prepare(self) -> Path:
        """Return a directory for the front of PATH."""
        front = self.directory / "bin"
        front.mkdir()
        self._lies.mkdir()
        for command in self.commands:
            shim = front / command
            text = _SHIM.format(
                program=shutil.which(command),
                log=self.directory / f"{command}.log",
                twist=self._twist(command),
                lies=self._lies,
            )
            shim.write_text(text, encoding="utf-8")
            shim.chmod(0o755)
        return front


@contextmanager
def calls_in(directory: Path, commands: Sequence[str] = _SLURM) -> Iterator[Calls]:
    """Give the calls of these commands that are made from here on."""
    calls = Calls(directory=directory, commands=commands)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{calls.prepare()}{os.pathsep}{os.environ['PATH']}")
        yield calls
