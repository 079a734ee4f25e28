"""What is wanted of a pool, and what keeps its jobs from being submitted just now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dask_hpc.controller.adaptive import AdaptiveTarget

if TYPE_CHECKING:
    from dask_hpc.controller.adaptive import Bounds

_FIRST_PAUSE, _LONGEST_PAUSE = 15.0, 600.0  # seconds


class Goal:
    """The wanted number of jobs of a pool: fixed, or as the work asks for it.

    ``halted`` says why nothing is submitted until somebody asks for it, if that is so. All times
    are seconds of a monotonic clock.
    """

    def __init__(self) -> None:
        self.wanted = 0
        self.halted = ""
        self.look_due = float("inf")
        self._adaptive: AdaptiveTarget | None = None
        self._limit = ""
        self._again = 0.0
        self._pause = _FIRST_PAUSE

    @property
    def bounds(self) -> Bounds | None:
        """The bounds of a pool that adapts."""
        return self._adaptive.bounds if self._adaptive else None

    def fix(self, jobs: int) -> None:
        """Want this many jobs from now on."""
        self.wanted, self._adaptive, self.look_due = jobs, None, float("inf")
        self._start_afresh()

    def adapt(self, bounds: Bounds, *, now: float) -> None:
        """Want what the work asks for from now on, between bounds."""
        self._adaptive, self.look_due = AdaptiveTarget(bounds), now
        self.wanted = max(bounds.minimum, min(self.wanted, bounds.maximum))
        self._start_afresh()

    def resume(self, jobs: int, bounds: Bounds | None, *, now: float) -> None:
        """Want what an earlier controller did; the work may yet come back, so shrink slowly."""
        self.wanted = jobs
        if bounds:
            self._adaptive, self.look_due = AdaptiveTarget(bounds, earlier=jobs), now

    def look(self, demand: int, *, workers_per_job: int, now: float) -> None:
        """Hear how many workers the work asks for."""
        if self._adaptive:
            self.look_due = now + self._adaptive.bounds.interval
            self.wanted = self._adaptive.look(demand, workers_per_job)

    def hold(self, limit: str, *, now: float) -> None:
        """Submit nothing for a while: the batch system says that there are enough jobs."""
        self._limit, self._again = limit, now + self._pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)

    def release(self) -> None:
        """Try again, since a job has made room."""
        self._limit, self._pause = "", _FIRST_PAUSE

    def held(self, now: float) -> str:
        """Return why nothing may be submitted now, or nothing."""
        return self._limit if now < self._again else ""

    def next_look(self, now: float) -> float:
        """Return when to look again at the work, or at a limit that was reached."""
        return min(self.look_due, self._again if self.held(now) else float("inf"))

    def _start_afresh(self) -> None:
        self.halted = ""
        self.release()
