"""The software environment of jobs: what runs Python there, and the shell lines that it needs."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from dask_hpc.errors import ConfigError
from dask_hpc.software import conda, container, modules
from dask_hpc.software.activate import activation

_FORMS = (
    "give the directory of an environment, the path of a python, the name of a conda environment, "
    f"module:NAME or {'|'.join(container.ENGINES)}:IMAGE"
)
_KIND = re.compile(r"([a-z-]+):(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What a job's programs are run with.

    ``python`` is the interpreter, ``wrapper`` the words that come before it, ``prologue`` shell
    lines; ``is_here`` is whether the interpreter is a program of this machine.
    """

    python: str
    wrapper: tuple[str, ...] = ()
    prologue: tuple[str, ...] = ()
    is_here: bool = True


def resolve(env: str | None, *, directory: Path = Path("/"), gpus: bool = False) -> Environment:
    """Return the environment of a name.

    Parameters
    ----------
    env
        The directory of an environment (conda's or a venv), the path of an interpreter, the name
        of a conda environment, ``module:NAME,NAME``, a container as ``apptainer:IMAGE``, or
        nothing for the interpreter that runs this.
    directory
        What jobs must see: containers get it.
    gpus
        Whether containers get GPUs.

    Raises
    ------
    ConfigError
        If there is no interpreter.
    """
    if env is None:
        prefix = Path(sys.prefix)
        return Environment(python=sys.executable, prologue=activation(prefix))
    kind, name = match.groups() if (match := _KIND.fullmatch(env)) else ("", env)
    if kind == modules.KIND:
        return Environment(python="python", prologue=modules.load(name), is_here=False)
    if kind in container.ENGINES:
        found = container.enter(kind, name, directory=directory, gpus=gpus)
        return Environment(
            python="python3", wrapper=found.words, prologue=found.prologue, is_here=False
        )
    return _at(env)


def _at(env: str) -> Environment:
    path = Path(os.path.abspath(Path(env).expanduser()))  # noqa: PTH100 - the link is the venv
    if not path.exists() and (prefix := conda.find(env)):
        path = prefix
    python = path / "bin" / "python" if path.is_dir() else path
    if python.is_file() and os.access(python, os.X_OK):
        return Environment(python=str(python), prologue=activation(python.parent.parent))
    if path.exists():
        problem = f"env {env!r}: no interpreter at {python}"
    elif "/" in env:
        problem = f"env {env!r}: no such directory or interpreter"
    else:
        problem = f"env {env!r}: no such directory, interpreter or conda environment"
    raise ConfigError(problem, hint=_FORMS)
