"""How many jobs the work at hand asks for, without following every wave of it. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Between how many jobs an adaptive pool moves, and how.

    It looks at the work every ``interval`` seconds, grows at once, and shrinks to the largest of
    the last ``wait_count`` looks. It has as many jobs as would do all the work in
    ``target_duration`` seconds; ``None`` is what dask is configured for.
    """

    minimum: int
    maximum: int
    interval: float = 5.0
    wait_count: int = 3
    target_duration: float | None = None


class AdaptiveTarget:
    """Grows at once and shrinks to the largest of the last looks.

    ``earlier`` is what somebody else saw just before, in jobs.
    """

    def __init__(self, bounds: Bounds, *, earlier: int = 0) -> None:
        self.bounds = bounds
        self._recent = deque([earlier], maxlen=bounds.wait_count)

    def look(self, demand: int, workers_per_job: int) -> int:
        """Return the jobs to want when the work asks for ``demand`` workers."""
        jobs = -(-demand // workers_per_job)
        self._recent.append(min(self.bounds.maximum, max(self.bounds.minimum, jobs)))
        return max(self._recent)
