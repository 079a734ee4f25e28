"""Submit descriptions: statements, macros, words within quotes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_STATEMENT = re.compile(r"(?P<own>\+|MY\.)?(?P<name>[\w.]+)\s*=\s*(?P<value>.*)", re.IGNORECASE)
_QUEUE = re.compile(r"queue\b\s*(.*)", re.IGNORECASE)
_MACRO = re.compile(r"\$(F?)\(([\w.]+)(?::([^)]*))?\)")
_WORD = re.compile(r"(?:[^\s']|'(?:[^']|'')*')+")


class RefusedError(Exception):
    """What condor_submit says before it leaves with 1."""


class Description:
    """What a submit description says, with the lines that the command adds."""

    def __init__(self, text: str, added: Iterable[str]) -> None:
        lines = [line.strip() for line in text.splitlines()]
        lines = [line for line in lines if line and not line.startswith("#")]
        queues = [match[1] for line in lines if (match := _QUEUE.fullmatch(line))]
        if len(queues) != 1:
            raise RefusedError("no 'Queue' command in submit description")
        statements = [line for line in lines if not _QUEUE.fullmatch(line)]
        self._said: dict[str, str] = {}
        for line in (*statements, *added):
            match = _STATEMENT.fullmatch(line)
            if match is None:
                raise RefusedError(f"Parse error in expression: \n\t{line}")
            own = "my." if match["own"] else ""
            self._said[f"{own}{match['name'].lower()}"] = match["value"]
        self.count = int(self._expanded(queues[0], {}) or 1)

    def value(self, name: str, known: Mapping[str, str]) -> str:
        """Return what a statement says, with all macros expanded; nothing if there is none."""
        return self._expanded(self._said.get(name, ""), known)

    def number(self, name: str, known: Mapping[str, str]) -> int:
        """Return the number that a statement asks for; one is that of an attribute of the job."""
        said = self.value(name, known)
        said = self.value(said.lower(), known) if said.lower().startswith("my.") else said
        return int(said) if said.isdecimal() else 0

    def _expanded(self, text: str, known: Mapping[str, str]) -> str:
        def replaced(match: re.Match[str]) -> str:
            plain, name, default = match.groups()
            value = known.get(name.lower())
            if value is None:
                value = self._expanded(self._said.get(name.lower(), default or ""), known)
            return value.strip('"') if plain else value

        return _MACRO.sub(replaced, text)


def words(text: str) -> list[str]:
    """Return the words of a value in double quotes, where single ones keep blanks.

    Examples
    --------
    >>> words('''"-c 'echo ""it''s""'"''')
    ['-c', 'echo "it\\'s"']
    """
    if not text:
        return []
    if text[:1] != '"' or text[-1:] != '"':
        raise RefusedError(f"the stand-in reads arguments in double quotes alone: {text}")
    inner = text[1:-1].replace('""', '"')
    return [_unquoted(match[0]) for match in _WORD.finditer(inner)]


def _unquoted(word: str) -> str:
    quoted = re.compile(r"'((?:[^']|'')*)'")
    return quoted.sub(lambda match: match[1].replace("''", "'"), word)
