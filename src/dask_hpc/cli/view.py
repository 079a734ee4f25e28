"""How clusters and jobs look in a terminal: words from values. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from dask_hpc._files import from_json
from dask_hpc._units import counted, format_seconds
from dask_hpc.cluster.lifetime import farewell
from dask_hpc.cluster.record import ClusterState
from dask_hpc.cluster.session import SessionState
from dask_hpc.cluster.spec import DEFAULT_POOL
from dask_hpc.controller.report import Report
from dask_hpc.controller.states import Phase

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dask_hpc.cluster.record import ClusterRecord
    from dask_hpc.cluster.session import Session
    from dask_hpc.controller.report import JobReport, PoolReport
    from dask_hpc.remote.verdicts import Verdict

CLUSTERS = ("name", "site", "state", "workers", "jobs", "pending", "time left", "lab", "address")
JOBS = ("job", "state", "for", "workers", "host", "ends in", "reason")

_WAITING = (Phase.SUBMITTING, Phase.PENDING, Phase.STARTING)
_UP = (Phase.RUNNING, Phase.MISSING, Phase.DRAINING)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterView:
    """A cluster as it is listed: its record, and its controller's report if that answers.

    ``agent`` is what there is to say about the agent on a login node, if anything; ``session`` is
    the JupyterLab in its job, if it was started with one; ``ways`` is what was last found
    out of the ways to nodes.
    """

    record: ClusterRecord
    report: Report | None = None
    trouble: str = ""
    agent: str = ""
    session: Session | None = None
    ways: tuple[Verdict, ...] = ()

    @property
    def lab(self) -> str:
        """Return how JupyterLab is in a word; nothing without one."""
        if self.session is None:
            return ""
        is_up = self.session.state is SessionState.RUNNING
        is_lost = is_up and self.record.state is not ClusterState.RUNNING
        return "lost" if is_lost or self.state == "lost" else str(self.session.state)

    @property
    def state(self) -> str:
        """Return the state in a word."""
        if self.record.state is ClusterState.RUNNING and self.report is None:
            return "lost" if self.record.is_stale else "silent"
        return str(self.record.state)

    def farewell(self, now: float) -> str:
        """Return in words that the scheduler's own job ends soon, or nothing."""
        return farewell_of(self.record, now) if self.report else ""

    def outage(self, now: float) -> str:
        """Return in words that the batch system does not answer, or nothing."""
        since = self.report.unanswered_since if self.report else None
        if since is None:
            return ""
        return f"the batch system has not answered for {format_seconds(max(0.0, now - since))}"

    def as_json(self) -> dict[str, Any]:
        """Return everything, for programs."""
        return {
            **asdict(self.record),
            "state": self.state,
            "report": asdict(self.report) if self.report else None,
            "trouble": self.trouble,
            "agent": self.agent,
            "lab": self.lab,
            "ways": [asdict(way) for way in self.ways],
        }


def farewell_of(record: ClusterRecord, now: float) -> str:
    """Return in words that the job of a cluster's scheduler ends soon, or nothing."""
    ends = record.end_time
    return farewell(ends, walltime=None if ends is None else ends - record.created, now=now)


def cluster_row(view: ClusterView, now: float) -> tuple[object, ...]:
    """Return a cluster's line in a list."""
    return far_row(view.as_json(), now, report=view.report)


def far_row(
    found: Mapping[str, Any], now: float, *, report: Report | None = None
) -> tuple[object, ...]:
    """Return the same of what a program was told of a cluster, at another site perhaps."""
    if found["report"] and report is None:
        report = from_json(found["report"], Report)
    ends = found["end_time"]
    return (
        found["name"],
        found["site"],
        found["state"],
        workers(report),
        f"{report.count(*_UP)} of {report.wanted}" if report else None,
        report.count(*_WAITING) if report else None,
        format_seconds(max(0.0, ends - now)) if ends else None,
        found.get("lab"),
        found["address"],
    )


def workers(report: Report | None) -> str:
    """Return how many workers there are of how many wanted."""
    if report is None:
        return ""
    return f"{report.workers} of {report.workers_wanted}"


def job_rows(jobs: Sequence[JobReport], now: float) -> list[tuple[object, ...]]:
    """Return the jobs' lines, live ones first."""
    ordered = sorted(jobs, key=lambda job: (job.phase == Phase.ENDED, job.slot))
    return [_job_row(job, now) for job in ordered]


def _job_row(job: JobReport, now: float) -> tuple[object, ...]:
    live = job.phase != Phase.ENDED
    return (
        job.job or job.slot,
        job.phase if job.pool == DEFAULT_POOL else f"{job.phase} ({job.pool})",
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
    text = f"{workers(report)} workers, {counted(report.count(*_UP), 'job')} up"
    if pending := report.count(Phase.PENDING, Phase.SUBMITTING):
        text += f", {pending} pending"
    if starting := report.count(Phase.STARTING):
        text += f", {starting} starting"
    text += "".join(_mode(name, pool) for name, pool in report.pools.items())
    return f"{text}; waits for {report.waits_for}" if report.waits_for else text


def _mode(name: str, pool: PoolReport) -> str:
    whose = "" if name == DEFAULT_POOL else f"pool {name!r} "
    if pool.maximum is not None:
        return f", {whose}adapts {pool.minimum} to {pool.maximum} jobs"
    return f", {whose}wants {counted(pool.wanted, 'job')}" if whose else ""


def changes(before: ClusterView, after: ClusterView) -> list[str]:
    """Return what is new in a cluster, a line for each thing; the time alone is not new."""
    lines = [f"{after.record.name} is {after.state}"] if after.state != before.state else []
    if after.report is None:
        return lines
    known = {job.slot: job for job in before.report.jobs} if before.report else {}
    for job in after.report.jobs:
        old = known.get(job.slot)
        if old is None or (old.phase, old.reason) != (job.phase, job.reason):
            lines.append(f"job {job.job or job.slot} {job.phase} {job.reason}".rstrip())
    if before.report is None or summary(before.report) != summary(after.report):
        lines.append(summary(after.report))
    return lines
