"""Jobs that are submitted as their class does it: one by one, with its own script and commands.

For classes with ways of their own, and for workers that our host does not run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from dask_hpc.batch.model import JobId
from dask_hpc.batch.queue import Queue
from dask_hpc.batch.system import BatchSystem, JobVariables
from dask_hpc.cluster.slot import Slot, worker_name
from dask_hpc.errors import BatchError, BatchUnavailable, SubmitRejected, UnreadableOutput

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from dask_hpc.batch.model import BatchQueue, JobSpec, JobStatus, Tag
    from dask_hpc.compat.job import Job
    from dask_hpc.process.runner import Command, Result, Runner


class OwnScripts(Queue):
    """A queue whose jobs submit themselves.

    Parameters
    ----------
    system
        Who is asked about them.
    make
        Returns a job whose workers have this name, under this name of a job.
    runner, user
        As of `Queue`.
    """

    def __init__(
        self,
        system: BatchSystem,
        runner: Runner,
        *,
        user: str,
        make: Callable[[str, str], Job],
    ) -> None:
        super().__init__(system, runner, user=user)
        self._make = make
        self._ids: dict[JobId, str] = {}  # what the job's class calls it

    async def submit(self, job: JobSpec, count: int = 1) -> tuple[JobId, ...]:
        """Submit as many jobs; if one is refused, those before it are cancelled."""
        found: list[JobId] = []
        for index in range(count):
            try:
                found.append(await self._submit(Slot(job.tag, index)))
            except BaseException:
                await self.cancel(found)
                raise
        return tuple(found)

    async def _submit(self, slot: Slot) -> JobId:
        job = self._make(worker_name(slot, 0), slot.tag)
        if job.worker_processes > 1:  # its workers count themselves
            job = self._make(str(slot), slot.tag)
        try:
            out = await job.submit()
        except (RuntimeError, OSError) as error:
            raise SubmitRejected(str(error), hint="the class of the job ran the command") from error
        try:
            own = job.id_in(out)
        except ValueError as error:
            raise UnreadableOutput(str(error)) from error
        self._ids[JobId(own)] = own
        return JobId(own)

    async def cancel(self, ids: Sequence[JobId]) -> None:
        """Cancel jobs as their class does it."""
        job = self._make("none", "none")
        for job_id in ids:
            try:
                await job.cancel(self._ids.get(job_id, job_id))
            except (RuntimeError, OSError) as error:
                raise BatchError(f"job {job_id} could not be cancelled: {error}") from error


class Unasked(BatchSystem):
    """A batch system of which nothing is known but what the class of its jobs does."""

    name: ClassVar[str] = "unasked"
    launcher: ClassVar[str | None] = None
    variables: ClassVar[JobVariables] = JobVariables(job_id='""', index="0")

    def directives(self, job: JobSpec, count: int = 1) -> tuple[str, ...]:  # noqa: ARG002 - it has none
        """Return nothing."""
        return ()

    def submit_command(self, job: JobSpec, count: int = 1) -> Command:
        """Raise: the class of the job submits it."""
        raise BatchError(f"job {job.tag!r} is not ours to submit, {count} times")

    def read_submit(self, result: Result, count: int = 1) -> tuple[JobId, ...]:  # noqa: ARG002 - as others
        """Raise: nothing was submitted here."""
        raise UnreadableOutput("nothing was submitted", result=result)

    def status_command(self, user: str, tags: Collection[Tag]) -> Command:
        """Raise: a listing without an answer changes nothing."""
        raise BatchUnavailable(f"nobody can be asked for jobs {sorted(tags)} of {user}")

    def read_status(self, result: Result) -> Mapping[JobId, JobStatus]:
        """Raise: nobody was asked."""
        raise BatchUnavailable("nobody was asked", result=result)

    def history_commands(self, ids: Sequence[JobId]) -> tuple[Command, ...]:  # noqa: ARG002 - it has none
        """Return nothing."""
        return ()

    def read_history(self, result: Result) -> Mapping[JobId, JobStatus]:  # noqa: ARG002 - it has none
        """Return nothing."""
        return {}

    def cancel_commands(self, ids: Sequence[JobId]) -> tuple[Command, ...]:  # noqa: ARG002 - as others
        """Return nothing: the class of the job cancels it."""
        return ()

    def read_cancel(self, result: Result) -> None:
        """Return."""

    def queues_command(self) -> Command:
        """Raise: nothing is known of queues."""
        raise BatchUnavailable("nobody can be asked for queues")

    def read_queues(self, result: Result) -> tuple[BatchQueue, ...]:
        """Raise: nobody was asked."""
        raise BatchUnavailable("nobody was asked", result=result)
