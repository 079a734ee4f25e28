"""What the script of a simulated job does, as far as that can be told by reading it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from string import Template
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """What a script will say, each line after some seconds, and how it ends.

    ``seconds`` of ``None`` means that it runs until somebody ends it.
    """

    says: tuple[tuple[float, str], ...]
    seconds: float | None
    exit_code: int = 0

    def said(self, after: float) -> str:
        """Return what it has said by then."""
        return "".join(f"{line}\n" for moment, line in self.says if moment <= after)


def play(lines: Iterable[str], variables: Mapping[str, str]) -> Play:
    """Read a script of ``echo``, ``sleep`` and ``exit``; anything else runs for ever."""
    says: list[tuple[float, str]] = []
    seconds = 0.0
    for line in lines:
        words = _words(line)
        match words:
            case []:
                continue
            case ["echo", *rest]:
                says.append((seconds, Template(" ".join(rest)).safe_substitute(variables)))
            case ["sleep", amount]:
                seconds += float(amount)
            case ["exit", code]:
                return Play(says=tuple(says), seconds=seconds, exit_code=int(code))
            case _:
                return Play(says=tuple(says), seconds=None)
    return Play(says=tuple(says), seconds=seconds)


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line, comments=True)
    except ValueError:
        return [line]
