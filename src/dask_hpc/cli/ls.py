"""``dask-hpc ls``: all clusters."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from dask_hpc._clock import SystemClock
from dask_hpc.cli.far import list_there
from dask_hpc.cli.output import reports
from dask_hpc.cli.reach import all_views
from dask_hpc.cli.view import CLUSTERS, cluster_row, far_row
from dask_hpc.errors import ConfigError, HPCError
from dask_hpc.remote.far import far_clusters, far_site

if TYPE_CHECKING:
    from dask_hpc.cli.output import Output


@click.command()
@click.argument("site", required=False)
@reports
def command(output: Output, site: str | None) -> None:
    """List clusters: site, state, workers wanted, running and pending, time left, address.

    Those on sites that ssh reaches are asked for where a connection is open, or at SITE.
    """
    views = [] if site else asyncio.run(all_views())
    afar = [row for name in _far_sites(site) for row in _listed(output, name, asks=bool(site))]
    if output.as_json:
        output.json([*(view.as_json() for view in views), *afar])
    elif views or afar:
        now = SystemClock().time()
        rows = [cluster_row(view, now) for view in views]
        output.table(CLUSTERS, [*rows, *(far_row(each, now) for each in afar)])
    else:
        output.note("there are no clusters; dask-hpc up starts one")


def _far_sites(site: str | None) -> list[str]:
    if site is None:
        return list(dict.fromkeys(cluster.site for cluster in far_clusters()))
    if far_site(site) is None:
        raise ConfigError(f"site {site!r} is here", hint="leave it out")
    return [site]


def _listed(output: Output, site: str, *, asks: bool) -> list[dict[str, Any]]:
    try:
        found = list_there(site, asks=asks)
    except HPCError as error:
        output.note(f"{site}: {error}; dask-hpc ls {site} asks again")
        return []
    return found
