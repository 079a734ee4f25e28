"""The dialect of the simulated batch system: plain JSON in both directions."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any, ClassVar

from dask_hpc._files import from_json
from dask_hpc.batch.directives import checked
from dask_hpc.batch.model import BatchQueue, JobId, JobStatus
from dask_hpc.batch.system import BatchSystem, JobVariables
from dask_hpc.errors import (
    BatchError,
    BatchUnavailable,
    LimitReached,
    SubmitRejected,
    UnreadableOutput,
)
from dask_hpc.process.runner import Command

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from dask_hpc.batch.model import JobSpec, Tag
    from dask_hpc.process.runner import Result

REFUSED, LIMITED, BUSY = 1, 2, 3  # exit codes
MARK = "#FAKE "

_ERRORS: Mapping[int, type[BatchError]] = {
    REFUSED: SubmitRejected,
    LIMITED: LimitReached,
    BUSY: BatchUnavailable,
}


class FakeDialect(BatchSystem):
    """What `FakeSystem` speaks."""

    name: ClassVar[str] = "fake"
    variables: ClassVar[JobVariables] = JobVariables(
        job_id="$FAKE_JOB", index="$FAKE_INDEX", end_time="$FAKE_END"
    )

    def directives(self, job: JobSpec, count: int = 1) -> tuple[str, ...]:  # noqa: ARG002 # said in the command
        """Return one line that says everything."""
        for line in job.resources.directives:
            checked(line, where="directive")
        asked = {"tag": job.tag, "log": job.log, "resources": dataclasses.asdict(job.resources)}
        return (f"{MARK}{json.dumps(asked)}",)

    def submit_command(self, job: JobSpec, count: int = 1) -> Command:
        """Return the script on standard input."""
        return Command(argv=("fake", "submit", str(count)), stdin=self.script(job, count))

    def read_submit(self, result: Result, count: int = 1) -> tuple[JobId, ...]:
        """Return ``1``, or ``1.0``, ``1.1``, … of an array."""
        ids = tuple(JobId(one) for one in _answer(result))
        if len(ids) != count:
            raise UnreadableOutput(f"{len(ids)} ids for {count} jobs", result=result)
        return ids

    def status_command(self, user: str, tags: Collection[Tag]) -> Command:
        """Return the question for a user's jobs."""
        return Command(argv=("fake", "status", user, *sorted(tags)))

    def read_status(self, result: Result) -> Mapping[JobId, JobStatus]:
        """Return the jobs."""
        found: list[JobStatus] = [from_json(one, JobStatus) for one in _answer(result)]
        return {job.id: job for job in found}

    def history_commands(self, ids: Sequence[JobId]) -> tuple[Command, ...]:
        """Return the question about ended jobs."""
        return (Command(argv=("fake", "history", *ids)),)

    def read_history(self, result: Result) -> Mapping[JobId, JobStatus]:
        """Return those that are known."""
        return self.read_status(result)

    def cancel_commands(self, ids: Sequence[JobId]) -> tuple[Command, ...]:
        """Return one command for all."""
        return (Command(argv=("fake", "cancel", *ids)),)

    def read_cancel(self, result: Result) -> None:
        """Return if it was heard."""
        _answer(result)

    def queues_command(self) -> Command:
        """Return the question for the queues."""
        return Command(argv=("fake", "queues"))

    def read_queues(self, result: Result) -> tuple[BatchQueue, ...]:
        """Return the queues."""
        return tuple(from_json(one, BatchQueue) for one in _answer(result))


def _answer(result: Result) -> list[Any]:
    if result.exit_code:
        error = _ERRORS.get(result.exit_code, BatchError)
        raise error(result.words, result=result, hint="known queues are: long, short")
    try:
        said = json.loads(result.stdout)
    except ValueError as error:
        raise UnreadableOutput(f"fake said no JSON: {error}", result=result) from None
    if not isinstance(said, list):
        raise UnreadableOutput(f"fake said {said!r}", result=result)
    return said
