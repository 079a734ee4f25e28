"""What there is at a site that is looked at from elsewhere."""

from __future__ import annotations

import asyncio
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dask_hpc.batch.queue import Queue
from dask_hpc.errors import BatchError, ConfigError
from dask_hpc.process.runner import Command
from dask_hpc.sites.detect import Found, find_systems
from dask_hpc.sites.settings import from_keywords
from dask_hpc.sites.site import find_site
from dask_hpc.sites.specs import batch_system

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dask_hpc.batch.model import BatchQueue
    from dask_hpc.process.runner import Runner

_PROGRAM = "dask-hpc"
# Commands over ssh often lack the path that a login shell has, and what conda adds to it.
_LOOK = f"""
for each in "$(command -v {_PROGRAM})" \\
  "$("${{SHELL:-/bin/sh}}" -lc 'command -v {_PROGRAM}' 2>/dev/null </dev/null | tail -n 1)" \\
  ~/.local/bin/{_PROGRAM}
do
  [ -f "$each" ] && [ -x "$each" ] && echo "$each" && break
done
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What was found. ``command`` is dask-hpc there; nothing if it was not found.

    ``programs`` are those of the ones that were asked for which are there.
    """

    host: str
    user: str
    system: Found
    queues: tuple[BatchQueue, ...]
    command: str
    version: str
    programs: tuple[str, ...] = ()


async def survey(
    runner: Runner, *, command: str | None = None, programs: Sequence[str] = ()
) -> Survey:
    """Find out what a profile of the site needs.

    Parameters
    ----------
    runner
        Runs commands there.
    command
        The path of dask-hpc there, if it is known.
    programs
        Names of further programs to look for.

    Raises
    ------
    ConfigError
        If there is no batch system, or that path is not dask-hpc.
    BatchError
        If the host is not reached, or the batch system does not answer.
    """
    host, user = await asyncio.gather(*(_said(runner, *w) for w in (("hostname",), ("id", "-un"))))
    found = await find_systems(runner)
    if not found:
        raise ConfigError(
            f"no batch system is installed on {host}", hint="name a login node of the site"
        )
    site = await find_site(runner, from_keywords({"site": found[0].system}))
    queues = await Queue(batch_system(site), runner, user=user).queues()
    path = command or await _said(runner, "sh", "-c", _LOOK)
    version = await _version(runner, path) if path else ""
    if command and not version:
        raise ConfigError(
            f"{command} on {host} is not dask-hpc",
            hint=f"try: ssh HOST {shlex.quote(command)} --version",
        )
    return Survey(
        host=host,
        user=user,
        system=found[0],
        queues=tuple(queues),
        command=path,
        version=version,
        programs=await _there(runner, programs),
    )


async def _there(runner: Runner, programs: Sequence[str]) -> tuple[str, ...]:
    look = 'for each; do command -v "$each" >/dev/null && echo "$each"; done; true'
    said = await _said(runner, "sh", "-c", look, "look", *programs)
    return tuple(each for each in programs if each in said.split())


async def _said(runner: Runner, *argv: str) -> str:
    return (await runner.run(Command(argv=argv))).stdout.strip()


async def _version(runner: Runner, path: str) -> str:
    try:
        result = await runner.run(Command(argv=(path, "--version")))
    except BatchError:
        return ""
    words = result.stdout.split()
    return words[-1] if result.exit_code == 0 and words[:1] == [_PROGRAM] else ""
