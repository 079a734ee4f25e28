"""The software environment that settings name: found, looked into, and compared with ours."""

from __future__ import annotations

import functools
import logging
import sys
from typing import TYPE_CHECKING

from dask_hpc.errors import ConfigError
from dask_hpc.software import contents
from dask_hpc.software.environment import Environment, resolve

if TYPE_CHECKING:
    from pathlib import Path

    from dask_hpc.sites.settings import WorkerSettings

logger = logging.getLogger(__name__)


def software_of(settings: WorkerSettings, directory: Path) -> Environment:
    """Return the environment of jobs, which see a cluster's directory.

    It is looked into if it is on this machine and another one than ours; versions that differ are
    told, because results may not be understood.

    Raises
    ------
    ConfigError
        If there is no such environment, or jobs of several nodes are to run in a container.
    SoftwareError
        If no worker can run there.
    """
    found = resolve(settings.env, directory=directory, gpus=settings.gpus > 0)
    if found.wrapper and settings.nodes > 1:
        raise ConfigError(
            f"env {settings.env!r}: jobs in a container have one node here, not {settings.nodes}",
            hint="leave nodes at 1, and take more jobs",
        )
    if found.is_here and found.python != sys.executable:
        _tell_differences(found.python)
    return found


@functools.cache
def _tell_differences(python: str) -> None:
    """Say once how an environment differs from that of the client."""
    differences = contents.check(python, contents.look(python), client=contents.here())
    if differences:
        logger.warning(
            "jobs have another environment than this one: %s; hint: let both have the same "
            "versions, for what one writes the other must read",
            "; ".join(differences),
        )
