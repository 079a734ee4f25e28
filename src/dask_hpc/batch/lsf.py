"""LSF and OpenLava: bsub, bjobs, bhist, bkill, bqueues."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Self

from dask_hpc.batch.directives import checked
from dask_hpc.batch.lsf_job import status_of
from dask_hpc.batch.lsf_queues import collapse, queues
from dask_hpc.batch.lsf_table import (
    check_answer,
    history_jobs,
    is_silent_daemon,
    json_jobs,
    says_nothing,
    text_jobs,
    words,
)
from dask_hpc.batch.lsf_words import GONE, OTHERWISE, REFUSALS, REFUSED
from dask_hpc.batch.model import JobId
from dask_hpc.batch.outlook import Outlook
from dask_hpc.batch.refusal import fitting, refused, unclear
from dask_hpc.batch.system import BatchSystem, JobVariables, in_chunks
from dask_hpc.errors import (
    BatchError,
    ConfigError,
    UnreadableOutput,
)
from dask_hpc.process.runner import Command

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from dask_hpc.batch.model import BatchQueue, JobSpec, JobStatus, Resources, Tag
    from dask_hpc.process.runner import Result

# A user's defaults would change what is asked and answered (BSUB_QUIET hides the id); in a job,
# its variables would be taken for the new one's. LSF_ENVDIR and the like say which LSF is meant.
_DROP = (r"(LSB|BSUB|LS)_",)
# The submitter's login session does not exist on the node, yet bsub takes its variables there.
_SESSION = (r"XDG_(SESSION|RUNTIME|SEAT|VTNR)", r"DBUS_")
# Only queries get these: bsub would take them into the job. Clients write times in their own
# zone, and without the year if it is not asked for:
# https://www.ibm.com/docs/en/SSWRJV_10.1.0/lsf_config_ref/lsf.conf.lsb_display_year.5.html
_ENV = {"LC_ALL": "C", "TZ": "UTC0", "LSB_DISPLAY_YEAR": "Y"}

# https://www.ibm.com/docs/en/SSWRJV_10.1.0/lsf_command_ref/bjobs.o.1.html
_FIELDS = (
    "jobid", "jobindex", "stat", "exit_code", "exit_reason", "pend_reason", "job_name",
    "exec_host", "start_time", "finish_time", "estimated_start_time",
)  # fmt: skip

_CHUNK = 100  # ids in one command
_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50, "E": 2**60}
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,59}")
_PLAIN = re.compile(r"[\w@%+=:,./-]+")
_SUBMITTED = re.compile(r"^Job <(\d{1,18})> is submitted to ", re.ASCII | re.MULTILINE)
# bsub may read such lines wherever they are in a script.
_DIRECTIVE = re.compile(r"^\s*#\s*(?:BSUB|QSUB)", re.MULTILINE)

# What would take the job away from who submitted it, or make bsub wait for its end.
_RESERVED = (
    (re.compile(r"-J(?!d$)"), "the name is how the job is found again"),
    (re.compile(r"-K"), "bsub would not come back before the job ends"),
    (re.compile(r"-I"), "bsub would not come back before the job ends"),
    (re.compile(r"-(oo?|eo?)(?![a-z])"), "the job writes its log itself"),
    (re.compile(r"-(pack|json|yaml|jsdl|jsdl_strict)$"), "the script is ours"),
)


class LSF(BatchSystem):
    """LSF 10.1, from its manual, and OpenLava 4.0, as recorded.

    Not tried on LSF itself: the fields of ``bjobs -json`` and the form of their times, the
    reasons of exits, ``-gpu``, ``-Jd``, ``-rn``, the headings of ``bqueues -l`` for limits. Of
    OpenLava, answers were recorded, but this script was not submitted: how it reads quotes and
    ``#`` in directives, and that its clients follow ``TZ``, is not verified either.

    Parameters
    ----------
    has_json
        Whether ``bjobs`` knows ``-json`` and ``-o``; also takes options for gpus and comments,
        which OpenLava reads as others.
    memory_unit
        The unit of memory limits, ``LSF_UNIT_FOR_LIMITS`` of ``lsf.conf``: KB, MB, GB, TB, PB
        or EB. With KB, which is the default, reservations are in MB.
    is_per_slot
        Whether memory is counted for each slot and not for each host
        (``RESOURCE_RESERVE_PER_TASK`` of ``lsb.params``).
    """

    name: ClassVar[str] = "lsf"
    launcher: ClassVar[str | None] = "blaunch"
    outlook = Outlook(move="bswitch {queue} {job}", after='-w "ended({job})"')
    variables: ClassVar[JobVariables] = JobVariables(
        # The index is 0 outside of arrays.
        job_id='$LSB_JOBID$(case ${LSB_JOBINDEX:-0} in (0) ;; (*) echo "[$LSB_JOBINDEX]" ;; esac)',
        index="$((${LSB_JOBINDEX:-0} > 0 ? ${LSB_JOBINDEX:-0} - 1 : 0))",
    )

    def __init__(
        self, *, has_json: bool = True, memory_unit: str = "KB", is_per_slot: bool = False
    ) -> None:
        self._has_json = has_json
        self._memory_unit = memory_unit
        self._is_per_slot = is_per_slot

    @classmethod
    def from_facts(cls, facts: Mapping[str, str]) -> Self:
        """Return the dialect for an installation.

        ``json`` is ``yes`` or ``no``, ``memory_unit`` one of KB (default), MB, GB, TB, PB, EB,
        and ``memory_per`` is ``host`` (default) or ``slot``.

        Raises
        ------
        ConfigError
            If the unit is none of these: jobs would ask for a thousandth, or a thousand times.
        """
        unit = facts.get("memory_unit", "").strip().upper() or "KB"
        if unit.removesuffix("B") not in _UNITS:
            raise ConfigError(
                f"memory_unit {unit!r} is no unit of LSF",
                hint="LSF_UNIT_FOR_LIMITS of lsf.conf: KB, MB, GB, TB, PB or EB",
            )
        return cls(
            has_json=facts.get("json") != "no",
            memory_unit=unit,
            is_per_slot=facts.get("memory_per") == "slot",
        )

    def directives(self, job: JobSpec, count: int = 1) -> tuple[str, ...]:
        """Return the ``#BSUB`` lines.

        Raises
        ------
        ConfigError
            If a value cannot be written as a directive.
        """
        own = (f"-{name} {_quote(name, value)}" for name, value in self._options(job, count))
        once = ("-rn",) if self._has_json else ()
        users = (_users_directive(line) for line in job.resources.directives)
        return tuple(f"#BSUB {line}" for line in (*own, *once, *users))

    def submit_command(self, job: JobSpec, count: int = 1) -> Command:
        """Return bsub with the script on its standard input."""
        return Command(argv=("bsub",), stdin=self.script(job, count), drop=(*_DROP, *_SESSION))

    def read_submit(self, result: Result, count: int = 1) -> tuple[JobId, ...]:
        """Return ``219``, or the elements of an array: ``219[1]``, ``219[2]``.

        Raises
        ------
        SubmitRejected
            If LSF said no; nothing was submitted.
        BatchUnavailable, UnreadableOutput
            If it did not say. The job may exist all the same: look for its tag.
        """
        # Sites print banners around the answer.
        found = _SUBMITTED.findall(result.stdout)
        if not found and result.exit_code:
            raise _refused(result)
        if not found:
            raise UnreadableOutput(
                f"bsub printed no job id: {result.words[:200]!r}",
                result=result,
                hint="the job may have been submitted: it is looked for by its name",
            )
        if count == 1:
            return (JobId(found[-1]),)
        return tuple(JobId(f"{found[-1]}[{index}]") for index in range(1, count + 1))

    def status_command(
        self,
        user: str,
        tags: Collection[Tag],  # noqa: ARG002 - -J takes one name, so all jobs are listed
    ) -> Command:
        """Return bjobs for all jobs of a user, with those that ended a moment ago."""
        form = ("-json", "-o", " ".join(_FIELDS)) if self._has_json else ("-UF",)
        return _query("bjobs", "-a", "-u", user, *form)

    def read_status(self, result: Result) -> Mapping[JobId, JobStatus]:
        """Return the jobs of the answer, which may hold more than those asked for."""
        if says_nothing(result):
            return {}
        check_answer(result)
        jobs = json_jobs(result) if self._has_json else text_jobs(result)
        return {seen.id: status_of(seen) for seen in jobs}

    def history_commands(self, ids: Sequence[JobId]) -> tuple[Command, ...]:
        """Return bhist, which knows what is in the newest log of events."""
        return tuple(
            _query("bhist", "-l", *chunk) for chunk in in_chunks(collapse(ids, longest=_CHUNK))
        )

    def read_history(self, result: Result) -> Mapping[JobId, JobStatus]:
        """Return what the log of events knows."""
        if says_nothing(result):
            return {}
        # Some ids are unknown, others are told: then the exit code is 255.
        if not result.stdout.strip() or not _is_gone(result.stderr):
            check_answer(result)
        return {seen.id: status_of(seen) for seen in history_jobs(result)}

    def cancel_commands(self, ids: Sequence[JobId]) -> tuple[Command, ...]:
        """Return bkill, with the elements of an array in one word."""
        return tuple(_query("bkill", *chunk) for chunk in in_chunks(collapse(ids, longest=_CHUNK)))

    def read_cancel(self, result: Result) -> None:
        """Return if every job is cancelled or was gone.

        Raises
        ------
        BatchUnavailable, BatchError
            If LSF did not answer, or a job may not be cancelled.
        """
        if not (result.exit_code and _is_gone(result.stderr)):
            check_answer(result)

    def queues_command(self) -> Command:
        """Return bqueues, which knows limits but no nodes."""
        return _query("bqueues", "-l")

    def read_queues(self, result: Result) -> tuple[BatchQueue, ...]:
        """Return the queues. What a queue allows for one job stands as that of a node."""
        check_answer(result)
        found = sorted(queues(result), key=lambda queue: not queue.is_default)
        if self._is_per_slot:  # so is the limit of the queue
            return tuple(replace(queue, memory_per_node=0) for queue in found)
        return tuple(found)

    def _opening(self, job: JobSpec, count: int) -> tuple[str, ...]:  # noqa: ARG002 - the shell knows it
        # LSF writes the output of a job when it has ended, and below a report of its own.
        if found := _DIRECTIVE.search(job.body):
            raise ConfigError(
                f"a line of the job begins with {found[0].strip()!r}, which bsub would read",
                hint="put options of bsub into directives",
            )
        before, mark, after = checked(job.log, where="log").partition("{index}")
        index = f'"{self.variables.index}"' if mark else ""
        log = f"{shlex.quote(before)}{index}{shlex.quote(after) if after else ''}"
        return (f"exec >>{log} 2>&1",)

    def _options(self, job: JobSpec, count: int) -> Iterator[tuple[str, str]]:
        ask = job.resources
        if _NAME.fullmatch(job.tag) is None:
            raise ConfigError(
                f"job name {job.tag!r} is none for LSF",
                hint="at most 60 letters, digits, and any of _ . - but the first",
            )
        if ask.gpus and not self._has_json:
            raise ConfigError(
                f"gpus {ask.gpus} cannot be asked for: OpenLava has no option for them",
                hint='name your site\'s resource in directives: -R "rusage[gpu=1]"',
            )
        options = {
            "J": f"{job.tag}[1-{count}]" if count > 1 else job.tag,
            "Jd": job.comment if self._has_json else "",
            # Else LSF sends the output as mail.
            "o": "/dev/null",
            "n": f"{ask.cores * ask.nodes}",
            "R": self._requirement(ask),
            "M": ask.memory and f"{self._amount(ask, self._memory_unit)}",
            "W": ask.walltime and _hours(ask.walltime),
            "q": ask.queue,
            "P": ask.account,
            "gpu": ask.gpus and f"num={ask.gpus}",
        }
        return ((name, value) for name, value in options.items() if value)

    def _requirement(self, ask: Resources) -> str:
        # In one -R: whether OpenLava adds several together is not known.
        span = "hosts=1" if ask.nodes == 1 else f"ptile={ask.cores}"
        if not ask.memory:
            return f"span[{span}]"
        unit = "MB" if self._memory_unit[0] == "K" else self._memory_unit
        return f"span[{span}] rusage[mem={self._amount(ask, unit)}]"

    def _amount(self, ask: Resources, unit: str) -> int:
        size = _UNITS[unit[0]] * (ask.cores if self._is_per_slot else 1)
        return -(-ask.memory // size)


def _is_gone(text: str) -> bool:
    """Whether all complaints are of jobs that are gone."""
    lines = [line for line in text.splitlines() if line.strip()]
    return bool(lines) and all(any(sign in line for sign in GONE) for line in lines)


def _query(*argv: str) -> Command:
    return Command(argv=argv, env=_ENV, drop=_DROP)


def _hours(seconds: float) -> str:
    minutes = max(int(-(-seconds // 60)), 1)
    return f"{minutes // 60}:{minutes % 60:02d}"


def _quote(name: str, value: str) -> str:
    """Return a value as bsub reads it in a script, which knows quotes but no escapes."""
    text = checked(value, where=f"-{name}")
    if _PLAIN.fullmatch(text):
        return text
    if '"' in text or "\\" in text:
        raise ConfigError(
            f"-{name} {text!r} holds a quote or a backslash, which bsub cannot read in a script",
            hint="take it out",
        )
    return f'"{text}"'


def _users_directive(line: str) -> str:
    for word in checked(line, where="directive").split():
        for pattern, why in _RESERVED:
            if pattern.match(word):
                raise ConfigError(
                    f"directive {line!r} sets {word!r}, but {why}",
                    hint="leave it out of directives",
                )
    return line


def _refused(result: Result) -> BatchError:
    said = words(result)
    is_refusal = REFUSED.search(result.words) is not None
    # A lost connection is no refusal, though bsub calls the job not submitted.
    if not said or result.exit_code < 0 or not is_refusal or is_silent_daemon(result):
        return unclear("lsf", said, result=result)
    row = fitting(REFUSALS, result.words)
    return refused("lsf", said, row=row, otherwise=OTHERWISE, result=result)
