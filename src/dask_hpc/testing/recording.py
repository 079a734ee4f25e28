"""Recorded commands of real systems: one file for each, as the system answered."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from itertools import dropwhile
from typing import TYPE_CHECKING

from dask_hpc.process.runner import Command, Result

if TYPE_CHECKING:
    from pathlib import Path

_PART = re.compile(r"^--- (.*) ---\n", re.MULTILINE)
_VARIABLE = re.compile(r"\w+=")
_NO_NEWLINE = "\n[no newline at end]\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What a command said once; ``argv`` is its command line without the variables before it."""

    argv: tuple[str, ...]
    stdout: str
    stderr: str
    exit_code: int

    @property
    def result(self) -> Result:
        """What a runner would have returned."""
        return Result(
            command=Command(argv=self.argv),
            exit_code=self.exit_code,
            stdout=self.stdout,
            stderr=self.stderr,
        )


def read_recording(path: Path) -> Recording:
    """Return what is recorded in a file.

    The file has a header and then parts, each below a line such as ``--- stdout ---``: at least
    ``command``, ``stdout``, ``stderr`` and ``exit code``. ``[no newline at end]`` is a mark of
    the recorder, not the command's.

    Raises
    ------
    ValueError
        If a part is missing, or the command had not ended.
    """
    # Not read_text, which would take a carriage return for the end of a line.
    _, *pieces = _PART.split(path.read_bytes().decode())
    parts = dict(zip(pieces[::2], pieces[1::2], strict=True))
    if missing := {"command", "stdout", "stderr", "exit code"} - parts.keys():
        raise ValueError(f"{path} has no part called {', '.join(sorted(missing))}")
    line = parts["command"].splitlines()[0]
    return Recording(
        argv=tuple(dropwhile(_VARIABLE.match, shlex.split(line))),
        stdout=_said(parts["stdout"]),
        stderr=_said(parts["stderr"]),
        exit_code=int(parts["exit code"]),
    )


def _said(part: str) -> str:
    return part.removesuffix(_NO_NEWLINE) if part.endswith(_NO_NEWLINE) else part
