"""``dask-hpc up``: a cluster in jobs of its own, followed until it computes."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dask_hpc.cli.far import start_there
from dask_hpc.cli.lab import detached, follow_lab, stay
from dask_hpc.cli.lab_there import open_there
from dask_hpc.cli.output import reports, resource_options
from dask_hpc.cli.progress import follow_scheduler, follow_workers
from dask_hpc.cli.size import wish_of
from dask_hpc.cluster.commands import scheduler_job, worker_job
from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.cluster.session import want_session
from dask_hpc.cluster.slot import new_tag
from dask_hpc.cluster.spec import Home
from dask_hpc.deploy.ending import end_cluster
from dask_hpc.deploy.starting import prepare, submit_prepared
from dask_hpc.engine.start import queue_of
from dask_hpc.errors import ConfigError, HPCError, JobFailed, SessionError
from dask_hpc.jupyter.session import SessionGate
from dask_hpc.remote.far import FarCluster, far_site
from dask_hpc.sites.settings import describe, from_options
from dask_hpc.sites.specs import resolve_spec
from dask_hpc.software.contents import check_lab

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dask_hpc.cli.output import Output
    from dask_hpc.cli.size import SizeWish
    from dask_hpc.cluster.record import ClusterRecord
    from dask_hpc.cluster.spec import ClusterSpec
    from dask_hpc.sites.layer import Layer


_OPEN = (
    "not encrypted: every user who can reach a port of the scheduler or of a worker can run code "
    "as you, and read what they send each other"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """What was asked for."""

    site: str | None
    name: str | None
    layer: Layer
    size: SizeWish
    is_one_job: bool = False
    has_lab: bool = False


@click.command()
@click.argument("site", required=False)
@click.option("--site", "also_site", metavar="SITE", help="the same as the argument")
@click.option("--name", metavar="NAME", help="name of the cluster (default: a new one)")
@click.option("--workers", type=int, metavar="N", help="worker processes to start")
@click.option("--jobs", type=int, metavar="N", help="worker jobs to start (default: 1)")
@click.option("--adapt", metavar="MIN:MAX", help="as many workers as the work asks for")
@click.option("--scheduler-file", metavar="FILE", help=describe("scheduler_file"))
@click.option("--idle-timeout", metavar="TIME", help="end it after so long without work or client")
@click.option(
    "--insecure", is_flag=True, help="no encryption: whoever reaches a port can run code as you"
)
@click.option("--lab", is_flag=True, help="JupyterLab beside the scheduler, in the same --env")
@click.option("--one-job", is_flag=True, help="scheduler and workers in one job of --nodes nodes")
@click.option("--dry-run", is_flag=True, help="print the job scripts and submit nothing")
@click.option("--detach", is_flag=True, help="submit and come back at once")
@resource_options
@reports
def command(output: Output, *, dry_run: bool, detach: bool, **options: Any) -> None:
    """Start a cluster in a job of its own, on SITE or on the one that is detected here.

    It outlives this command and this session: find it by its name, from a terminal or with
    HPCCluster.from_name(NAME), and end it with dask-hpc down NAME.

    With --lab it prints a link that opens JupyterLab in a browser of this host, once, and keeps
    the way open until Ctrl-C; dask-hpc attach NAME opens it again.
    """
    wish = _read(options)
    if wish.site and (site := far_site(wish.site)):
        name = start_there(output, site, name=wish.name)
        if wish.has_lab and not detach:
            open_there(output, FarCluster(name=name, site=site.name))
        return
    if dry_run:
        asyncio.run(_show_scripts(output, wish))
        return
    asyncio.run(_up(output, wish, detach=detach))


def _read(options: Mapping[str, Any]) -> _Wish:
    site, also_site = options["site"], options["also_site"]
    if site and also_site and site != also_site:
        raise ConfigError(f"site is both {site!r} and {also_site!r}", hint="name it once")
    said = {
        "idle_timeout": options["idle_timeout"],
        "scheduler_file": options["scheduler_file"],
        "secure": False if options["insecure"] else None,
    }
    layer = from_options(said).over(options["resources"])
    size = wish_of(workers=options["workers"], jobs=options["jobs"], adapt=options["adapt"])
    if options["one_job"] and any(options[key] for key in ("workers", "jobs", "adapt")):
        raise ConfigError(
            "--one-job brings the workers of its own nodes",
            hint="leave out --workers, --jobs and --adapt; dask-hpc scale adds worker jobs later",
        )
    return _Wish(
        site=site or also_site,
        name=options["name"],
        layer=layer,
        size=size,
        is_one_job=options["one_job"],
        has_lab=options["lab"],
    )


async def _spec(output: Output, wish: _Wish) -> ClusterSpec:
    spec = await resolve_spec(
        wish.layer,
        site=wish.site,
        name=wish.name,
        home=Home.JOB,
        tell=lambda site: output.note(f"site {site.name}: {site.reason}"),
    )
    if wish.is_one_job:
        return spec.as_one_job()
    least, most = wish.size.jobs(spec)
    return replace(spec, first_jobs=least, first_maximum=most)


async def _show_scripts(output: Output, wish: _Wish) -> None:
    spec = await _spec(output, wish)
    system = queue_of(spec).system
    count = max(1, spec.first_jobs)
    output.write(system.script(scheduler_job(spec, system.variables, tag=new_tag(spec.name))))
    if spec.is_one_job:
        return
    output.write(system.script(worker_job(spec, system.variables, tag=new_tag(spec.name)), count))


async def _up(output: Output, wish: _Wish, *, detach: bool) -> None:
    spec = await _spec(output, wish)
    record = await _submit(spec, has_lab=wish.has_lab)
    output.note(f"{spec.name}: scheduler job {record.job} submitted to {spec.site}")
    if not spec.secure:
        output.note(_OPEN)
    try:
        if wish.has_lab and not detach:
            await _up_to_lab(output, spec, submitted=record)
            return
        if not detach:
            record = await follow_scheduler(output, spec, submitted=record)
            await follow_workers(output, spec)
    except asyncio.CancelledError:
        if wish.has_lab:
            detached(output, spec.name)
            return
        output.note(f"detached: {spec.name} goes on")
        output.note(
            f"come back with dask-hpc status {spec.name}, end it with dask-hpc down {spec.name}"
        )
        return
    except (JobFailed, SessionError) as error:
        if isinstance(error, JobFailed) and error.job and not error.log_tail:
            output.note("the log of the job is empty")
        # Nothing may go on to cost.
        await end_cluster(ClusterDirectory(spec.directory))
        raise
    if output.as_json:
        output.json(asdict(record))
        return
    output.write(f"HPCCluster.from_name({spec.name!r})")
    output.note(f"see it with dask-hpc status {spec.name}, end it with dask-hpc down {spec.name}")
    if wish.has_lab:
        output.note(f"open JupyterLab with dask-hpc attach {spec.name}")


async def _submit(spec: ClusterSpec, *, has_lab: bool) -> ClusterRecord:
    directory = _with_lab(spec) if has_lab else prepare(spec)
    return await submit_prepared(spec, directory)


def _with_lab(spec: ClusterSpec) -> ClusterDirectory:
    # What is in a container, or only there on the nodes, is seen when the job has begun.
    if not spec.wrapper and Path(spec.python).exists():
        check_lab(spec.python)
    directory = prepare(spec)
    want_session(directory, root=Path.cwd())
    return directory


async def _up_to_lab(output: Output, spec: ClusterSpec, *, submitted: ClusterRecord) -> None:
    """Print the link at once, for its page says what is waited for; then stay."""
    directory = ClusterDirectory(spec.directory)
    async with SessionGate(directory) as gate:
        if output.as_json:
            output.json({**asdict(submitted), "link": gate.link})
        else:
            output.write(gate.link)
        await follow_scheduler(output, spec, submitted=submitted, tell=gate.tell)
        await follow_lab(output, gate, directory=directory)
        workers = asyncio.ensure_future(_tell_of_workers(output, spec))
        try:
            await stay(output, gate, directory=directory)
        finally:
            workers.cancel()


async def _tell_of_workers(output: Output, spec: ClusterSpec) -> None:
    try:
        await follow_workers(output, spec)
    except HPCError as error:  # JupyterLab is there all the same
        output.note(f"{error}; {error.hint}")
