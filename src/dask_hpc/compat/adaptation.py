"""``adapt`` in dask-jobqueue's words: its keywords as bounds in jobs, and what it returns."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

from dask.utils import parse_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dask_hpc.compat.job import Job

_KEPT = ("wait_count", "target_duration")
_BY_WORKERS = ("minimum", "maximum")
# dask's own class is not used, so there is nothing that these would do.
_VAIN = ("worker_key", "Adaptive")
_INTERVAL = "1s"


def bounds_in_jobs(keywords: Mapping[str, Any], *, job: Job) -> dict[str, Any]:
    """Return the keywords of `HPCCluster.adapt` that these mean, in whole jobs.

    A maximum is rounded up: less than a job of workers is a job.

    Raises
    ------
    TypeError
        If a keyword is unknown.
    """
    sizes = {"cores": job.worker_cores, "memory": job.worker_memory, "jobs": 1}
    ways = {name: (name, job.worker_processes) for name in _BY_WORKERS}
    ways |= {f"{end}_{unit}": (end, one) for end in _BY_WORKERS for unit, one in sizes.items()}
    found: dict[str, Any] = {"interval": _INTERVAL}
    for name, value in keywords.items():
        if name in _VAIN:
            warnings.warn(f"adapt({name}=...) has no effect", UserWarning, stacklevel=4)
        elif name in ways:
            end, one = ways[name]
            amount = parse_bytes(value) if name.endswith("_memory") and value else value
            if amount is not None and not (isinstance(amount, float) and math.isinf(amount)):
                jobs = math.ceil(amount / one)
                found[f"{end}_jobs"] = max(jobs, found.get(f"{end}_jobs", 0))
        elif name == "interval" or name in _KEPT:
            found[name] = value
        else:
            raise TypeError(f"adapt() got an unexpected keyword argument {name!r}")
    return found
