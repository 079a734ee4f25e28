"""Commands about clusters on a site that ssh reaches: they run there, and are seen here."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from dask_hpc.cli.lab import detached
from dask_hpc.errors import ConfigError, HPCError, TunnelError
from dask_hpc.remote import far
from dask_hpc.remote.far import FarCluster
from dask_hpc.remote.master import connect, disconnect
from dask_hpc.sites.specs import new_name

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from dask_hpc.cli.output import Output
    from dask_hpc.remote.far import FarSite


@dataclass(frozen=True, slots=True, kw_only=True)
class FarEnding:
    """A cluster elsewhere that was ended, and the ids of its jobs that are still ending."""

    name: str
    left: list[str]


def run_there(site: str, words: Sequence[str]) -> int:
    """Run a command of ours at a site, on this terminal; return its exit code."""
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    argv = _argv(site, words, terminal=terminal)
    sys.stdout.flush()
    stdin = None if terminal else subprocess.DEVNULL
    return subprocess.run(argv, stdin=stdin, check=False).returncode


def _argv(
    site: str, words: Sequence[str], *, terminal: bool = False, prompts: bool = True
) -> tuple[str, ...]:
    found = far.far_site(site)
    if found is None:
        hint = f"dask-hpc site show {site}"
        raise ConfigError(f"site {site!r} is here, so nothing of it is elsewhere", hint=hint)
    return far.argv_there(
        found, words, options=connect(found.host, prompts=prompts), terminal=terminal
    )


def start_there(output: Output, site: FarSite, *, name: str | None) -> str:
    """Run the ``up`` that is going on at a site, and return the name of the cluster.

    Raises
    ------
    click.exceptions.Exit
        If it failed there, with its exit code, or if nothing was to be started.
    """
    ctx = click.get_current_context()
    words = words_of(ctx, leave_out=("site", "also_site", "name", "detach"))
    if ctx.params["detach"] or ctx.params["lab"]:
        words = (*words, "--detach")
    chosen = name or new_name()
    if not ctx.params["dry_run"]:
        far.remember(FarCluster(name=chosen, site=site.name))
    # With JupyterLab the data is the link, which comes later.
    data = subprocess.DEVNULL if ctx.params["lab"] else None
    try:
        code = subprocess.run(
            _argv(site.name, [*words, f"--name={chosen}"]),
            input=far.settings_line(site).encode(),
            stdout=data,
            check=False,
        ).returncode
    except KeyboardInterrupt:
        detached(output, chosen)
        ctx.exit(0)
    if code or ctx.params["dry_run"]:
        leave(FarCluster(name=chosen, site=site.name))
        ctx.exit(code)
    return chosen


def list_there(site: str, *, asks: bool) -> list[dict[str, Any]]:
    """Return what ``ls --json`` says at a site, as seen from here.

    Raises
    ------
    HPCError
        If the site is not reached, or not without asking for a password.
    """
    done = subprocess.run(
        _argv(site, ["ls", "--json"], prompts=asks),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it said nothing"]
        raise TunnelError(f"dask-hpc ls failed there: {lines[0]}", hint=f"dask-hpc ls {site}")
    return [{**each, "site": site} for each in json.loads(done.stdout)]


def end_there(clusters: Sequence[FarCluster]) -> tuple[list[FarEnding], int]:
    """End clusters at their sites; return how that went, and the exit code."""
    endings, codes = [], [0]
    for name in dict.fromkeys(cluster.site for cluster in clusters):
        own = [cluster.name for cluster in clusters if cluster.site == name]
        done = subprocess.run(
            _argv(name, ["down", "--json", *own]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        codes.append(done.returncode)
        found = [FarEnding(**each) for each in json.loads(done.stdout or "[]")]
        gone = {ending.name for ending in found}
        if done.returncode:  # somebody else may have ended them
            gone |= set(own) - _names_there(name)
        for one in gone:
            leave(FarCluster(name=one, site=name))
        endings += found
    return endings, max(codes)


def _names_there(site: str) -> set[str]:
    try:
        return {each["name"] for each in list_there(site, asks=False)}
    except HPCError:  # then nobody knows, and all stay
        return {cluster.name for cluster in far.far_clusters()}


def leave(cluster: FarCluster) -> None:
    """Forget a cluster elsewhere that was ended; end the connection with the last one."""
    far.forget(cluster.name)
    site = far.far_site(cluster.site)
    if site and all(other.site != site.name for other in far.far_clusters()):
        disconnect(site.host)


def words_of(ctx: click.Context, *, leave_out: Collection[str]) -> tuple[str, ...]:
    """Return the command of a context as words, without some of its parameters."""
    words = [ctx.info_name or ""]
    for parameter in ctx.command.params:
        name = parameter.name or ""
        if name in leave_out or ctx.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
            continue
        words += _words(parameter, ctx.params[name])
    return tuple(words)


def _words(parameter: click.Parameter, value: object) -> list[str]:
    if not isinstance(parameter, click.Option):
        return [str(value)]
    flag = parameter.opts[0]
    if parameter.is_flag:
        return [flag] if value else []
    values = value if isinstance(value, tuple) else (value,)
    return [f"{flag}={each}" for each in values]
