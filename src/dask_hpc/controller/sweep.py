"""The end of a cluster's jobs, by what the queue itself says: it needs no controller alive."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dask_hpc.batch.model import JobState
from dask_hpc.controller.journal import Event
from dask_hpc.errors import BatchUnavailable

if TYPE_CHECKING:
    from collections.abc import Collection

    from dask_hpc._clock import Clock
    from dask_hpc.batch.model import JobId, JobStatus, Tag
    from dask_hpc.batch.queue import Queue
    from dask_hpc.controller.journal import Entry

_FIRST_LOOK, _LAST_LOOK = 0.1, 2.0  # seconds between looks, doubling


def open_tags(entries: Collection[Entry]) -> tuple[Tag, ...]:
    """Return the submissions of a journal that may still have jobs in the queue."""
    left: dict[Tag, int] = {}
    for entry in entries:
        if entry.event is Event.INTENT:
            left[entry.tag] = entry.count
        elif entry.event is Event.REFUSED:
            left[entry.tag] = 0
        elif entry.event is Event.ENDED:  # and not LOST: such a job may turn up again
            left[entry.tag] = left.get(entry.tag, 0) - 1
    return tuple(tag for tag, count in left.items() if count > 0)


async def sweep(
    queue: Queue, tags: Collection[Tag], *, seconds: float, clock: Clock
) -> tuple[JobStatus, ...]:
    """Cancel every job that carries one of these tags, and wait until they have ended.

    Only jobs with our tags are touched. Returns those that had not ended in time: an empty tuple
    means that nothing is left.

    Raises
    ------
    BatchError
        If jobs may not be cancelled, or if the batch system did not answer in all the time.
    """
    if not tags:
        return ()
    broom = _Broom(queue, tags)
    deadline = clock.monotonic() + seconds
    pause = _FIRST_LOOK
    while True:
        is_last = clock.monotonic() >= deadline
        try:
            live = await broom.once()
        except BatchUnavailable:
            if is_last:
                raise
        else:
            if is_last or broom.is_done:
                return live
        await clock.sleep(pause)
        pause = min(_LAST_LOOK, pause * 2)


class _Broom:
    """Cancels what it sees, each job once. It is done when a listing shows that all have ended.

    One that shows nothing at all is believed when the next one says the same.
    """

    def __init__(self, queue: Queue, tags: Collection[Tag]) -> None:
        self.is_done = False
        self._queue = queue
        self._tags = tags
        self._asked: set[JobId] = set()
        self._saw_nothing = False

    async def once(self) -> tuple[JobStatus, ...]:
        """Cancel what lives, and return it."""
        listed = (await self._queue.status(self._tags)).values()
        live = tuple(job for job in listed if not job.state.is_final)
        self.is_done = not live and (bool(listed) or self._saw_nothing)
        self._saw_nothing = not listed
        fresh = [job.id for job in live if job.id not in self._asked and not _is_leaving(job)]
        if fresh:
            await self._queue.cancel(fresh)
            self._asked.update(fresh)
        return live


def _is_leaving(job: JobStatus) -> bool:
    return job.state is JobState.COMPLETING
