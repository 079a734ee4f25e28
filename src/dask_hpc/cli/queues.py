"""``dask-hpc queues``: what there is, and whether a job could start there now."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from dask_hpc._units import format_bytes, format_seconds
from dask_hpc.batch.queue import Queue
from dask_hpc.cli.output import Output, reports, resource_options, site_option
from dask_hpc.process.local import LocalRunner
from dask_hpc.sites.fit import Fit, fit, named
from dask_hpc.sites.settings import from_options
from dask_hpc.sites.site import find_site
from dask_hpc.sites.specs import batch_system, user_name, wanted_resources

if TYPE_CHECKING:
    from dask_hpc.batch.model import BatchQueue
    from dask_hpc.sites.layer import Layer

_COLUMNS = (
    "queue", "state", "longest", "most nodes", "nodes", "free", "cores", "memory", "gpus",
    "your job could start",
)  # fmt: skip


@click.command()
@site_option
@resource_options
@reports
def command(output: Output, *, site: str | None, resources: Layer) -> None:
    """Queues with limits, free nodes, and whether a job like this could start now."""
    asyncio.run(_show(output, from_options({"site": site}).over(resources)))


async def _show(output: Output, call: Layer) -> None:
    runner = LocalRunner()
    site = await find_site(runner, call)
    output.note(f"site {site.name}: {site.reason}")
    queue = Queue(batch_system(site), runner, user=user_name())
    job = wanted_resources(site)
    queues = named(await queue.queues(), job.queue, system=site.system)
    limits = site.settings.queues
    fits = [(one, fit(one, job, limits=limits.get(one.name))) for one in queues]
    if output.as_json:
        output.json(
            [{**asdict(one), "start": how.chance, "reason": how.reason} for one, how in fits]
        )
    else:
        output.table(_COLUMNS, [_row(one, how) for one, how in fits])


def _row(queue: BatchQueue, how: Fit) -> tuple[object, ...]:
    return (
        f"{queue.name} (default)" if queue.is_default else queue.name,
        "open" if queue.is_open else "closed",
        format_seconds(queue.max_walltime) if queue.max_walltime else None,
        queue.max_nodes,
        queue.nodes,
        queue.free_nodes,
        queue.cores_per_node,
        format_bytes(queue.memory_per_node),
        queue.gpus_per_node or None,
        f"{how.chance}: {how.reason}" if how.reason else how.chance,
    )
