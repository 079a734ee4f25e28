"""``jobqueue:`` in dask's configuration: its sections, what they inherit, and their defaults.

A section of a user's own has what it says itself; the rest is that of its batch system's section.
"""

from __future__ import annotations

import copy
from typing import Any, Final

import dask.config

_BASH = {"shebang": "#!/usr/bin/env bash", "queue": None, "walltime": "00:30:00"}
_COMMON: dict[str, Any] = {
    "name": "dask-worker",
    "cores": None,
    "memory": None,
    "processes": None,
    "python": None,
    "interface": None,
    "death-timeout": 60,
    "local-directory": None,
    "shared-temp-directory": None,
    "extra": None,
    "worker-command": "distributed.cli.dask_worker",
    "worker-extra-args": [],
    "env-extra": None,
    "job-script-prologue": [],
    "job-script-epilogue": [],
    "job-extra": None,
    "job-extra-directives": [],
    "job-directives-skip": [],
    "log-directory": None,
    "scheduler-options": {},
}
_SYSTEMS: dict[str, dict[str, Any]] = {
    "slurm": {**_BASH, "account": None, "job-cpu": None, "job-mem": None},
    "pbs": {**_BASH, "account": None, "resource-spec": None},
    "moab": {**_BASH, "account": None, "resource-spec": None},
    "sge": {**_BASH, "project": None, "resource-spec": None},
    "oar": {
        **_BASH, "project": None, "resource-spec": None, "memory-per-core-property-name": None,
    },
    "lsf": {
        **_BASH, "walltime": "00:30", "project": None, "ncpus": None, "mem": None,
        "lsf-units": None, "use-stdin": True,
    },
    "htcondor": {
        "shebang": "#!/usr/bin/env condor_submit", "disk": None, "job-extra-directives": {},
        "submit-command-extra": [], "cancel-command-extra": [],
    },
    "local": {},
}  # fmt: skip
# What no packaged file says any more, and what old ones of users still do.
_OLD = ("project", "header-skip")

DEFAULTS: Final = {name: {**_COMMON, **own} for name, own in _SYSTEMS.items()}

_NOTHING = object()


def reconfigure() -> None:
    """Let `dask.config` know the defaults, under whatever the user's files and variables say."""
    dask.config.update_defaults({"jobqueue": copy.deepcopy(DEFAULTS)})


def known_keys(system: str) -> set[str]:
    """Return every key that a section of a batch system may have."""
    return {*DEFAULTS[system], *_OLD}


def value_of(section: str, system: str | None, *, key: str) -> Any:
    """Return what a section says, else the one of its batch system; nothing if nobody does.

    Parameters
    ----------
    section
        The name of a section below ``jobqueue``.
    system
        The section that it inherits from, if there is one.
    key
        As in the file, with hyphens.
    """
    for name in dict.fromkeys((section, system)):
        value = _NOTHING if name is None else _said(name, key)
        if value is not _NOTHING:
            return value
    return copy.deepcopy(DEFAULTS.get(system or "", {}).get(key))


def _said(section: str, key: str) -> Any:
    found = dask.config.get("jobqueue", None)
    for part in (section, key):
        if not isinstance(found, dict):
            return _NOTHING
        found = found.get(dask.config.canonical_name(part, found), _NOTHING)
    return found
