"""How many jobs the work at hand asks for, without following every wave of it. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

_WINDOW = 3  # looks


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Between how many jobs an adaptive cluster moves, and how often it looks (seconds)."""

    minimum: int
    maximum: int
    interval: float = 5.0


class AdaptiveTarget:
    """Grows at once and shrinks to the largest of the last three looks."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self._recent: deque[int] = deque(maxlen=_WINDOW)

    def look(self, demand: int, workers_per_job: int) -> int:
        """Return the jobs to want when the work asks for ``demand`` workers."""
        jobs = -(-demand // workers_per_job)
        self._recent.append(min(self.bounds.maximum, max(self.bounds.minimum, jobs)))
        return max(self._recent)
