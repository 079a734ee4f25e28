"""Who does what: the role of a task in a cluster, by its number. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from dask_hpc._units import counted
from dask_hpc.errors import LaunchError


class WorldTooSmallException(LaunchError, RuntimeError):
    """There are fewer tasks than a cluster needs; the name is dask-mpi's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """What a task does; it may do several things."""

    scheduler: bool = False
    client: bool = False
    worker: bool = False

    @property
    def serves(self) -> bool:
        """Whether it is a server of Dask, and not the client alone."""
        return self.scheduler or self.worker


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Which task is what.

    ``scheduler_rank`` or ``client_rank`` of ``None`` means that there is none; all others are
    workers, and with ``exclusive_workers=False`` these two as well.
    """

    scheduler_rank: int | None = 0
    client_rank: int | None = None
    exclusive_workers: bool = True
    least: int = 0

    @property
    def smallest(self) -> int:
        """The tasks that it takes, with a worker among them if workers are exclusive."""
        taken = {rank for rank in (self.scheduler_rank, self.client_rank) if rank is not None}
        highest = max(taken, default=0) + 1
        return max(highest, len(taken) + self.exclusive_workers, self.least)

    def role_of(self, rank: int, *, size: int) -> Role:
        """Return the role of a task.

        Raises
        ------
        WorldTooSmallException
            If there are too few tasks for the whole.
        """
        if size < self.smallest:
            raise WorldTooSmallException(
                f"{counted(size, 'task')} cannot be a cluster that needs {self.smallest}: "
                f"{self._words()}",
                hint=f"start {self.smallest} or more, as with mpirun -np {self.smallest}",
            )
        is_scheduler, is_client = rank == self.scheduler_rank, rank == self.client_rank
        is_worker = not (self.exclusive_workers and (is_scheduler or is_client))
        return Role(scheduler=is_scheduler, client=is_client, worker=is_worker)

    def _words(self) -> str:
        ranks = {"scheduler": self.scheduler_rank, "client": self.client_rank}
        said = [f"the {name} is {rank}" for name, rank in ranks.items() if rank is not None]
        return ", ".join([*said, *(["another is a worker"] if self.exclusive_workers else [])])
