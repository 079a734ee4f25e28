"""The start of a cluster: its directory, its keys, and its scheduler in a job of its own."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dask_hpc._clock import SystemClock
from dask_hpc._files import make_private_directory, read_tail, write_record
from dask_hpc.batch.model import JobId, JobState
from dask_hpc.cluster.commands import scheduler_job
from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.cluster.jobrecords import JobRecords
from dask_hpc.cluster.record import ClusterRecord, ClusterState, read_cluster, write_cluster
from dask_hpc.cluster.slot import Slot, new_tag
from dask_hpc.deploy.agent import start_agent
from dask_hpc.deploy.prospects import Prospector, Prospects
from dask_hpc.engine.start import queue_of
from dask_hpc.errors import BatchError, JobFailed, StartTimeout
from dask_hpc.security.certificates import create_certificates

if TYPE_CHECKING:
    from collections.abc import Callable

    from dask_hpc._clock import Clock
    from dask_hpc.batch.model import JobStatus
    from dask_hpc.cluster.spec import ClusterSpec

_LOOK = 0.2  # seconds between looks at the files
_ASK = 1.5  # seconds between questions to the queue, growing
_ASK_MOST = 30.0
_SLOWER = 1.5
# Whether a question is for something else than the state: whoever sits there wants it all soon.
_FIRST = (False, True, True, True, False, True)
_LATER = (False, True)
_STATE_ALONE = (False,)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartProgress:
    """Where the scheduler's own job is."""

    job: JobId
    status: JobStatus | None = None
    has_begun: bool = False
    prospects: Prospects = field(default_factory=Prospects)


def prepare(spec: ClusterSpec) -> ClusterDirectory:
    """Make the directory of a cluster with all that its jobs need.

    Raises
    ------
    ClusterExists
        If the name is in use.
    """
    directory = ClusterDirectory(spec.directory)
    directory.create()
    try:
        if spec.secure:
            create_certificates(directory.tls, name=spec.name)
        if spec.has_agent:
            make_private_directory(directory.requests)
        write_record(directory.spec, spec)
    except BaseException:
        directory.remove()
        raise
    return directory


async def submit_scheduler(spec: ClusterSpec) -> ClusterRecord:
    """Submit the job of a cluster's scheduler, after its directory was prepared.

    Raises
    ------
    BatchError
        If the job was refused. The directory is gone then.
    LaunchError
        If the agent that its controller needs did not start. The job goes on.
    """
    return await submit_prepared(spec, prepare(spec))


async def submit_prepared(spec: ClusterSpec, directory: ClusterDirectory) -> ClusterRecord:
    """Submit the job of a scheduler whose directory is ready; see `submit_scheduler`."""
    record = ClusterRecord(
        name=spec.name,
        site=spec.site,
        home=spec.home,
        state=ClusterState.STARTING,
        created=SystemClock().time(),
        tag=new_tag(spec.name),
    )
    write_cluster(directory, record)
    queue = queue_of(spec)
    try:
        ids = await queue.submit(scheduler_job(spec, queue.system.variables, tag=record.tag))
    except BatchError as error:
        if not error.transient:
            directory.remove()
        raise
    if spec.has_agent:
        await start_agent(directory)
    return replace(record, job=ids[0])


async def wait_for_scheduler(
    spec: ClusterSpec,
    submitted: ClusterRecord,
    *,
    seconds: float | None = None,
    progress: Callable[[StartProgress], None] | None = None,
) -> ClusterRecord:
    """Wait until a scheduler's job has written its address; return the record with it.

    Where there is somebody to tell, the batch system is also asked how the job is placed.

    Raises
    ------
    JobFailed
        If the job ended instead, with the end of its log.
    StartTimeout
        If it took longer than ``seconds``. The job goes on.
    """
    clock: Clock = SystemClock()
    directory = ClusterDirectory(spec.directory)
    start = _Start(spec, submitted, clock=clock, is_curious=progress is not None)
    deadline = None if seconds is None else clock.monotonic() + seconds
    while True:
        record = read_cluster(directory)
        if record.address:
            return record
        found = await start.look()
        if progress:
            progress(found)
        if deadline is not None and clock.monotonic() >= deadline:
            raise StartTimeout(
                f"the scheduler of {spec.name!r} did not start in {seconds:.0f} s",
                hint=f"it goes on: dask-hpc status {spec.name}, or dask-hpc down {spec.name}",
            )
        await clock.sleep(_LOOK)


class _Start:
    """The job of a scheduler, while it has no address: files often, the queue now and then."""

    def __init__(
        self, spec: ClusterSpec, submitted: ClusterRecord, *, clock: Clock, is_curious: bool
    ) -> None:
        directory = ClusterDirectory(spec.directory)
        self._slot = Slot(submitted.tag, 0)
        self._job = submitted.job
        self._log = directory.logs / f"{self._slot}.log"
        self._records = JobRecords(directory.jobs)
        self._queue = queue_of(spec)
        self._clock = clock
        self._status: JobStatus | None = None
        self._prospector = Prospector(spec, self._queue, clock=clock)
        self._turns = deque(_FIRST if is_curious else ())
        self._later = _LATER if is_curious else _STATE_ALONE
        self._pause, self._next = _ASK, clock.monotonic() + 1.0

    async def look(self) -> StartProgress:
        """Return where the job is; raise `JobFailed` if it is over."""
        self._records.refresh()
        if end := self._records.ends.get(self._slot):
            raise self._failed(f"exit code {end.code}")
        begun = self._slot in self._records.starts
        if not begun and self._clock.monotonic() >= self._next:
            await self._ask()
        return StartProgress(
            job=self._job, status=self._status, has_begun=begun, prospects=self._prospector.found
        )

    async def _ask(self) -> None:
        """Ask the queue one question: how the job is, or how it is placed."""
        if not self._turns:
            self._turns.extend(self._later)
            self._pause = min(self._pause * _SLOWER, _ASK_MOST)
        self._next = self._clock.monotonic() + self._pause
        is_aside = self._turns.popleft()
        if is_aside and self._status and self._status.state.is_waiting:
            await self._prospector.ask(self._status)
            return
        await self._ask_state()

    async def _ask_state(self) -> None:
        try:
            found = await self._queue.status([self._slot.tag])
        except BatchError as error:
            if error.transient:
                return
            raise
        for status in found.values():
            self._status = status
            self._job = self._job or status.id  # whoever comes later does not know it
            if status.state.is_final and status.state is not JobState.LOST:
                raise self._failed(status.plain_reason or status.reason or status.state)

    def _failed(self, how: str) -> JobFailed:
        tail = read_tail(self._log)
        message = f"the scheduler's job {self._job} ended before it started: {how}"
        return JobFailed(
            f"{message}\n{tail}" if tail else message,
            job=self._job,
            log_tail=tail,
            hint=f"its log is {self._log}; dask-hpc down {self._slot.tag.rpartition('-')[0]}",
        )
