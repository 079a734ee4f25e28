"""Jobs that are submitted as their class does it: one by one, with its own script and commands.

For classes with ways of their own, and for workers that our host does not run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from dask_hpc.batch.model import JobId, JobState, JobStatus
from dask_hpc.batch.queue import Queue
from dask_hpc.batch.system import BatchSystem, JobVariables
from dask_hpc.cluster.slot import Slot, worker_name
from dask_hpc.errors import BatchError, BatchUnavailable, SubmitRejected, UnreadableOutput

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from dask_hpc.batch.model import BatchQueue, JobSpec, Tag
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
        self._started: dict[JobId, tuple[Slot, Job]] = {}

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
            await job.start()
        except (RuntimeError, OSError) as error:
            raise SubmitRejected(str(error), hint="the class of the job ran the command") from error
        except ValueError as error:
            raise UnreadableOutput(str(error)) from error
        if job.job_id is None:
            raise UnreadableOutput(f"{type(job).__name__} has no id of the job that it started")
        job_id = JobId(str(job.job_id))
        self._started[job_id] = (slot, job)
        return job_id

    async def cancel(self, ids: Sequence[JobId]) -> None:
        """Cancel jobs as their class does it."""
        for job_id in ids:
            job = self._known(job_id)
            try:
                await job.close()
            except (RuntimeError, OSError) as error:
                raise BatchError(f"job {job_id} could not be cancelled: {error}") from error
            self._started.pop(job_id, None)

    def _known(self, job_id: JobId) -> Job:
        if job_id in self._started:
            return self._started[job_id][1]
        job = self._make("none", "none")  # it was cancelled before
        job.job_id = job_id
        return job


class Remembered(OwnScripts):
    """Jobs that nobody can be asked for: they are there from their start until they are closed."""

    async def status(self, tags: Collection[Tag]) -> Mapping[JobId, JobStatus]:
        """Return the jobs that were not closed yet; how they are, is not known."""
        return {
            job_id: JobStatus(id=job_id, tag=slot.tag, state=JobState.UNKNOWN, index=slot.index)
            for job_id, (slot, _) in self._started.items()
            if slot.tag in tags
        }


class Unasked(BatchSystem):
    """A batch system of which nothing is known but what the class of its jobs does.

    Parameters
    ----------
    cluster
        Whose jobs they are: listings are not shared with other clusters.
    """

    name: ClassVar[str] = "unasked"
    launcher: ClassVar[str | None] = None
    variables: ClassVar[JobVariables] = JobVariables(job_id='""', index="0")

    def __init__(self, cluster: str) -> None:
        vars(self)["name"] = f"unasked for {cluster}"

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
