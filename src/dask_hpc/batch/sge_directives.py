"""The lines that ask Grid Engine for a job's resources, and the line that names its log.

qsub takes quotes off a directive and cuts it at ``#``; it has no way to keep either. So a value
that needs quotes is refused, and paths are written where the shell reads them.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dask_hpc._units import format_clock
from dask_hpc.batch.directives import checked
from dask_hpc.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dask_hpc.batch.model import JobSpec, Resources

# sge_types(1), "object name"; no digit in front, and qstat -j takes *, ? and , as its own.
_NAME = re.compile(r"[A-Za-z_][\w.+=-]{0,254}", re.ASCII)
_PLAIN = re.compile(r"[\w@%+=:,./{}^~*?!|&()\[\]][\w@%+=:,./{}^~*?!|&()\[\]-]*", re.ASCII)
_NOT_PLAIN = re.compile(r"[^\w ./:+-]", re.ASCII)
_INDEX = "{index}"
# A shell word: 0 for a job alone, where SGE_TASK_ID is the word "undefined"; tasks count from 1.
INDEX = "$(( (${SGE_TASK_ID#undefined}+0) ? ${SGE_TASK_ID#undefined}-1+0 : 0 ))"

_QUOTED_INDEX = f'"{INDEX}"'

_RESERVED = {
    "-N": "the name is how the job is found again",
    "-t": "jobs are counted by whoever asks for them",
    "-sync": "qsub would not come back before the job ends",
    "-now": "qsub would not come back before the job starts",
    "-verify": "nothing would be submitted",
    "-help": "nothing would be submitted",
    "-w": "it may submit nothing",
    "-b": "the script is ours",
    "-S": "the script is for bash",
    "-C": "the directives would not be found",
    "-clear": "what the job asks for would be forgotten",
    "-@": "what that file says cannot be checked",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What an installation calls its resources, and which of them are counted for each slot."""

    pe: str = "smp"
    pe_nodes: str = ""
    memory: str = "mem_free"
    memory_per_slot: bool = False
    gpu: str = "gpu"
    gpu_per_slot: bool = False


def directives(job: JobSpec, names: Names) -> Iterator[str]:
    """Yield the directives of a job without their comment mark."""
    if _NAME.fullmatch(job.tag) is None:
        raise ConfigError(
            f"job name {job.tag!r} cannot be used",
            hint="Grid Engine takes letters, digits, '_', '-', '+', '=' and '.', a letter first: "
            "give the cluster another name",
        )
    yield f"-N {job.tag}"
    yield "-S /bin/bash"
    # The script opens its log itself: here its path could hold no comma, no colon and no index.
    yield "-j y"
    yield "-o /dev/null"
    yield "-r n"
    for option, value in _options(job.resources, names):
        yield f"{option} {_plain(value, where=option)}"
    if job.comment:
        yield f'-ac "comment={_NOT_PLAIN.sub("_", checked(job.comment, where="comment"))}"'
    for line in job.resources.directives:
        yield _users(line)


def log_line(log: str) -> str:
    """Return the shell command that sends all output to the log."""
    parts = (shlex.quote(part) if part else "" for part in checked(log, where="log").split(_INDEX))
    return f"exec >>{_QUOTED_INDEX.join(parts)} 2>&1 || exit 1"


def check_body(body: str) -> None:
    """Raise if a body holds a directive: qsub looks for them in the whole script."""
    for line in body.splitlines():
        if line.startswith("#$"):
            raise ConfigError(
                f"line {line!r} of the job script would be taken for an option of qsub",
                hint="put options into directives, and a blank before the # of a comment",
            )


def _options(ask: Resources, names: Names) -> Iterator[tuple[str, str]]:
    slots = ask.cores * ask.nodes
    if slots > 1:
        yield "-pe", f"{_environment(ask, names)} {slots}"
    if ask.walltime:
        yield "-l", f"h_rt={format_clock(ask.walltime)}"
    if ask.memory and names.memory:
        share = ask.cores if names.memory_per_slot else 1
        yield "-l", f"{names.memory}={-(-ask.memory // (share * 2**20))}M"
    if ask.gpus:
        yield "-l", f"{names.gpu}={_gpus(ask, names)}"
    if ask.queue:
        yield "-q", ask.queue
    if ask.account:
        yield "-P", ask.account


def _environment(ask: Resources, names: Names) -> str:
    name = (names.pe_nodes if ask.nodes > 1 else names.pe).replace("{cores}", str(ask.cores))
    if not name:
        raise ConfigError(
            f"a job of {ask.nodes} nodes with {ask.cores} cores each needs a parallel environment "
            "that spreads it so, and none is known",
            hint="ask for nodes=1 and more jobs, or name one as the fact pe_nodes of your site",
        )
    return name


def _gpus(ask: Resources, names: Names) -> int:
    if not names.gpu_per_slot:
        return ask.gpus
    if ask.gpus % ask.cores:
        raise ConfigError(
            f"{ask.gpus} gpus cannot be shared by {ask.cores} cores: {names.gpu!r} is counted for "
            "each of them",
            hint="ask for as many cores as gpus",
        )
    return ask.gpus // ask.cores


def _plain(value: str, *, where: str) -> str:
    for word in checked(value, where=where).split(" "):
        # Only the number of slots follows a blank.
        if _PLAIN.fullmatch(word) is None or (" " in value and where != "-pe"):
            raise ConfigError(
                f"{value!r} cannot be written after {where}",
                hint="Grid Engine takes letters, digits and some signs there, but no blank, quote, "
                "'#' or '$'",
            )
    return value


def _users(line: str) -> str:
    for word in re.sub("[\"']", "", checked(line, where="directive")).split():
        if why := _RESERVED.get(word):
            raise ConfigError(
                f"directive {line!r} sets {word!r}, but {why}", hint="leave it out of directives"
            )
    return line
