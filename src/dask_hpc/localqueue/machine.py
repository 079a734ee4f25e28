"""How large this machine is, and what the settings say instead."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from dask_hpc._envvars import SETTING_PREFIX
from dask_hpc._units import parse_bytes, parse_seconds
from dask_hpc.errors import ConfigError
from dask_hpc.localqueue.model import Machine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_Value = TypeVar("_Value")

GRACE = 5.0
IDLE = 10.0
SHOWN = 300.0  # seconds for which a job that ended is still among the others
HISTORY = 86400.0  # seconds for which it can be asked about
_MAX_DIGITS = 10
_MAX_MEMORY = 2**60

# The memory that a container may use. https://docs.kernel.org/admin-guide/cgroup-v2.html
_MEMORY_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What was stated about the queue; ``None`` leaves it to the machine or to the default.

    ``cores`` may be more than the machine has; ``memory`` is in bytes. ``grace`` is the time in
    seconds between SIGTERM and SIGKILL (5), ``idle`` how long the daemon stays without a job (10).
    """

    cores: int | None = None
    memory: int | None = None
    grace: float | None = None
    idle: float | None = None


def stated_settings(environ: Mapping[str, str]) -> Settings:
    """Return the settings in ``DASK_HPC__LOCAL__CORES``, ``…MEMORY``, ``…GRACE`` and ``…IDLE``.

    Raises
    ------
    ConfigError
        If one of them cannot be read.
    """
    return Settings(
        cores=_read(environ, "cores", parse=parse_count),
        memory=_read(environ, "memory", parse=parse_memory),
        grace=_read(environ, "grace", parse=parse_duration),
        idle=_read(environ, "idle", parse=parse_duration),
    )


def parse_count(text: str, where: str) -> int:
    """Return a whole number that is at least 1."""
    if not (text.isascii() and text.isdigit() and len(text) < _MAX_DIGITS and int(text)):
        raise ConfigError(f"{where} {text[:80]!r} is not a whole number from 1 on", hint="as in 4")
    return int(text)


def parse_memory(text: str, where: str) -> int:
    """Return a number of bytes that the store can hold."""
    amount = parse_bytes(_short(text, where), where=where)
    if amount >= _MAX_MEMORY:
        raise ConfigError(f"{where} {text!r} is more than any machine has", hint='as in "100GB"')
    return amount


def parse_duration(text: str, where: str) -> float:
    """Return a number of seconds."""
    return parse_seconds(_short(text, where), where=where)


def updated(settings: Settings, newer: Settings) -> Settings:
    """Return these settings with those that were stated later."""
    stated = {name: value for name, value in asdict(newer).items() if value is not None}
    return replace(settings, **stated)


def size(settings: Settings) -> Machine:
    """Return what the jobs of the queue share: as stated, else as this process may use it."""
    return Machine(
        cores=settings.cores or len(os.sched_getaffinity(0)),
        memory=settings.memory or _memory(),
    )


def boot_id() -> str:
    """Return what changes when the machine starts anew."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return ""


def _short(text: str, where: str) -> str:
    if len(text) > 2 * _MAX_DIGITS:
        raise ConfigError(f"{where} {text[:80]!r} is too long for a number", hint="as in 4")
    return text


def _memory() -> int:
    amounts = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for path in _MEMORY_LIMITS:
        with suppress(OSError, ValueError):  # "max" is no limit
            amounts.append(int(path.read_text(encoding="ascii")))
    return min(amounts)


def _read(
    environ: Mapping[str, str], name: str, *, parse: Callable[[str, str], _Value]
) -> _Value | None:
    variable = f"{SETTING_PREFIX}LOCAL__{name.upper()}"
    text = environ.get(variable)
    return parse(text.strip(), variable) if text else None
