"""What the script of a job tells the worker host on one of its nodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from dask_hpc.batch.model import JobId
    from dask_hpc.cluster.directory import ClusterDirectory
    from dask_hpc.cluster.slot import Slot


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A place in a cluster. ``node`` is counted from 0 in the job.

    ``began`` and ``end_time`` are the job's, in seconds since the epoch; on all its nodes the same.
    """

    directory: ClusterDirectory
    pool: str
    slot: Slot
    job: JobId
    node: int
    began: float
    end_time: float | None

    @property
    def scratch(self) -> Path:
        """Where it says which directory on the node it spills to."""
        return self.directory.scratch_of(self.slot, self.node)
