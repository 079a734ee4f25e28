"""Where workers keep what does not fit into memory, and what the place that they have is worth."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dask_hpc._hosts import host_name
from dask_hpc.cluster.variables import expand
from dask_hpc.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MOUNTS = Path("/proc/self/mountinfo")
IN_MEMORY = frozenset({"tmpfs", "ramfs"})
_OVER_THE_NETWORK = (
    *("nfs", "lustre", "gpfs", "beegfs", "ceph", "cifs", "smb", "glusterfs", "fuse.glusterfs"),
    *("afs", "orangefs", "pvfs2", "panfs", "wekafs", "fuse.sshfs", "fuse.ceph", "9p"),
)
_MEMORY = "/dev/shm"  # noqa: S108 - mkdtemp makes it private
_TEMPORARY = "/tmp"  # noqa: S108 - likewise


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """Something that a person should know of a directory, and what to do about it."""

    text: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scratch:
    """A private directory of a job on its node; ``passed`` are those that could not be taken."""

    path: Path
    passed: tuple[str, ...] = ()


def make_scratch(
    local_directory: str | None, *, spills: bool, environ: Mapping[str, str] = os.environ
) -> Scratch:
    """Make a private directory below the one that is set; else below ``$TMPDIR`` or ``/tmp``.

    Parameters
    ----------
    local_directory
        As set, with variables of this job.
    spills
        Whether workers put data there. If not, memory will do for the little else.

    Raises
    ------
    ConfigError
        If that directory cannot be used. No other one is taken in its place.
    """
    if local_directory is not None:
        return Scratch(path=_make_below(checked(local_directory, environ)))
    passed: list[str] = []
    for place in _places(environ, spills=spills):
        try:
            return Scratch(path=_make_below(place), passed=tuple(passed))
        except ConfigError as error:
            passed.append(str(error))
    raise ConfigError(
        f"{host_name()} has no place for scratch files: {'; '.join(passed)}",
        hint="local_directory names one",
    )


def checked(local_directory: str, environ: Mapping[str, str] = os.environ) -> Path:
    """Return the directory that a setting means where this runs.

    Raises
    ------
    ConfigError
        If a variable in it is not set, or it is no absolute path.
    """
    path = Path(expand(local_directory, environ, setting="local_directory"))
    if not path.is_absolute():
        raise not_absolute(local_directory)
    return path


def not_absolute(local_directory: str) -> ConfigError:
    """Return the error for a path that begins where a job happens to start."""
    return ConfigError(
        f"local_directory {local_directory!r} is not an absolute path",
        hint="jobs start in one directory or another, often the home: write the whole path",
    )


def remark_on(path: Path, file_system: str, *, spills: bool) -> Remark | None:
    """Return what is bad about spilling to a directory on such a file system, if anything is."""
    if not spills:
        return None
    if file_system in IN_MEMORY:
        return Remark(
            text=f"{path} is on {file_system}: what workers spill there stays in memory",
            hint="spill: false, or a local_directory on a disk of the node",
        )
    if file_system.startswith(_OVER_THE_NETWORK):
        return Remark(
            text=f"{path} is on {file_system}, over the network: slow, and shared by all nodes",
            hint="a local_directory on a disk of the node, or spill: false if it has none",
        )
    return None


def file_system_of(path: Path, mounts: Path = _MOUNTS) -> str:
    """Return the kind of file system that a path is on, or nothing if that is not known."""
    path = path.resolve()
    kinds: dict[Path, str] = {}
    with suppress(OSError):
        for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines():
            # proc(5): the mount point is the fifth field, the kind follows the lone dash.
            before, _, after = line.partition(" - ")
            point = before.split()[4].replace("\\040", " ")
            kinds[Path(point)] = after.split()[0]  # a later line lies over an earlier one
    return next((kinds[place] for place in (path, *path.parents) if place in kinds), "")


def _places(environ: Mapping[str, str], *, spills: bool) -> Iterator[Path]:
    if (own := environ.get("TMPDIR", "")).startswith("/"):
        yield Path(own)
    yield Path(_TEMPORARY)
    if not spills:
        yield Path(_MEMORY)


def _make_below(parent: Path) -> Path:
    try:
        parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix="dask-hpc-", dir=parent))
    except OSError as error:
        raise ConfigError(
            f"{parent} cannot be used on {host_name()}: {_words(error)}",
            hint="local_directory names a directory on the node that this user may write to",
        ) from error


def _words(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
