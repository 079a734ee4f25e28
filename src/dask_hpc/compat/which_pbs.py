"""Which batch system a class of jobs means, where one class has served several."""

from __future__ import annotations

from dask_hpc.process.local import LocalRunner
from dask_hpc.sites.detect import LOCAL, facts_of


async def site_of(system: str | None) -> str:
    """Return the site for a section of the configuration: that of PBS has served Torque as well."""
    if system == "pbs" and "version" in await facts_of("torque", LocalRunner()):
        return "torque"
    return system or LOCAL
