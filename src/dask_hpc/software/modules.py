"""Environment modules: ``module load`` in the job, before anything else."""

from __future__ import annotations

import shlex

from dask_hpc.errors import ConfigError

KIND = "module"


def load(names: str) -> tuple[str, ...]:
    """Return the lines that load modules, named as ``python/3.11,cray-mpich``.

    Raises
    ------
    ConfigError
        If there is no name.
    """
    wanted = [name.strip() for name in names.split(",")]
    if not all(wanted):
        raise ConfigError(
            f"env '{KIND}:{names}' names no module",
            hint="write module:NAME,NAME, as module avail has them",
        )
    # Batch systems that give jobs no environment leave `module` undefined.
    return (
        "command -v module >/dev/null || . /etc/profile",
        f"module load {shlex.join(wanted)}",
    )
