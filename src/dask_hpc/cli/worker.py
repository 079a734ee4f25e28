"""``dask-hpc worker``: the workers of a node, for a site's own job scripts and arrays."""

from __future__ import annotations

import gc
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import click

from dask_hpc._units import parse_bytes, parse_seconds
from dask_hpc.cluster.commands import ENVIRONMENT


@click.command()
@click.option("--scheduler-file", metavar="FILE", type=Path, required=True, help="of the scheduler")
@click.option("--processes", type=click.IntRange(min=1), default=1, help="workers (default: 1)")
@click.option("--cores", type=click.IntRange(min=1), help="of all of them (default: the job's)")
@click.option("--memory", metavar="SIZE", help="of all of them (default: what the job may have)")
@click.option("--interface", help="network interface to listen at, as ib0 (default: the route)")
@click.option("--local-directory", metavar="PATH", help="where they spill to")
@click.option("--ports", metavar="A:B", help="the ports that they may take")
@click.option("--name", help="workers are NAME.0-N (default: of the host)")
@click.option(
    "--death-timeout", metavar="TIME", default="60s", help="without a scheduler (default: 60s)"
)
def command(*, scheduler_file: Path, **options: Any) -> None:
    """Run the workers of a node for the scheduler that FILE leads to.

    Where FILE is not there yet, or names a scheduler that does not answer, it waits for a new
    one. It ends with the scheduler; a signal lets it hand over its results first.
    """
    _start_again_if_needed()
    gc.disable()  # as in the worker host of a job, which forks what was imported
    from dask_hpc.boot.blocks import HostWishes, worker_post
    from dask_hpc.boot.node import run_workers, warm_up
    from dask_hpc.engine.limits import make_ready_for_thousands

    memory = options.pop("memory")
    wishes = HostWishes(
        memory=parse_bytes(memory, where="--memory") if memory else None,
        death_timeout=parse_seconds(options.pop("death_timeout"), where="--death-timeout"),
        **options,
    )
    post = worker_post(scheduler_file.absolute(), wishes)
    try:
        make_ready_for_thousands()
        warm_up()
        code = run_workers(post)
    finally:
        shutil.rmtree(post.scratch, ignore_errors=True)
    sys.exit(code)


def _start_again_if_needed() -> None:
    """Have what must be set before Python starts; what somebody has set stays as it is."""
    missing = {name: value for name, value in ENVIRONMENT.items() if name not in os.environ}
    if missing:
        arguments = [
            sys.executable,
            "-m",
            "dask_hpc.cli.main",
            *sys.argv[sys.argv.index("worker") :],
        ]
        os.execve(sys.executable, arguments, {**os.environ, **missing})  # noqa: S606 - no shell wanted
