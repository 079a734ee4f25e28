"""A profile for the site that was found, as a file that its reader can go on with."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import yaml

from dask_hpc._units import format_clock
from dask_hpc.errors import ConfigError
from dask_hpc.sites.profile import user_directory

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dask_hpc.batch.model import BatchQueue

_TRAILING_NUMBER = re.compile(r"[-_]?\d+$")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")


def profile_name(host: str) -> str:
    """Return a name for the site of a host: without its number, for login nodes have several."""
    return _TRAILING_NUMBER.sub("", host.partition(".")[0]) or host


def profile_text(
    system: str,
    host: str,
    *,
    queues: Sequence[BatchQueue],
    reached: str | None = None,
    command: str | None = None,
) -> str:
    """Return a profile that says what was found out.

    ``reached`` is the host as ssh reaches it from elsewhere, and ``command`` dask-hpc there.
    """
    pattern = _TRAILING_NUMBER.sub("*", host.partition(".")[0])
    values = {
        "description": f"{system} at {host}",
        "system": system,
        **({"host": reached} if reached else {}),
        **({"command": command} if command else {}),
        "recognise": {"hosts": [pattern]},
        "queues": {queue.name: _limits(queue) for queue in queues},
    }
    return "# Every key is optional: dask-hpc site show prints them all.\n" + yaml.safe_dump(
        values, sort_keys=False, allow_unicode=True
    )


def write_profile(name: str, text: str) -> Path:
    """Write a new profile among the user's own, and return its path.

    Raises
    ------
    ConfigError
        If there is one of this name, or the name cannot be a file's.
    """
    path = check_new(name)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        # Never writable by all, whatever the umask: it would not be believed.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
    except FileExistsError:
        raise _exists(path) from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    return path


def check_new(name: str) -> Path:
    """Return the path of a new profile.

    Raises
    ------
    ConfigError
        If there is one of this name, or the name cannot be a file's.
    """
    if _NAME.fullmatch(name) is None:
        raise ConfigError(
            f"site name {name!r} cannot be used", hint="letters, digits, '-' and '_', as in alpine"
        )
    path = user_directory() / f"{name}.yaml"
    if path.exists():
        raise _exists(path)
    return path


def _exists(path: Path) -> ConfigError:
    return ConfigError(f"{path} exists", hint="remove it, or take another name")


def _limits(queue: BatchQueue) -> dict[str, object]:
    limits: dict[str, object] = {}
    if queue.max_walltime:
        limits["max_walltime"] = format_clock(queue.max_walltime)
    if queue.max_nodes:
        limits["max_nodes"] = queue.max_nodes
    return limits
