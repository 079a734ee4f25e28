"""What became of a scheduler that says nothing itself: the batch system knows of its job."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from dask_hpc.cluster.record import ClusterState, read_cluster, write_cluster
from dask_hpc.errors import ClusterNotFound

if TYPE_CHECKING:
    from dask_hpc.batch.model import JobStatus
    from dask_hpc.batch.queue import Queue
    from dask_hpc.cluster.directory import ClusterDirectory
    from dask_hpc.cluster.record import ClusterRecord


async def scheduler_status(queue: Queue, record: ClusterRecord) -> JobStatus | None:
    """Return what the batch system says of the job of a cluster's scheduler, if it knows it.

    Raises
    ------
    BatchError
        If it cannot be asked from here, or does not answer.
    """
    found = list((await queue.status([record.tag])).values())
    if not found and record.job:
        found = list((await queue.history([record.job])).values())
    return found[-1] if found else None


def ending(status: JobStatus) -> str:
    """Return in words how a job ended, or nothing if it did not."""
    if not status.state.is_final:
        return ""
    how = status.plain_reason or status.reason
    words = f"its job {status.id} ended: {status.state}"
    return f"{words} ({how})" if how and how != status.state else words


def bury(directory: ClusterDirectory, record: ClusterRecord, *, reason: str) -> ClusterRecord:
    """Write down that a cluster has ended, unless its record says something else by now.

    Return what is there then.
    """
    with suppress(ClusterNotFound):
        now = read_cluster(directory)
        if (now.state, now.nonce) != (record.state, record.nonce):
            return now
        write_cluster(directory, replace(now, state=ClusterState.ENDED, reason=reason))
        return read_cluster(directory)  # another job may follow
    return record
