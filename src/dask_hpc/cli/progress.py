"""A cluster on its way, told as it happens: the queue's reason, the estimate, the workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dask_hpc._clock import SystemClock
from dask_hpc._units import counted, format_seconds
from dask_hpc.cli.view import summary
from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.deploy.hope import check_hope
from dask_hpc.deploy.prospects import NOW
from dask_hpc.deploy.starting import wait_for_scheduler
from dask_hpc.engine.client import connected
from dask_hpc.jupyter.waiting import TO_TYPE

if TYPE_CHECKING:
    from collections.abc import Callable

    from dask_hpc.cli.output import Output
    from dask_hpc.cluster.record import ClusterRecord
    from dask_hpc.cluster.spec import ClusterSpec
    from dask_hpc.controller.report import Report
    from dask_hpc.deploy.prospects import Sooner
    from dask_hpc.deploy.starting import StartProgress

_LOOK = 0.5  # seconds
_STEPS = ((60, 10), (600, 60), (7200, 300))  # below so many seconds, in steps of so many


async def follow_scheduler(
    output: Output,
    spec: ClusterSpec,
    *,
    submitted: ClusterRecord,
    tell: Callable[[str], None] = lambda _: None,
) -> ClusterRecord:
    """Wait for the scheduler, saying where its job is; return the record with its address.

    ``tell`` is told the same.
    """
    with output.waiting("waiting for the scheduler") as line:

        def say(progress: StartProgress) -> None:
            words = in_words(progress)
            line.update(words)
            tell(words)

        record = await wait_for_scheduler(spec, submitted, progress=say)
    output.note(f"scheduler at {record.address}")
    return record


async def follow_workers(output: Output, spec: ClusterSpec) -> Report:
    """Wait until the first workers that were asked for are there, saying how many are.

    A cluster that is one job brings them itself; if some of them do not come, the others serve.

    Raises
    ------
    JobFailed
        If no more will come, with the end of the log.
    """
    clock = SystemClock()
    wanted = spec.own_workers or spec.first_jobs * spec.workers_per_job
    begin = clock.monotonic()

    def is_too_late() -> bool:
        return spec.is_one_job and clock.monotonic() - begin > spec.start_timeout

    async with connected(ClusterDirectory(spec.directory)) as controller:
        with output.waiting("waiting for workers") as line:
            report = await controller.report()
            while report.workers < wanted and not is_too_late():
                line.update(summary(report))
                check_hope(report)
                await clock.sleep(_LOOK)
                report = await controller.report()
    output.note(summary(report))
    return report


def in_words(progress: StartProgress) -> str:
    """Return where a scheduler's job is, why it waits, and what else is known of that."""
    if progress.has_begun:
        return f"job {progress.job} runs, its scheduler is starting"
    status, prospects = progress.status, progress.prospects
    if status is None:
        return f"job {progress.job} is in the queue" if progress.job else "its job is in the queue"
    text = f"job {progress.job} is {status.state}"
    if reason := status.plain_reason or status.reason:
        text += f": {reason}"
    if not status.state.is_waiting:
        return text
    if place := prospects.place:
        text += f"; it is number {place.number} of {place.of} in its queue"
    now = SystemClock().time()
    if status.start_estimate:
        text += f"; the queue expects a start in {_roughly(status.start_estimate - now)}"
    return f"{text}; {_faster(sooner, now)}" if (sooner := prospects.sooner) else text


def _roughly(seconds: float) -> str:
    """Return a time as well as a queue knows it: where each change is a line, few are read."""
    step = next((step for limit, step in _STEPS if seconds < limit), 3600)
    return format_seconds(max(0, round(seconds / step)) * step)


def _faster(sooner: Sooner, now: float) -> str:
    """Return where it would start sooner, and how it gets there."""
    if sooner.start is None:
        text = f"queue {sooner.queue} takes such jobs and has {counted(sooner.free, 'free node')}"
    elif sooner.start <= now + NOW:
        text = f"queue {sooner.queue} would start it now"
    else:
        text = f"queue {sooner.queue} would start it in {_roughly(sooner.start - now)}"
    way = sooner.move or f"dask-hpc up --queue {sooner.queue}"
    return f"{text}{TO_TYPE}{way}"
