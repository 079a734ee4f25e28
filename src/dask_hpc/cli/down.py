"""``dask-hpc down``: the end of clusters."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from dask_hpc.cli.far import end_there
from dask_hpc.cli.output import reports
from dask_hpc.cli.reach import existing
from dask_hpc.cluster.directory import directories
from dask_hpc.deploy.ending import Ending, end_cluster
from dask_hpc.errors import ClusterElsewhere, HPCError
from dask_hpc.remote.far import far_cluster, far_clusters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dask_hpc.cli.far import FarEnding
    from dask_hpc.cli.output import Output
    from dask_hpc.cluster.directory import ClusterDirectory
    from dask_hpc.remote.far import FarCluster


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--all", "everything", is_flag=True, help="every cluster")
@reports
def command(output: Output, names: Sequence[str], *, everything: bool) -> None:
    """End clusters: cancel their jobs, end their processes, remove their secrets."""
    if everything == bool(names):
        raise click.UsageError("give the names of clusters, or --all")
    chosen, afar = _chosen(names)
    there, code = end_there(afar)
    endings = asyncio.run(_end(chosen))
    done = [ending for ending in endings if isinstance(ending, Ending)]
    if output.as_json:
        here = [{"name": one.name, "left": [job.id for job in one.left]} for one in done]
        output.json([*here, *(asdict(one) for one in there)])
    else:
        for line in (*map(_words, done), *map(_words_of_far, there)):
            output.write(line)
    for failure in endings:
        if not isinstance(failure, Ending):
            raise failure
    click.get_current_context().exit(code)


def _chosen(names: Sequence[str]) -> tuple[Sequence[ClusterDirectory], list[FarCluster]]:
    """Return the clusters here and those elsewhere: the named ones, or all."""
    if not names:
        return directories(), list(far_clusters())
    here, afar = [], []
    for name in names:
        try:
            here.append(existing(name))
        except ClusterElsewhere:
            if cluster := far_cluster(name):
                afar.append(cluster)
    return here, afar


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


def _words_of_far(ending: FarEnding) -> str:
    still = f"; the batch system is still ending {', '.join(ending.left)}" if ending.left else ""
    return f"{ending.name} is gone{still}"
