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
from dask_hpc.cli.ways import CHOICES, JUMP, Journey, tell_way
from dask_hpc.cluster.record import read_cluster, read_spec
from dask_hpc.errors import ClusterElsewhere, ConfigError
from dask_hpc.jupyter.session import SessionGate
from dask_hpc.remote.far import FarCluster, remember
from dask_hpc.remote.routes import Target, verdicts_on

if TYPE_CHECKING:
    from dask_hpc.cli.output import Output
    from dask_hpc.cluster.directory import ClusterDirectory


@click.command()
@click.argument("name")
@click.option("--route", type=click.Choice(CHOICES), help="the way to its node, and no other")
@click.option("-v", "--verbose", is_flag=True, help="say how each way to its node does")
@reports
def command(output: Output, name: str, *, route: str | None, verbose: bool) -> None:
    """Open JupyterLab of a cluster that was started with --lab.

    Prints a link that works once, for a browser on this host, and keeps the way open until
    Ctrl-C. The cluster goes on.
    """
    journey = Journey(route=route, is_told=verbose)
    try:
        directory = existing(name)
    except ClusterElsewhere as elsewhere:
        cluster = FarCluster(name=name.partition("@")[0], site=elsewhere.site)
        remember(cluster)
        open_there(output, cluster, journey=journey)
        return
    if route == JUMP:
        raise ConfigError(f"route {JUMP!r} begins on another host", hint="leave --route out")
    asyncio.run(_attach(output, directory, journey=journey))


async def _attach(output: Output, directory: ClusterDirectory, *, journey: Journey) -> None:
    name = directory.path.name
    routes = (journey.route,) if journey.route else ()
    try:
        async with SessionGate(directory, routes=routes) as gate:
            if output.as_json:
                output.json({"name": name, "link": gate.link})
            else:
                output.write(gate.link)
            record, spec = read_cluster(directory), read_spec(directory)
            if not record.address:
                await follow_scheduler(output, spec, submitted=record, tell=gate.tell)
            await follow_lab(output, gate, directory=directory)
            if journey.is_told:
                await _tell(output, directory, routes=routes)
            await stay(output, gate, directory=directory)
    except asyncio.CancelledError:
        detached(output, name)


async def _tell(output: Output, directory: ClusterDirectory, *, routes: tuple[str, ...]) -> None:
    for verdict in await verdicts_on(Target.of(directory), only=routes):
        tell_way(output, verdict)
