"""How clusters and jobs look in a terminal: words from values. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from dask_hpc._units import counted, format_seconds
from dask_hpc.cluster.record import ClusterState
from dask_hpc.controller.states import Phase

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dask_hpc.cluster.record import ClusterRecord
    from dask_hpc.controller.report import JobReport, Report

CLUSTERS = ("name", "site", "state", "workers", "jobs", "pending", "time left", "address")
JOBS = ("job", "state", "for", "workers", "host", "ends in", "reason")

_WAITING = (Phase.SUBMITTING, Phase.PENDING, Phase.STARTING)
_UP = (Phase.RUNNING, Phase.MISSING, Phase.DRAINING)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterView:
    """A cluster as it is listed: its record, and its controller's report if that answers."""

    record: ClusterRecord
    report: Report | None = None
    trouble: str = ""

    @property
    def state(self) -> str:
        """Return the state in a word."""
        if self.record.state is ClusterState.RUNNING and self.report is None:
            return "lost" if self.record.is_stale else "silent"
        return str(self.record.state)

    def as_json(self) -> dict[str, Any]:
        """Return everything, for programs."""
        return {
            **asdict(self.record),
            "state": self.state,
            "report": asdict(self.report) if self.report else None,
            "trouble": self.trouble,
        }


def cluster_row(view: ClusterView, now: float) -> tuple[object, ...]:
    """Return a cluster's line in a list."""
    record, report = view.record, view.report
    return (
        record.name,
        record.site,
        view.state,
        workers(report),
        f"{report.count(*_UP)} of {report.wanted}" if report else None,
        report.count(*_WAITING) if report else None,
        format_seconds(max(0.0, record.end_time - now)) if record.end_time else None,
        record.address,
    )


def workers(report: Report | None) -> str:
    """Return how many workers there are of how many wanted."""
    if report is None:
        return ""
    return f"{report.workers} of {report.wanted * report.workers_per_job}"


def job_rows(jobs: Sequence[JobReport], now: float) -> list[tuple[object, ...]]:
    """Return the jobs' lines, live ones first."""
    ordered = sorted(jobs, key=lambda job: (job.phase == Phase.ENDED, job.slot))
    return [_job_row(job, now) for job in ordered]


def _job_row(job: JobReport, now: float) -> tuple[object, ...]:
    live = job.phase != Phase.ENDED
    return (
        job.job or job.slot,
        job.phase,
        format_seconds(max(0.0, now - job.since)),
        job.workers or None,
        job.host,
        format_seconds(max(0.0, job.end_time - now)) if job.end_time and live else None,
        _reason(job, now),
    )


def _reason(job: JobReport, now: float) -> str:
    if job.start_estimate is None or job.phase != Phase.PENDING:
        return job.reason
    wait = format_seconds(max(0.0, job.start_estimate - now))
    return f"{job.reason}; the queue expects a start in {wait}".removeprefix("; ")


def summary(report: Report) -> str:
    """Return the state of the workers in one line."""
    mode = "" if report.maximum is None else f", adapts {report.minimum} to {report.maximum} jobs"
    text = f"{workers(report)} workers, {counted(report.count(*_UP), 'job')} up"
    if pending := report.count(Phase.PENDING, Phase.SUBMITTING):
        text += f", {pending} pending"
    if starting := report.count(Phase.STARTING):
        text += f", {starting} starting"
    return f"{text}{mode}{f'; waits for {report.waits_for}' if report.waits_for else ''}"
