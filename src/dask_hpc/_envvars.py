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

CLUSTER = Variable(
    name="DASK_HPC_CLUSTER",
    doc="the cluster that HPCCluster.from_name() means; set in the Jupyter session of a cluster",
)
JUPYTER = Variable(
    name="DASK_HPC_JUPYTER",
    doc="the path below which Jupyter is seen, for links to dashboards; set in the Jupyter "
    "session of a cluster",
)
HUB = Variable(
    name="JUPYTERHUB_SERVICE_PREFIX",
    doc="the same, as JupyterHub sets it",
)
KERNEL = Variable(
    name="JPY_PARENT_PID",
    doc="set by Jupyter in kernels: whether links are seen from a notebook",
)

RANK = Variable(
    name="DASK_HPC_RANK",
    doc="which task of a launch this is, counted from 0: for job scripts whose launcher gives its "
    "tasks no number",
)
TASKS = Variable(
    name="DASK_HPC_TASKS",
    doc="how many tasks such a launch has, one a node",
)

VARIABLES = (HOME, SETTING, CLUSTER, JUPYTER, HUB, KERNEL, RANK, TASKS, CRASH_AT)


def home() -> Path:
    """Return the directory of everything that outlives a process."""
    if chosen := HOME.get():
        return Path(chosen).expanduser().absolute()
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser().absolute() / "dask-hpc"
