"""What is told of a job that waits, besides its state: its place, and a queue that is faster.

Rule 1: a call is one question to the batch system at most, which costs it as little as a listing.
Rule 2: what it does not say is left out, and not guessed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from dask_hpc.cluster.commands import scheduler_job
from dask_hpc.errors import BatchError
from dask_hpc.sites.fit import Chance, fit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence

    from dask_hpc._clock import Clock
    from dask_hpc.batch.model import BatchQueue, JobStatus, Resources
    from dask_hpc.batch.outlook import Place
    from dask_hpc.batch.queue import Queue
    from dask_hpc.cluster.spec import ClusterSpec

_Answer = TypeVar("_Answer")

NOW = 60.0  # seconds: what starts so soon starts now, and so little sooner is not worth a word
_TRIALS = 4  # queues, of which some sites have a hundred


@dataclass(frozen=True, slots=True, kw_only=True)
class Sooner:
    """A queue in which a job would start sooner.

    ``start`` is when, in seconds since the epoch; where nobody says it, ``free`` nodes are free.
    ``move`` is what to type to get there, if a job that waits can be moved.
    """

    queue: str
    start: float | None = None
    free: int = 0
    move: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospects:
    """What is known beyond the state of a job that waits."""

    place: Place | None = None
    sooner: Sooner | None = None


class Prospector:
    """Asks for the prospects of the job of a scheduler, a question for each call.

    Parameters
    ----------
    spec
        Its cluster.
    queue
        Whom to ask.
    clock
        Whose time is now.
    """

    def __init__(self, spec: ClusterSpec, queue: Queue, *, clock: Clock) -> None:
        self.found = Prospects()
        self._spec = spec
        self._queue = queue
        self._clock = clock
        self._status: JobStatus
        self._questions = self._ask_for_ever()

    async def ask(self, status: JobStatus) -> None:
        """Ask the next question about a job that waits, of which this is known."""
        self._status = status
        await anext(self._questions)

    async def _ask_for_ever(self) -> AsyncIterator[None]:
        """Ask one question in each step."""
        outlook = self._queue.system.outlook
        has_place = outlook.place_command() is not None
        if has_place and outlook.sight_command():
            has_place = bool(await _answer(self._queue.sees_all()))
            yield
        while True:
            if has_place:
                place = await _answer(self._queue.place(self._status.id))
                self.found = replace(self.found, place=place)
                yield
            queues = await _answer(self._queue.queues()) or ()
            yield
            async for _ in self._compare(queues):
                yield

    async def _compare(self, queues: Sequence[BatchQueue]) -> AsyncIterator[None]:
        """Find the queue in which the job would start first, if that is another one."""
        place, best = self.found.place, None
        own = own_queue(queues, self._spec.scheduler, said=place.queue if place else "")
        others = rivals(queues, self._spec.scheduler, own=own) if own else ()
        if own and self._queue.system.outlook.trial_command("", "") is None:
            if others and fit(own, self._spec.scheduler).chance is not Chance.NOW:
                best = self._sooner(others[0])
            others = ()
        for other in others[:_TRIALS]:
            start = await _answer(self._trial(other.name))
            if start and start < self._bound(best):
                best = self._sooner(other, start=start)
                self.found = replace(self.found, sooner=best)
            yield
        self.found = replace(self.found, sooner=best)

    async def _trial(self, name: str) -> float | None:
        asked = replace(self._spec.scheduler, queue=name)
        spec = replace(self._spec, scheduler=asked)
        tag = self._status.tag
        return await self._queue.trial(
            scheduler_job(spec, self._queue.system.variables, tag=tag), name
        )

    def _bound(self, best: Sooner | None) -> float:
        """Return before when a start must be to be worth a word."""
        if best and best.start:
            return best.start
        estimate = self._status.start_estimate
        return estimate - NOW if estimate else self._clock.time() + NOW

    def _sooner(self, queue: BatchQueue, *, start: float | None = None) -> Sooner:
        move = self._queue.system.outlook.move_words(self._status.id, queue.name)
        return Sooner(queue=queue.name, start=start, free=queue.free_nodes, move=move)


async def _answer(asking: Awaitable[_Answer]) -> _Answer | None:
    try:
        return await asking
    except BatchError:  # it is nothing that anybody needs
        return None


def own_queue(
    queues: Iterable[BatchQueue], wish: Resources, *, said: str = ""
) -> BatchQueue | None:
    """Return the queue in which a job waits, if it waits in a certain one.

    ``said`` is what the batch system calls it; a person may have moved the job there.
    """
    name = said or wish.queue
    found = (each for each in queues if (each.name == name if name else each.is_default))
    return next(found, None)


def rivals(
    queues: Iterable[BatchQueue], wish: Resources, *, own: BatchQueue
) -> tuple[BatchQueue, ...]:
    """Return the other queues that take a job like this, those first that have room for it now.

    There are none for a job without a walltime, which each queue would give another one, nor are
    those in which it could be ended for the sake of others.
    """
    chances = {each.name: fit(each, wish).chance for each in queues}
    fitting = (
        each
        for each in queues
        if each.name != own.name
        and each.is_open
        and (own.is_preemptible or not each.is_preemptible)
        and chances[each.name] is not Chance.NEVER
    )
    ordered = sorted(fitting, key=lambda each: chances[each.name] is not Chance.NOW)
    return tuple(ordered) if wish.walltime else ()
