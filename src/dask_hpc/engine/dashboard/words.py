"""Jobs in words, for everything that shows them to a person. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from dask_hpc._units import counted, format_seconds
from dask_hpc.cluster.lifetime import farewell
from dask_hpc.cluster.spec import DEFAULT_POOL
from dask_hpc.controller.states import Phase

if TYPE_CHECKING:
    from dask_hpc.controller.report import JobReport, Report
    from dask_hpc.engine.dashboard.history import JobHistory

WAITING = (Phase.SUBMITTING, Phase.PENDING)

BEGUN = (Phase.STARTING, Phase.RUNNING, Phase.MISSING)

_REASONS = 3  # that are told when many jobs wait

EMPTY = "No job has been asked for yet: cluster.scale(jobs=2), or cluster.adapt(maximum_jobs=10)"


def headline(history: JobHistory, *, now: float) -> str:
    """Return how things are, in a line."""
    report = history.report
    if report is None:
        return "Nothing is known about jobs: there is no controller beside this scheduler"
    if not history.jobs():
        return EMPTY
    hours = history.node_seconds(now) / 3600
    return f"{size_words(report)} · {hours:.2f} node-hours used"


def is_up(job: JobReport) -> bool:
    """Whether a job has its nodes. One that is told to leave may never have had any."""
    return job.phase in (Phase.RUNNING, Phase.MISSING) or (
        job.phase == Phase.DRAINING and has_begun(job)
    )


def has_begun(job: JobReport) -> bool:
    """Whether a job was ever given nodes."""
    return any(step.phase in BEGUN for step in job.steps)


def size_words(report: Report) -> str:
    """Return how many jobs are there of how many wanted, and where the others are."""
    up = [job for job in report.jobs if is_up(job)]
    draining = sum(job.phase == Phase.DRAINING for job in up)
    words = [f"{len(up)} of {counted(report.wanted, 'wanted job')} up"]
    if draining:
        words[0] += f" ({draining} draining)"
    words.append(counted(report.workers, "worker"))
    for phases, word in ((WAITING, "pending"), ((Phase.STARTING,), "starting")):
        if count := report.count(*phases):
            words.append(f"{count} {word}")
    if report.maximum is not None:
        words.append(f"adapts between {report.minimum} and {counted(report.maximum, 'job')}")
    return " · ".join(words)


def progress_words(report: Report, wanted: int, *, now: float) -> str:
    """Return how far it is to so many workers, and what is in the way."""
    words = f"{report.workers} of {counted(wanted, 'worker')}"
    waiting = [job for job in report.jobs if _waits(job)]
    if waiting:
        first = min(waiting, key=lambda job: job.start_estimate or now + 1e9)
        words += f" · {counted(len(waiting), 'job')} pending"
        words += f": {reason}" if (reason := reason_words(first, now)) else ""
    if starting := report.count(Phase.STARTING):
        words += f" · {counted(starting, 'job')} starting"
    return words


def waiting_words(report: Report) -> str:
    """Return what the pending jobs wait for: the reasons, the most frequent one first."""
    reasons = Counter(job.reason or "no reason given" for job in report.jobs if _waits(job))
    told = [
        f"{reason} ({count})" if len(reasons) > 1 else reason
        for reason, count in reasons.most_common(_REASONS)
    ]
    if len(reasons) > _REASONS:
        told.append(f"{len(reasons) - _REASONS} other reasons")
    return "; ".join(told)


def _waits(job: JobReport) -> bool:
    return job.phase in WAITING


def warnings(report: Report, walltime: float | None = None, *, now: float) -> list[str]:
    """Return what a person should hear of; ``walltime`` is that of the scheduler's own job."""
    found = []
    if words := farewell(report.ends, walltime=walltime, now=now):
        found.append(words)
    if report.trouble:
        hint = f" ({report.trouble.hint})" if report.trouble.hint else ""
        found.append(f"{report.trouble.message}{hint}")
    halts = {name: pool.halted for name, pool in report.pools.items() if pool.halted}
    if not halts and report.halted:
        halts = {DEFAULT_POOL: report.halted}
    for name, why in halts.items():
        of = "" if name == DEFAULT_POOL else f" of pool {name}"
        found.append(f"No further job{of} is submitted until scale is called: {why}")
    return found


def about(history: JobHistory, *, now: float) -> list[str]:
    """Return what a person should hear of a cluster."""
    return warnings(history.report, now=now) if history.report else []


JOB_COLUMNS = ("job", "pool", "state", "for", "workers", "host", "ends in", "reason")


def job_words(job: JobReport, now: float) -> tuple[str, ...]:
    """Return a job's line in a table with these columns."""
    is_live = job.phase != Phase.ENDED
    ends = job.end_time if is_live else None
    return (
        job.job or job.slot,
        "" if job.pool == DEFAULT_POOL else job.pool,
        job.phase,
        format_seconds(max(0.0, now - job.since)),
        str(job.workers or ""),
        job.host,
        format_seconds(max(0.0, ends - now)) if ends else "",
        reason_words(job, now),
    )


def reason_words(job: JobReport, now: float) -> str:
    """Return why a job is where it is, with the time at which it is expected to start."""
    words = job.reason
    if job.start_estimate is not None and _waits(job):
        wait = format_seconds(max(0.0, job.start_estimate - now))
        words = f"{words}; expected to start in {wait}".removeprefix("; ")
    return words


def failed(job: JobReport) -> bool:
    """Whether a job ended badly."""
    return job.phase == Phase.ENDED and bool(job.exit_code)
