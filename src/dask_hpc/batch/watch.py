"""One listing of jobs for every cluster of this process, asked for as rarely as it changes.

Rule 1: one query at a time, and one for all tags that anybody follows.
Rule 2: a query that failed changes nothing but the pace: what was known stays known.
Rule 3: an empty listing while jobs were alive is believed when the next one says the same.
Rule 4: a listing speaks of a job only if it was begun after the job was submitted.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from dask_hpc._clock import SystemClock, wait_for
from dask_hpc.errors import BatchError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Mapping

    from dask_hpc._clock import Clock
    from dask_hpc.batch.model import JobId, JobState, JobStatus, Tag
    from dask_hpc.batch.queue import Queue

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long to wait between two listings, in seconds.

    It is ``shortest`` after a change, and doubles up to ``longest`` while nothing changes, or up to
    ``unanswered`` while there is no answer: who waits for the end of an outage should see it. A
    query that takes longer than ``patience`` has no answer meanwhile.
    """

    shortest: float = 1.0
    longest: float = 60.0
    unanswered: float = 10.0
    patience: float = 5.0


@dataclass(slots=True, kw_only=True)
class _Followed:
    """A tag, and what listings said of it.

    ``since`` is the number of the first query that can know its jobs, ``listings`` how many were
    believed, ``shown`` how many that were when each place in the array was last seen, and
    ``submitted`` when places that never were could have been seen first.
    """

    since: int
    listings: int = 0
    submitted: int = 0
    shown: dict[int, int] = field(default_factory=dict)


class Watch:
    """What the batch system last said of the jobs that somebody follows.

    `run` is its one task. Everything else may be called at any time in the same event loop.

    Parameters
    ----------
    queue
        Whom to ask.
    clock
        What to wait by.
    pace
        How often to ask; the shortest wait is a setting of the site.
    """

    def __init__(
        self, queue: Queue, *, clock: Clock | None = None, pace: Pace | None = None
    ) -> None:
        self._queue = queue
        self._clock = clock or SystemClock()
        self._pace = pace or Pace()
        self._pause = self._pace.shortest
        self._followed: dict[Tag, _Followed] = {}
        self._latest: Mapping[JobId, JobStatus] = {}
        self._listed_at: float | None = None
        self._failure: BatchError | None = None
        self._failing_since = 0.0
        self._queries = 0
        self._asked_at = float("-inf")
        self._is_asking = False
        self._in_doubt = False
        self._soon = asyncio.Event()
        self._listeners: list[Callable[[], None]] = []

    @property
    def latest(self) -> Mapping[JobId, JobStatus]:
        """The jobs of the last believed listing that carry a followed tag."""
        return MappingProxyType(self._latest)

    @property
    def listed_at(self) -> float | None:
        """When the last believed listing was read, in seconds since the epoch."""
        return self._listed_at

    @property
    def failure(self) -> BatchError | None:
        """Why the last query failed, or nothing if it did not."""
        return self._failure

    @property
    def unanswered_since(self) -> float | None:
        """When the first of the queries was made that fail, in seconds since the epoch, if they do.

        One that hangs counts before it is given up. Nothing is known while nobody follows anything:
        then nothing is asked.
        """
        if not self._followed:
            return None
        if self._failure:
            return self._failing_since
        waited = self._clock.monotonic() - self._asked_at
        is_late = self._is_asking and waited > self._pace.patience
        return self._clock.time() - waited if is_late else None

    def absences(self, tag: Tag, index: int = 0) -> int:
        """Return how many believed listings in a row did not show a job; 0 if nobody follows it.

        Of a submission that was never shown, those listings alone count that were begun after the
        last call of `follow` for its tag or of `poke`.
        """
        followed = self._followed.get(tag)
        if followed is None:
            return 0
        return followed.listings - followed.shown.get(index, followed.submitted)

    def follow(self, tags: Collection[Tag]) -> None:
        """Ask about the jobs of these submissions too, and soon."""
        for tag in tags:
            followed = self._followed.setdefault(tag, _Followed(since=0))
            if not followed.shown:
                followed.since, followed.submitted = self._queries + 1, followed.listings
        self._soon.set()

    def unfollow(self, tags: Collection[Tag]) -> None:
        """Ask no more about these submissions, and forget what was said of them."""
        for tag in tags:
            self._followed.pop(tag, None)
        self._latest = self._of_interest(self._latest)

    def poke(self) -> None:
        """Ask soon: something was submitted or cancelled, of which no listing knows yet."""
        self.follow(tuple(self._followed))

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call somebody after each believed listing."""
        self._listeners.append(listener)

    def unsubscribe(self, listener: Callable[[], None]) -> None:
        """Call them no more."""
        self._listeners.remove(listener)

    async def run(self) -> None:
        """Ask again and again, until cancelled."""
        while True:
            await self._wait()
            if self._followed:
                await self._ask()

    async def _wait(self) -> None:
        if self._followed:
            await wait_for(self._soon, self._pause, clock=self._clock)
        else:
            await self._soon.wait()
        if self._soon.is_set():
            self._pause = self._pace.shortest
            early = self._asked_at + self._pace.shortest - self._clock.monotonic()
            if early > 0:
                await self._clock.sleep(early)
            # Only now: this query answers also those who came while it was held back.
            self._soon.clear()

    async def _ask(self) -> None:
        self._queries += 1
        number = self._queries
        self._asked_at = self._clock.monotonic()
        begin = self._clock.time()
        self._is_asking = True
        try:
            listed = await self._queue.status(frozenset(self._followed))
        except BatchError as error:
            level = logging.DEBUG if self._failure else logging.WARNING
            logger.log(level, "jobs could not be listed, what is known of them stays: %s", error)
            self._failing_since = self._failing_since if self._failure else begin
            self._failure = error
            self._slow_down(max(self._pace.shortest, self._pace.unanswered))
            return
        finally:
            self._is_asking = False
        self._failure = None
        self._read(number, self._of_interest(listed))

    def _read(self, number: int, listed: Mapping[JobId, JobStatus]) -> None:
        if not listed and not self._in_doubt and _anybody_lives(self._latest):
            logger.debug("an empty listing although jobs were alive: asking once more")
            self._in_doubt, self._pause = True, self._pace.shortest
            return
        self._in_doubt = False
        self._count(number, listed)
        if _states(listed) == _states(self._latest):
            self._slow_down(self._pace.longest)
        else:
            self._pause = self._pace.shortest
        self._latest, self._listed_at = listed, self._clock.time()
        self._tell()

    def _tell(self) -> None:
        for listener in tuple(self._listeners):
            try:
                listener()
            except Exception:  # one cluster's bug is not to blind the others
                logger.exception("somebody who watches the jobs stumbled")

    def _count(self, number: int, listed: Mapping[JobId, JobStatus]) -> None:
        for followed in self._followed.values():
            followed.listings += 1
            if number < followed.since:
                followed.submitted = followed.listings
        for job in listed.values():
            followed = self._followed[job.tag]
            followed.shown[job.index] = followed.listings

    def _of_interest(self, listed: Mapping[JobId, JobStatus]) -> Mapping[JobId, JobStatus]:
        return {job_id: job for job_id, job in listed.items() if job.tag in self._followed}

    def _slow_down(self, longest: float) -> None:
        self._pause = min(self._pause * 2, longest)


def _anybody_lives(jobs: Mapping[JobId, JobStatus]) -> bool:
    return any(not job.state.is_final for job in jobs.values())


def _states(jobs: Mapping[JobId, JobStatus]) -> dict[JobId, JobState]:
    # Reasons and start estimates move with every job of the machine: they are no hurry.
    return {job_id: job.state for job_id, job in jobs.items()}


@dataclass(slots=True, kw_only=True)
class _Shared:
    watch: Watch
    task: asyncio.Task[None]
    users: int = 0


class Watches:
    """The watches of a process: one for each batch system, user and way to reach them.

    It belongs to whoever composes the process, who hands it to every cluster made there. Runners
    that are equal count as one; watches of different event loops are apart.
    """

    def __init__(self, *, clock: Clock | None = None, pace: Pace | None = None) -> None:
        self._clock = clock
        self._pace = pace
        self._shared: dict[tuple[object, ...], _Shared] = {}

    @asynccontextmanager
    async def share(self, queue: Queue) -> AsyncIterator[Watch]:
        """Enter with the running watch of this queue; the last who leaves ends it."""
        key = (queue.system.name, queue.user, queue.runner, asyncio.get_running_loop())
        shared = self._shared.get(key) or self._start(queue)
        self._shared[key] = shared
        shared.users += 1
        try:
            yield shared.watch
        finally:
            shared.users -= 1
            if not shared.users:
                del self._shared[key]
                shared.task.cancel()
                await asyncio.gather(shared.task, return_exceptions=True)

    def _start(self, queue: Queue) -> _Shared:
        watch = Watch(queue, clock=self._clock, pace=self._pace)
        task = asyncio.create_task(watch.run())
        task.add_done_callback(_report)
        return _Shared(watch=watch, task=task)


def _report(task: asyncio.Task[None]) -> None:
    # Nobody awaits the task while it runs: a bug in it must not go unseen.
    if not task.cancelled() and (error := task.exception()):
        logger.error("the watch of the batch system ended", exc_info=error)


@cache
def watches_of_this_process() -> Watches:
    """Return the watches that all clusters of this process share."""
    return Watches()
