"""``dask-hpc attach``: the way to the JupyterLab of a cluster, again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from dask_hpc.cli.lab import detached, follow_lab, stay
from dask_hpc.cli.lab_there import open_there
from dask_hpc.cli.output import reports
from dask_hpc.cli.progress import follow_scheduler
from dask_hpc.cli.reach import existing
from dask_hpc.cluster.record import read_cluster, read_spec
from dask_hpc.errors import ClusterElsewhere
from dask_hpc.jupyter.session import SessionGate
from dask_hpc.remote.far import FarCluster, remember

if TYPE_CHECKING:
    from dask_hpc.cli.output import Output
    from dask_hpc.cluster.directory import ClusterDirectory


@click.command()
@click.argument("name")
@reports
def command(output: Output, name: str) -> None:
    """Open JupyterLab of a cluster that was started with --lab.

    Prints a link that works once, for a browser on this host, and keeps the way open until
    Ctrl-C. The cluster goes on.
    """
    try:
        directory = existing(name)
    except ClusterElsewhere as elsewhere:
        cluster = FarCluster(name=name.partition("@")[0], site=elsewhere.site)
        remember(cluster)
        open_there(output, cluster)
        return
    asyncio.run(_attach(output, directory))


async def _attach(output: Output, directory: ClusterDirectory) -> None:
    name = directory.path.name
    try:
        async with SessionGate(directory) as gate:
            if output.as_json:
                output.json({"name": name, "link": gate.link})
            else:
                output.write(gate.link)
            record, spec = read_cluster(directory), read_spec(directory)
            if not record.address:
                await follow_scheduler(output, spec, submitted=record, tell=gate.tell)
            await follow_lab(output, gate, directory=directory)
            await stay(output, directory)
    except asyncio.CancelledError:
        detached(output, name)
