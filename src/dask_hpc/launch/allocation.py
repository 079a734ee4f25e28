"""The nodes that a job was given, as each batch system says it in the job's environment."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from dask_hpc.errors import LaunchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

# Files with a host in the first column of each line, once for each of its slots or cores.
_FILES = ("PBS_NODEFILE", "OAR_NODEFILE", "PE_HOSTFILE", "LSB_DJOB_HOSTFILE")
_BRACKETS = re.compile(r"\[([^][]+)\]")
_TOP_COMMA = re.compile(r",(?![^[]*\])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """The hosts of a job, each once, that of its script first; ``told_by`` is who named them."""

    hosts: tuple[str, ...]
    told_by: str


def find_allocation(environ: Mapping[str, str] = os.environ) -> Allocation:
    """Return the nodes of the job that this is a process of.

    Raises
    ------
    LaunchError
        If nothing says which they are.
    """
    for name, read in _SOURCES.items():
        if text := environ.get(name):
            try:
                hosts = tuple(dict.fromkeys(read(text)))
            except OSError as error:
                raise LaunchError(
                    f"{name} names a file of nodes that cannot be read: {error}",
                    hint="is this the first node of the job",
                ) from None
            if hosts:
                return Allocation(hosts=hosts, told_by=name)
    raise LaunchError(
        f"nothing says which nodes the job has: none of {', '.join(_SOURCES)} is set",
        hint="take jobs of one node, or set launcher to one that knows them, as mpirun",
    )


def expand(text: str) -> tuple[str, ...]:
    """Return the hosts of a list as Slurm writes it, ``gpu[01-03,7],login1``."""
    return tuple(host for part in _TOP_COMMA.split(text) for host in _expand_one(part.strip()))


def _expand_one(part: str) -> Iterable[str]:
    pieces = _BRACKETS.split(part)  # text, ranges, text, ranges, …
    choices = [
        [piece] if place % 2 == 0 else [one for item in piece.split(",") for one in _range(item)]
        for place, piece in enumerate(pieces)
    ]
    return ("".join(words) for words in product(*choices) if part)


def _range(item: str) -> Iterable[str]:
    first, dash, last = item.partition("-")
    if not dash:
        return (first,)
    return (str(number).zfill(len(first)) for number in range(int(first), int(last) + 1))


def _first_words(path: str) -> Iterable[str]:
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    return (line.split()[0] for line in lines if line.strip())


def _pairs(text: str) -> Iterable[str]:
    return text.split()[::2]


_SOURCES: Mapping[str, Callable[[str], Iterable[str]]] = {
    "SLURM_JOB_NODELIST": expand,
    **dict.fromkeys(_FILES, _first_words),
    "LSB_MCPU_HOSTS": _pairs,  # host1 4 host2 4
}
