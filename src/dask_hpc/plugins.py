"""What can be added from outside, found by name: our own table first, then entry points.

A copy of the package on a job's path has no entry points; the table is why it needs none.
"""

from __future__ import annotations

import difflib
import importlib
from importlib import metadata
from typing import Any

from dask_hpc.errors import ConfigError

BATCH_SYSTEMS = "dask_hpc.batch_systems"

_OWN = {
    BATCH_SYSTEMS: {
        "htcondor": "dask_hpc.batch.htcondor:HTCondor",
        "local": "dask_hpc.batch.local:Local",
        "lsf": "dask_hpc.batch.lsf:LSF",
        "moab": "dask_hpc.batch.moab:Moab",
        "oar": "dask_hpc.batch.oar:OAR",
        "pbs": "dask_hpc.batch.pbs:PBS",
        "sge": "dask_hpc.batch.sge:SGE",
        "slurm": "dask_hpc.batch.slurm:Slurm",
        "torque": "dask_hpc.batch.torque:Torque",
    },
}
_NOUNS = {BATCH_SYSTEMS: "batch system"}


def names(group: str) -> tuple[str, ...]:
    """Return the names that `load` knows, in alphabetical order."""
    found = {entry.name for entry in metadata.entry_points(group=group)}
    return tuple(sorted(found | _OWN[group].keys()))


def load(group: str, name: str) -> Any:
    """Return the object of this name.

    Raises
    ------
    ConfigError
        If nobody knows the name; the hint says the nearest one.
    """
    if place := _OWN[group].get(name):
        module, _, attribute = place.partition(":")
        return getattr(importlib.import_module(module), attribute)
    for entry in metadata.entry_points(group=group, name=name):
        return entry.load()
    known = names(group)
    near = difflib.get_close_matches(name, known, n=1)
    raise ConfigError(
        f"{_NOUNS[group]} {name!r} is unknown",
        hint=f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(known)}",
    )
