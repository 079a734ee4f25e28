"""How long jobs lately waited in the queue, and for their workers: the next ones will, too."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dask_hpc.controller.states import WorkerJob

_REMEMBERED = 5  # jobs of a pool
_CAUTION = 1.25


class Waits:
    """What is remembered of the last jobs of each pool that came to serve."""

    def __init__(self) -> None:
        self._recent: defaultdict[str, deque[float]] = defaultdict(
            lambda: deque(maxlen=_REMEMBERED)
        )

    def learn(self, old: WorkerJob, new: WorkerJob) -> None:
        """Remember the wait of a job that has just come to serve."""
        if new.served and not old.served and new.steps:
            self._recent[new.pool].append(max(0.0, new.since - new.steps[0].time))

    def expected(self, pool: str) -> float:
        """Return how many seconds pass from a submission to its workers, to be on the safe side."""
        return max(self._recent[pool], default=0.0) * _CAUTION
