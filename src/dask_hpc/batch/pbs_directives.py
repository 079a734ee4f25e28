"""How qsub reads the directives of a script, and which of a user's own are refused."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from dask_hpc.batch.directives import checked
from dask_hpc.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

# What would take the job away from who submitted it, or make qsub wait for its end.
_RESERVED = {
    "N": "the name is how the job is found again",
    "J": "jobs are counted by whoever asks for them",
    "t": "jobs are counted by whoever asks for them",
    "C": "the mark of directives is #PBS",
    "I": "nobody sits in front of the job",
    "X": "nobody sits in front of the job",
    "z": "qsub would not say the id of the job",
    "u": "the job would run as somebody else",
    "V": "your variables, with passwords among them, would be shown to everybody who runs qstat",
    "-": "the script is ours",
}
_ATTRIBUTES = {
    "block": "qsub would not come back before the job ends",
    "interactive": "nobody sits in front of the job",
    "Job_Name": "the name is how the job is found again",
    "array_indices_submitted": "jobs are counted by whoever asks for them",
}
_WITHOUT_VALUE = "-hfInVXzx"
# As make_argv has it: OpenPBS, src/cmds/qsub.c; Torque, src/cmds/qsub_functions.c. A backslash
# means itself between quotation marks of both kinds.
_QUOTED = re.compile(r"""(?:"[^"]*"|'[^']*'|\\.)""")
_WORD = re.compile(rf"""(?:{_QUOTED.pattern}|[^\s"'\\])+""")
_RESOURCE = re.compile(r"(?:^|,)\s*(\w+)\s*=")
_ATTRIBUTE = re.compile(r"(?:^|,)\s*(\w+)")


def quote(value: str, *, where: str) -> str:
    """Return a value as qsub reads it in a script: as a shell would, but it expands nothing."""
    return shlex.quote(checked(value, where=where))


def users_directive(line: str) -> str:
    """Return a line of the user's own.

    Raises
    ------
    ConfigError
        If it is more than a line, or takes the job away.
    """
    where = f"directive {line!r}"
    if _WORD.sub("", checked(line, where="directive")).strip():
        raise ConfigError(
            f"{where} ends in the middle of a quotation",
            hint="close it; a backslash at the end would swallow the next line",
        )
    for letter, value in _options(line):
        why = _RESERVED.get(letter)
        if letter == "W":
            names = _ATTRIBUTE.findall(value)
            why = next((_ATTRIBUTES[name] for name in names if name in _ATTRIBUTES), None)
        if why:
            raise ConfigError(
                f"{where} sets -{letter}, but {why}", hint="leave it out of directives"
            )
    return line


def named_resources(lines: tuple[str, ...]) -> set[str]:
    """Return the resources that these directives ask for with ``-l``: theirs are meant then."""
    options = (option for line in lines for option in _options(line))
    return {name for letter, value in options if letter == "l" for name in _RESOURCE.findall(value)}


def _options(line: str) -> Iterator[tuple[str, str]]:
    """Yield letters and values, as getopt would."""
    words = (_QUOTED.sub(_unquoted, word) for word in _WORD.findall(line))
    for word in words:
        letters = word[1:] if word.startswith("-") else ""
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter in _WITHOUT_VALUE:
                yield letter, ""
                continue
            yield letter, letters or next(words, "")
            letters = ""


def _unquoted(match: re.Match[str]) -> str:
    return match[0][1:] if match[0].startswith("\\") else match[0][1:-1]
