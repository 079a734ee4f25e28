"""The calls of Slurm's commands that a program and its children make, each with its time."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_COUNTED = ("sbatch", "scancel", "squeue", "sacct", "scontrol", "sinfo")
_SHIM = """#!/bin/bash
echo "$EPOCHREALTIME {command}" >>{log}
exec {program} "$@"
"""


@dataclass(frozen=True, slots=True)
class Calls:
    """A growing list of calls."""

    log: Path

    def of(self, command: str, *, since: float = 0.0) -> int:
        """Return how often a command was called from a moment on, in seconds since the epoch."""
        lines = self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []
        found = (line.split() for line in lines)
        return sum(name == command and float(time) >= since for time, name in found)


@contextmanager
def counted(place: Path) -> Iterator[Calls]:
    """Count from here on; ``place`` is a directory for what stands in the commands' stead."""
    calls = Calls(place / "calls.log")
    front, before = place / "bin", os.environ["PATH"]
    front.mkdir()
    for command in _COUNTED:
        shim = front / command
        text = _SHIM.format(command=command, log=calls.log, program=shutil.which(command))
        shim.write_text(text, encoding="utf-8")
        shim.chmod(0o755)
    os.environ["PATH"] = f"{front}{os.pathsep}{before}"
    try:
        yield calls
    finally:
        os.environ["PATH"] = before
        shutil.rmtree(front)
        calls.log.unlink(missing_ok=True)
