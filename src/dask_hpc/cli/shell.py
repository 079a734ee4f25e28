"""``dask-hpc shell``: a shell on the node of a cluster's scheduler."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import click

from dask_hpc import _envvars
from dask_hpc._hosts import host_name
from dask_hpc.cli.reach import existing
from dask_hpc.cluster.record import read_spec
from dask_hpc.deploy.reaching import settled
from dask_hpc.engine.client import check_running
from dask_hpc.errors import CommandMissing, ControllerUnreachable
from dask_hpc.remote.shells import Seat, command_at, environment_at


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("name")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[COMMAND]...")
def command(name: str, words: tuple[str, ...]) -> None:
    """Open a shell on the node of a cluster's scheduler, or run COMMAND there.

    Within the scheduler's job where the batch system can do that (Slurm, OAR, HTCondor); else by
    ssh. In it HPCCluster.from_name() means this cluster. Its exit code is that of the command.
    """
    directory = existing(name)
    record, spec = asyncio.run(settled(directory)), read_spec(directory)
    check_running(record)
    if record.process is None:
        raise ControllerUnreachable(
            f"the scheduler of {name!r} has not started", hint=f"dask-hpc status {name}"
        )
    node = record.process.host
    seat = Seat(system=spec.system, job=record.job, node=node, is_here=node == host_name())
    argv = command_at(
        seat,
        words or (os.environ.get("SHELL") or "/bin/sh", "-l"),
        terminal=not words and sys.stdin.isatty(),
    )
    own = {_envvars.CLUSTER.name: name, _envvars.HOME.name: str(_envvars.home())}
    try:
        done = subprocess.run(argv, env={**os.environ, **own, **environment_at(seat)}, check=False)
    except FileNotFoundError:
        raise CommandMissing(
            f"{argv[0]} is not installed here",
            hint="type this where the batch system's commands are",
        ) from None
    click.get_current_context().exit(done.returncode)
