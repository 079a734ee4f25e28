"""What ``submit`` can be asked: options on the command line and ``#LOCAL`` lines of the script."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dask_hpc.errors import ConfigError
from dask_hpc.localqueue.machine import parse_count, parse_duration, parse_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dask_hpc.localqueue.model import Task

QUEUE = "local"
MARK = "#LOCAL"
# Enough for one machine, and few enough for every query.
MAX_COUNT = 10_000
_MAX_TEXT = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a job asks for. ``memory`` of 0 is not counted, ``walltime`` is in seconds.

    In ``output``, ``%j`` stands for the job's id, ``%a`` for its place in the array and ``%%``
    for a percent sign; it is relative to the directory of the submission.
    """

    name: str = "job"
    count: int = 1
    cores: int = 1
    memory: int = 0
    walltime: float | None = None
    output: str = "local-%j.out"
    comment: str = ""
    after: int | None = None


def read_words(words: Sequence[str]) -> dict[str, str]:
    """Return the options of a command line: ``--key=value`` or ``--key value``.

    Raises
    ------
    ConfigError
        If one is unknown, or has no value.
    """
    options = {}
    left = iter(words)
    for word in left:
        name, equals, value = word.partition("=")
        key = _known(name)
        options[key] = value if equals else _value(name, next(left, ""))
    return options


def read_directives(script: str) -> dict[str, str]:
    """Return the options in the ``#LOCAL --key=value`` lines before the first other command.

    A value is the whole rest of its line: nothing is quoted.

    Raises
    ------
    ConfigError
        If one is unknown, or has no value.
    """
    options = {}
    for line in script.split("\n"):
        if line.strip() and not line.startswith("#"):
            break
        if line.startswith(f"{MARK} "):
            word = line.removeprefix(MARK).strip(" ")
            name, value = [*re.split(r"[= ]", word, maxsplit=1), ""][:2]
            key = _known(name)
            options[key] = _value(name, value)
    return options


def read_request(options: Mapping[str, str]) -> Request:
    """Return what these options ask for.

    Raises
    ------
    ConfigError
        If one of them cannot be read, or asks for what this machine does not have.
    """
    values: dict[str, Any] = {name: _OPTIONS[name](text, name) for name, text in options.items()}
    return Request(**{name: value for name, value in values.items() if name not in _REFUSALS})


def expand(pattern: str, task: Task) -> str:
    """Return a task's output path."""
    values = {"%%": "%", "%a": str(task.index), "%j": task.id}
    return re.sub("%.?", lambda found: values[found[0]], pattern)


def _value(name: str, value: str) -> str:
    if not value:
        raise ConfigError(f"option {name} has no value", hint=f"as in {name}=VALUE")
    return value


def _known(name: str) -> str:
    key = name.removeprefix("--")
    if not name.startswith("--") or key not in _OPTIONS:
        import difflib  # only here: commands are to be fast

        near = difflib.get_close_matches(key, _OPTIONS, n=1)
        known = ", ".join(f"--{option}" for option in _OPTIONS)
        hint = f"did you mean --{near[0]}?" if near else f"known are: {known}"
        raise ConfigError(f"option {name!r} is unknown", hint=hint)
    return key


def _text(text: str, where: str) -> str:
    if not text.isprintable() or len(text) > _MAX_TEXT:
        raise ConfigError(
            f"{where} {text[:80]!r} is not one short line of printable text",
            hint="take out line breaks and invisible characters",
        )
    return text


def _name(text: str, where: str) -> str:
    if not text.strip():
        raise ConfigError(f"{where} is empty", hint="leave it out, or as in analysis-1")
    return _text(text, where)


def _count(text: str, where: str) -> int:
    count = parse_count(text, where)
    if count > MAX_COUNT:
        raise ConfigError(
            f"{count} jobs in one array are too many", hint=f"submit {MAX_COUNT} at a time"
        )
    return count


def _output(text: str, where: str) -> str:
    if not text.strip() or set(re.findall("%.?", _name(text, where))) - {"%%", "%a", "%j"}:
        raise ConfigError(
            f"{where} {text!r} is not a path with %j, %a or %% in it",
            hint="%j is the job's id, %a its place in the array, %% a percent sign",
        )
    return text


def _queue(text: str, where: str) -> str:
    if text != QUEUE:
        raise ConfigError(
            f'{where} "{text}" is unknown to the local queue', hint=f"queues you may use: {QUEUE}"
        )
    return text


def _nodes(text: str, where: str) -> int:
    if parse_count(text, where) != 1:
        raise ConfigError(f"{text} nodes were asked for, the local queue is one", hint="ask for 1")
    return 1


def _gpus(text: str, where: str) -> int:
    if text != "0":
        raise ConfigError(
            f"{where} {text!r} were asked for, the local queue hands out none",
            hint="leave gpus out: jobs see all gpus of this machine",
        )
    return 0


_OPTIONS: dict[str, Callable[[str, str], str | float]] = {
    "name": _name,
    "count": _count,
    "cores": parse_count,
    "memory": parse_memory,
    "walltime": parse_duration,
    "output": _output,
    "comment": _text,
    "after": parse_count,
    "queue": _queue,
    "nodes": _nodes,
    "gpus": _gpus,
}
_REFUSALS = frozenset({"queue", "nodes", "gpus"})
