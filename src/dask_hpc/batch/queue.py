"""The front door of the batch layer: a dialect with somebody to run its commands."""

from __future__ import annotations

import logging
import shlex
from typing import TYPE_CHECKING

from dask_hpc.errors import BatchError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from dask_hpc.batch.model import BatchQueue, JobId, JobSpec, JobStatus, Tag
    from dask_hpc.batch.outlook import Place
    from dask_hpc.batch.system import BatchSystem
    from dask_hpc.process.runner import Command, Result, Runner

logger = logging.getLogger(__name__)


class Queue:
    """A batch system that can be asked.

    Every verb may raise `CommandMissing` if the system is not installed where the runner runs
    its commands, and `BatchUnavailable` if it did not answer in time.

    Parameters
    ----------
    system
        What to say and how to read the answer.
    runner
        Who says it.
    user
        Whose jobs are listed: the name that the batch system knows.
    timeout
        Seconds until a command without an answer is given up.
    """

    def __init__(
        self, system: BatchSystem, runner: Runner, *, user: str, timeout: float = 60
    ) -> None:
        self._system = system
        self._runner = runner
        self._user = user
        self._timeout = timeout

    @property
    def system(self) -> BatchSystem:
        """The dialect."""
        return self._system

    @property
    def runner(self) -> Runner:
        """Who runs the commands."""
        return self._runner

    @property
    def user(self) -> str:
        """Whose jobs are listed."""
        return self._user

    def script(self, job: JobSpec, count: int = 1) -> str:
        """Return the script that `submit` hands in."""
        return self._system.script(job, count)

    async def submit(self, job: JobSpec, count: int = 1) -> tuple[JobId, ...]:
        """Submit a job once, or several times as one array; return the ids in their order.

        Raises
        ------
        SubmitRejected
            If the system said no; `LimitReached` if it was for the number of jobs. Nothing was
            submitted.
        BatchUnavailable, UnreadableOutput
            If it is not known whether anything was submitted. Never submit again then before
            a listing by the job's tag has said so.
        ConfigError
            If the job cannot be written as a script.
        """
        return self._system.read_submit(
            await self._run(self._system.submit_command(job, count)), count
        )

    async def status(self, tags: Collection[Tag]) -> Mapping[JobId, JobStatus]:
        """Return the jobs of the user that carry one of these tags, as the system shows them."""
        listed = self._system.read_status(
            await self._run(self._system.status_command(self._user, tags))
        )
        return {job_id: job for job_id, job in listed.items() if job.tag in tags}

    async def history(self, ids: Sequence[JobId]) -> Mapping[JobId, JobStatus]:
        """Return how jobs ended that the queue has forgotten, as far as the system still knows."""
        found: dict[JobId, JobStatus] = {}
        for command in self._system.history_commands(ids):
            found |= self._system.read_history(await self._run(command))
        return found

    async def cancel(self, ids: Sequence[JobId]) -> None:
        """Cancel jobs. Those that have ended are no error; one error does not spare the rest.

        Raises
        ------
        BatchError
            The first one, after every job was asked to end.
        """
        errors: list[BatchError] = []
        for command in self._system.cancel_commands(ids):
            try:
                self._system.read_cancel(await self._run(command))
            except BatchError as error:
                errors.append(error)
        if errors:
            raise errors[0]

    async def queues(self) -> tuple[BatchQueue, ...]:
        """Return the queues with their limits, the default one first."""
        return self._system.read_queues(await self._run(self._system.queues_command()))

    async def sees_all(self) -> bool:
        """Whether the jobs of other users are seen, too."""
        command = self._system.outlook.sight_command()
        return command is None or self._system.outlook.read_sight(await self._run(command))

    async def place(self, job: JobId) -> Place | None:
        """Return a job's place among those that wait, of those that are seen; often unknown."""
        outlook = self._system.outlook
        command = outlook.place_command()
        return outlook.read_place(await self._run(command), job) if command else None

    async def trial(self, job: JobSpec, queue: str) -> float | None:
        """Return when a job would start in a queue, in seconds since the epoch, if that is said.

        Nothing is submitted.
        """
        outlook = self._system.outlook
        command = outlook.trial_command(self.script(job), queue)
        return outlook.read_trial(await self._run(command)) if command else None

    async def _run(self, command: Command) -> Result:
        logger.debug("running %s", shlex.join(command.argv))
        result = await self._runner.run(command, timeout=self._timeout)
        logger.debug("%s: exit code %d, %s", command.argv[0], result.exit_code, result.words[:200])
        return result
