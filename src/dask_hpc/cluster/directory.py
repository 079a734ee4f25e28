"""A cluster's directory: where each thing of a cluster lies, and how it is made and removed."""

from __future__ import annotations

import importlib.util
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import dask_hpc
from dask_hpc import _envvars
from dask_hpc._files import check_private, make_private_directory, remove_tree
from dask_hpc.errors import ClusterExists, ClusterNotFound, ConfigError, SecurityError

_COPIED = ("*.py", "*.yaml", "*.json", "*.js")
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,38}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class ClusterDirectory:
    """The paths of one cluster."""

    path: Path

    @property
    def record(self) -> Path:
        """What exists: address, process, job."""
        return self.path / "record.json"

    @property
    def spec(self) -> Path:
        """What is wanted: read by the jobs."""
        return self.path / "spec.json"

    @property
    def journal(self) -> Path:
        """What the controller did, and why."""
        return self.path / "journal.jsonl"

    @property
    def tls(self) -> Path:
        """Certificates and keys."""
        return self.path / "tls"

    @property
    def jobs(self) -> Path:
        """Start and end records."""
        return self.path / "jobs"

    @property
    def logs(self) -> Path:
        """What the jobs printed."""
        return self.path / "logs"

    @property
    def code(self) -> Path:
        """The copy of this package that jobs import."""
        return self.path / "lib"

    @property
    def plan(self) -> Path:
        """What a cluster that is one job runs, if it is there for a script."""
        return self.path / "plan.json"

    @property
    def dashboard(self) -> Path:
        """The dashboard's socket."""
        return self.path / "dashboard.sock"

    @property
    def follow_on(self) -> Path:
        """The job in which the cluster goes on after its scheduler's, if there is one."""
        return self.path / "follow-on.json"

    @property
    def requests(self) -> Path:
        """What the controller asks of the agent on the login node, where that alone may submit."""
        return self.path / "requests"

    @property
    def session(self) -> Path:
        """Where the Jupyter session is and how it does, if the cluster was started with one."""
        return self.path / "session.json"

    @property
    def session_token(self) -> Path:
        """What opens the Jupyter session to who can reach it."""
        return self.path / "session.token"

    @property
    def session_port(self) -> Path:
        """Which port of its node leads to the Jupyter session, for who has the cluster's keys."""
        return self.path / "session.port"

    @property
    def session_use(self) -> Path:
        """A file as old as the last thing that somebody did in the Jupyter session."""
        return self.path / "session.use"

    def scratch_of(self, slot: object, node: int | str = 0) -> Path:
        """Where a job says which directory on a node it spills to, until it has removed that."""
        return self.jobs / f"{slot}-{node}.scratch"

    def cluster_log_of(self, slot: object) -> Path:
        """What the scheduler and the workers of a cluster that is one job print."""
        return self.logs / f"{slot}.cluster.log"

    def create(self) -> None:
        """Make the directory with all its rooms.

        Raises
        ------
        ClusterExists
            If it is there already.
        SecurityError
            If others may look into the place where it should be.
        """
        make_private_directory(self.path.parent.parent)
        make_private_directory(self.path.parent)
        try:
            self.path.mkdir(mode=0o700)
        except FileExistsError:
            raise ClusterExists(
                f"a cluster named {self.path.name!r} exists",
                hint=f"dask-hpc status {self.path.name}, or dask-hpc down {self.path.name}",
            ) from None
        try:
            for room in (self.tls, self.jobs, self.logs):
                room.mkdir(mode=0o700)
            self._copy_code()
        except BaseException:
            self.remove()
            raise

    def remove(self) -> None:
        """Remove everything, keys first; also what jobs that were killed left on this host."""
        remove_tree(self.tls)
        for trace in self.jobs.glob("*.scratch"):
            with suppress(OSError, SecurityError):
                check_private(trace.readlink())
                remove_tree(trace.readlink())
        remove_tree(self.path)

    def check(self) -> None:
        """Refuse a directory that is not there, or not ours alone."""
        if not self.path.is_dir():
            raise ClusterNotFound(
                f"there is no cluster named {self.path.name!r}",
                hint="dask-hpc ls lists those that exist",
            )
        check_private(self.path)

    def _copy_code(self) -> None:
        # All of it: the copy hides a whole installation, whose names the user's modules may import.
        # Not shutil.copytree: it copies modes, too, and those of an installation may be read-only.
        package = Path(dask_hpc.__file__).parent
        sources = [path for kind in _COPIED for path in package.rglob(kind)]
        copies = [self.code / package.name / source.relative_to(package) for source in sources]
        rooms = {room for copy in copies for room in copy.parents if self.path in room.parents}
        # Python would make its caches with whatever mode the umask gives them.
        for room in sorted(rooms | {copy.parent / "__pycache__" for copy in copies}):
            room.mkdir(mode=0o700)
        for source, copy in zip(sources, copies, strict=True):
            _copy_module(source, copy)


def _copy_module(source: Path, copy: Path) -> None:
    """Copy a file, with what Python has made of it: no job has to compile it then."""
    _write(copy, source.read_bytes())
    # Python takes a cache only if its source has the time that it had.
    modified = source.stat().st_mtime_ns
    os.utime(copy, ns=(modified, modified))
    if source.suffix == ".py" and (compiled := _compiled(source)):
        _write(_cache_of(copy), compiled)


def _compiled(source: Path) -> bytes:
    """Return what Python has made of a module, if it is there for us to read."""
    try:
        return _cache_of(source).read_bytes()
    except OSError:
        return b""


def _cache_of(source: Path) -> Path:
    return Path(importlib.util.cache_from_source(str(source)))


def _write(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)


def check_name(name: str) -> str:
    """Return the name if it can be a cluster's.

    Raises
    ------
    ConfigError
        If it cannot: it becomes the name of a directory and part of the names of jobs.
    """
    if _NAME.fullmatch(name) is None:
        raise ConfigError(
            f"cluster name {name!r} cannot be used",
            hint="up to 40 small letters, digits, '-' and '_', as in climate-2",
        )
    return name


def directory_of(name: str) -> ClusterDirectory:
    """Return the directory of the cluster of this name, which may not exist."""
    return ClusterDirectory(_envvars.home() / "clusters" / check_name(name))


def directories() -> tuple[ClusterDirectory, ...]:
    """Return the directory of every cluster there is, in the order of their names."""
    place = _envvars.home() / "clusters"
    found = sorted(place.iterdir()) if place.is_dir() else []
    return tuple(ClusterDirectory(path) for path in found if path.is_dir())
