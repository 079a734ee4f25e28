"""``dask-hpc status``: one cluster in full."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

import click

from dask_hpc._clock import SystemClock
from dask_hpc._files import read_tail
from dask_hpc.cli.output import reports
from dask_hpc.cli.reach import existing, view_of
from dask_hpc.cli.view import JOBS, changes, job_rows, summary
from dask_hpc.cluster.followon import find_follow_on
from dask_hpc.cluster.slot import Slot
from dask_hpc.cluster.spec import Home
from dask_hpc.engine.dashboard.gate import gate_of
from dask_hpc.errors import ClusterNotFound

if TYPE_CHECKING:
    from dask_hpc.cli.output import Output
    from dask_hpc.cli.view import ClusterView
    from dask_hpc.cluster.record import ClusterRecord
    from dask_hpc.engine.dashboard.gate import DashboardGate

_LOOK = 2.0  # seconds between two looks of --watch


@click.command()
@click.argument("name")
@click.option("--watch", is_flag=True, help="go on until Ctrl-C, and tell what changes")
@reports
def command(output: Output, name: str, *, watch: bool) -> None:
    """Show one cluster in full: its jobs with state and reason."""
    asyncio.run(_watch(output, name) if watch else _show_once(output, name))


async def _show_once(output: Output, name: str) -> None:
    view = await view_of(name)
    if output.as_json:
        output.json(view.as_json())
    else:
        _show(output, view)


async def _watch(output: Output, name: str) -> None:
    existing(name)
    follow = _follow if output.as_json else _redraw if output.is_screen else _tell_changes
    # Ctrl-C is how this is meant to end.
    with suppress(asyncio.CancelledError):
        try:
            await follow(output, name)
        except ClusterNotFound:
            output.note(f"{name} has ended")


async def _follow(output: Output, name: str) -> None:
    clock = SystemClock()
    while True:
        await _show_once(output, name)
        await clock.sleep(_LOOK)


async def _redraw(output: Output, name: str) -> None:
    """Show it in the same place again and again, with a link that opens the dashboard meanwhile."""
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        show = stack.enter_context(output.redrawing())
        gate: DashboardGate | None = None
        while True:
            view = await view_of(name)
            if gate is None and view.report:
                gate = gate_of(existing(name))
                stack.push_async_callback(gate.close)
                await gate.open()
            show(partial(_show, view=view, link=gate.link if gate else ""))
            await clock.sleep(_LOOK)


async def _tell_changes(output: Output, name: str) -> None:
    """Show it once, then a line for each thing that changes: for a log."""
    clock = SystemClock()
    view = await view_of(name)
    _show(output, view)
    while True:
        await clock.sleep(_LOOK)
        before, view = view, await view_of(name)
        for line in changes(before, view):
            output.write(f"{datetime.now().astimezone():%H:%M:%S} {line}")


def _show(output: Output, view: ClusterView, *, link: str = "") -> None:
    record, report = view.record, view.report
    output.write(f"{record.name}: {view.state} on {record.site}, scheduler {_home(record)}")
    if record.address:
        why = f" ({record.network})" if record.network else ""
        output.write(f"address {record.address}{why}")
    if link:
        output.write(f"dashboard {link}")
    if session := view.session:
        where = f" on {session.node}" if session.node else ""
        output.write(f"JupyterLab {view.lab}{where}; open it with dask-hpc attach {record.name}")
        for way in view.ways:
            output.write(f"way to it by {way}")
    if follow_on := find_follow_on(existing(record.name), after=record.tag):
        output.write(f"job {follow_on.job} follows when the scheduler's has ended")
    now = SystemClock().time()
    for words in (view.agent, view.farewell(now), view.outage(now)):
        if words:
            output.write(words)
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
