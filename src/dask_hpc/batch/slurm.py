"""Slurm: sbatch, squeue, sacct, scancel, sinfo."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Self

from dask_hpc._units import format_clock
from dask_hpc.batch.directives import checked
from dask_hpc.batch.model import BatchQueue, JobId, JobState, JobStatus, Tag
from dask_hpc.batch.refusal import fitting, refused, unclear
from dask_hpc.batch.slurm_outlook import SlurmOutlook
from dask_hpc.batch.slurm_query import DROP, SESSION, query
from dask_hpc.batch.slurm_table import (
    SEPARATOR,
    check_answer,
    collapse,
    ending,
    exit_code,
    gpus,
    job_ids,
    job_index,
    moment,
    number,
    rows,
    seconds,
    state_of,
    words,
)
from dask_hpc.batch.slurm_words import (
    ENDED,
    GONE,
    NO_ACCOUNTING,
    OTHERWISE,
    QUEUE_FULL,
    REFUSALS,
    UNAVAILABLE,
    plain_reason,
)
from dask_hpc.batch.system import BatchSystem, JobVariables, in_chunks
from dask_hpc.errors import (
    BatchError,
    ConfigError,
    UnreadableOutput,
)
from dask_hpc.process.runner import Command

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from dask_hpc.batch.model import JobSpec
    from dask_hpc.process.runner import Result

_JOB_FIELDS = (
    "JobArrayID", "State", "exit_code", "StartTime", "EndTime", "NodeList", "Reason", "Name",
)  # fmt: skip
_HISTORY_FIELDS = (
    "JobID", "State", "ExitCode", "Start", "End", "NodeList", "Reason", "JobName",
)  # fmt: skip
_QUEUE_FIELDS = ("%P", "%a", "%l", "%L", "%s", "%F", "%c", "%m", "%M", "%G")

_PREEMPTS = ("CANCEL", "REQUEUE", "SUSPEND")

_NAMED_TAGS = 200  # more names make the command line too long: then all jobs are listed
_CHUNK = 100  # ids in one command

# What would take the job away from who submitted it, or make sbatch wait for its end.
_RESERVED = {
    "job-name": "the name is how the job is found again",
    "J": "the name is how the job is found again",
    "array": "jobs are counted by whoever asks for them",
    "a": "jobs are counted by whoever asks for them",
    "wait": "sbatch would not come back before the job ends",
    "W": "sbatch would not come back before the job ends",
    "test-only": "nothing would be submitted",
    "wrap": "the script is ours",
}
_JOB_ID = re.compile(r"(?:Submitted batch job )?(\d{1,18})(?:;\S+)?(?: on cluster \S+)?", re.ASCII)
_PLAIN = re.compile(r"[\w@%+=:,./{}^~-]+")


class Slurm(BatchSystem):
    """Slurm: tried with 22.05 and 24.11; ``squeue --Format`` must know suffixes and exit codes.

    Parameters
    ----------
    has_accounting
        Whether ``sacct`` can be asked about jobs that the queue has forgotten. If it turns out
        to be switched off, it knows nothing, and that is no error.
    """

    name: ClassVar[str] = "slurm"
    launcher: ClassVar[str | None] = "srun"
    outlook = SlurmOutlook()
    variables: ClassVar[JobVariables] = JobVariables(
        job_id="${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}",
        index="${SLURM_ARRAY_TASK_ID:-0}",
        # Absent before Slurm 23.02.
        end_time="${SLURM_JOB_END_TIME:-}",
    )

    def __init__(self, *, has_accounting: bool = True) -> None:
        self._has_accounting = has_accounting

    @classmethod
    def from_facts(cls, facts: Mapping[str, str]) -> Self:
        """Return the dialect for an installation: ``accounting`` is ``yes`` or ``no``."""
        return cls(has_accounting=facts.get("accounting") != "no")

    def directives(self, job: JobSpec, count: int = 1) -> tuple[str, ...]:
        """Return the ``#SBATCH`` lines.

        Raises
        ------
        ConfigError
            If a value cannot be written as a directive.
        """
        own = (f"--{name}={_quote(name, value)}" for name, value in _options(job, count))
        users = (_users_directive(line) for line in job.resources.directives)
        fixed = ("--no-requeue", *(("--no-kill",) if job.outlives_nodes else ()))
        return tuple(f"#SBATCH {line}" for line in (*own, *fixed, *users))

    def submit_command(self, job: JobSpec, count: int = 1) -> Command:
        """Return sbatch with the script on its standard input."""
        array = (f"--array=0-{count - 1}",) if count > 1 else ()
        return Command(
            argv=("sbatch", "--parsable", *array),
            stdin=self.script(job, count),
            drop=(*DROP, *SESSION),
            stop_at=QUEUE_FULL,
        )

    def read_submit(self, result: Result, count: int = 1) -> tuple[JobId, ...]:
        """Return ``36``, or the tasks of an array: ``36_0``, ``36_1``.

        Raises
        ------
        SubmitRejected
            If Slurm said no; nothing was submitted.
        BatchUnavailable, UnreadableOutput
            If it did not say. The job may exist all the same: look for its tag.
        """
        if result.exit_code:
            raise _refused(result)
        # Sites print banners around the answer; some wrap sbatch and drop --parsable.
        lines = (_JOB_ID.fullmatch(line.strip()) for line in reversed(result.stdout.splitlines()))
        match = next((match for match in lines if match), None)
        if match is None:
            raise UnreadableOutput(
                f"sbatch printed no job id: {result.words[:200]!r}",
                result=result,
                hint="the job may have been submitted: it is looked for by its name",
            )
        if count == 1:
            return (JobId(match[1]),)
        return tuple(JobId(f"{match[1]}_{index}") for index in range(count))

    def status_command(self, user: str, tags: Collection[Tag]) -> Command:
        """Return squeue for a user's jobs, with those that ended a moment ago."""
        # -O is the form that knows exit codes, and with a suffix it does not cut names short.
        fields = ",".join(f"{field}:{SEPARATOR}" for field in _JOB_FIELDS)
        names = (f"--name={','.join(sorted(tags))}",) if 0 < len(tags) <= _NAMED_TAGS else ()
        argv = ("squeue", "--array", "--states=all", f"--user={user}", *names, f"--Format={fields}")
        return query(*argv)

    def read_status(self, result: Result) -> Mapping[JobId, JobStatus]:
        """Return the jobs of the answer, which may hold more than those asked for."""
        check_answer(result)
        found: dict[JobId, JobStatus] = {}
        for ids, word, status, start, end, nodes, reason, name in rows(result, len(_JOB_FIELDS)):
            code, signal = ending(status)
            state = _held(state_of(word), reason)
            job = JobStatus(
                id=JobId(ids),
                tag=Tag(name),
                state=state,
                reason=_reason(reason, word=word, state=state),
                plain_reason=plain_reason(reason, state),
                start_estimate=moment(start) if state.is_waiting else None,
                end_time=None if state.is_waiting else moment(end),
                nodes=nodes,
                exit_code=exit_code(code, signal=signal, state=state),
            )
            found |= _each(ids, job)
        return found

    def history_commands(self, ids: Sequence[JobId]) -> tuple[Command, ...]:
        """Return sacct, if there is accounting."""
        if not self._has_accounting:
            return ()
        # Whole arrays: sacct keeps tasks that never ran in one row, which no task's id finds.
        arrays = list(dict.fromkeys(job_id.partition("_")[0] for job_id in ids))
        form = ("--allocations", "--parsable2", f"--delimiter={SEPARATOR}")
        fields = f"--format={','.join(_HISTORY_FIELDS)}"
        return tuple(
            query("sacct", *form, fields, f"--jobs={','.join(chunk)}")
            for chunk in in_chunks(arrays)
        )

    def read_history(self, result: Result) -> Mapping[JobId, JobStatus]:
        """Return what accounting knows; nothing at all where there is none."""
        if NO_ACCOUNTING in result.stderr:
            return {}
        check_answer(result)
        found: dict[JobId, JobStatus] = {}
        table = rows(result, len(_HISTORY_FIELDS))
        for ids, word, codes, _start, end, nodes, reason, name in table:
            code, signal = ending(codes)
            state = state_of(word)
            job = JobStatus(
                id=JobId(ids),
                tag=Tag(name),
                state=state,
                reason=_reason(reason, word=word, state=state),
                plain_reason=plain_reason(reason, state),
                end_time=None if state.is_waiting else moment(end),
                nodes="" if nodes == "None assigned" else nodes,
                exit_code=exit_code(code, signal=signal, state=state),
            )
            found |= _each(ids, job)
        return found

    def cancel_commands(self, ids: Sequence[JobId]) -> tuple[Command, ...]:
        """Return scancel, with the tasks of an array in one word."""
        together = collapse(ids, longest=_CHUNK)
        return tuple(query("scancel", *chunk) for chunk in in_chunks(together))

    def read_cancel(self, result: Result) -> None:
        """Return if every job is cancelled or was gone.

        Raises
        ------
        BatchUnavailable, BatchError
            If Slurm did not answer, or a job may not be cancelled.
        """
        if not result.exit_code:
            return
        complaints = [line for line in result.stderr.splitlines() if "error" in line]
        if complaints and all(any(sign in line for sign in GONE) for line in complaints):
            return
        check_answer(result)

    def queues_command(self) -> Command:
        """Return sinfo, with one line for each kind of node in a partition."""
        return query("sinfo", f"--format={SEPARATOR.join(_QUEUE_FIELDS)}")

    def read_queues(self, result: Result) -> tuple[BatchQueue, ...]:
        """Return the partitions. Of several kinds of nodes, the largest counts."""
        check_answer(result)
        found: dict[str, BatchQueue] = {}
        for cells in rows(result, len(_QUEUE_FIELDS)):
            queue = _queue(cells)
            known = found.get(queue.name)
            found[queue.name] = _merged(known, queue) if known else queue
        return tuple(sorted(found.values(), key=lambda queue: not queue.is_default))


def _options(job: JobSpec, count: int) -> Iterator[tuple[str, str]]:
    ask = job.resources
    if "," in job.tag:
        raise ConfigError(f"job name {job.tag!r} holds a comma", hint="squeue could not find it")
    options = {
        "job-name": job.tag,
        "output": _log(job.log, count),
        # A site may force a requeue: the second run must not wipe out what the first one said.
        "open-mode": "append",
        "nodes": f"{ask.nodes}",
        "ntasks-per-node": "1",
        "cpus-per-task": f"{ask.cores}",
        "mem": ask.memory and f"{-(-ask.memory // 2**20)}M",
        "time": ask.walltime and format_clock(ask.walltime),
        "partition": ask.queue,
        "account": ask.account,
        "gres": ask.gpus and f"gpu:{ask.gpus}",
        "comment": job.comment,
    }
    return ((name, value) for name, value in options.items() if value)


def _log(path: str, count: int) -> str:
    if "\\" in path:
        raise ConfigError(
            f"log {path!r} holds a backslash, which Slurm cannot have in the name of a log",
            hint="keep clusters in another directory: DASK_HPC_HOME names it",
        )
    # https://slurm.schedmd.com/sbatch.html#SECTION_FILENAME-PATTERN: outside an array, %a is
    # 4294967294 (measured with 22.05).
    return path.replace("%", "%%").replace("{index}", "%a" if count > 1 else "0")


def _quote(name: str, value: str) -> str:
    """Return a value as sbatch reads it in a script, where blanks and ``#`` end one."""
    text = checked(value, where=name)
    if _PLAIN.fullmatch(text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _users_directive(line: str) -> str:
    for word in checked(line, where="directive").split():
        if why := _RESERVED.get(_option_name(word)):
            raise ConfigError(
                f"directive {line!r} sets {word!r}, but {why}", hint="leave it out of directives"
            )
    return line


def _option_name(word: str) -> str:
    if word.startswith("--"):
        return word[2:].partition("=")[0]
    return word[1:2] if word.startswith("-") else ""


def _refused(result: Result) -> BatchError:
    said = words(result)
    # Without a word, or ended by a signal for something else: whoever refuses says so.
    is_ended = result.exit_code < 0 and QUEUE_FULL not in result.stderr
    if not said or is_ended or any(sign in result.stderr for sign in UNAVAILABLE):
        return unclear("slurm", said, result=result)
    row = fitting(REFUSALS, result.stderr)
    return refused("slurm", said, row=row, otherwise=OTHERWISE, result=result)


def _held(state: JobState, reason: str) -> JobState:
    waits_for_release = state is JobState.PENDING and reason.startswith("JobHeld")
    return JobState.HELD if waits_for_release else state


def _reason(reason: str, *, word: str, state: JobState) -> str:
    """Return the reason in Slurm's words: of an ended job, not why it once waited."""
    if " by " in word or state is JobState.UNKNOWN:
        return word
    if reason == "None" or (state.is_final and reason not in ENDED):
        return ""
    return reason


def _each(cell: str, job: JobStatus) -> dict[JobId, JobStatus]:
    return {one: replace(job, id=one, index=job_index(one)) for one in job_ids(cell)}


def _queue(cells: Sequence[str]) -> BatchQueue:
    name, available, longest, default, size, nodes, cores, memory, mode, gres = cells
    counts = [number(count) for count in nodes.split("/")]  # allocated, idle, other, total
    most = size.rpartition("-")[2]
    return BatchQueue(
        name=name.removesuffix("*"),
        is_default=name.endswith("*"),
        is_open=available == "up",
        max_walltime=seconds(longest),
        default_walltime=seconds(default),
        max_nodes=number(most) if most.isdecimal() else None,
        nodes=counts[-1],
        free_nodes=counts[1] if len(counts) > 1 else 0,
        cores_per_node=number(cores),
        memory_per_node=number(memory) * 2**20,
        gpus_per_node=gpus(gres),
        is_preemptible=mode.startswith(_PREEMPTS),
    )


def _merged(known: BatchQueue, more: BatchQueue) -> BatchQueue:
    return replace(
        known,
        nodes=known.nodes + more.nodes,
        free_nodes=known.free_nodes + more.free_nodes,
        cores_per_node=max(known.cores_per_node, more.cores_per_node),
        memory_per_node=max(known.memory_per_node, more.memory_per_node),
        gpus_per_node=max(known.gpus_per_node, more.gpus_per_node),
    )
