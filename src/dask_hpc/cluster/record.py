"""A cluster as it exists: what is needed to reach it, on disk and for others to read."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from dask_hpc import _hosts
from dask_hpc._files import read_record, write_record
from dask_hpc._hosts import ProcessMark
from dask_hpc.batch.model import JobId, Tag
from dask_hpc.cluster.directory import ClusterDirectory, directories
from dask_hpc.cluster.followon import FollowOn, find_follow_on
from dask_hpc.cluster.jobrecords import read_end
from dask_hpc.cluster.slot import Slot
from dask_hpc.cluster.spec import ClusterSpec, Home
from dask_hpc.errors import ClusterNotFound, HPCError


class ClusterState(StrEnum):
    """What a record says of its cluster."""

    STARTING = "starting"
    RUNNING = "running"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterRecord:
    """What exists of a cluster. Times are seconds since the epoch.

    ``tag`` is the name of the scheduler's own job and ``job`` its id; both are empty for a
    scheduler inside a program. ``nonce`` is new at every start: an address without the right one
    belongs to somebody else by now. ``addresses`` are all at which it may be reached, beginning
    with ``address``; ``interfaces`` those of its host that lead out, with their networks, as in
    ``10.1.0.5/24``; ``network`` says which one was chosen, and why.
    """

    name: str
    site: str
    home: Home
    state: ClusterState
    created: float
    tag: Tag = Tag("")
    job: JobId = JobId("")
    address: str = ""
    addresses: tuple[str, ...] = ()
    interfaces: dict[str, str] = field(default_factory=dict)
    network: str = ""
    nonce: str = ""
    process: ProcessMark | None = None
    end_time: float | None = None
    reason: str = ""

    @property
    def is_stale(self) -> bool:
        """Whether the scheduler ended without saying so, as far as this machine can tell."""
        if self.state is not ClusterState.RUNNING or self.process is None:
            return False
        return _hosts.is_alive(self.process) is False


def read_cluster(directory: ClusterDirectory) -> ClusterRecord:
    """Return what exists of a cluster.

    Raises
    ------
    ClusterNotFound
        If there is no such cluster.
    """
    directory.check()
    try:
        return _as_it_is(read_record(directory.record, ClusterRecord), directory)
    except FileNotFoundError:
        raise ClusterNotFound(
            f"{directory.path} holds no record",
            hint=f"its start was cut off: dask-hpc down {directory.path.name} removes it",
        ) from None


def _as_it_is(record: ClusterRecord, directory: ClusterDirectory) -> ClusterRecord:
    record = _with_end(record, directory)
    if record.state is not ClusterState.ENDED:
        return record
    follow_on = find_follow_on(directory, after=record.tag)
    return _followed(record, follow_on) if follow_on else record


def _followed(record: ClusterRecord, follow_on: FollowOn) -> ClusterRecord:
    """Return the record of a cluster that goes on in another job, which has not begun."""
    return ClusterRecord(
        name=record.name,
        site=record.site,
        home=record.home,
        state=ClusterState.STARTING,
        created=record.created,
        tag=follow_on.tag,
        job=follow_on.job,
        nonce=record.nonce,
        reason=record.reason,
    )


def _with_end(record: ClusterRecord, directory: ClusterDirectory) -> ClusterRecord:
    # A scheduler that was killed said nothing; the shell around it may have.
    if record.state is not ClusterState.ENDED and record.tag:
        end = read_end(directory.jobs, Slot(record.tag, 0))
        if end:
            how = f"its job ended with exit code {end.code}"
            return replace(record, state=ClusterState.ENDED, reason=how)
    return record


def write_cluster(directory: ClusterDirectory, record: ClusterRecord) -> None:
    """Replace the record."""
    write_record(directory.record, record)


def read_spec(directory: ClusterDirectory) -> ClusterSpec:
    """Return what is wanted of a cluster.

    Raises
    ------
    ClusterNotFound
        If there is no such cluster.
    """
    directory.check()
    try:
        return read_record(directory.spec, ClusterSpec)
    except FileNotFoundError:
        raise ClusterNotFound(f"{directory.path} holds no spec") from None


def clusters() -> dict[str, ClusterRecord]:
    """Return the record of every cluster of this user, by name.

    Clusters are kept in ``$DASK_HPC_HOME/clusters``; one that cannot be read is left out.
    """
    found = {}
    for directory in directories():
        try:
            found[directory.path.name] = read_cluster(directory)
        except (HPCError, OSError):
            continue
    return found
