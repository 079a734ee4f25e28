"""``dask-hpc scale``: another size, or bounds between which a cluster follows its work."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from dask_hpc.cli.output import reports
from dask_hpc.cli.reach import controller_of, existing
from dask_hpc.cli.size import Size, size_of
from dask_hpc.cli.view import summary
from dask_hpc.cluster.record import read_spec

if TYPE_CHECKING:
    from dask_hpc.cli.output import Output


@click.command()
@click.argument("name")
@click.argument("size", metavar="N|MIN:MAX")
@reports
def command(output: Output, *, name: str, size: str) -> None:
    """Want N workers, or between MIN and MAX of them as the work asks for."""
    asyncio.run(_scale(output, name, size=size_of(size, where="N|MIN:MAX")))


async def _scale(output: Output, name: str, *, size: Size) -> None:
    spec = read_spec(existing(name))
    async with controller_of(name) as controller:
        bounds = size.bounds(spec)
        if bounds:
            report = await controller.adapt(bounds)
        else:
            report = await controller.scale(size.jobs(spec))
    if output.as_json:
        output.json(asdict(report))
    else:
        output.write(summary(report))
