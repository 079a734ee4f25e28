"""Follows the jobs for the dashboard, as long as the scheduler lives."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from dask_hpc._clock import SystemClock
from dask_hpc.engine.dashboard.history import JobHistory

if TYPE_CHECKING:
    from collections.abc import Callable

    from dask_hpc.cluster.spec import ClusterSpec
    from dask_hpc.controller.report import Report

logger = logging.getLogger(__name__)

_PAUSE = 2.0  # seconds between two looks
_SHARE = 0.005  # of the scheduler's time at most: a report of ten thousand jobs takes 50 ms


class JobWatch:
    """The history of a cluster's jobs; empty until there is a controller to ask."""

    def __init__(self) -> None:
        self.name = ""
        self.site = ""
        self.history = JobHistory()
        self._report: Callable[[], Report] | None = None
        self._task: asyncio.Task[None] | None = None

    def begin(self, report: Callable[[], Report], spec: ClusterSpec) -> None:
        """Ask from now on."""
        self.name, self.site = spec.name, spec.site
        self.history.nodes = {name: spec.of(name).worker.nodes for name in spec.pool_names}
        self._report = report
        self._task = asyncio.ensure_future(self._follow())

    def end(self) -> None:
        """Ask no more."""
        if self._task:
            self._task.cancel()
        self._task = self._report = None

    def look(self) -> None:
        """Take in how things are at this moment."""
        if self._report:
            # What a page shows must never be the reason that a scheduler stops.
            with suppress(Exception):
                self.history.note(self._report(), now=SystemClock().time())

    async def _follow(self) -> None:
        clock = SystemClock()
        while True:
            begin = clock.monotonic()
            self.look()
            await clock.sleep(max(_PAUSE, (clock.monotonic() - begin) / _SHARE))
