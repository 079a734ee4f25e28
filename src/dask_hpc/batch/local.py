"""The embedded local queue: its own commands, which answer in JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from dask_hpc.batch.directives import checked
from dask_hpc.batch.model import BatchQueue, JobId, JobState, JobStatus, Tag
from dask_hpc.batch.outlook import Outlook, Place
from dask_hpc.batch.system import BatchSystem, JobVariables, in_chunks
from dask_hpc.errors import (
    BatchError,
    BatchUnavailable,
    ConfigError,
    LimitReached,
    SubmitRejected,
    UnreadableOutput,
)
from dask_hpc.process.runner import Command

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from dask_hpc.batch.model import JobSpec
    from dask_hpc.process.runner import Result

# By its path, isolated (-I) and without site (-S): neither the current directory nor PYTHONPATH
# decides what runs, the environment of the command stays that of the job, and it starts faster.
_PROGRAM = str(Path(__file__).parents[1] / "localqueue" / "__main__.py")
_OPTIONS = ("-I", "-S", "-X", "utf8")
# A job that submits is not the one that it submits.
_DROP = ("DASK_HPC_LOCAL_",)

_Value = TypeVar("_Value")

_STATES = {state.value: state for state in JobState}
_REFUSAL = 1
_TOO_MANY = "in one array are too many"
# What is larger than the machine, or follows another job, holds up nobody.
_ASIDE = ("this machine has", "waits for the end of")
_CHUNK = 1000  # ids in one command
_RESERVED = {
    "name": "the name is how the job is found again",
    "count": "jobs are counted by whoever asks for them",
}


class Local(BatchSystem):
    """The queue of this machine, as large as the machine or as its settings say.

    Parameters
    ----------
    cores
        How many cores its jobs share; they may be more than there are. Default: the machine's.
    memory
        How many bytes of memory its jobs share. Default: the machine's.
    python
        The interpreter of its commands and its daemon.
    """

    name: ClassVar[str] = "local"
    launcher: ClassVar[str | None] = None
    variables: ClassVar[JobVariables] = JobVariables(
        job_id="$DASK_HPC_LOCAL_JOB_ID",
        index="$DASK_HPC_LOCAL_ARRAY_INDEX",
        end_time="$DASK_HPC_LOCAL_END_TIME",
    )

    def __init__(
        self, *, cores: int | None = None, memory: int | None = None, python: str = sys.executable
    ) -> None:
        self._cores = cores
        self._memory = memory
        self._python = python
        self.outlook = _LocalOutlook(self._command("status"))

    @classmethod
    def from_facts(cls, facts: Mapping[str, str]) -> Self:
        """Return the dialect for a size: ``cores``, and ``memory`` in bytes."""
        cores, memory = facts.get("cores"), facts.get("memory")
        return cls(cores=int(cores) if cores else None, memory=int(memory) if memory else None)

    def directives(self, job: JobSpec, count: int = 1) -> tuple[str, ...]:
        """Return the ``#LOCAL`` lines.

        Raises
        ------
        ConfigError
            If a value cannot be written as a directive.
        """
        own = (f"--{name}={checked(str(value), where=name)}" for name, value in _asked(job, count))
        users = (_users_directive(line) for line in job.resources.directives)
        return tuple(f"#LOCAL {line}" for line in (*own, *users))

    def submit_command(self, job: JobSpec, count: int = 1) -> Command:
        """Return the command that takes the script on its standard input."""
        return self._command("submit", stdin=self.script(job, count))

    def read_submit(self, result: Result, count: int = 1) -> tuple[JobId, ...]:
        """Return ``12``, or the elements of an array: ``12_0``, ``12_1``.

        Raises
        ------
        SubmitRejected, LimitReached
            If the queue said no; nothing was submitted.
        BatchUnavailable, UnreadableOutput
            If it did not say. The job may exist all the same: look for its tag.
        """
        if result.exit_code:
            raise _refused(result)
        ids = tuple(JobId(str(each)) for each in _list(result, "jobs"))
        if len(ids) != count:
            raise UnreadableOutput(f"{len(ids)} ids came for {count} jobs", result=result)
        return ids

    def status_command(self, user: str, tags: Collection[Tag]) -> Command:  # noqa: ARG002 # it has one user
        """Return the query for jobs with these tags."""
        return self._command("status", *(f"--tag={tag}" for tag in sorted(tags)))

    def read_status(self, result: Result) -> Mapping[JobId, JobStatus]:
        """Return the jobs of the answer."""
        jobs = _parsed(result, "jobs", read=_status)
        return {job.id: job for job in jobs}

    def history_commands(self, ids: Sequence[JobId]) -> tuple[Command, ...]:
        """Return what asks about jobs of the last day."""
        return tuple(self._command("history", *chunk) for chunk in in_chunks(ids, _CHUNK))

    def read_history(self, result: Result) -> Mapping[JobId, JobStatus]:
        """Return the jobs that are still known."""
        return self.read_status(result)

    def cancel_commands(self, ids: Sequence[JobId]) -> tuple[Command, ...]:
        """Return what cancels these jobs."""
        return tuple(self._command("cancel", *chunk) for chunk in in_chunks(ids, _CHUNK))

    def read_cancel(self, result: Result) -> None:
        """Return if every job is cancelled or was gone."""
        _list(result, "cancelled")

    def queues_command(self) -> Command:
        """Return what asks for the size of the queue."""
        return self._command("queues")

    def read_queues(self, result: Result) -> tuple[BatchQueue, ...]:
        """Return the one queue; its node is free if a job of one core could start."""
        return tuple(_parsed(result, "queues", read=_queue))

    def _command(self, *words: str, stdin: str | None = None) -> Command:
        size = {"CORES": self._cores, "MEMORY": self._memory}
        return Command(
            argv=(self._python, *_OPTIONS, _PROGRAM, *words),
            stdin=stdin,
            env={f"DASK_HPC__LOCAL__{name}": str(value) for name, value in size.items() if value},
            drop=_DROP,
        )


class _LocalOutlook(Outlook):
    def __init__(self, listing: Command) -> None:
        super().__init__(after="--after={job}")
        self._listing = listing

    def place_command(self) -> Command:
        return self._listing

    def read_place(self, result: Result, job: JobId) -> Place | None:
        pending = [each for each in _parsed(result, "jobs", read=_status) if _waits(each)]
        ids = [each.id for each in pending]
        return Place(number=ids.index(job) + 1, of=len(ids)) if job in ids else None


def _waits(job: JobStatus) -> bool:
    return job.state.is_waiting and not any(words in job.reason for words in _ASIDE)


def _asked(job: JobSpec, count: int) -> Iterator[tuple[str, object]]:
    ask = job.resources
    options = {
        "name": job.tag,
        "count": count if count > 1 else None,
        "queue": ask.queue,
        "nodes": ask.nodes if ask.nodes > 1 else None,
        "gpus": ask.gpus,
        "cores": ask.cores,
        "memory": ask.memory,
        "walltime": ask.walltime,
        "output": job.log.replace("%", "%%").replace("{index}", "%a"),
        "comment": job.comment,
    }
    return ((name, value) for name, value in options.items() if value)


def _users_directive(line: str) -> str:
    option = checked(line, where="directive").removeprefix("--").replace("=", " ").partition(" ")[0]
    if why := _RESERVED.get(option):
        raise ConfigError(
            f"directive {line!r} sets {option!r}, but {why}", hint="leave it out of directives"
        )
    return line


def _refused(result: Result) -> BatchError:
    said, hint = _words(result, "error"), _words(result, "hint")
    if result.exit_code != _REFUSAL or not said:
        return _unavailable(result)
    kind = LimitReached if _TOO_MANY in said else SubmitRejected
    return kind(said, result=result, hint=hint)


def _unavailable(result: Result) -> BatchUnavailable:
    said = _words(result, "error") or result.words[-200:] or f"exit code {result.exit_code}"
    return BatchUnavailable(
        f"the local queue did not answer: {said}", result=result, hint=_words(result, "hint")
    )


def _words(result: Result, kind: str) -> str:
    lines = result.stderr.splitlines()
    start = f"{kind}: "
    return next((line.removeprefix(start) for line in lines if line.startswith(start)), "")


def _parsed(result: Result, key: str, *, read: Callable[[Any], _Value]) -> list[_Value]:
    try:
        return [read(item) for item in _list(result, key)]
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableOutput(f"the answer lacks {error}", result=result) from None


def _list(result: Result, key: str) -> list[Any]:
    if result.exit_code:
        raise _unavailable(result)
    # A remote shell's start files may print something before the answer, which is one line.
    line = (result.stdout.strip().splitlines() or [""])[-1]
    try:
        answer = json.loads(line)[key]
    except (ValueError, KeyError, TypeError):
        answer = None
    if not isinstance(answer, list):
        raise UnreadableOutput(f"no {key} in the answer {line[:200]!r}", result=result)
    return answer


def _status(job: Mapping[str, Any]) -> JobStatus:
    word = str(job["state"])
    return JobStatus(
        id=JobId(job["id"]),
        tag=Tag(job["tag"]),
        state=_STATES.get(word, JobState.UNKNOWN),
        index=job["index"],
        reason=job["reason"],
        plain_reason=job["reason"],
        end_time=job["end_time"],
        nodes=job["nodes"],
        exit_code=job["exit_code"],
    )


def _queue(facts: Mapping[str, Any]) -> BatchQueue:
    return BatchQueue(
        name=facts["name"],
        is_default=True,
        max_nodes=1,
        nodes=1,
        free_nodes=1 if facts["free_cores"] > 0 else 0,
        cores_per_node=facts["cores"],
        memory_per_node=facts["memory"],
    )
