"""``dask-hpc doctor``: what is good and bad about this place."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

import click

from dask_hpc.cli.output import Output, reports, site_option
from dask_hpc.process.local import LocalRunner
from dask_hpc.sites.doctor import Severity, check
from dask_hpc.sites.examine import examine
from dask_hpc.sites.settings import from_options


@click.command()
@site_option
@click.option("--security", is_flag=True, help="only what keeps others out")
@reports
@click.pass_context
def command(ctx: click.Context, output: Output, *, site: str | None, security: bool) -> None:
    """Check this site or laptop; exit 1 if something is wrong."""
    with output.waiting("looking around"):
        facts = asyncio.run(examine(LocalRunner(), from_options({"site": site})))
    findings = [found for found in check(facts) if found.is_security or not security]
    if output.as_json:
        output.json([asdict(found) for found in findings])
    else:
        output.table(
            ("", "what", "finding", "hint"),
            [(found.severity, found.about, found.text, found.hint) for found in findings],
        )
    if any(found.severity is Severity.ERROR for found in findings):
        ctx.exit(1)
