"""What the controller needs of the engine: who is here, how to let go, what the work asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from dask_hpc.cluster.slot import Slot


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """The connected workers of one job; ``idle`` if none has work."""

    workers: int
    idle: bool


class Crew(Protocol):
    """The workers of a cluster, by the job that brought them."""

    def present(self) -> Mapping[Slot, Presence]:
        """Return the jobs that have workers connected."""

    async def drain(self, slots: Collection[Slot]) -> None:
        """Let these jobs' workers finish, hand over their results and leave."""

    def demand(self, pool: str, *, slots: Collection[Slot], seconds: float | None) -> int:
        """Return the number of workers that the work at hand asks for in a pool.

        Parameters
        ----------
        pool, slots
            The pool, and its jobs.
        seconds
            In what time the work should be done. ``None``: as dask is configured.
        """
