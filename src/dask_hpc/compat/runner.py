"""The runners of dask-jobqueue, for every batch system: the tasks of one launch are the cluster."""

from __future__ import annotations

import asyncio
import atexit
import os
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import dask
from distributed.core import Status

from dask_hpc.boot.ending import end
from dask_hpc.boot.meeting import find_meeting
from dask_hpc.boot.mpi import Part, find_scheduler, play
from dask_hpc.boot.roles import Layout, WorldTooSmallException
from dask_hpc.boot.servers import Wishes
from dask_hpc.compat.words import named
from dask_hpc.errors import ConfigError, LaunchError
from dask_hpc.mpi import certify

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from typing import Self

    from distributed import Security

    from dask_hpc.boot.meeting import Meeting

__all__ = [
    "BaseRunner",
    "LSFRunner",
    "OARRunner",
    "PBSRunner",
    "Role",
    "SGERunner",
    "SLURMRunner",
    "WorldTooSmallException",
]

_PLACES = (  # in the order of dask-jobqueue 0.9.0
    *("scheduler", "scheduler_options", "worker_class", "worker_options", "client"),
    *("asynchronous", "loop"),
)
# What we have a word for of what its scheduler, or its workers, can be told.
_OF_SCHEDULER = {
    "interface": "interface",
    "protocol": "protocol",
    "port": "scheduler_port",
    "dashboard_address": "dashboard_address",
    "idle_timeout": "idle_timeout",
}
_OF_WORKERS = ("nthreads", "memory_limit", "local_directory", "death_timeout", "interface")
_CLIENT_RANK = 1


class Role(Enum):
    """What a task of a launch is."""

    worker = "worker"
    scheduler = "scheduler"
    client = "client"


class BaseRunner:
    """A cluster of the tasks of one launch: 0 is the scheduler, 1 goes on, all others are workers.

    The tasks may be those of ``srun``, of an ``mpirun``, or of any launcher whose job script sets
    DASK_HPC_RANK and DASK_HPC_TASKS for each. Where a task is not the client, the constructor
    comes back only when the cluster ends, and then as `SystemExit`.

    Parameters
    ----------
    scheduler_file : str
        Where the address is written; ``{job_id}`` stands for the job.
    scheduler, client : bool
        Whether one task is a scheduler, and one the client. Default True.
    scheduler_options : dict
        ``interface``, ``port``, ``protocol``, ``dashboard_address``, ``idle_timeout``.
    worker_class : str
        Default ``"distributed.Worker"``.
    worker_options : dict
        Keywords of that class.
    asynchronous : bool
        Whether this is used with ``async with``.

    Raises
    ------
    LaunchError
        If this is no task of a launch in a job of this batch system.
    WorldTooSmallException
        If there are too few tasks.

    Examples
    --------
    >>> with SLURMRunner() as runner, Client(runner) as client:
    ...     print(client.submit(sum, [1, 2]).result())
    """

    job_variable: ClassVar[str] = ""

    def __init__(
        self,
        *places: Any,
        scheduler_file: str | Path | None = "scheduler-{job_id}.json",
        **options: Any,
    ) -> None:
        given = _checked(named(_PLACES, places, options=options))
        self.status = Status.created
        self.scheduler: bool = given.get("scheduler", True)
        self.client: bool = given.get("client", self.scheduler)
        if self.client and not self.scheduler:
            raise ConfigError("a client without a scheduler", hint="give client=False, too")
        self.job_id = self._job()
        self.scheduler_file = self._file(scheduler_file, given.get("scheduler_options") or {})
        meeting = find_meeting()
        self.world_size = meeting.ranks.size
        self.proc_id = meeting.ranks.rank
        self.n_workers = self.world_size - self.scheduler - self.client
        self.role = Role.worker
        self.scheduler_address: str | None = None
        self.security: Security | None = None
        self._part = self._part_in(meeting, given)
        if not self._part.role.client:
            self._serve()
        self.role = Role.client
        if not given.get("asynchronous", False):
            self._connect()

    def _job(self) -> str:
        if not self.job_variable:
            return "run"
        if found := os.environ.get(self.job_variable):
            return found
        raise LaunchError(
            f"this is no task of a job that a {type(self).__name__} knows: {self.job_variable} "
            "is not set",
            hint="start it in a job, with srun, mpirun or the launcher of the batch system",
        )

    def _file(self, given: str | Path | None, options: Mapping[str, Any]) -> Path | None:
        words = given or options.get("scheduler_file")
        return Path(str(words).format(job_id=self.job_id)) if words else None

    def _part_in(self, meeting: Meeting, given: Mapping[str, Any]) -> Part:
        of_workers = dict(given.get("worker_options") or {})
        known = {name: of_workers.pop(name) for name in _OF_WORKERS if name in of_workers}
        of_scheduler = _renamed(given.get("scheduler_options") or {})
        wishes = Wishes(
            **{**of_scheduler, **known},
            worker_class=given.get("worker_class") or "distributed.Worker",
            worker_options=of_workers,
            scheduler_file=self.scheduler_file,
            secure=of_scheduler.get("protocol") in (None, "tls"),
        )
        layout = Layout(
            scheduler_rank=0 if self.scheduler else None,
            client_rank=_CLIENT_RANK if self.client else None,
        )
        return Part(layout=layout, wishes=wishes, meeting=meeting, certify=certify)

    def _serve(self) -> None:
        """Be the scheduler or a worker until the cluster ends; then end this process."""
        if self._part.role.scheduler:
            self.role = Role.scheduler
        # In a program that is asynchronous a loop is running, which has nothing more to do.
        asyncio._set_running_loop(None)  # noqa: SLF001 - nothing public lets a loop begin then
        play(self._part)
        raise SystemExit(0)

    def _connect(self) -> None:
        place = find_scheduler(self._part)
        dask.config.set(place.settings())
        self.scheduler_address, self.security = place.address, place.security
        self.status = Status.running
        atexit.register(self.close)

    def close(self) -> None:
        """End the cluster, and with it all tasks."""
        if self.status is not Status.running:
            return
        self.status = Status.closed
        atexit.unregister(self.close)
        if self.scheduler_address and self.security:
            end(self.scheduler_address, self.security)
        self._part.meeting.leave(last=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __await__(self) -> Generator[Any, None, Self]:
        return self._connected().__await__()

    async def _connected(self) -> Self:
        if self.status is Status.created:
            await asyncio.to_thread(self._connect)
        return self

    async def __aenter__(self) -> Self:
        return await self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.close)


class SLURMRunner(BaseRunner):
    """A cluster of the tasks that ``srun`` started; see `BaseRunner`."""

    job_variable = "SLURM_JOB_ID"


class PBSRunner(BaseRunner):
    """A cluster of tasks in a job of PBS, Torque or Moab; see `BaseRunner`."""

    job_variable = "PBS_JOBID"


class LSFRunner(BaseRunner):
    """A cluster of tasks in a job of LSF; see `BaseRunner`."""

    job_variable = "LSB_JOBID"


class SGERunner(BaseRunner):
    """A cluster of tasks in a job of Grid Engine; see `BaseRunner`."""

    job_variable = "JOB_ID"


class OARRunner(BaseRunner):
    """A cluster of tasks in a job of OAR; see `BaseRunner`."""

    job_variable = "OAR_JOB_ID"


def _checked(given: Mapping[str, Any]) -> Mapping[str, Any]:
    if unknown := given.keys() - set(_PLACES):
        raise TypeError(f"unexpected keyword argument {min(unknown)!r}")
    return given


def _renamed(options: Mapping[str, Any]) -> dict[str, Any]:
    wanted = {name: value for name, value in options.items() if name != "scheduler_file"}
    if unknown := wanted.keys() - _OF_SCHEDULER.keys():
        raise ConfigError(
            f"scheduler_options has {min(unknown)!r}, which this scheduler is not told",
            hint=f"it takes {', '.join(_OF_SCHEDULER)}",
        )
    return {_OF_SCHEDULER[name]: value for name, value in wanted.items()}
