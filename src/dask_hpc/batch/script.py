"""The shell part of every job: it writes the job's records, passes signals on, runs one program.

The records are how the cluster learns within seconds what a batch system says much later or not
at all: that the job began, where, until when, and with which exit code it ended.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dask_hpc.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from dask_hpc.batch.model import Tag
    from dask_hpc.batch.system import JobVariables

# Grid Engine runs a job again that exits with 99, and keeps one that exits with 100 as an error.
# Nothing fails without a `||`, because a prologue may have said `set -e`.
_BODY = """\
dask_hpc_job={job_id}
dask_hpc_index={index}
dask_hpc_slot={tag}.$dask_hpc_index
dask_hpc_begin=$(date +%s)
dask_hpc_end_time={end_time}
case $dask_hpc_end_time in *[!0-9]*) dask_hpc_end_time= ;; esac
{fall_back}
dask_hpc_child=
dask_hpc_record() (
  umask 077
  dask_hpc_file={records}/$dask_hpc_slot.$1
  printf '{{"slot": "%s", "job": "%s", "host": "%s", "time": %s, "end_time": %s, "code": %s}}\\n' \\
    "$dask_hpc_slot" "$dask_hpc_job" "$(uname -n)" "$(date +%s)" "${{dask_hpc_end_time:-null}}" \\
    "$2" 2>/dev/null >"$dask_hpc_file.$$" && mv -f "$dask_hpc_file.$$" "$dask_hpc_file" 2>/dev/null
)
dask_hpc_leave() {{
  dask_hpc_code=$?
  trap - EXIT
  dask_hpc_record end "$dask_hpc_code" || :
  case $dask_hpc_code in 99|100) exit 98 ;; *) exit "$dask_hpc_code" ;; esac
}}
dask_hpc_pass() {{
  [ -n "$dask_hpc_child" ] || exit 143
  kill -s "$1" "$dask_hpc_child" 2>/dev/null || :
}}
trap dask_hpc_leave EXIT
# Some send one of them to say that the time is up: to all processes of the job, this one too.
trap 'dask_hpc_pass TERM' TERM INT USR2
trap 'dask_hpc_pass USR1' USR1
# What was submitted once and is there twice has two jobs in each place: the later one leaves.
dask_hpc_first={records}/$dask_hpc_slot.start
if [ -s "$dask_hpc_first" ] && ! grep -qF "\\"job\\": \\"$dask_hpc_job\\"," "$dask_hpc_first"; then
  echo "dask-hpc: another job has the place of job $dask_hpc_job: it leaves" >&2
  trap - EXIT
  exit 0
fi
# The batch system made the log with the umask of the user, whose files may be for others to read.
[ ! -f /proc/self/fd/1 ] || chmod go= /proc/self/fd/1 2>/dev/null || :
dask_hpc_record start null || :

{prologue}
{environment}
{command} &
dask_hpc_child=$!
while :; do
  wait "$dask_hpc_child" && dask_hpc_code=0 || dask_hpc_code=$?
  kill -0 "$dask_hpc_child" 2>/dev/null || break
done
# If a signal cut the last wait short, the shell still knows how the program ended; else it has
# said so, and answers 127.
if [ "$dask_hpc_code" -gt 128 ]; then
  wait "$dask_hpc_child" 2>/dev/null && dask_hpc_again=0 || dask_hpc_again=$?
  [ "$dask_hpc_again" -eq 127 ] || dask_hpc_code=$dask_hpc_again
fi
exit "$dask_hpc_code"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What a job runs: after the user's own lines, with variables and a path for Python."""

    argv: tuple[str, ...]
    prologue: tuple[str, ...]
    environment: Mapping[str, str]
    python_path: Path


def job_body(
    program: Program,
    variables: JobVariables,
    *,
    tag: Tag,
    records: Path,
    walltime: float | None,
) -> str:
    """Return the script of a job, after its directives.

    The program gets ``--slot``, ``--job`` and ``--end-time`` appended: the job's place in its
    submission, its id, and the second at which it will be ended (empty if nobody knows).

    Raises
    ------
    ConfigError
        If a text cannot be in a script, or the tag in the name of a record.
    """
    if "/" in tag:
        raise ConfigError(f"tag {tag!r} is in names of files", hint="take the slash out")
    fall_back = ""
    if walltime is not None:
        fall_back = f': "${{dask_hpc_end_time:=$((dask_hpc_begin + {int(walltime)}))}}"'
    argv = [shlex.quote(_whole(word, where="argument")) for word in program.argv]
    argv += ['--slot "$dask_hpc_slot"', '--job "$dask_hpc_job"', '--end-time "$dask_hpc_end_time"']
    return _BODY.format(
        job_id=variables.job_id,
        index=variables.index,
        end_time=variables.end_time,
        tag=variables.tag or shlex.quote(tag),
        fall_back=fall_back,
        records=shlex.quote(str(records)),
        prologue="\n".join(_lines(program.prologue)),
        environment="\n".join(_exports(program)),
        command=" \\\n  ".join(argv),
    )


def _lines(prologue: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_whole(line, where="prologue line") for line in prologue)


def _whole(text: str, *, where: str) -> str:
    # bash leaves them out of a script, and goes on without a word.
    if "\0" in text:
        raise ConfigError(f"{where} {text!r} holds a null character", hint="take it out")
    return text


def _value(name: str, value: str) -> str:
    return shlex.quote(_whole(value, where=f"variable {name} with"))


def _exports(program: Program) -> list[str]:
    path = shlex.quote(str(program.python_path))
    lines = [f"export PYTHONPATH={path}${{PYTHONPATH:+:$PYTHONPATH}}"]
    # A variable that the site or the user set already is meant.
    lines += [
        f'[ -n "${{{name}:-}}" ] || {name}={_value(name, value)}; export {name}'
        for name, value in program.environment.items()
    ]
    return lines
