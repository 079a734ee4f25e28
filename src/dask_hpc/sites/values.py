"""A value that somebody wrote, checked and turned into what a setting wants."""

from __future__ import annotations

import math
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from dask_hpc._units import parse_bytes, parse_seconds
from dask_hpc.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

_LEAST_MEMORY = 2**20
# C0, C1, and the halves of a character that the file system made of wrong bytes.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_PORTS = re.compile(r"(\d{1,5})(?::(\d{1,5}))?")


class Memory(int):
    """Bytes."""


class Duration(float):
    """Seconds."""


class Patience(float):
    """Seconds, or for ever."""


class Lines(tuple[str, ...]):
    """Lines of text."""

    __slots__ = ()


class Ports(str):
    """One port, or the first and the last of a range with a colon between them."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scalar:
    """One value: as its source understood it, and as it was written there if it was text."""

    value: object
    text: str | None = None

    def __str__(self) -> str:
        """Return it as it was written."""
        return str(self.value) if self.text is None else self.text


def convert(scalar: Scalar, kind: Any, *, where: str) -> object:
    """Return the value as a setting's type.

    Parameters
    ----------
    scalar
        What was written.
    kind
        The setting's annotation.
    where
        The place and the name of the setting, which every message begins with.

    Raises
    ------
    ConfigError
        If it cannot be such a value.
    """

    def custom(wanted: type, value: object) -> object:
        return _READERS[wanted](value, where)

    # What yaml took for a number, a date or a truth value may have been meant as a word:
    # an account called 007, a queue called "on". The setting's type decides.
    tries = [(scalar.value, True)]
    if scalar.text is not None:
        tries.append((scalar.text, False))
    for value, strict in tries:
        with suppress(msgspec.ValidationError):
            result = msgspec.convert(value, kind, strict=strict, dec_hook=custom)
            refuse_control_characters(result, where=where)
            return result
    wanted = expected(kind)
    raise ConfigError(f"{where} {str(scalar)!r} is not {wanted}", hint=f"write {wanted}")


def expected(kind: Any) -> str:
    """Return in words what values of an annotation are."""
    return _in_words(msgspec.inspect.type_info(kind))


def _in_words(info: msgspec.inspect.Type) -> str:
    match info:
        case msgspec.inspect.Metadata(type=inner):
            return _in_words(inner)
        case msgspec.inspect.UnionType(types=(inner, _)):
            return _in_words(inner)
        case msgspec.inspect.IntType(ge=least):
            return "a whole number" if least is None else f"a whole number of at least {least}"
        case msgspec.inspect.LiteralType(values=values):
            return f"one of {', '.join(str(value) for value in values)}"
        case msgspec.inspect.CustomType(cls=cls):
            return _CUSTOM_WORDS[cls]
    return _PLAIN_WORDS[type(info)]


_PLAIN_WORDS = {
    msgspec.inspect.BoolType: "true or false",
    msgspec.inspect.FloatType: "a number",
    msgspec.inspect.StrType: "a line of text",
}
_CUSTOM_WORDS: dict[type, str] = {
    Memory: 'an amount of memory, as "100GB"',
    Duration: 'a duration, as "2h"',
    Patience: 'a duration, as "2h", or "never"',
    Lines: "a line of text or a list of them",
    Ports: 'a port or a range of ports, as "8700:8799"',
}


def refuse_control_characters(value: object, *, where: str) -> None:
    """Refuse a text, or lines of text, that would not stay within a line of a job script."""
    # People indent lines of shell with tabs.
    lines = [line.replace("\t", " ") for line in value] if isinstance(value, Lines) else [value]
    for line in lines:
        if isinstance(line, str) and _CONTROL.search(line):
            raise ConfigError(
                f"{where} {line!r} holds a control character", hint="write plain text"
            )


def _read_memory(value: object, where: str) -> Memory:
    amount = parse_bytes(_finite(value), where=where)
    if amount < _LEAST_MEMORY:
        raise ConfigError(
            f"{where} {str(value)!r} is {amount} bytes, less than any process can live in",
            hint='write the unit, as in "100GB"',
        )
    return Memory(amount)


def _read_duration(value: object, where: str) -> Duration:
    return Duration(parse_seconds(_finite(value), where=where))


def _read_patience(value: object, where: str) -> Patience:
    if value == "never" or (isinstance(value, float) and math.isinf(value)):
        return Patience(math.inf)
    return Patience(parse_seconds(_finite(value), where=where))


def _read_lines(value: object, where: str) -> Lines:
    # A text alone is its lines, never its letters.
    parts = [value] if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)) or not all(isinstance(part, str) for part in parts):
        raise ConfigError(
            f"{where} {value!r} is not {_CUSTOM_WORDS[Lines]}", hint="quote a line with a colon"
        )
    return Lines(line for part in parts for line in part.rstrip("\n").split("\n"))


def _read_ports(value: object, where: str) -> Ports:
    match = _PORTS.fullmatch(str(value))
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not 0 < first <= last < 2**16:
        raise ConfigError(
            f"{where} {str(value)!r} is not a port or a range of ports",
            hint='as in "8786" or "8700:8799"',
        )
    return Ports(value)


def _finite(value: object) -> str | float:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise TypeError  # msgspec makes its own error of it
    return value


_READERS: dict[type, Callable[[object, str], object]] = {
    Memory: _read_memory,
    Duration: _read_duration,
    Patience: _read_patience,
    Lines: _read_lines,
    Ports: _read_ports,
}
