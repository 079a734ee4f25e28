"""``dask-hpc run``: one job with a scheduler, workers and a script, and its exit code."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import click

from dask_hpc.cli.output import reports, resource_options
from dask_hpc.cli.progress import in_words
from dask_hpc.cluster.commands import scheduler_job
from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.cluster.plan import OUR_FAILURE
from dask_hpc.cluster.slot import new_tag
from dask_hpc.cluster.spec import Home
from dask_hpc.deploy.ending import end_jobs
from dask_hpc.deploy.running import Run, fitted, is_inside, plan_of, run_here, submit_run
from dask_hpc.engine.start import queue_of
from dask_hpc.errors import HPCError, LaunchError
from dask_hpc.sites.settings import from_options
from dask_hpc.sites.specs import resolve_spec

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from dask_hpc.cli.output import Output
    from dask_hpc.cluster.plan import Plan
    from dask_hpc.cluster.spec import ClusterSpec
    from dask_hpc.deploy.starting import StartProgress


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("words", nargs=-1, required=True, metavar="SCRIPT [ARGS]...")
@click.option("--site", metavar="SITE", help="where to run (default: it is detected)")
@click.option("--name", metavar="NAME", help="name of the run (default: a new one)")
@click.option(
    "--min-workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="go on with so many (default: all)",
)
@click.option("--no-wait", is_flag=True, help="print the job and come back at once")
@click.option("--dry-run", is_flag=True, help="print the job script and submit nothing")
@resource_options
@reports
def command(output: Output, words: tuple[str, ...], **options: Any) -> None:
    """Run SCRIPT in one job, beside a scheduler and with workers on every node.

    In it, Client() without arguments finds the cluster. What it prints is shown as it comes; its
    exit code is that of this command, and 125 stands for a failure of ours. Inside of a job
    (salloc, qsub -I) that job is used.
    """
    try:
        code = asyncio.run(_run(output, words, options=options))
    except HPCError as error:
        click.echo(f"error: {error}\nhint: {error.hint}", err=True)
        code = OUR_FAILURE
    sys.exit(code)


async def _run(output: Output, words: tuple[str, ...], *, options: dict[str, Any]) -> int:
    spec = (
        await resolve_spec(
            from_options({}).over(options["resources"]),
            site=options["site"],
            name=options["name"],
            home=Home.JOB,
            tell=lambda site: output.note(f"site {site.name}: {site.reason}"),
        )
    ).as_one_job()
    plan = plan_of(words, spec, min_workers=options["min_workers"])
    if options["dry_run"]:
        system = queue_of(spec).system
        output.write(system.script(scheduler_job(spec, system.variables, tag=new_tag(spec.name))))
        return 0
    if is_inside(spec):
        code, logs = await run_here(fitted(spec), plan, write=_write)
        return _tell_end(output, code, logs=logs)
    return await _submit(output, spec, plan=plan, waits=not options["no_wait"])


async def _submit(output: Output, spec: ClusterSpec, *, plan: Plan, waits: bool) -> int:
    record = await submit_run(spec, plan)
    run = Run(spec, record, ClusterDirectory(spec.directory))
    output.note(f"{spec.name}: job {record.job} submitted to {spec.site}")
    if not waits:
        output.write(record.job)
        output.note(f"its log will be {run.log}; end it with dask-hpc down {spec.name}")
        return 0
    try:
        code = await _follow(output, run)
    except asyncio.CancelledError:
        output.note(f"detached: job {record.job} goes on")
        output.note(
            f"see it with dask-hpc logs -f {spec.name}, end it with dask-hpc down {spec.name}"
        )
        return 0
    except LaunchError:  # the queue says that the job is over: nothing of it may stay
        _tell_logs(output, await _clear(output, run))
        raise
    return _tell_end(output, code, logs=await _clear(output, run))


async def _clear(output: Output, run: Run) -> tuple[Path, ...]:
    """Remove what a run leaves but its logs; return where they are."""
    kept = run.keep_logs()
    ending = await end_jobs(run.directory)
    if ending.left:
        output.note(f"the batch system is still ending job {run.record.job}")
    return kept


def _tell_end(output: Output, code: int, *, logs: Iterable[Path]) -> int:
    output.note(f"exit code {code}")
    _tell_logs(output, logs)
    return code


def _tell_logs(output: Output, logs: Iterable[Path]) -> None:
    output.note(f"logs are {' and '.join(map(str, logs))}")


async def _follow(output: Output, run: Run) -> int:
    said = ""

    def tell(progress: StartProgress) -> None:
        nonlocal said
        words = in_words(progress)
        if words != said:
            said = words
            output.note(words)

    return await run.follow(tell, _write)


def _write(text: bytes) -> None:
    if text:
        sys.stdout.buffer.write(text)
        sys.stdout.flush()
