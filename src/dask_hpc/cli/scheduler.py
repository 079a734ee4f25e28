"""``dask-hpc scheduler``: a scheduler for a site's own job scripts, which a file leads to."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import click

from dask_hpc._units import parse_seconds
from dask_hpc.boot.blocks import run_scheduler
from dask_hpc.boot.servers import Wishes
from dask_hpc.security.certificates import create_certificates


@click.command()
@click.option("--scheduler-file", metavar="FILE", type=Path, required=True, help="where to say how")
@click.option("--interface", help="network interface to listen at, as ib0 (default: all)")
@click.option("--port", type=int, help="default: any that is free")
@click.option("--dashboard-address", metavar=":PORT", help="a port that everybody can read")
@click.option("--idle-timeout", metavar="TIME", help="end after so long with nothing to do")
@click.option("--insecure", is_flag=True, help="encrypt nothing: everybody may use the workers")
def command(
    *, scheduler_file: Path, port: int | None, idle_timeout: str | None, **options: Any
) -> None:
    """Run a scheduler until it is shut down or gets a signal; FILE says where it is.

    The certificates that let in lie beside FILE, in FILE.private; both are gone with it.
    """
    wishes = Wishes(
        interface=options["interface"],
        scheduler_port=port,
        scheduler_file=scheduler_file.absolute(),
        dashboard_address=options["dashboard_address"],
        secure=not options["insecure"],
        idle_timeout=parse_seconds(idle_timeout, where="--idle-timeout") if idle_timeout else None,
    )
    asyncio.run(run_scheduler(scheduler_file.absolute(), wishes, certify=_certify))


def _certify(directory: Path) -> None:
    create_certificates(directory, name="file")
