"""What a journal says that an earlier controller left: jobs, and what was wanted. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dask_hpc.cluster.slot import Slot
from dask_hpc.controller.journal import Event
from dask_hpc.controller.states import Phase, submitted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dask_hpc.batch.model import JobId
    from dask_hpc.controller.adaptive import Bounds
    from dask_hpc.controller.journal import Entry
    from dask_hpc.controller.states import WorkerJob

_DISMISSALS = (Event.CANCEL, Event.RETIRE)


@dataclass(slots=True, kw_only=True)
class Past:
    """The jobs that had not ended, and for each pool what somebody wanted last."""

    wanted: dict[str, int] = field(default_factory=dict)
    bounds: dict[str, Bounds] = field(default_factory=dict)
    live: dict[Slot, WorkerJob] = field(default_factory=dict)

    @property
    def jobs(self) -> tuple[WorkerJob, ...]:
        """The jobs that may still be there."""
        return tuple(self.live.values())


def read_past(entries: Iterable[Entry]) -> Past | None:
    """Return what is left of an earlier controller, or nothing if there was none."""
    past, found = Past(), False
    for entry in entries:
        found = True
        if entry.event is Event.INTENT:
            _intend(past, entry)
        elif entry.event is Event.SUBMITTED:
            _identify(past, entry)
        elif entry.event is Event.REFUSED:
            past.live = {slot: job for slot, job in past.live.items() if slot.tag != entry.tag}
        elif entry.event is Event.ENDED:
            past.live.pop(Slot.parse(entry.slot), None)
        elif entry.event in _DISMISSALS:
            _dismiss(past, set(entry.jobs), why=entry.why)
        elif entry.wanted is not None:
            _want(past, entry)
    return past if found else None


def _intend(past: Past, entry: Entry) -> None:
    # Without an answer yet: whether the queue has it, listings by its tag will tell.
    for index in range(entry.count):
        slot = Slot(entry.tag, index)
        past.live[slot] = submitted(slot, Phase.SUBMITTING, pool=entry.pool, now=entry.time)


def _identify(past: Past, entry: Entry) -> None:
    for index, job_id in enumerate(entry.jobs):
        slot = Slot(entry.tag, index)
        if slot in past.live:
            pool = past.live[slot].pool
            past.live[slot] = submitted(slot, Phase.PENDING, pool=pool, now=entry.time, job=job_id)


def _dismiss(past: Past, ids: set[JobId], *, why: str) -> None:
    for slot, job in past.live.items():
        if job.job in ids:
            past.live[slot] = replace(job, phase=Phase.DRAINING, dismissed=True, reason=why)


def _want(past: Past, entry: Entry) -> None:
    past.wanted[entry.pool] = entry.wanted or 0
    if entry.bounds:
        past.bounds[entry.pool] = entry.bounds
    else:
        past.bounds.pop(entry.pool, None)
