"""What is good and bad about a place, judged from facts. Pure: `examine` gathers them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from dask_hpc._units import format_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from dask_hpc.batch.model import BatchQueue
    from dask_hpc.sites.detect import Found

# As in pyproject.toml, which is not there on a job's path.
OLDEST_PYTHON = (3, 11)
OLDEST_DISTRIBUTED = (2025, 1, 0)
# A worker takes two or three connections to the scheduler.
_FILES_WANTED = 4096
_FILES_OF_A_WORKER = 3
_ROOM_WANTED = 100 * 10**6
_OF_ONE_MACHINE = frozenset(
    {"ext2", "ext3", "ext4", "xfs", "btrfs", "overlay", "tmpfs", "ramfs", "f2fs", "zfs"}
)


class Severity(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that was found out, how bad it is, and what to do about it."""

    about: str
    severity: Severity
    text: str
    hint: str = ""
    is_security: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What an error said when something was tried."""

    text: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeFacts:
    """The directory of clusters, or the nearest one above it that exists."""

    path: Path
    exists: bool
    is_writable: bool
    file_system: str
    free: int
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteFacts:
    """The site that would be taken, and what its batch system said.

    ``network`` is the address that a scheduler on this host would have, with the reason, or what
    is wrong with it; ``scratch`` what is wrong with the place where workers spill. Nothing is
    there of either where only a job can tell.
    """

    name: str
    reason: str
    system: str
    network: str | Trouble = ""
    scratch: Trouble | None = None
    found: tuple[Found, ...] = ()
    queues: tuple[BatchQueue, ...] = ()
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that is judged. A version of ``None`` is that of a package that is missing."""

    python: tuple[int, ...]
    distributed: str | None
    cryptography: str | None
    openssl: str
    has_tls13: bool
    open_files: int
    home: HomeFacts
    site: SiteFacts | Trouble
    bad_profiles: tuple[Trouble, ...] = ()
    ignored_profiles: tuple[Path, ...] = ()
    profiles: int = 0
    exposed: tuple[Trouble, ...] = ()
    leftovers: tuple[Path, ...] = ()


def check(facts: Facts) -> tuple[Finding, ...]:
    """Return a finding for everything that was looked at, the good ones too."""
    return tuple(finding for judge in _JUDGES for finding in judge(facts))


def _python(facts: Facts) -> Iterator[Finding]:
    version = ".".join(map(str, facts.python))
    if facts.python < OLDEST_PYTHON:
        oldest = ".".join(map(str, OLDEST_PYTHON))
        yield _error("python", f"python {version} is too old", hint=f"use {oldest} or newer")
    else:
        yield _ok("python", f"python {version}")


def _distributed(facts: Facts) -> Iterator[Finding]:
    oldest = ".".join(map(str, OLDEST_DISTRIBUTED))
    version = facts.distributed
    if version is None:
        yield _error("distributed", "distributed is not installed", hint="pip install distributed")
    elif _numbers(version) < OLDEST_DISTRIBUTED:
        text = f"distributed {version} is too old"
        yield _error("distributed", text, hint=f"pip install 'distributed>={oldest}'")
    else:
        yield _ok("distributed", f"distributed {version}")


def _tls(facts: Facts) -> Iterator[Finding]:
    if facts.cryptography is None:
        text, hint = "cryptography is not installed", "pip install cryptography"
        yield _error("tls", text, hint=hint, is_security=True)
    elif not facts.has_tls13:
        text, hint = f"{facts.openssl} has no TLS 1.3", "use a newer python"
        yield _warning("tls", text, hint=hint, is_security=True)
    else:
        yield _ok("tls", f"{facts.openssl}, cryptography {facts.cryptography}", is_security=True)


def _home(facts: Facts) -> Iterator[Finding]:
    home = facts.home
    if home.trouble:
        yield _error("home", home.trouble.text, hint=home.trouble.hint, is_security=True)
    elif not home.is_writable:
        yield _error("home", f"{home.path} cannot be written", hint=_ANOTHER_HOME)
    else:
        state = "" if home.exists else ", which will be made"
        yield _ok("home", f"{home.path}{state}", is_security=True)
    if home.free < _ROOM_WANTED:
        yield _warning(
            "home", f"{format_bytes(home.free)} are free at {home.path}", hint=_ANOTHER_HOME
        )


def _shared(facts: Facts) -> Iterator[Finding]:
    is_one_machine = isinstance(facts.site, Trouble) or facts.site.system == "local"
    if is_one_machine or facts.home.file_system not in _OF_ONE_MACHINE:
        return
    text = f"{facts.home.path} is on {facts.home.file_system}, which nodes may not share"
    yield _warning("home", text, hint=_ANOTHER_HOME)


def _site(facts: Facts) -> Iterator[Finding]:
    site = facts.site
    if isinstance(site, Trouble):
        yield _error("site", site.text, hint=site.hint)
        return
    yield _ok("site", f"{site.name}: {site.reason}")
    if site.trouble:
        yield _error("batch system", site.trouble.text, hint=site.trouble.hint)
        return
    usable = [queue.name for queue in site.queues if queue.is_open]
    if usable:
        yield _ok("batch system", f"{site.system} answers; open queues: {', '.join(usable)}")
    else:
        text = f"{site.system} answers, but no queue is open"
        yield _warning("batch system", text, hint="dask-hpc queues shows them")


def _places(facts: Facts) -> Iterator[Finding]:
    site = facts.site
    if isinstance(site, Trouble):
        return
    if isinstance(site.network, Trouble):
        yield _warning("network", site.network.text, hint=site.network.hint)
    elif site.network:
        yield _ok("network", f"a scheduler on this host would be at {site.network}")
    if site.scratch:
        yield _warning("scratch space", site.scratch.text, hint=site.scratch.hint)


def _open_files(facts: Facts) -> Iterator[Finding]:
    if facts.open_files < _FILES_WANTED:
        workers = facts.open_files // _FILES_OF_A_WORKER
        text = f"{facts.open_files} open files are allowed: enough for about {workers} workers"
        hint = f"ask for a limit of {_FILES_WANTED} or more (ulimit -Hn)"
        yield _warning("open files", text, hint=hint)
    else:
        yield _ok("open files", f"{facts.open_files} are allowed")


def _profiles(facts: Facts) -> Iterator[Finding]:
    for trouble in facts.bad_profiles:
        yield _error("profile", trouble.text, hint=trouble.hint, is_security=True)
    for path in facts.ignored_profiles:
        yield _warning("profile", f"{path} is ignored", hint=f"call it {path.stem}.yaml")
    if not facts.bad_profiles:
        yield _ok("profile", f"{facts.profiles} files are right", is_security=True)


def _clusters(facts: Facts) -> Iterator[Finding]:
    for trouble in facts.exposed:
        yield _error("cluster", trouble.text, hint=trouble.hint, is_security=True)
    for path in facts.leftovers:
        yield _warning("cluster", f"{path} holds no record", hint=f"dask-hpc down {path.name}")
    if not facts.exposed:
        yield _ok("cluster", "what is kept of clusters is private", is_security=True)


_ANOTHER_HOME = "set DASK_HPC_HOME to a directory of your own that all nodes see"
_JUDGES: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    _python,
    _distributed,
    _tls,
    _home,
    _shared,
    _site,
    _places,
    _open_files,
    _profiles,
    _clusters,
)


def _ok(about: str, text: str, *, is_security: bool = False) -> Finding:
    return Finding(about=about, severity=Severity.OK, text=text, is_security=is_security)


def _warning(about: str, text: str, *, hint: str, is_security: bool = False) -> Finding:
    finding = _error(about, text, hint=hint, is_security=is_security)
    return replace(finding, severity=Severity.WARNING)


def _error(about: str, text: str, *, hint: str, is_security: bool = False) -> Finding:
    return Finding(
        about=about, severity=Severity.ERROR, text=text, hint=hint, is_security=is_security
    )


def _numbers(version: str) -> tuple[int, ...]:
    parts = version.split(".")[:3]
    return tuple(int(part) if part.isdecimal() else 0 for part in parts)
