"""Abacus for dask-hpc: one command, which takes and prints JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from dask_hpc.batch.directives import checked
from dask_hpc.batch.model import BatchQueue, JobId, JobState, JobStatus, Tag
from dask_hpc.batch.system import BatchSystem, JobVariables
from dask_hpc.errors import BatchUnavailable, SubmitRejected, UnreadableOutput
from dask_hpc.process.runner import Command

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from dask_hpc.batch.model import JobSpec
    from dask_hpc.process.runner import Result

_REFUSED = 2
_STATES = {
    "waiting": JobState.PENDING,
    "held": JobState.HELD,
    "running": JobState.RUNNING,
    "cancelled": JobState.CANCELLED,
    "out of time": JobState.TIMED_OUT,
    "ended": JobState.DONE,
    "failed": JobState.FAILED,
}
_PLAIN = {"beads": "not enough cores are free"}


class Abacus(BatchSystem):
    """What Abacus understands and says."""

    name: ClassVar[str] = "abacus"
    launcher: ClassVar[str | None] = None
    variables: ClassVar[JobVariables] = JobVariables(job_id="$ABACUS_JOB", index="$ABACUS_INDEX")

    def directives(self, job: JobSpec, count: int = 1) -> tuple[str, ...]:
        """Return a line for each thing that is asked for."""
        asked = {name: checked(value, where=name) for name, value in _asked(job)}
        users = (checked(line, where="directive") for line in job.resources.directives)
        return tuple(f"#ABACUS {line}" for line in (*map("=".join, asked.items()), *users))

    def submit_command(self, job: JobSpec, count: int = 1) -> Command:
        """Return the script on standard input."""
        return Command(argv=("abacus", "submit", f"{count}"), stdin=self.script(job, count))

    def read_submit(self, result: Result, count: int = 1) -> tuple[JobId, ...]:
        """Return ``7``, or ``7.0``, ``7.1``, … of an array."""
        if result.exit_code == _REFUSED:
            raise SubmitRejected(
                f"abacus refused the job: {result.words}", result=result, hint="see abacus queues"
            )
        ids = tuple(JobId(one) for one in _answer(result, list))
        if len(ids) != count:
            raise UnreadableOutput(f"{len(ids)} ids came for {count} jobs", result=result)
        return ids

    def status_command(self, user: str, tags: Collection[Tag]) -> Command:  # it has one user
        """Return the question for these submissions."""
        return Command(argv=("abacus", "list", *sorted(tags)))

    def read_status(self, result: Result) -> Mapping[JobId, JobStatus]:
        """Return the jobs; those that ended, too."""
        jobs = map(_status, _answer(result, list))
        return {job.id: job for job in jobs}

    def history_commands(self, ids: Sequence[JobId]) -> tuple[Command, ...]:  # nothing is forgotten
        """Return nothing: listings have all jobs that ever were."""
        return ()

    def read_history(self, result: Result) -> Mapping[JobId, JobStatus]:
        """Return what was never asked."""
        return self.read_status(result)

    def cancel_commands(self, ids: Sequence[JobId]) -> tuple[Command, ...]:
        """Return one command for every 100 jobs."""
        chunks = (ids[start : start + 100] for start in range(0, len(ids), 100))
        return tuple(Command(argv=("abacus", "cancel", *chunk)) for chunk in chunks)

    def read_cancel(self, result: Result) -> None:
        """Return if it was heard: jobs that are gone are no error."""
        _answer(result, list)

    def queues_command(self) -> Command:
        """Return the question for the queues."""
        return Command(argv=("abacus", "queues"))

    def read_queues(self, result: Result) -> tuple[BatchQueue, ...]:
        """Return the queues, of which the first is the default one."""
        names = _answer(result, list)
        return tuple(BatchQueue(name=name, is_default=name == names[0]) for name in names)


def _asked(job: JobSpec) -> Iterator[tuple[str, str]]:
    yield "name", job.tag
    yield "log", job.log
    yield "cores", f"{job.resources.cores}"
    if job.resources.walltime is not None:
        yield "seconds", f"{job.resources.walltime:g}"
    if job.resources.queue:
        yield "queue", job.resources.queue


def _status(told: Mapping[str, Any]) -> JobStatus:
    state = _STATES.get(told["state"], JobState.UNKNOWN)
    return JobStatus(
        id=JobId(told["id"]),
        tag=Tag(told["name"]),
        index=told["index"],
        state=state,
        reason=told["why"] or (told["state"] if state is JobState.UNKNOWN else ""),
        plain_reason=_PLAIN.get(told["why"], ""),
        end_time=told["ends"],
        exit_code=told["code"],
    )


def _answer(result: Result, kind: type) -> Any:
    """Return what was said, which is of one kind; silence and failures are no answer."""
    if result.exit_code:
        raise BatchUnavailable(f"abacus did not answer: {result.words}", result=result)
    try:
        said = json.loads(result.stdout)
    except ValueError:
        said = None
    if not isinstance(said, kind):
        raise UnreadableOutput(f"abacus said {result.stdout[:100]!r}", result=result)
    return said
