"""What the controller knows: its jobs, brought up to date from workers, records and the queue."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from dask_hpc._files import read_tail
from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.cluster.jobrecords import JobRecords
from dask_hpc.controller.journal import Entry, Event, Journal
from dask_hpc.controller.observe import LISTINGS_UNTIL_LOST, Evidence, observe
from dask_hpc.controller.report import Trouble
from dask_hpc.controller.states import Phase
from dask_hpc.errors import BatchError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dask_hpc._clock import Clock
    from dask_hpc.batch.model import JobId, JobStatus, Tag
    from dask_hpc.batch.queue import Queue
    from dask_hpc.batch.watch import Watch
    from dask_hpc.cluster.slot import Slot
    from dask_hpc.cluster.spec import ClusterSpec
    from dask_hpc.controller.crew import Crew, Presence
    from dask_hpc.controller.states import WorkerJob

logger = logging.getLogger(__name__)

_KEPT = 100  # ended jobs that reports still show


class View:
    """The jobs of a cluster as last seen, with the journal of what became of them."""

    def __init__(
        self, spec: ClusterSpec, queue: Queue, *, watch: Watch, crew: Crew, clock: Clock
    ) -> None:
        directory = ClusterDirectory(spec.directory)
        self.watch = watch
        self.journal = Journal(directory.journal)
        self.failures = 0
        self.trouble: Trouble | None = None
        self._logs = directory.logs
        self._records = JobRecords(directory.jobs)
        self._queue = queue
        self._crew = crew
        self._clock = clock
        self._jobs: dict[Slot, WorkerJob] = {}
        self._followed: set[Tag] = set()
        self._untaken: set[Tag] = set()
        self._history: Mapping[JobId, JobStatus | None] = {}

    @property
    def jobs(self) -> tuple[WorkerJob, ...]:
        """Every live job, and the last that ended."""
        return tuple(self._jobs.values())

    def __getitem__(self, slot: Slot) -> WorkerJob:
        return self._jobs[slot]

    def put(self, job: WorkerJob) -> None:
        """Know a new job, or know a job anew."""
        self._jobs[job.slot] = job

    def is_live(self, slot: Slot) -> bool:
        """Whether a job has not ended; one that ended long ago is not even known."""
        return slot in self._jobs and self._jobs[slot].is_live

    def forgive(self) -> None:
        """Forget failures: somebody wants another try."""
        self.failures, self.trouble = 0, None

    def open_tags(self) -> tuple[Tag, ...]:
        """Return the submissions of jobs that have not ended, or that may yet turn up."""
        open_jobs = (job for job in self.jobs if job.is_live or job.lost)
        return tuple({job.slot.tag: None for job in open_jobs})

    async def look(self) -> None:
        """Bring every job up to date."""
        self._records.refresh()
        await self._ask_history()
        statuses = {(job.tag, job.index): job for job in self.watch.latest.values()}
        present = self._crew.present()
        ended = []
        for job in self.jobs:
            if job.is_live:
                new = self._update(job, self._evidence(job, statuses=statuses, present=present))
                ended += [] if new.is_live else [new]
        self.journal.note(*map(_ending, ended))
        self._forget()
        self._follow()

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
        # The word of history comes before the end of a job that nobody lists.
        is_asked = job.job is None or job.job in self._history
        return Evidence(
            now=self._clock.time(),
            presence=present.get(slot),
            start=self._records.starts.get(slot),
            end=self._records.ends.get(slot),
            status=status,
            absences=self.watch.absences(slot.tag, slot.index) if is_asked else 0,
        )

    def _update(self, old: WorkerJob, seen: Evidence) -> WorkerJob:
        job = observe(old, seen)
        if job.phase is Phase.ENDED:
            code = seen.end.code if seen.end else seen.status.exit_code if seen.status else None
            job = replace(job, exit_code=code)
            self._blame(job)
        elif job.served and not old.served:
            self.failures = 0
        self._jobs[job.slot] = job
        return job

    def _blame(self, job: WorkerJob) -> None:
        # A submission that the queue never took failed once, not once for each of its jobs.
        if job.failed_to_start and not (job.job is None and job.slot.tag in self._untaken):
            self.failures += 1
            self._complain(job)
        if job.job is None:
            self._untaken.add(job.slot.tag)

    def _complain(self, job: WorkerJob) -> None:
        """Say why a job did not start: once, until somebody asks for another try."""
        if self.trouble:
            return
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

    def _follow(self) -> None:
        """Ask the queue about those jobs only that their workers do not speak for."""
        # Not before a submission has ended: a listing that was begun earlier knows nothing of it.
        wanted = {
            job.slot.tag for job in self.jobs if job.is_live and job.phase is not Phase.RUNNING
        }
        if fresh := wanted - self._followed:
            self.watch.follow(fresh)
        if gone := self._followed - wanted:
            self.watch.unfollow(gone)
        self._followed = wanted

    def _forget(self) -> None:
        ended = [job for job in self.jobs if not job.is_live]
        for job in ended[:-_KEPT]:
            del self._jobs[job.slot]


def _ending(job: WorkerJob) -> Entry:
    return Entry(
        time=job.since,
        event=Event.LOST if job.lost else Event.ENDED,
        why=job.reason,
        tag=job.slot.tag,
        slot=str(job.slot),
        jobs=(job.job,) if job.job else (),
    )
