"""What the controller knows: its jobs, brought up to date from workers, records and the queue."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from dask_hpc._files import read_tail
from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.cluster.jobrecords import JobRecords
from dask_hpc.cluster.slot import Slot
from dask_hpc.controller.journal import Entry, Event, Journal
from dask_hpc.controller.observe import LISTINGS_UNTIL_LOST, Evidence, observe
from dask_hpc.controller.report import Trouble
from dask_hpc.controller.states import Phase, enter
from dask_hpc.controller.waits import Waits
from dask_hpc.errors import BatchError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dask_hpc._clock import Clock
    from dask_hpc.batch.model import JobId, JobStatus, Tag
    from dask_hpc.batch.queue import Queue
    from dask_hpc.batch.watch import Watch
    from dask_hpc.cluster.spec import ClusterSpec
    from dask_hpc.controller.crew import Crew, Presence
    from dask_hpc.controller.states import WorkerJob

logger = logging.getLogger(__name__)

_KEPT = 100  # ended jobs that reports still show
_TURNS_UP = 600.0  # seconds in which a job that was taken for lost may be listed again


class View:
    """The jobs of a cluster as last seen, with the journal of what became of them."""

    def __init__(
        self, spec: ClusterSpec, queue: Queue, *, watch: Watch, crew: Crew, clock: Clock
    ) -> None:
        directory = ClusterDirectory(spec.directory)
        self.watch = watch
        self.journal = Journal(directory.journal)
        self.failures: Counter[str] = Counter()  # by pool
        self.trouble: Trouble | None = None
        self.found: set[str] = set()  # pools in which jobs turned up again in the last look
        self.waits = Waits()
        self._logs = directory.logs
        self._records = JobRecords(directory.jobs)
        self._queue = queue
        self._crew = crew
        self._clock = clock
        self._jobs: dict[Slot, WorkerJob] = {}
        self._followed: set[Tag] = set()
        self._untaken: set[Tag] = set()
        self._accused: Slot | None = None
        self._twins: dict[JobId, Slot] = {}
        self._history: Mapping[JobId, JobStatus | None] = {}
        self._cut_off: Trouble | None = None

    @property
    def jobs(self) -> tuple[WorkerJob, ...]:
        """Every live job, and the last that ended."""
        return tuple(self._jobs.values())

    def __getitem__(self, slot: Slot) -> WorkerJob:
        return self._jobs[slot]

    def put(self, job: WorkerJob) -> None:
        """Know a new job, or know a job anew."""
        self._jobs[job.slot] = job

    def put_back(self, jobs: Iterable[WorkerJob]) -> None:
        """Know jobs of an earlier controller: the workers of those that began may be gone."""
        self._records.refresh()
        now = self._clock.time()
        for job in jobs:
            began = job.slot in self._records.starts and not job.dismissed
            self.put(enter(replace(job, served=True), Phase.MISSING, now=now) if began else job)

    def is_live(self, slot: Slot) -> bool:
        """Whether a job has not ended; one that ended long ago is not even known."""
        return slot in self._jobs and self._jobs[slot].is_live

    def forgive(self, pool: str) -> None:
        """Forget the failures of a pool: somebody wants another try."""
        self.failures[pool], self.trouble = 0, None
        for job in self.jobs:  # what is given up and has not ended yet will be no failure either
            if job.hung and job.is_live and job.pool == pool:
                self.put(replace(job, hung=False))

    def open_tags(self) -> tuple[Tag, ...]:
        """Return the submissions of jobs that have not ended, or that may yet turn up."""
        open_jobs = (job for job in self.jobs if job.is_live or job.lost)
        return tuple({job.slot.tag: None for job in open_jobs})

    async def look(self) -> None:
        """Bring every job up to date."""
        self.found = set()
        self._records.refresh()
        self._hear_of_network()
        await self._ask_history()
        statuses = self._statuses()
        present = self._crew.present()
        ended = []
        for job in self.jobs:
            if job.is_live or job.lost:
                new = self._update(job, self._evidence(job, statuses=statuses, present=present))
                ended += [new] if job.is_live and not new.is_live else []
                self._welcome(job, new)
        self.journal.note(*map(_ending, ended))
        self._forget()
        self._follow()

    @property
    def twins(self) -> Mapping[JobId, Slot]:
        """The jobs that are listed in a place which another job has: one submission became two."""
        return self._twins

    def _statuses(self) -> Mapping[tuple[Tag, int], JobStatus]:
        """Return what is listed of each place; of two jobs in one place, the one that is known."""
        statuses: dict[tuple[Tag, int], JobStatus] = {}
        self._twins = {}
        for status in self.watch.latest.values():
            place = (status.tag, status.index)
            rival = statuses.setdefault(place, status)
            if rival is not status:
                slot = Slot(*place)
                known = self._jobs[slot].job if slot in self._jobs else None
                first, second = (status, rival) if status.id == known else (rival, status)
                statuses[place] = first
                if not second.state.is_final:
                    self._twins[second.id] = slot
        return statuses

    def close(self) -> None:
        """Ask the queue nothing any more."""
        self.watch.unfollow(self._followed)
        self._followed = set()

    async def _ask_history(self) -> None:
        """Ask how the jobs ended, once for each, that the queue shows no more."""
        absent = [job.job for job in self.jobs if job.job and job.is_live and self._is_lost(job)]
        fresh = [job for job in absent if job not in self._history]
        found: Mapping[JobId, JobStatus] = {}
        try:
            found = await self._queue.history(fresh) if fresh else {}
        except BatchError as error:
            logger.warning("nobody says how jobs %s ended: %s", ", ".join(fresh), error)
        known = {**self._history, **dict.fromkeys(fresh), **found}
        self._history = {job: known[job] for job in absent}

    def _is_lost(self, job: WorkerJob) -> bool:
        slot = job.slot
        return self.watch.absences(slot.tag, slot.index) >= LISTINGS_UNTIL_LOST

    def _evidence(
        self,
        job: WorkerJob,
        *,
        statuses: Mapping[tuple[Tag, int], JobStatus],
        present: Mapping[Slot, Presence],
    ) -> Evidence:
        slot = job.slot
        status = statuses.get((slot.tag, slot.index))
        if status is None and job.job and (past := self._history.get(job.job)):
            status = past if past.state.is_final else None
        start, end = self._records.starts.get(slot), self._records.ends.get(slot)
        if end and job.job and end.job != job.job:  # of a twin
            end = None
        # The word of history comes before the end of a job that nobody lists.
        is_asked = job.job is None or job.job in self._history
        return Evidence(
            now=self._clock.time(),
            presence=present.get(slot),
            start=start,
            end=end,
            status=status,
            absences=self.watch.absences(slot.tag, slot.index) if is_asked else 0,
        )

    def _update(self, old: WorkerJob, seen: Evidence) -> WorkerJob:
        job = observe(old, seen)
        self.waits.learn(old, job)
        if job.phase is Phase.ENDED and old.is_live:
            code = seen.end.code if seen.end else seen.status.exit_code if seen.status else None
            job = replace(job, exit_code=code)
            self._blame(job)
        elif job.served and not old.served:
            self.failures[job.pool] = 0
        self._jobs[job.slot] = job
        return job

    def _welcome(self, old: WorkerJob, new: WorkerJob) -> None:
        """Write down that a job which was taken for lost is there after all."""
        if new.is_live and not old.is_live:
            why = f"job {new.job or new.slot} turned up again"
            now = self._clock.time()
            self.journal.note(Entry(time=now, event=Event.FOUND, why=why, tag=new.slot.tag))
            self.found.add(new.pool)
            self._absolve(old)

    def _absolve(self, job: WorkerJob) -> None:
        """Take back that a job did not start: it could not be seen, no more."""
        if job.failed_to_start and (job.job or job.slot.tag in self._untaken):
            self.failures[job.pool] = max(0, self.failures[job.pool] - 1)
            self._untaken.discard(job.slot.tag)
        if job.slot == self._accused:
            self.trouble = None

    def _blame(self, job: WorkerJob) -> None:
        # A submission that the queue never took failed once, not once for each of its jobs.
        if job.failed_to_start and not (job.job is None and job.slot.tag in self._untaken):
            self.failures[job.pool] += 1
            self._complain(job)
        if job.job is None:
            self._untaken.add(job.slot.tag)

    def _complain(self, job: WorkerJob) -> None:
        """Say why a job did not start: once, until somebody asks for another try."""
        if self.trouble:
            return
        self._accused = job.slot
        log = self._logs / f"{job.slot}.log"
        tail = read_tail(log)
        self.trouble = Trouble(
            kind="JobFailed" if job.job else "JobLost",
            message=f"job {job.job or job.slot} ended before a worker started: {job.reason}",
            hint=f"its log is {log}" if job.job else "its submission had no answer",
            job=job.job or "",
            log_tail=tail,
        )
        logger.warning("%s\n%s", self.trouble.message, tail or "(its log is empty)")

    def _hear_of_network(self) -> None:
        """Pass on what a host says that cannot reach this scheduler, until all of them can."""
        said = [
            (job, sign)
            for slot, sign in self._records.unreachable.items()
            if (job := self._jobs.get(slot)) and not job.dismissed
        ]
        if self.trouble is self._cut_off and not said:
            self.trouble = self._cut_off = None
        live = [sign for job, sign in said if job.is_live]
        if live and not self.trouble:
            message, hint = live[0].message, live[0].hint
            self.trouble = Trouble(kind="JobFailed", message=message, hint=hint, job=live[0].job)
            self._cut_off = self.trouble
            logger.warning("%s; hint: %s", message, hint)

    def _follow(self) -> None:
        """Ask the queue about those jobs only that their workers do not speak for."""
        # Not before a submission has ended: a listing that was begun earlier knows nothing of it.
        now = self._clock.time()
        wanted = {job.slot.tag for job in self.jobs if _is_asked_about(job, now)}
        if fresh := wanted - self._followed:
            self.watch.follow(fresh)
        if gone := self._followed - wanted:
            self.watch.unfollow(gone)
        self._followed = wanted

    def _forget(self) -> None:
        ended = [job for job in self.jobs if not job.is_live]
        for job in ended[:-_KEPT]:
            del self._jobs[job.slot]


def _is_asked_about(job: WorkerJob, now: float) -> bool:
    if job.lost:
        return now - job.since < _TURNS_UP
    return job.is_live and job.phase is not Phase.RUNNING


def _ending(job: WorkerJob) -> Entry:
    return Entry(
        time=job.since,
        event=Event.LOST if job.lost else Event.ENDED,
        why=job.reason,
        tag=job.slot.tag,
        slot=str(job.slot),
        jobs=(job.job,) if job.job else (),
    )
