"""What a batch system must be able to say. Dialects do no I/O.

Every pair ``x_command``, ``read_x`` turns values into a command and its result into values.
A reader raises `BatchUnavailable` if the system did not answer, `UnreadableOutput` if the answer
is in no known form, and `SubmitRejected` if a submission was refused; it never returns an empty
answer for a failed one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self, TypeVar

from dask_hpc.batch.outlook import Outlook

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from dask_hpc.batch.model import BatchQueue, JobId, JobSpec, JobStatus, Tag
    from dask_hpc.process.runner import Command, Result


_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobVariables:
    """Shell words that say, inside a job, which one it is and when it ends.

    ``job_id`` expands to the id as `read_submit` gave it, ``index`` to the place in the array
    counted from 0, ``end_time`` to seconds since the epoch or to nothing. With ``tag``, which
    expands to the job's name, the script is the same for every submission.
    """

    job_id: str
    index: str
    end_time: str = ""
    tag: str = ""


def in_chunks(items: Sequence[_Item], size: int = 100) -> Iterator[Sequence[_Item]]:
    """Yield items in parts of at most this size: a command line may not be longer."""
    return (items[start : start + size] for start in range(0, len(items), size))


class BatchSystem(ABC):
    """One dialect: how to ask, and how to read the answer."""

    name: ClassVar[str]
    variables: ClassVar[JobVariables]
    # Who starts programs on the nodes of a job; nobody where jobs have one node.
    launcher: ClassVar[str | None] = "ssh"
    outlook: Outlook = Outlook()

    @classmethod
    def from_facts(cls, facts: Mapping[str, str]) -> Self:  # noqa: ARG003 - for those who need them
        """Return the dialect for an installation, of which detection gathered these facts."""
        return cls()

    @abstractmethod
    def directives(self, job: JobSpec, count: int = 1) -> tuple[str, ...]:
        """Return the lines that ask for the job's resources, with their comment mark."""

    @abstractmethod
    def submit_command(self, job: JobSpec, count: int = 1) -> Command:
        """Return what submits the job, ``count`` times in one array."""

    @abstractmethod
    def read_submit(self, result: Result, count: int = 1) -> tuple[JobId, ...]:
        """Return the id of each job, in the order of their indices."""

    @abstractmethod
    def status_command(self, user: str, tags: Collection[Tag]) -> Command:
        """Return the one query for all jobs of a user that carry one of these tags."""

    @abstractmethod
    def read_status(self, result: Result) -> Mapping[JobId, JobStatus]:
        """Return every job of the answer."""

    @abstractmethod
    def history_commands(self, ids: Sequence[JobId]) -> tuple[Command, ...]:
        """Return what asks about jobs that the queue has forgotten; nothing if there is no way."""

    @abstractmethod
    def read_history(self, result: Result) -> Mapping[JobId, JobStatus]:
        """Return what history knows; a job that it does not know is absent."""

    @abstractmethod
    def cancel_commands(self, ids: Sequence[JobId]) -> tuple[Command, ...]:
        """Return what cancels these jobs, in as few commands as the system allows."""

    @abstractmethod
    def read_cancel(self, result: Result) -> None:
        """Return if the jobs are cancelled or gone already."""

    @abstractmethod
    def queues_command(self) -> Command:
        """Return what asks for the queues and their limits."""

    @abstractmethod
    def read_queues(self, result: Result) -> tuple[BatchQueue, ...]:
        """Return the queues, the default one first."""

    def script(self, job: JobSpec, count: int = 1) -> str:
        """Return the whole script that is submitted."""
        # bash, because sites define the `module` of a prologue as a function of it.
        head = ("#!/usr/bin/env bash", *self.directives(job, count))
        return "\n".join([*head, *self._opening(job, count), "", job.body.rstrip(), ""])

    def _opening(self, job: JobSpec, count: int) -> tuple[str, ...]:  # noqa: ARG002 - for those who need them
        """Return the shell lines between the directives and the body: as a rule none."""
        return ()
