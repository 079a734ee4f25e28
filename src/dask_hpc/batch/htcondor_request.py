"""What condor_submit is asked: a submit description with the script inside."""

from __future__ import annotations

import base64
import math
import re
from typing import TYPE_CHECKING

from dask_hpc.batch.directives import checked
from dask_hpc.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dask_hpc.batch.model import JobSpec

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,200}", re.ASCII)
_STATEMENT = re.compile(r"(?:\+|MY\.)?([A-Za-z_][A-Za-z0-9_.]*)\s*=.*", re.ASCII | re.IGNORECASE)
_VARIABLES = "DASK_HPC_CONDOR_JOB=$(ClusterId).$(ProcId) DASK_HPC_CONDOR_INDEX=$(ProcId)"
_LONGEST = 100_000  # one argument of a command may have 128 KiB

# Jobs inherit nothing: no HOME, USER, PATH (measured with HTCondor 23.9). Output and errors are
# one log.
_HEAD = """\
exec 2>&1
[ -n "${HOME-}" ] || { unset HOME; HOME=~; }
export HOME USER="${USER:-$(id -un)}" LOGNAME="${LOGNAME:-$(id -un)}"
export PATH="${PATH:-/usr/local/bin:/usr/bin:/bin}"
"""

# Held, but not by its owner: it has failed. Idle again: it was evicted. What is lost is replaced
# by a new job within seconds, where this one would wait. Without brackets: && binds first.
_REMOVE = (
    "JobStatus == 5 && HoldReasonCode =!= 1 && HoldReasonCode =!= 15 && HoldReasonCode =!= 16"
    " || JobStatus == 1 && NumJobStarts > 0"
)

# What would take the job away from who submitted it, by its lower-case name.
_RESERVED = {
    "batch_name": "the name is how the job is found again",
    "jobbatchname": "the name is how the job is found again",
    "universe": "the script runs as a program of its own",
    "executable": "the script is ours",
    "transfer_executable": "the script is ours",
    "arguments": "the script is ours",
    "arguments2": "the script is ours",
    "args": "the script is ours",
    "environment": "the job would not know its id: put variables into the settings",
    "environment2": "the job would not know its id: put variables into the settings",
    "env": "the job would not know its id: put variables into the settings",
    "output": "the log is where dask-hpc looks for it",
    "out": "the log is where dask-hpc looks for it",
    "stdout": "the log is where dask-hpc looks for it",
    "stream_output": "the log is read while the job runs",
    "queue": "jobs are counted by whoever asks for them",
    "max_materialize": "jobs would not be there when they were submitted",
    "max_idle": "jobs would not be there when they were submitted",
    "include": "it would be read by nobody who looks at it",
    "use": "it would be read by nobody who looks at it",
}


def statements(job: JobSpec) -> Iterator[str]:
    """Yield the lines that ask for the job's resources.

    Raises
    ------
    ConfigError
        If a value cannot be written as one.
    """
    ask = job.resources
    if not _NAME.fullmatch(job.tag):
        raise ConfigError(
            f"job name {job.tag!r} cannot be one in HTCondor",
            hint="letters, digits, and _ . - can be in it, 200 of them at most",
        )
    if ask.queue:
        raise ConfigError(f"queue {ask.queue!r}: HTCondor has no queues", hint="leave queue out")
    if ask.nodes != 1:
        raise ConfigError(
            f"{ask.nodes} nodes for each job, but jobs of HTCondor have one",
            hint="ask for more jobs of one node",
        )
    yield f'+JobBatchName = "{job.tag}"'
    if job.comment:
        yield f"+JobDescription = {_string(job.comment, where='comment')}"
    yield f"output = {_path(job.log)}"
    # Otherwise nothing is left of the output of a job that was killed.
    yield "stream_output = True"
    yield f"request_cpus = {ask.cores}"
    if ask.memory:
        yield f"request_memory = {-(-ask.memory // 2**20)}MB"
    if ask.gpus:
        yield f"request_gpus = {ask.gpus}"
    if ask.walltime:
        yield f"allowed_job_duration = {math.ceil(ask.walltime)}"
    if ask.account:
        yield f"accounting_group = {_account(ask.account)}"
    yield f"periodic_remove = {_REMOVE}"
    yield from map(_users_statement, ask.directives)


def description(job: JobSpec, count: int) -> str:
    """Return the submit description of a job, ``count`` times."""
    lines = (
        "universe = vanilla",
        "executable = /bin/bash",
        "transfer_executable = False",
        f"arguments = {_arguments(_HEAD + job.body.rstrip())}",
        f'environment = "{_VARIABLES}"',
        'transfer_output_files = ""',
        *statements(job),
        f"queue {count}",
    )
    return "\n".join((*lines, ""))


def _arguments(script: str) -> str:
    # A description has no lines within a value, and a dollar sign begins a macro of its own:
    # the script is packed, and unpacked between backquotes.
    try:
        packed = base64.b64encode(script.encode(errors="surrogateescape")).decode("ascii")
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"the script holds the character {error.object[error.start]!r}",
            hint="take it out of the prologue",
        ) from error
    if len(packed) > _LONGEST:
        raise ConfigError(
            f"the script has {len(script)} characters, more than a command line takes",
            hint="move lines of the prologue to a file, and source it",
        )
    return f'"-c \'eval ""`echo {packed} | base64 -d`""\'"'


def _string(text: str, *, where: str) -> str:
    """Return a text as a string of a ClassAd."""
    # A backslash stands for itself, but before a quote (measured with 23.9).
    escaped = checked(text, where=where).replace('"', '\\"')
    return f'"{_literal(escaped)}"'


def _literal(text: str) -> str:
    return text.replace("$", "$(DOLLAR)")


def _path(path: str) -> str:
    if '"' in path or "\\" in path or path != path.strip():
        raise ConfigError(
            f"log {path!r} holds a quote, a backslash or a blank at its end, which HTCondor "
            "cannot have in the name of a log",
            hint="keep clusters in another directory: DASK_HPC_HOME names it",
        )
    parts = map(_literal, checked(path, where="log").split("{index}"))
    return "$(ProcId)".join(parts)


def _account(account: str) -> str:
    if not _NAME.fullmatch(account):
        raise ConfigError(
            f"account {account!r} cannot be an accounting group",
            hint="letters, digits, and _ . - can be in it",
        )
    return account


def _users_statement(line: str) -> str:
    text = checked(line, where="directive").strip()
    match = _STATEMENT.fullmatch(text)
    if match is None or text.endswith("\\"):
        raise ConfigError(
            f"directive {line!r} is no statement of a submit description",
            hint='as in "requirements = HasAVX2" or "+ProjectName = \\"climate\\""',
        )
    if why := _RESERVED.get(match[1].lower()):
        raise ConfigError(
            f"directive {line!r} sets {match[1]!r}, but {why}", hint="leave it out of directives"
        )
    return text
