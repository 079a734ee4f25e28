"""``dask-hpc scale``: another size, or bounds between which a cluster follows its work."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from dask_hpc.cli.output import reports
from dask_hpc.cli.reach import controller_of, existing, tended
from dask_hpc.cli.size import Size, size_of
from dask_hpc.cli.view import summary
from dask_hpc.cluster.record import read_spec
from dask_hpc.cluster.spec import DEFAULT_POOL

if TYPE_CHECKING:
    from dask_hpc.cli.output import Output


@click.command()
@click.argument("name")
@click.argument("size", metavar="N|MIN:MAX")
@click.option("--pool", default=DEFAULT_POOL, help="which kind of workers, if there are several")
@reports
def command(output: Output, *, name: str, size: str, pool: str) -> None:
    """Want N workers, or between MIN and MAX of them as the work asks for."""
    asyncio.run(_scale(output, name, size=size_of(size, where="N|MIN:MAX"), pool=pool))


async def _scale(output: Output, name: str, *, size: Size, pool: str) -> None:
    spec = read_spec(existing(name)).of(pool)
    if words := await tended(name):
        output.note(words)
    async with controller_of(name) as controller:
        bounds = size.bounds(spec)
        if bounds:
            report = await controller.adapt(bounds, pool=pool)
        else:
            report = await controller.scale(size.jobs(spec), pool=pool)
    if output.as_json:
        output.json(asdict(report))
    else:
        output.write(summary(report))
