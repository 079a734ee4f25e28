"""How many workers of one pool the work at hand asks for, where a cluster has several pools.

Work that asks for a resource is for every pool that offers it; all other work is for the default
pool.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import dask
from dask.utils import parse_timedelta

from dask_hpc.cluster.slot import slot_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from distributed import Scheduler

    from dask_hpc.cluster.slot import Slot
    from dask_hpc.cluster.spec import ClusterSpec

_UNKNOWN = 0.5  # seconds that a task is thought to take before one of its kind has ended


def demand_of(
    scheduler: Scheduler,
    spec: ClusterSpec,
    *,
    slots: Collection[Slot],
    seconds: float | None,
    is_default: bool,
) -> int:
    """Return the number of workers that a pool should have.

    Parameters
    ----------
    scheduler
        Whose tasks they are.
    spec
        The cluster, as it is for this pool.
    slots
        The pool's jobs.
    seconds
        In what time the work should be done. ``None``: as dask is configured for.
    is_default
        Whether work that asks for nothing particular is for this pool.
    """
    if seconds is None:
        seconds = parse_timedelta(dask.config.get("distributed.adaptive.target-duration"))
    own = [worker for worker in scheduler.workers.values() if slot_of(worker.name) in slots]
    waiting = [
        task
        for task in (*scheduler.queued, *scheduler.unrunnable)
        if _is_for(task.resource_restrictions, spec.offers, is_default=is_default)
    ]
    at_work = sum(len(worker.processing) for worker in own)
    occupancy = sum(worker.occupancy for worker in own) + sum(map(_duration, waiting))
    # A few long tasks do not ask for more threads than there are tasks.
    threads = min(len(waiting) + at_work, math.ceil(occupancy / seconds))
    wanted = math.ceil(max(threads, bool(waiting)) / spec.threads)
    # A worker that holds results stays until they are not wanted any more.
    holders = sum(bool(worker.has_what or worker.processing) for worker in own)
    return max(wanted, min(holders, len(own)))


def _is_for(
    wanted: Mapping[str, float] | None, offers: Mapping[str, float], *, is_default: bool
) -> bool:
    if not wanted:
        return is_default
    return all(offers.get(name, 0.0) >= amount for name, amount in wanted.items())


def _duration(task: Any) -> float:
    average = float(task.prefix.duration_average)
    return average if average > 0 else _UNKNOWN
