"""OpenPBS and PBS Pro: qsub, qstat, qdel."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, ClassVar, Self

from dask_hpc._units import format_clock
from dask_hpc.batch.directives import checked
from dask_hpc.batch.model import BatchQueue, JobId
from dask_hpc.batch.outlook import Outlook
from dask_hpc.batch.pbs_directives import named_resources, quote, users_directive
from dask_hpc.batch.pbs_table import (
    ID,
    answer,
    array_of,
    check_answer,
    collapse,
    flat,
    is_unavailable,
    job_number,
    number,
    records,
    seconds,
    statuses,
    words,
)
from dask_hpc.batch.pbs_words import GONE, OTHERWISE, PBS_CODES, REFUSALS
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

    from dask_hpc.batch.model import JobSpec, JobStatus, Tag
    from dask_hpc.process.runner import Result

# What a job was given would be taken for the new one's; PBS_DPREFIX changes what a directive is.
# Which server to talk to, and how, is the exception.
_KEPT = (
    "CONF_FILE|DEFAULT|SERVER|PRIMARY|SECONDARY|EXEC|HOME|LEAF_NAME|LEAF_ROUTERS|AUTH_METHOD"
    "|ENCRYPT_METHOD|SUPPORTED_AUTH_METHODS"
)
_DROP = (rf"PBS_(?!({_KEPT})$)",)
# qstat writes times in the zone of whoever asks.
_ENV = {"LC_ALL": "C", "TZ": "UTC0"}

# OpenPBS, src/lib/Libcmds/ck_job_name.c; releases before 13 take no more than 15 characters.
_NAME = re.compile(r"[A-Za-z][\w+.-]{0,229}", re.ASCII)


class PBS(BatchSystem):
    """OpenPBS and PBS Pro: read as 23.06 answers; ``qstat`` must know ``-F json`` (14.1).

    Parameters
    ----------
    has_history
        Whether the server keeps jobs that have ended. If it does not, it says so, and that is no
        error.
    default_queue
        The queue of jobs that name none; empty if nobody knows.
    """

    name: ClassVar[str] = "pbs"
    launcher: ClassVar[str | None] = "pbsdsh"
    outlook = Outlook(move="qmove {queue} {job}", after="-W depend=afterany:{job}")
    variables: ClassVar[JobVariables] = JobVariables(
        # Some releases put the number of the node before it: 0:42.server
        job_id="${PBS_JOBID#*:}",
        index="${PBS_ARRAY_INDEX:-0}",
    )

    _arrays_must_rerun: ClassVar[bool] = True

    def __init__(self, *, has_history: bool = True, default_queue: str = "") -> None:
        self._has_history = has_history
        self._default_queue = default_queue

    @classmethod
    def from_facts(cls, facts: Mapping[str, str]) -> Self:
        """Return the dialect for an installation.

        ``history`` is ``yes`` or ``no`` (the server's ``job_history_enable``), ``default_queue``
        the name of a queue (the server's ``default_queue``). Default: there is a history, and no
        queue is known to be the default.
        """
        return cls(
            has_history=facts.get("history") != "no", default_queue=facts.get("default_queue", "")
        )

    def directives(self, job: JobSpec, count: int = 1) -> tuple[str, ...]:
        """Return the ``#PBS`` lines.

        Raises
        ------
        ConfigError
            If a value cannot be written as a directive.
        """
        own = (
            f"-{letter} {quote(value, where=where)}"
            for letter, value, where in self._options(job, count)
        )
        users = (users_directive(line) for line in job.resources.directives)
        return tuple(f"#PBS {line}" for line in (*own, *users))

    def submit_command(self, job: JobSpec, count: int = 1) -> Command:
        """Return qsub with the script on its standard input."""
        # Without -f, qsub leaves a process behind that keeps the connection to the server.
        array = ("-J", f"0-{count - 1}") if count > 1 else ()
        return self._submission("qsub", "-f", *array, script=self.script(job, count))

    def read_submit(self, result: Result, count: int = 1) -> tuple[JobId, ...]:
        """Return ``36.server``, or the elements of an array: ``36[0].server``, ``36[1].server``.

        Raises
        ------
        SubmitRejected
            If the system said no; nothing was submitted.
        BatchUnavailable, UnreadableOutput
            If it did not say. The job may exist all the same: look for its tag.
        """
        if result.exit_code:
            raise _refused(result)
        # Sites print banners around the answer.
        lines = (ID.fullmatch(line.strip()) for line in reversed(result.stdout.splitlines()))
        bracket = "" if count > 1 else None
        match = next((match for match in lines if match and match[2] == bracket), None)
        if match is None:
            raise UnreadableOutput(
                f"{result.command.argv[0]} printed no job id: {result.words[:200]!r}",
                result=result,
                hint="the job may have been submitted: it is looked for by its name",
            )
        server = match[3] or ""
        if count == 1:
            return (JobId(match[1] + server),)
        return tuple(JobId(f"{match[1]}[{index}]{server}") for index in range(count))

    def status_command(self, user: str, tags: Collection[Tag]) -> Command:  # noqa: ARG002 # no such question
        """Return qstat for all jobs that have not ended: it cannot be asked for some in full."""
        return query("qstat", "-t", "-f", "-F", "json")

    def read_status(self, result: Result) -> Mapping[JobId, JobStatus]:
        """Return the jobs of the answer, which are everybody's."""
        check_answer(result)
        return statuses(records(answer(result)), PBS_CODES)

    def history_commands(self, ids: Sequence[JobId]) -> tuple[Command, ...]:
        """Return qstat for ended jobs, if the server keeps them."""
        if not self._has_history:
            return ()
        # qstat prints nothing after the first id that it does not know: the oldest is last.
        arrays = sorted({array_of(job_id) for job_id in ids}, key=job_number, reverse=True)
        return tuple(
            query("qstat", "-x", "-t", "-f", "-F", "json", *chunk) for chunk in in_chunks(arrays)
        )

    def read_history(self, result: Result) -> Mapping[JobId, JobStatus]:
        """Return the jobs that the server still knows."""
        return self.read_status(result)

    def cancel_commands(self, ids: Sequence[JobId]) -> tuple[Command, ...]:
        """Return qdel, with neighbours in an array in one word."""
        return tuple(query("qdel", *chunk) for chunk in in_chunks(collapse(ids)))

    def read_cancel(self, result: Result) -> None:
        """Return if every job is cancelled or was gone.

        Raises
        ------
        BatchUnavailable, BatchError
            If the system did not answer, or a job may not be cancelled.
        """
        if not result.exit_code:
            return
        complaints = [line for line in result.stderr.splitlines() if line.strip()]
        if complaints and all(any(sign in line for sign in GONE) for line in complaints):
            return
        check_answer(result)

    def queues_command(self) -> Command:
        """Return qstat for the queues."""
        return query("qstat", "-Q", "-f", "-F", "json")

    def read_queues(self, result: Result) -> tuple[BatchQueue, ...]:
        """Return the queues. What their nodes are like, qstat does not say."""
        check_answer(result)
        queues = answer(result).get("Queue")
        if not isinstance(queues, dict):
            raise UnreadableOutput("qstat printed no queues", result=result)
        return self._sorted(
            {name: dict(flat(each)) for name, each in queues.items() if isinstance(each, dict)}
        )

    def _opening(self, job: JobSpec, count: int) -> tuple[str, ...]:
        # The systems of this family keep output on the node until the job ends, unless the site has
        # it otherwise, and have their own ideas of what a path means. The shell has none.
        return (f"exec >>{self._log(job.log, count)} 2>&1",)

    def _submission(self, *argv: str, script: str) -> Command:
        return Command(argv=argv, stdin=script, drop=_DROP)

    def _sorted(self, queues: Mapping[str, Mapping[str, str]]) -> tuple[BatchQueue, ...]:
        found = [_queue(name, each, default=self._default_queue) for name, each in queues.items()]
        return tuple(sorted(found, key=lambda queue: not queue.is_default))

    def _log(self, path: str, count: int) -> str:
        """Return the word of the shell that names the log."""
        index = f'"{self.variables.index}"' if count > 1 else "0"
        return index.join(
            shlex.quote(part) if part else ""
            for part in checked(path, where="log").split("{index}")
        )

    def _options(self, job: JobSpec, count: int) -> Iterator[tuple[str, str, str]]:
        """Yield letters, values, and what they are called in an error."""
        ask = job.resources
        if not _NAME.fullmatch(job.tag):
            raise ConfigError(
                f"job name {job.tag!r} is none that {self.name} takes",
                hint="a letter, then letters, digits, - _ + and . : 230 characters at most",
            )
        yield "N", job.tag, "job name"
        # What the script says goes to its log.
        yield "j", "oe", "output"
        yield "o", "/dev/null", "output"
        # Nobody wants a mail for each worker that reaches its walltime.
        yield "m", "n", "mail"
        if count == 1 or not self._arrays_must_rerun:
            yield "r", "n", "rerun"
        users = named_resources(ask.directives)
        for name, value in self._resources(job):
            if name not in users:
                yield "l", f"{name}={value}", name
        if ask.walltime and "walltime" not in users:
            yield "l", f"walltime={format_clock(ask.walltime)}", "walltime"
        if ask.queue:
            yield "q", ask.queue, "queue"
        if ask.account:
            yield "A", ask.account, "account"

    def _resources(self, job: JobSpec) -> Iterator[tuple[str, str]]:
        ask = job.resources
        memory = f":mem={mebibytes(ask.memory)}mb" if ask.memory else ""
        gpus = f":ngpus={ask.gpus}" if ask.gpus else ""
        yield "select", f"{ask.nodes}:ncpus={ask.cores}{memory}{gpus}"
        if ask.nodes > 1:
            yield "place", "scatter"


def mebibytes(amount: int) -> int:
    """Return how many there are, rounded up: PBS takes whole numbers only, and reads mb as MiB."""
    return -(-amount // 2**20)


def query(*argv: str) -> Command:
    """Return a question; only questions get the variables that make answers readable."""
    return Command(argv=argv, env=_ENV, drop=_DROP)


def _refused(result: Result) -> BatchError:
    program = result.command.argv[0]
    said = words(result)
    # Without a word, or ended by a signal: whoever refuses says so.
    if not said or result.exit_code < 0 or is_unavailable(result):
        return unclear(program, said, result=result)
    row = fitting(REFUSALS, result.words)
    return refused(program, said, row=row, otherwise=OTHERWISE, result=result)


def _queue(name: str, limits: Mapping[str, str], *, default: str) -> BatchQueue:
    return BatchQueue(
        name=name,
        is_default=name == default,
        is_open=limits.get("enabled") == "True" and limits.get("started") == "True",
        max_walltime=seconds(limits.get("resources_max.walltime", "")),
        default_walltime=seconds(limits.get("resources_default.walltime", "")),
        max_nodes=number(limits.get("resources_max.nodect", "")),
    )
