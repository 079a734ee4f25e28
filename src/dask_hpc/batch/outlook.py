"""What a batch system may be able to do for a job that waits, beyond the contract. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dask_hpc.batch.model import JobId
    from dask_hpc.process.runner import Command, Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A job's place among ``of`` jobs that wait for the same, counted from 1.

    ``queue`` is the one in which it waits, if that is said.
    """

    number: int
    of: int
    queue: str = ""


class Outlook:
    """What a system says of a job that waits, and how one waits for another.

    Where it says nothing, nothing is guessed. Its queries are for whoever waits for one job, and
    never for a controller. Readers raise what those of `dask_hpc.batch.system.BatchSystem` do.

    Parameters
    ----------
    move
        What a person types to move a pending job to another queue; ``{job}`` and ``{queue}``
        stand for them. Empty if that cannot be done.
    after
        The directive of a job that begins when another one, ``{job}``, has ended however. Empty
        if there is none.
    """

    def __init__(self, *, move: str = "", after: str = "") -> None:
        self._move = move
        self._after = after

    def move_words(self, job: JobId, queue: str) -> str:
        """Return what to type to move a pending job to a queue; nothing if there is no way."""
        return self._move.format(job=job, queue=queue)

    def after_directive(self, job: JobId) -> str:
        """Return the line that lets a job begin when another has ended; nothing without one."""
        return self._after.format(job=job)

    def sight_command(self) -> Command | None:
        """Return what asks whether users see the jobs of others; nothing if they do."""
        return None

    def read_sight(self, result: Result) -> bool:  # noqa: ARG002 - for those who ask
        """Whether `place_command` lists the jobs of all users."""
        return True

    def place_command(self) -> Command | None:
        """Return the query for all jobs that wait; nothing if no place can be known."""
        return None

    def read_place(self, result: Result, job: JobId) -> Place | None:  # noqa: ARG002 - for those who ask
        """Return where a job stands; nothing if it waits for something else than its turn."""
        return None

    def trial_command(self, script: str, queue: str) -> Command | None:  # noqa: ARG002 - for those who ask
        """Return what asks when a job with this script would start in a queue; submits nothing."""
        return None

    def read_trial(self, result: Result) -> float | None:  # noqa: ARG002 - for those who ask
        """Return when it would start, in seconds since the epoch; nothing if it would not."""
        return None
