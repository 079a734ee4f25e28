"""What is known of a worker job, from three truths, the fastest first. Pure.

Rule 1: absence is not a state. A job is lost when two successful listings do not show it and
history, its own end record and its workers are silent about it.
Rule 2: a failed or empty query changes nothing: it brings no evidence.
Rule 3: an ended job stays ended; one that was taken for lost is back when it shows itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dask_hpc.batch.model import JobState
from dask_hpc.controller.states import Phase, enter

if TYPE_CHECKING:
    from dask_hpc.batch.model import JobStatus
    from dask_hpc.cluster.jobrecords import JobRecord
    from dask_hpc.controller.crew import Presence
    from dask_hpc.controller.states import WorkerJob

LISTINGS_UNTIL_LOST = 2

_ENDINGS = {
    JobState.DONE: "it ended by itself",
    JobState.FAILED: "it failed",
    JobState.CANCELLED: "it was cancelled",
    JobState.TIMED_OUT: "its walltime ended",
    JobState.OUT_OF_MEMORY: "it needed more memory than it asked for",
    JobState.PREEMPTED: "it was preempted",
    JobState.LOST: "its node was lost",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What speaks about one job at one moment; nothing where nothing speaks.

    ``absences`` counts the successful listings in a row that did not show the job.
    """

    now: float
    presence: Presence | None = None
    start: JobRecord | None = None
    end: JobRecord | None = None
    status: JobStatus | None = None
    absences: int = 0


def observe(job: WorkerJob, seen: Evidence) -> WorkerJob:
    """Return the job as it is after this evidence."""
    if not job.is_live:
        if not (job.lost and _is_alive(seen)):
            return job
        job = _back(job, now=seen.now)
    job = _with_facts(job, seen)
    if ending := _ending(seen):
        return _end(job, ending, now=seen.now)
    if _is_silent(seen) and seen.absences >= LISTINGS_UNTIL_LOST:
        silence = "the queue never took it" if job.job is None else "the queue forgot it"
        return _end(replace(job, lost=True), silence, now=seen.now)
    if job.phase is Phase.DRAINING:
        return replace(job, workers=seen.presence.workers if seen.presence else 0)
    if seen.presence:
        here = replace(
            job, workers=seen.presence.workers, idle=seen.presence.idle, served=True, reason=""
        )
        return _move(here, Phase.RUNNING, now=seen.now)
    if job.served:
        lonely = replace(job, workers=0, idle=True, reason="its workers are not connected")
        return _move(lonely, Phase.MISSING, now=seen.now)
    return _waiting(job, seen)


def _is_silent(seen: Evidence) -> bool:
    return seen.presence is None and seen.status is None


def _is_alive(seen: Evidence) -> bool:
    if seen.end or (seen.status and seen.status.state.is_final):
        return False
    return not _is_silent(seen)


def _back(job: WorkerJob, *, now: float) -> WorkerJob:
    """Return a job that was taken for lost as one of which nothing is known."""
    again = replace(job, lost=False, dismissed=False, hung=False, reason="it turned up again")
    return enter(again, Phase.SUBMITTING, now=now)


def _with_facts(job: WorkerJob, seen: Evidence) -> WorkerJob:
    if seen.start:
        job = replace(
            job,
            job=seen.start.job,
            host=seen.start.host,
            began=seen.start.time,
            end_time=seen.start.end_time,
            start_estimate=None,
        )
    if seen.status:
        end_time = seen.status.end_time if job.end_time is None else job.end_time
        job = replace(job, job=job.job or seen.status.id, end_time=end_time)
    return job


def _ending(seen: Evidence) -> str:
    """Return how the job ended, or nothing if it did not."""
    status = seen.status
    if status and status.state.is_final:
        cause = _ENDINGS[status.state]
        if seen.end and seen.end.code and status.state is JobState.FAILED:
            return f"{cause} with exit code {seen.end.code}"
        words = status.plain_reason or status.reason
        return f"{cause}: {words}" if words else cause
    return f"it ended with exit code {seen.end.code}" if seen.end else ""


def _end(job: WorkerJob, ending: str, *, now: float) -> WorkerJob:
    why = job.reason if job.dismissed else ending
    return _move(replace(job, workers=0, reason=why), Phase.ENDED, now=now)


def _waiting(job: WorkerJob, seen: Evidence) -> WorkerJob:
    if seen.start:
        return _move(replace(job, reason="its workers are starting"), Phase.STARTING, now=seen.now)
    status = seen.status
    if status is None:
        return job if job.job is None else _move(job, Phase.PENDING, now=seen.now)
    # Not if it was seen to start: a late listing must not undo that.
    if status.state.is_waiting and job.phase is not Phase.STARTING:
        pending = replace(
            job,
            reason=status.plain_reason or status.reason,
            start_estimate=status.start_estimate,
        )
        return _move(pending, Phase.PENDING, now=seen.now)
    if status.state is JobState.UNKNOWN:
        return replace(job, reason=f"the queue calls it {status.reason or 'something unknown'}")
    return _move(replace(job, reason="the job is starting"), Phase.STARTING, now=seen.now)


def _move(job: WorkerJob, phase: Phase, *, now: float) -> WorkerJob:
    if job.phase is phase:
        return job
    # Nothing goes back to the queue.
    if phase is Phase.PENDING and job.phase is not Phase.SUBMITTING:
        return job
    return enter(job, phase, now=now)
