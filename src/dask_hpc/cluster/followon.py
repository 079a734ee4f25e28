"""The job in which a cluster goes on after its scheduler's job has ended, if somebody queued one.

It is written down before it is submitted. As soon as the first job has ended, the cluster is one
whose scheduler's job waits: `dask_hpc.cluster.record.read_cluster` says so.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dask_hpc._files import read_record, write_record
from dask_hpc.batch.model import JobId, Tag

if TYPE_CHECKING:
    from dask_hpc.cluster.directory import ClusterDirectory


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowOn:
    """A job that begins after the one with the tag ``after``; its id is empty until it is known."""

    after: Tag
    tag: Tag
    job: JobId = JobId("")


def find_follow_on(directory: ClusterDirectory, *, after: Tag) -> FollowOn | None:
    """Return the job that follows this one, if there is one."""
    with suppress(FileNotFoundError):
        found = read_record(directory.follow_on, FollowOn)
        return found if after and found.after == after else None
    return None


def write_follow_on(directory: ClusterDirectory, follow_on: FollowOn) -> None:
    """Say which job follows."""
    write_record(directory.follow_on, follow_on)


def forget_follow_on(directory: ClusterDirectory) -> None:
    """Say that none follows."""
    directory.follow_on.unlink(missing_ok=True)
