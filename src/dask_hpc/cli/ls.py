"""``dask-hpc ls``: all clusters."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from dask_hpc._clock import SystemClock
from dask_hpc.cli.output import reports
from dask_hpc.cli.reach import all_views
from dask_hpc.cli.view import CLUSTERS, cluster_row

if TYPE_CHECKING:
    from dask_hpc.cli.output import Output


@click.command()
@reports
def command(output: Output) -> None:
    """List clusters: site, state, workers wanted, running and pending, time left, address."""
    views = asyncio.run(all_views())
    if output.as_json:
        output.json([view.as_json() for view in views])
    elif views:
        now = SystemClock().time()
        output.table(CLUSTERS, [cluster_row(view, now) for view in views])
    else:
        output.note("there are no clusters; dask-hpc up starts one")
