"""``dask-hpc mpi``: a cluster of the tasks of mpirun or srun, with the options of dask-mpi."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dask_hpc.boot.meeting import find_meeting
from dask_hpc.boot.mpi import Part, play
from dask_hpc.boot.roles import Layout
from dask_hpc.boot.servers import Wishes
from dask_hpc.errors import ConfigError, HPCError
from dask_hpc.security.certificates import create_certificates

if TYPE_CHECKING:
    from collections.abc import Callable

    from dask_hpc.boot.meeting import Meeting

_WORKER = "distributed.Worker"

_OPTIONS = (
    click.option("--scheduler-file", metavar="FILE", type=Path, help="where to write the address"),
    click.option("--scheduler-port", type=int, help="default: any that is free"),
    click.option("--scheduler-rank", type=int, default=0, help="which task is the scheduler"),
    click.option("--interface", help="network interface, as ib0 (default: the route)"),
    click.option("--protocol", help="as tcp (default: tls)"),
    click.option("--nthreads", type=int, help="of a worker (default: its part of the node)"),
    click.option("--memory-limit", default="auto", help="of a worker (default: its part)"),
    click.option("--local-directory", metavar="PATH", help="where workers spill to"),
    click.option("--scheduler/--no-scheduler", default=True, help="or join one that is there"),
    click.option("--nanny/--no-nanny", default=True, help="deprecated: --worker-class says which"),
    click.option(
        "--exclusive-workers/--inclusive-workers",
        default=True,
        help="whether the scheduler's task is no worker",
    ),
    click.option("--worker-class", metavar="CLASS", default="distributed.Nanny"),
    click.option("--worker-options", metavar="JSON", help="more keywords of that class"),
    click.option("--dashboard/--no-dashboard", default=True, help="whether a port may be given"),
    click.option("--dashboard-address", metavar=":PORT", help="a port that everybody can read"),
    click.option("--name", default="dask_mpi", help="workers are NAME-RANK"),
    click.option("--death-timeout", type=float, default=60.0, help="seconds without a scheduler"),
)


def _with_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_OPTIONS):
        command = option(command)
    return click.argument("scheduler_address", required=False)(command)


@click.command()
@_with_options
@click.option("--insecure", is_flag=True, help="encrypt nothing: everybody may use the workers")
def command(*, insecure: bool, **options: Any) -> None:
    """Make a cluster of the tasks that mpirun or srun started: a scheduler, and workers.

    Tasks of one node share its threads and memory. The certificates that let in lie beside
    FILE, in FILE.private; with --no-scheduler, or SCHEDULER_ADDRESS, all tasks are workers of a
    scheduler that is there already.
    """
    _run(options, secure=not insecure and options["protocol"] in (None, "tls"))


@click.command(name="dask-mpi")
@_with_options
def plain(**options: Any) -> None:
    """Do as dask-mpi does, also without encryption; for programs that know that one."""
    try:
        _run(options, secure=options["protocol"] == "tls")
    except HPCError as error:
        raise click.ClickException(f"{error}; {error.hint}") from None


def _run(options: dict[str, Any], *, secure: bool) -> None:
    meeting = find_meeting()
    has_scheduler = options["scheduler"] and not options["scheduler_address"]
    layout = Layout(
        scheduler_rank=options["scheduler_rank"] if has_scheduler else None,
        exclusive_workers=options["exclusive_workers"],
    )
    part = Part(
        layout=layout,
        wishes=_wishes(options, meeting, secure=secure),
        meeting=meeting,
        certify=lambda directory: create_certificates(directory, name="mpi"),
        address=options["scheduler_address"],
    )
    play(part)


def _wishes(options: dict[str, Any], meeting: Meeting, *, secure: bool) -> Wishes:
    file = options["scheduler_file"]
    wanted = [options[name] for name in ("interface", "scheduler_port")]
    same = ("interface", "protocol", "nthreads", "memory_limit", "local_directory")
    return Wishes(
        **{name: options[name] for name in same},
        worker_class=_class(options),
        worker_options=_json(options["worker_options"]),
        worker_name=options["name"],
        scheduler_port=options["scheduler_port"],
        scheduler_file=file,
        dashboard_address=options["dashboard_address"] if options["dashboard"] else None,
        secure=secure,
        loopback=meeting.ranks.is_one_node and not file and not any(wanted),
        death_timeout=options["death_timeout"],
    )


def _class(options: dict[str, Any]) -> str:
    if options["nanny"]:
        return str(options["worker_class"])
    warnings.warn(f"--no-nanny is --worker-class {_WORKER}", FutureWarning, stacklevel=3)
    return _WORKER


def _json(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"--worker-options {text!r} is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise ConfigError(
            f"--worker-options {text!r} is no object", hint='as in \'{"lifetime": "1h"}\''
        )
    return found
