"""Sites that ssh reaches: which a name means, our clusters there, commands that run there."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dask_hpc import _envvars
from dask_hpc._envvars import SETTING_PREFIX
from dask_hpc._files import make_private_directory, read_record, remove_tree, write_record
from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.errors import ConfigError
from dask_hpc.process.ssh import ssh_options
from dask_hpc.sites import profile
from dask_hpc.sites.detect import recognised, surroundings
from dask_hpc.sites.layer import Source
from dask_hpc.sites.listing import entries
from dask_hpc.sites.values import Lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from dask_hpc.process.ssh import SSHOptions
    from dask_hpc.sites.settings import SiteSettings

# What a profile says about the site itself is known better there.
WITH_SETTINGS = "up"  # the command that they are for
_OF_THE_SITE = ("description", "system", "facts", "recognise", "host", "command", "queues", "site")


@dataclass(frozen=True, slots=True, kw_only=True)
class FarSite:
    """A site elsewhere: its login node as ssh knows it, and dask-hpc there.

    ``environ`` are the settings that its profile here makes, as variables.
    """

    name: str
    host: str
    command: str
    environ: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FarCluster:
    """A cluster that was started from here, on a site elsewhere."""

    name: str
    site: str


def far_site(name: str) -> FarSite | None:
    """Return a site that is elsewhere, or nothing if it is here.

    Raises
    ------
    ConfigError
        If there is no such site, or its profile does not say where dask-hpc is there.
    """
    said = profile.site_settings(name)
    settings = said.settings
    if settings.host is None or recognised(settings.recognise, surroundings()):
        return None
    if settings.command is None:
        raise ConfigError(
            f"site {name!r} does not say where dask-hpc is on {settings.host}",
            hint=f'write "command: PATH" in {profile.find(name).files[-1]}',
        )
    return FarSite(
        name=name, host=settings.host, command=settings.command, environ=_as_variables(said)
    )


def _as_variables(said: SiteSettings) -> dict[str, str]:
    written = [
        entry
        for entry in entries(said)
        if entry.path[0] not in _OF_THE_SITE and entry.origin != Source.DEFAULT
    ]
    return {
        SETTING_PREFIX + "__".join(entry.path).upper(): (
            json.dumps(list(entry.value)) if isinstance(entry.value, Lines) else entry.text
        )
        for entry in written
    }


def argv_there(
    site: FarSite, words: Sequence[str], *, options: SSHOptions, terminal: bool = False
) -> tuple[str, ...]:
    """Return the command that runs one of ours at a site, whatever the login shell there is.

    With `settings_line` as the first line of its input, it has the settings of the profile here.
    """
    line = f"exec {shlex.join((site.command, *words))}"
    if words[0] == WITH_SETTINGS:
        line = f'IFS= read -r dh_line && eval "$dh_line"; {line}'
    tty = ("-t",) if terminal else ()
    there = f"exec /bin/sh -c {shlex.quote(line)}"
    return ("ssh", *ssh_options(options), *tty, "--", site.host, there)


def settings_line(site: FarSite) -> str:
    """Return the settings of a profile here as a line of shell: arguments are seen by others."""
    return " ".join(["export", *(f"{k}={shlex.quote(v)}" for k, v in site.environ.items())]) + "\n"


# the clusters there ------------------------------------------------------------------------------


def remember(cluster: FarCluster) -> None:
    """Write down where a cluster is."""
    make_private_directory(_directory())
    write_record(_directory() / f"{cluster.name}.json", cluster)


def forget(name: str) -> None:
    """Know nothing of a cluster any more."""
    (_directory() / f"{name}.json").unlink(missing_ok=True)
    remove_tree(mirror_of(name).path)


def mirror_of(name: str) -> ClusterDirectory:
    """Return where copies of the records of a cluster elsewhere are kept."""
    return ClusterDirectory(_directory() / name)


def far_cluster(name: str) -> FarCluster | None:
    """Return what is known of a cluster elsewhere, which may be called ``NAME@SITE``, too."""
    name, at, site = name.partition("@")
    if at:
        return FarCluster(name=name, site=site) if far_site(site) else None
    return next((each for each in far_clusters() if each.name == name), None)


def far_clusters() -> tuple[FarCluster, ...]:
    """Return all clusters elsewhere that were started or used from here."""
    return tuple(read_record(path, FarCluster) for path in sorted(_directory().glob("*.json")))


def _directory() -> Path:
    return _envvars.home() / "far"
