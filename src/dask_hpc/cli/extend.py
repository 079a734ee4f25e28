"""``dask-hpc extend``: a job that goes on where the scheduler's job ends."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from dask_hpc.cli.output import reports
from dask_hpc.cli.reach import existing, tended
from dask_hpc.cluster.record import read_cluster
from dask_hpc.cluster.session import find_session
from dask_hpc.deploy.extending import extend

if TYPE_CHECKING:
    from dask_hpc.cli.output import Output


@click.command()
@click.argument("name")
@reports
def command(output: Output, name: str) -> None:
    """Queue a job in which a cluster goes on when the job of its scheduler has ended.

    It asks for the same again: a scheduler, JupyterLab if there is one, and the workers that were
    wanted last, under the same name and at the same address. Kernels, and data on workers, end
    with the job that runs now. dask-hpc down NAME ends both jobs.
    """
    asyncio.run(_extend(output, name))


async def _extend(output: Output, name: str) -> None:
    directory = existing(name)
    if words := await tended(name):
        output.note(words)
    before = read_cluster(directory).job
    follow_on = await extend(directory)
    if output.as_json:
        output.json(asdict(follow_on))
        return
    output.write(f"job {follow_on.job} follows job {before} of {name}")
    what = "scheduler and JupyterLab start" if find_session(directory) else "its scheduler starts"
    output.note(f"{what} again in it; kernels, and data on workers, end with job {before}")
