"""``dask-hpc status``: one cluster in full."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from dask_hpc._clock import SystemClock
from dask_hpc._files import read_tail
from dask_hpc.cli.output import reports
from dask_hpc.cli.reach import existing, view_of
from dask_hpc.cli.view import JOBS, job_rows, summary
from dask_hpc.cluster.slot import Slot
from dask_hpc.cluster.spec import Home

if TYPE_CHECKING:
    from dask_hpc.cli.output import Output
    from dask_hpc.cli.view import ClusterView
    from dask_hpc.cluster.record import ClusterRecord

_LOOK = 2.0  # seconds between two looks of --watch


@click.command()
@click.argument("name")
@click.option("--watch", is_flag=True, help="look again every two seconds")
@reports
def command(output: Output, name: str, *, watch: bool) -> None:
    """Show one cluster in full: its jobs with state and reason."""
    asyncio.run(_follow(output, name) if watch else _show_once(output, name))


async def _follow(output: Output, name: str) -> None:
    clock = SystemClock()
    while True:
        await _show_once(output, name)
        await clock.sleep(_LOOK)


async def _show_once(output: Output, name: str) -> None:
    view = await view_of(name)
    if output.as_json:
        output.json(view.as_json())
    else:
        _show(output, view)


def _show(output: Output, view: ClusterView) -> None:
    record, report = view.record, view.report
    output.write(f"{record.name}: {view.state} on {record.site}, scheduler {_home(record)}")
    if record.address:
        output.write(f"address {record.address}")
    if report is None:
        output.write(view.trouble)
        _show_scheduler_log(output, view)
        return
    output.write(summary(report))
    if report.jobs:
        output.table(JOBS, job_rows(report.jobs, SystemClock().time()))
    if report.trouble:
        output.write(report.trouble.message)
        output.write(report.trouble.log_tail)
        output.write(f"hint: {report.trouble.hint}")


def _home(record: ClusterRecord) -> str:
    if record.home is Home.JOB:
        return f"in job {record.job}" if record.job else "in a job of its own"
    return f"in process {record.process.pid} on {record.process.host}" if record.process else "here"


def _show_scheduler_log(output: Output, view: ClusterView) -> None:
    if view.record.tag:
        logs = existing(view.record.name).logs
        output.write(read_tail(logs / f"{Slot(view.record.tag, 0)}.log", lines=10))
