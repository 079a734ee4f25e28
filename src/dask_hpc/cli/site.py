"""``dask-hpc site``: which sites there are, which one this is, what is set for one."""

from __future__ import annotations

import asyncio
import math
import socket
from typing import TYPE_CHECKING

import click

from dask_hpc._units import format_bytes, format_seconds
from dask_hpc.batch.queue import Queue
from dask_hpc.cli.main import Group
from dask_hpc.cli.output import Output, reports
from dask_hpc.errors import ConfigError, HPCError
from dask_hpc.process.local import LocalRunner
from dask_hpc.process.ssh import SSHRunner
from dask_hpc.remote.master import connect
from dask_hpc.remote.shells import LOGIN, PROGRAMS
from dask_hpc.sites import profile
from dask_hpc.sites.detect import LOCAL, Detection, detect
from dask_hpc.sites.listing import Entry, entries
from dask_hpc.sites.settings import from_keywords
from dask_hpc.sites.site import find_site
from dask_hpc.sites.specs import batch_system, user_name
from dask_hpc.sites.survey import survey
from dask_hpc.sites.values import Lines, Memory
from dask_hpc.sites.write import check_new, profile_name, profile_text, write_profile

if TYPE_CHECKING:
    from pathlib import Path

    from dask_hpc.sites.survey import Survey


@click.group(cls=Group)
def command() -> None:
    """Profiles of sites: what is known of each place where jobs can run."""


@command.command("list")
@reports
def list_sites(output: Output) -> None:
    """All sites, with the files that describe them."""
    rows = [_summary(name) for name in profile.names()]
    if output.as_json:
        columns = ("name", "system", "description", "files", "problem")
        output.json([dict(zip(columns, row, strict=True)) for row in rows])
        return
    output.table(
        ("site", "system", "what it is", "last file"),
        [
            (name, system, problem or description, files[-1] if files else None)
            for name, system, description, files, problem in rows
        ],
    )


@command.command("show")
@click.argument("name")
@reports
def show_site(output: Output, name: str) -> None:
    """Every setting for a site, and where it was written."""
    found = entries(profile.site_settings(name))
    if output.as_json:
        output.json(
            {
                ".".join(entry.path): {"value": _as_json(entry.value), "origin": entry.origin}
                for entry in found
            }
        )
        return
    output.table(
        ("setting", "value", "origin"),
        [(".".join(entry.path), _in_words(entry), entry.origin) for entry in found],
    )


@command.command("detect")
@click.option("--write", is_flag=True, help="write a profile of what was found")
@click.option("--name", metavar="NAME", help="the profile's name (default: from the host's)")
@reports
def detect_site(output: Output, *, write: bool, name: str | None) -> None:
    """Find out which site this is, and why."""
    found = asyncio.run(detect(LocalRunner()))
    path = asyncio.run(_write(found, name)) if write else None
    if output.as_json:
        systems = [
            {"system": one.system, "version": one.version, "command": one.command}
            for one in found.found
        ]
        output.json({"site": found.site, "reason": found.reason, "found": systems, "written": path})
        return
    output.write(found.site)
    output.note(found.reason)
    if path:
        output.note(f"written: {path}")


@command.command("add")
@click.argument("name")
@click.option("--host", metavar="USER@LOGIN", required=True, help="a login node, as ssh reaches it")
@click.option(
    "--command", "path", metavar="PATH", help="dask-hpc there (default: it is looked for)"
)
@reports
def add_site(output: Output, name: str, *, host: str, path: str | None) -> None:
    """Look at a site over ssh, and write a profile of what is there."""
    check_new(name)
    runner = SSHRunner(host=host, options=connect(host))
    programs = (LOGIN, *PROGRAMS.values())
    found = asyncio.run(survey(runner, command=path, programs=programs))
    written = write_profile(
        name,
        profile_text(
            found.system.system,
            found.host,
            queues=found.queues,
            reached=host,
            command=found.command or None,
        ),
    )
    if output.as_json:
        output.json(
            {
                "name": name,
                "host": found.host,
                "system": found.system.system,
                "version": found.system.version,
                "queues": [queue.name for queue in found.queues],
                "command": found.command or None,
                "ways": _ways(found),
                "written": written,
            }
        )
    else:
        _say(output, found)
        output.note(f"written: {written}")
    if not found.command:
        output.note(
            "dask-hpc was not found there: install it, or say where it is with --command; "
            "nothing can be started there before"
        )


def _say(output: Output, found: Survey) -> None:
    system = f"{found.system.system} {found.system.version}"
    theirs = f"{found.command} {found.version}" if found.command else "not found"
    rows = [
        ("host", f"{found.user} at {found.host}"),
        ("batch system", system),
        ("queues", ", ".join(queue.name for queue in found.queues)),
        ("dask-hpc", theirs),
        ("to its nodes", f"{', '.join(_ways(found))}: the first session finds out which works"),
    ]
    output.table(("what", "found"), rows)


def _ways(found: Survey) -> list[str]:
    """Return by what a session on a node may be reached from there, in the order of the trials."""
    programs = (LOGIN, PROGRAMS.get(found.system.system))
    return [*(each for each in found.programs if each in programs), "TLS"]


async def _write(found: Detection, name: str | None) -> Path:
    if found.site == LOCAL:
        raise ConfigError(
            f"{found.reason}: there is nothing to write", hint="the site 'local' needs no profile"
        )
    runner = LocalRunner()
    site = await find_site(runner, from_keywords({"site": found.site}))
    if site.name != site.system and name is None:
        raise ConfigError(
            f"site {site.name!r} has a profile already: {found.reason}",
            hint=f"dask-hpc site show {site.name}, or give --name for another one",
        )
    queues = await Queue(batch_system(site), runner, user=user_name()).queues()
    host = socket.gethostname()
    return write_profile(name or profile_name(host), profile_text(site.system, host, queues=queues))


def _summary(name: str) -> tuple[str, str | None, str, list[str], str]:
    try:
        found = profile.find(name)
    except HPCError as error:  # one bad file is no reason to hide the others
        return name, None, "", [], str(error)
    settings = found.settings
    return name, settings.system, settings.description, [str(file) for file in found.files], ""


def _as_json(value: object) -> object:
    if isinstance(value, Lines):
        return list(value)
    return "never" if value == math.inf else value


def _in_words(entry: Entry) -> str | None:
    if entry.text:
        return entry.text
    match entry.value:
        case Memory():
            return format_bytes(entry.value)
        case bool():
            return str(entry.value).lower()
        case float():
            return "never" if math.isinf(entry.value) else format_seconds(entry.value)
        case Lines():
            return "; ".join(entry.value)
    return None if entry.value is None else str(entry.value)
