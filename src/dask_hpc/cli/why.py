"""``dask-hpc why``: what was decided and why, and what it waits for."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

import click

from dask_hpc._clock import SystemClock
from dask_hpc.cli.output import reports
from dask_hpc.cli.reach import controller_of, existing, tended
from dask_hpc.cli.view import farewell_of
from dask_hpc.cluster.record import read_cluster

if TYPE_CHECKING:
    from dask_hpc.cli.output import Output
    from dask_hpc.controller.report import Decision, Report

_SHOWN = 30


@click.command()
@click.argument("name")
@reports
def command(output: Output, name: str) -> None:
    """Show the last decisions about a cluster with their reasons, and what it waits for now."""
    agent = asyncio.run(tended(name))
    decisions, report = asyncio.run(_ask(name))
    if output.as_json:
        output.json(
            {
                "decisions": [asdict(decision) for decision in decisions],
                "waits_for": report.waits_for,
                "agent": agent,
                "ends": report.ends,
                "trouble": asdict(report.trouble) if report.trouble else None,
            }
        )
        return
    rows = [(_clock(one.time), one.what, one.why) for one in decisions[-_SHOWN:]]
    output.table(("time", "what", "why"), rows)
    output.write(f"waits for {report.waits_for or 'nothing'}")
    for words in (agent, farewell_of(read_cluster(existing(name)), SystemClock().time())):
        if words:
            output.write(words)
    if report.trouble:
        output.write(report.trouble.message)
        output.write(report.trouble.log_tail)
        output.write(f"hint: {report.trouble.hint}")


async def _ask(name: str) -> tuple[tuple[Decision, ...], Report]:
    async with controller_of(name) as controller:
        return await controller.decisions(), await controller.report()


def _clock(time: float) -> str:
    return datetime.fromtimestamp(time).astimezone().strftime("%H:%M:%S")
