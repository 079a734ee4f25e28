"""What oarsub is asked: options from resources and from the user's lines, the script as a word."""

from __future__ import annotations

import base64
import re
import shlex
from typing import TYPE_CHECKING

from dask_hpc._units import format_clock
from dask_hpc.batch.directives import checked
from dask_hpc.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dask_hpc.batch.model import JobSpec, Resources

# OAR writes names, projects and directories into a Perl program, between single quotes, without
# a look at what is in them.
_PLAIN = re.compile(r"[A-Za-z0-9_.-]{1,100}", re.ASCII)
_PROPERTY = re.compile(r"[A-Za-z_]\w{0,63}", re.ASCII)

# The longest script that oarsub gets: one argument of a command may have 128 KiB, but a MySQL
# keeps 64 KiB of it.
_LONGEST = 60_000

_SHORT = {
    "l": "resource",
    "p": "property",
    "q": "queue",
    "t": "type",
    "d": "directory",
    "a": "anterior",
    "k": "use-job-key",
    "n": "name",
    "O": "stdout",
    "E": "stderr",
    "S": "scanscript",
    "I": "interactive",
    "C": "connect",
    "r": "reservation",
}
_FLAGS = ("hold", "use-job-key")
_TAKEN = (
    *("resource", "property", "queue", "type", "directory", "anterior", "project"),
    *("checkpoint", "signal", "notify", *_FLAGS),
)
# What would take the job away from who submitted it, or make oarsub wait.
_RESERVED = {
    "name": "the name is how the job is found again",
    "stdout": "the log is where dask-hpc looks for it",
    "stderr": "the log is where dask-hpc looks for it",
    "array": "jobs are counted by whoever asks for them",
    "array-param-file": "jobs are counted by whoever asks for them",
    "scanscript": "the script is ours",
    "interactive": "nobody would be there",
    "connect": "nothing would be submitted",
    "resubmit": "another job would be submitted",
    "reservation": "oarsub would wait until somebody has decided on it",
}


def options(
    job: JobSpec, *, memory_property: str = "", memory_per_core: bool = False
) -> Iterator[tuple[str, str]]:
    """Yield the options of oarsub with their values, in an order that never changes.

    Raises
    ------
    ConfigError
        If a value cannot be one.
    """
    ask = job.resources
    theirs = [_users_option(line) for line in ask.directives]
    yield "name", _plain(job.tag, where="job name")
    for resource in [value for name, value in theirs if name == "resource"] or [_wanted(ask)]:
        yield "resource", _timed(resource, ask)
    filters = [value for name, value in theirs if name == "property"]
    if memory_property and ask.memory:
        amount = -(-ask.memory // (ask.cores if memory_per_core else 1) // 2**20)
        filters.insert(0, f"{property_name(memory_property)} >= {amount}")
    if filters:
        # Of several, oarsub takes the last alone.
        yield "property", " AND ".join(f"({each})" for each in filters)
    if ask.queue:
        yield "queue", _plain(ask.queue, where="queue")
    if ask.account:
        yield "project", _plain(ask.account, where="account")
    # OAR takes few characters in the names of logs: the script opens it.
    yield "stdout", "/dev/null"
    yield "stderr", "/dev/null"
    yield from ((name, value) for name, value in theirs if name not in ("resource", "property"))


def property_name(text: str) -> str:
    """Return the name of a property.

    Raises
    ------
    ConfigError
        If it is none.
    """
    if not _PROPERTY.fullmatch(text):
        raise ConfigError(
            f"memory_property {text!r} is no name of a property",
            hint="oarnodes shows the properties, as memnode",
        )
    return text


def log_line(path: str, count: int) -> str:
    """Return the line of the script that opens its log, with its place in the array."""
    index = '"$((OAR_ARRAY_INDEX - 1))"' if count > 1 else "0"
    parts = [
        shlex.quote(part) if part else "" for part in checked(path, where="log").split("{index}")
    ]
    return f"exec >>{index.join(parts)} 2>&1"


def as_command(script: str) -> str:
    """Return a script as one word that every shell runs in the same way.

    OAR has the user's login shell run it, which may be tcsh or fish.

    Raises
    ------
    ConfigError
        If it is too long.
    """
    try:
        packed = base64.b64encode(script.encode(errors="surrogateescape")).decode("ascii")
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"the script holds the character {error.object[error.start]!r}",
            hint="take it out of the prologue",
        ) from error
    if len(packed) > _LONGEST:
        raise ConfigError(
            f"the script has {len(script)} characters, more than OAR takes on a command line",
            hint="move lines of the prologue to a file, and source it",
        )
    return f"exec bash -c 'eval \"$(echo {packed} | base64 -d)\"'"


def _wanted(ask: Resources) -> str:
    if not ask.gpus:
        return f"/nodes={ask.nodes}/core={ask.cores}"
    # Cores belong to gpus: as many of each as give all that is asked for.
    return f"/nodes={ask.nodes}/gpu={ask.gpus}/core={-(-ask.cores // ask.gpus)}"


def _timed(resource: str, ask: Resources) -> str:
    if ask.walltime is None or "walltime" in resource:
        return resource
    return f"{resource},walltime={format_clock(ask.walltime)}"


def _plain(text: str, *, where: str) -> str:
    if not _PLAIN.fullmatch(text):
        raise ConfigError(
            f"{where} {text!r} cannot be one in OAR",
            hint="letters, digits, and _ . - can be in it, 100 of them at most",
        )
    return text


def _users_option(line: str) -> tuple[str, str]:
    """Return a directive as the name of an option and its value, empty for a flag."""
    text = checked(line, where="directive").strip()
    name, value = _split(text)
    if why := _RESERVED.get(name):
        raise ConfigError(
            f"directive {line!r} sets {name!r}, but {why}", hint="leave it out of directives"
        )
    if name not in _TAKEN or bool(value) == (name in _FLAGS):
        raise ConfigError(
            f"directive {line!r} is not an option of oarsub with its value",
            hint=f"one option in each, of {_named(_TAKEN)}",
        )
    if name == "directory" and ("'" in value or "\\" in value):
        raise ConfigError(f"directive {line!r} holds what OAR cannot have in a directory")
    if name == "project":
        _plain(value, where="project")
    return name, value


def _split(text: str) -> tuple[str, str]:
    if text.startswith("--"):
        name, _, value = text[2:].partition("=" if "=" in text.split(" ")[0] else " ")
    else:
        name, value = _SHORT.get(text[1:2], "") if text.startswith("-") else "", text[2:]
    return name, _unquoted(value.strip())


def _unquoted(value: str) -> str:
    # As it would be written on a command line.
    for mark in ("'", '"'):
        if len(value) > 1 and value[0] == value[-1] == mark and mark not in value[1:-1]:
            return value[1:-1]
    return value


def _named(names: Iterable[str]) -> str:
    return ", ".join(f"--{name}" for name in names)
