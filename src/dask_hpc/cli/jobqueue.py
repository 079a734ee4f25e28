"""``dask-hpc jobqueue check``: what of a user's set-up for dask-jobqueue differs here."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dask_hpc.cli.main import Group
from dask_hpc.cli.output import reports

if TYPE_CHECKING:
    from dask_hpc.cli.output import Output


@click.group(cls=Group)
def command() -> None:
    """What was written for dask-jobqueue."""


@command.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--line", metavar="CODE", help="A call, as 'SLURMCluster(cores=8, memory=\"24GB\")'.")
@reports
def check(output: Output, *, file: Path, line: str | None) -> None:
    """Say what of a jobqueue.yaml, and of a line of code, would differ."""
    from dask_hpc.compat.check import in_line, in_sections, read_file

    sections = read_file(file.read_text(encoding="utf-8"), name=str(file))
    found = [*in_sections(sections), *(in_line(line, sections) if line else ())]
    if output.as_json:
        output.json([asdict(each) for each in found])
        return
    if found:
        output.table(("where", "what differs"), [(each.place, each.words) for each in found])
    else:
        output.note("nothing differs")
