"""``dask-hpc logs``: what scheduler, controller and workers wrote."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from dask_hpc._clock import SystemClock
from dask_hpc._files import read_tail
from dask_hpc.cli.output import reports
from dask_hpc.cli.reach import existing
from dask_hpc.cluster.jobrecords import JobRecords
from dask_hpc.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from dask_hpc.cli.output import Output
    from dask_hpc.cluster.directory import ClusterDirectory

_LINES = 200
_LOOK = 0.5  # seconds between two looks of --follow


@click.command()
@click.argument("name")
@click.option("-f", "--follow", is_flag=True, help="go on with what is written from now on")
@click.option("--job", "job", metavar="ID", help="only this job's")
@reports
def command(output: Output, name: str, *, follow: bool, job: str | None) -> None:
    """Show logs: scheduler, controller, workers."""
    directory = existing(name)
    paths = _logs(directory, job)
    if output.as_json:
        output.json({path.name: read_tail(path, lines=_LINES) for path in paths})
        return
    for path in paths:
        output.write(f"==> {path.name} <==")
        output.write(read_tail(path, lines=_LINES))
    if follow:
        asyncio.run(_follow(output, directory, job=job))


def _logs(directory: ClusterDirectory, job: str | None) -> list[Path]:
    if job is None:
        return [directory.journal, *sorted(directory.logs.glob("*.log"))]
    records = JobRecords(directory.jobs)
    records.refresh()
    slots = [slot for slot, start in records.starts.items() if start.job == job]
    paths = [directory.logs / f"{slot}.log" for slot in slots]
    if not paths:
        known = sorted({start.job for start in records.starts.values()})
        raise ConfigError(
            f"job {job!r} of {directory.path.name!r} is unknown, or has not begun",
            hint=f"those that began: {', '.join(known) or 'none'}",
        )
    return paths


async def _follow(output: Output, directory: ClusterDirectory, *, job: str | None) -> None:
    clock = SystemClock()
    ends = {path: path.stat().st_size for path in _existing(_logs(directory, job))}
    while directory.path.is_dir():
        for path in _existing(_logs(directory, job)):
            text = _since(path, ends.get(path, 0))
            ends[path] = ends.get(path, 0) + len(text)
            for line in text.decode(errors="replace").splitlines():
                output.write(f"{path.stem}: {line}")
        await clock.sleep(_LOOK)


def _existing(paths: Iterable[Path]) -> list[Path]:
    return [path for path in paths if path.is_file()]


def _since(path: Path, start: int) -> bytes:
    with path.open("rb") as stream:
        stream.seek(start)
        return stream.read()
