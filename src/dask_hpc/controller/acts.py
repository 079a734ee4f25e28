"""How the controller acts: every intent is on disk before it is carried out."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dask_hpc._clock import until
from dask_hpc.cluster.commands import worker_job
from dask_hpc.cluster.slot import Slot, new_tag
from dask_hpc.cluster.spec import DEFAULT_POOL
from dask_hpc.controller.crash import side_effect
from dask_hpc.controller.journal import Entry, Event
from dask_hpc.controller.report import Trouble
from dask_hpc.controller.states import Cancel, Halt, Phase, Retire, Submit, enter, submitted
from dask_hpc.errors import (
    BatchError,
    CommandMissing,
    ConfigError,
    LimitReached,
    SubmitRejected,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from dask_hpc._clock import Clock
    from dask_hpc.batch.model import JobId, Tag
    from dask_hpc.batch.queue import Queue
    from dask_hpc.cluster.spec import ClusterSpec
    from dask_hpc.controller.crew import Crew
    from dask_hpc.controller.states import Action
    from dask_hpc.controller.view import View
    from dask_hpc.errors import HPCError

logger = logging.getLogger(__name__)

_LEAVE = 5.0  # seconds that a drained job has to end by itself
_PATIENCE = 5.0  # seconds until a submission without an answer is told
# After these nothing was submitted. After every other error something may have been.
_REFUSALS = (SubmitRejected, CommandMissing, ConfigError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of the actions: why to submit no more, for a while, and what a caller hears."""

    halted: str = ""
    limit: str = ""
    refused: HPCError | None = None


class Acts:
    """Submits, cancels and retires."""

    def __init__(
        self, spec: ClusterSpec, queue: Queue, *, view: View, crew: Crew, clock: Clock
    ) -> None:
        self._spec = spec
        self._queue = queue
        self._view = view
        self._crew = crew
        self._clock = clock
        self._condemned: set[Slot] = set()
        self._ended_twins: set[JobId] = set()
        self._drains: set[asyncio.Task[None]] = set()
        self._submitting_since: float | None = None

    async def perform(self, actions: Sequence[Action], *, pool: str) -> Outcome:
        """Carry out what was decided, and what of earlier decisions is still to be done."""
        self._retire([action for action in actions if isinstance(action, Retire)])
        self._condemn([action for action in actions if isinstance(action, Cancel)])
        await self._cancel()
        outcome = Outcome()
        for action in actions:
            if isinstance(action, Submit):
                outcome = await self._submit_as_allowed(action, pool)
            elif isinstance(action, Halt):
                self._note(Event.HALT, action.why)
                outcome = Outcome(halted=action.why)
        return outcome

    @property
    def unanswered_since(self) -> float | None:
        """When the submission was begun that hangs, in seconds since the epoch, if one does."""
        since = self._submitting_since
        is_late = since is not None and self._clock.time() - since > _PATIENCE
        return since if is_late else None

    def adopt(self, slots: Collection[Slot]) -> None:
        """End jobs that an earlier controller had dismissed."""
        self._condemned.update(slots)

    async def close(self) -> None:
        """Stop waiting for those who leave."""
        for drain in self._drains:
            drain.cancel()
        await asyncio.gather(*self._drains, return_exceptions=True)

    async def _submit_as_allowed(self, action: Submit, pool: str) -> Outcome:
        """Submit; halve what is too much for a limit, until the limit is reached exactly."""
        count = room = action.count
        limit = ""
        while room > 0:
            try:
                await self._submit(count, action.why, pool=pool)
                room -= count
            except LimitReached as error:
                limit, room = str(error), count - 1
            except _REFUSALS as error:
                return self._refused(error)
            count = (room + 1) // 2
        return Outcome(limit=limit)

    async def _submit(self, count: int, why: str, *, pool: str) -> None:
        tag = new_tag(self._spec.name)
        self._view.journal.write(self._entry(Event.INTENT, why, tag=tag, count=count, pool=pool))
        now = self._clock.time()
        slots = [Slot(tag, index) for index in range(count)]
        try:
            job = worker_job(self._spec, self._queue.system.variables, tag=tag, pool=pool)
            self._submitting_since = now
            ids = await self._queue.submit(job, count)
            side_effect()
        except _REFUSALS as error:
            self._note(Event.REFUSED, str(error), tag=tag)
            raise
        except BatchError as error:
            # It may have been accepted all the same: listings by tag will tell.
            self._note(Event.NOTE, f"the submission has no answer: {error}", tag=tag)
            for slot in slots:
                self._view.put(submitted(slot, Phase.SUBMITTING, pool=pool, now=now))
            return
        finally:
            self._submitting_since = None
        self._note(Event.SUBMITTED, why, tag=tag, jobs=ids)
        for slot, job_id in zip(slots, ids, strict=True):
            self._view.put(submitted(slot, Phase.PENDING, pool=pool, now=now, job=job_id))

    def _refused(self, error: HPCError) -> Outcome:
        self._view.trouble = Trouble(kind=type(error).__name__, message=str(error), hint=error.hint)
        logger.warning("%s", error)
        return Outcome(halted=str(error), refused=error)

    def _condemn(self, actions: Sequence[Cancel]) -> None:
        self._dismiss(actions, Event.CANCEL)
        self._condemned.update(action.slot for action in actions)

    async def _cancel(self) -> None:
        """Cancel in one go; what the batch system does not hear is said again."""
        self._condemned = {slot for slot in self._condemned if self._view.is_live(slot)}
        known = {slot: job for slot in self._condemned if (job := self._view[slot].job)}
        twins = self._view.twins.keys() - self._ended_twins
        ids = [*known.values(), *sorted(twins)]
        if not ids:
            return
        if twins:
            self._note(Event.CANCEL, "another job has their place", jobs=tuple(sorted(twins)))
        try:
            await self._queue.cancel(ids)
            side_effect()
        except BatchError as error:
            logger.warning("jobs %s could not be cancelled: %s", ", ".join(ids), error)
            return
        self._ended_twins |= twins
        self._condemned.difference_update(known)
        self._view.watch.poke()

    def _retire(self, actions: Sequence[Retire]) -> None:
        if not actions:
            return
        self._dismiss(actions, Event.RETIRE)
        drain = asyncio.ensure_future(self._drain([action.slot for action in actions]))
        self._drains.add(drain)
        drain.add_done_callback(self._drains.discard)

    async def _drain(self, slots: Sequence[Slot]) -> None:
        try:
            await self._crew.drain(slots)
        except Exception:
            logger.exception("workers of %s were not drained", ", ".join(map(str, slots)))
        # The workers are gone and their job ends by itself; if it does not, it is ended.
        await until(
            lambda: not any(map(self._view.is_live, slots)),
            _LEAVE,
            clock=self._clock,
            every=0.25,
        )
        self._condemned.update(filter(self._view.is_live, slots))

    def _dismiss(self, actions: Sequence[Cancel] | Sequence[Retire], event: Event) -> None:
        reasons: dict[str, list[JobId]] = {}
        for action in actions:
            job = self._view[action.slot]
            reasons.setdefault(action.why, []).extend([job.job] if job.job else [])
            hung = isinstance(action, Cancel) and action.hung
            leaving = replace(job, dismissed=True, hung=hung, reason=action.why)
            self._view.put(enter(leaving, Phase.DRAINING, now=self._clock.time()))
        for why, jobs in reasons.items():
            self._note(event, why, jobs=tuple(jobs))

    def _note(
        self, event: Event, why: str, *, tag: Tag | None = None, jobs: tuple[JobId, ...] = ()
    ) -> None:
        self._view.journal.note(self._entry(event, why, tag=tag, jobs=jobs))

    def _entry(
        self,
        event: Event,
        why: str,
        *,
        tag: Tag | None = None,
        count: int = 0,
        jobs: tuple[JobId, ...] = (),
        pool: str = DEFAULT_POOL,
    ) -> Entry:
        now = self._clock.time()
        entry = Entry(time=now, event=event, why=why, count=count, jobs=jobs, pool=pool)
        return entry if tag is None else replace(entry, tag=tag)
