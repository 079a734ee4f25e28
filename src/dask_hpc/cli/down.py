"""``dask-hpc down``: the end of clusters."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from dask_hpc.cli.output import reports
from dask_hpc.cli.reach import existing
from dask_hpc.cluster.directory import directories
from dask_hpc.deploy.ending import Ending, end_cluster
from dask_hpc.errors import HPCError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dask_hpc.cli.output import Output
    from dask_hpc.cluster.directory import ClusterDirectory


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--all", "everything", is_flag=True, help="every cluster")
@reports
def command(output: Output, names: Sequence[str], *, everything: bool) -> None:
    """End clusters: cancel their jobs, end their processes, remove their secrets."""
    if everything == bool(names):
        raise click.UsageError("give the names of clusters, or --all")
    chosen = directories() if everything else tuple(existing(name) for name in names)
    endings = asyncio.run(_end(chosen))
    done = [ending for ending in endings if isinstance(ending, Ending)]
    if output.as_json:
        output.json([{"name": one.name, "left": [job.id for job in one.left]} for one in done])
    else:
        for ending in done:
            output.write(_words(ending))
    for failure in endings:
        if not isinstance(failure, Ending):
            raise failure


async def _end(chosen: Sequence[ClusterDirectory]) -> list[Ending | HPCError]:
    async def one(directory: ClusterDirectory) -> Ending | HPCError:
        try:
            return await end_cluster(directory)
        except HPCError as error:  # the others are to be ended all the same
            return error

    return list(await asyncio.gather(*(one(directory) for directory in chosen)))


def _words(ending: Ending) -> str:
    if not ending.left:
        return f"{ending.name} is gone"
    jobs = ", ".join(f"{job.id} ({job.state})" for job in ending.left)
    return f"{ending.name} is gone; the batch system is still ending {jobs}"
