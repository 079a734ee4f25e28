"""Every environment variable that dask-hpc reads, each declared once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """An environment variable, with what it is for."""

    name: str
    doc: str

    def get(self) -> str | None:
        """Return its value; an empty one counts as none."""
        return os.environ.get(self.name) or None


HOME = Variable(
    name="DASK_HPC_HOME",
    doc="where clusters are kept; on the file system that nodes share "
    "(default: $XDG_STATE_HOME/dask-hpc, else ~/.local/state/dask-hpc)",
)
SETTING_PREFIX = "DASK_HPC__"
SETTING = Variable(
    name=f"{SETTING_PREFIX}<KEY>",
    doc="a setting, as in DASK_HPC__LOCAL__CORES=16; two underscores go one level down",
)
CRASH_AT = Variable(
    name="DASK_HPC_CRASH_AT",
    doc="for tests: the controller ends at its side effect of this number, counted from 1",
)

VARIABLES = (HOME, SETTING, CRASH_AT)


def home() -> Path:
    """Return the directory of everything that outlives a process."""
    if chosen := HOME.get():
        return Path(chosen).expanduser().absolute()
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser().absolute() / "dask-hpc"
