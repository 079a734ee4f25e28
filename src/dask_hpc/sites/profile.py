"""Profiles: what is written about sites, in our files, the system's and the user's."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from dask_hpc import plugins
from dask_hpc.errors import ConfigError
from dask_hpc.sites.layer import Layer, Source, check, merge
from dask_hpc.sites.nearest import did_you_mean
from dask_hpc.sites.settings import Settings, SiteSettings, of_the_user, settle
from dask_hpc.sites.sources import read_file, read_mapping

_OURS = Path(__file__).with_name("profiles")
_OF_THE_SYSTEM = Path("/etc/dask-hpc")
_OF_A_CALL = ("name", "site")


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What the files say about a site, the most particular one last."""

    name: str
    files: tuple[Path, ...]
    layer: Layer

    @property
    def settings(self) -> Settings:
        """What they say, with the defaults."""
        return settle(self.name, (self.layer,)).settings


def user_directory() -> Path:
    """Return where a user's own profiles are."""
    config = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(config).expanduser().absolute() / "dask-hpc"


def directories() -> tuple[Path, ...]:
    """Return the directories of profiles: ours, the system's, the user's."""
    return (_OURS, _OF_THE_SYSTEM, user_directory())


def names(where: tuple[Path, ...] | None = None) -> tuple[str, ...]:
    """Return the names of all sites: of the profiles, and of the batch systems."""
    found = {file.stem for directory in where or directories() for file in _files(directory)}
    return tuple(sorted(found.union(plugins.names(plugins.BATCH_SYSTEMS))))


def find(name: str, where: tuple[Path, ...] | None = None) -> Profile:
    """Return a site's profile.

    Raises
    ------
    ConfigError
        If there is no such site, or a file about it is wrong.
    SecurityError
        If others could have written a file about it.
    """
    searched = where or directories()
    own = [file for directory in searched for file in _files(directory, name)]
    if not own and name not in plugins.names(plugins.BATCH_SYSTEMS):
        known = names(searched)
        hint = did_you_mean(name, known, otherwise="sites are")
        raise ConfigError(f"site {name!r} is unknown", hint=hint)
    return _with_system(name, own, ours=searched[0])


def read_profile(path: Path) -> Layer:
    """Return what one file says.

    Raises
    ------
    ConfigError
        If a key or a value is not one of a profile.
    SecurityError
        If others could have written it.
    """
    try:
        layer = check(read_file(path), Settings)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}", hint=f"ls -l {path}"
        ) from None
    for key in _OF_A_CALL:
        if said := layer.get(key):
            raise ConfigError(
                f"{said.origin.before}key {key!r} does not belong in a profile",
                hint="a profile is called as its file; give it in a call or the environment",
            )
    return layer


def site_settings(
    name: str, call: Layer | None = None, *, where: tuple[Path, ...] | None = None
) -> SiteSettings:
    """Return the settings for a site: of its profile, the user's own, and those of a call.

    Raises
    ------
    ConfigError
        If there is no such site, or something that is written about it is wrong.
    """
    profile = find(name, where)
    found = settle(name, (profile.layer, of_the_user(), call or Layer()))
    system = found.settings.system
    known = plugins.names(plugins.BATCH_SYSTEMS)
    if system is None:
        raise ConfigError(
            f"site {name!r} does not say its batch system",
            hint=f'write "system: slurm", or another one, in {profile.files[-1]}',
        )
    if system not in known:
        raise ConfigError(
            f"{found.where('system')} {system!r} is unknown", hint=did_you_mean(system, known)
        )
    return found


def _with_system(name: str, own: list[Path], *, ours: Path) -> Profile:
    layer = merge(read_profile(file) for file in own)
    said = layer.get("system")
    if said is None and name in plugins.names(plugins.BATCH_SYSTEMS):
        layer = layer.over(check(read_mapping({"system": name}, Source.DEFAULT), Settings))
    # What we know of a batch system holds at every site that has it.
    base = _files(ours, str(said.value)) if said and said.value != name else ()
    layer = layer.over(merge(read_profile(file) for file in base))
    return Profile(name=name, files=(*base, *own), layer=layer)


def _files(directory: Path, name: str | None = None) -> tuple[Path, ...]:
    found = sorted(directory.glob("*.yaml"))
    return tuple(file for file in found if name is None or file.stem == name)
