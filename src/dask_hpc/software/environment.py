"""The software environment of jobs: an interpreter, and the shell lines that it needs first."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from dask_hpc.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What a job's programs are run with."""

    python: str
    prologue: tuple[str, ...] = ()


def resolve(env: str | None) -> Environment:
    """Return the environment of a name.

    Parameters
    ----------
    env
        The directory of an environment, the path of an interpreter, or nothing for the
        interpreter that runs this.

    Raises
    ------
    ConfigError
        If there is no interpreter.
    """
    if env is None:
        return Environment(python=sys.executable)
    path = Path(os.path.abspath(Path(env).expanduser()))  # noqa: PTH100 - the link is the venv
    python = path / "bin" / "python" if path.is_dir() else path
    if python.is_file() and os.access(python, os.X_OK):
        return Environment(python=str(python))
    if path.is_dir() or path.exists():
        problem = f"env {env!r}: no interpreter at {python}"
    else:
        problem = f"env {env!r}: no such directory or interpreter"
    raise ConfigError(problem, hint="give the directory of an environment, or the path of a python")
