"""`JobQueueCluster`: dask-jobqueue's cluster as a translation onto `HPCCluster`."""

from __future__ import annotations

import asyncio
import copy
import math
from typing import TYPE_CHECKING, Any

from dask.utils import parse_bytes
from distributed.core import Status

from dask_hpc.batch.queue import Queue
from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.cluster.spec import Home
from dask_hpc.compat.adaptation import bounds_in_jobs
from dask_hpc.compat.cluster_options import free_name, read_cluster_options, unexpected_keyword
from dask_hpc.compat.jobqueue_config import reconfigure
from dask_hpc.compat.jobs import HTCondorJob
from dask_hpc.compat.keywords import system_of
from dask_hpc.compat.own_scripts import OwnScripts, Remembered, Unasked
from dask_hpc.compat.scheduler_options import place_of
from dask_hpc.compat.scripts import supplied
from dask_hpc.compat.supplied import Supplied
from dask_hpc.compat.translation import (
    has_own,
    reasons_for_own_script,
    settings_of,
    shaped,
)
from dask_hpc.compat.users_security import give_certificates
from dask_hpc.compat.which_pbs import site_of
from dask_hpc.deploy.amounts import Adaptation
from dask_hpc.deploy.cluster import HPCCluster
from dask_hpc.engine.start import queue_of, start_scheduler
from dask_hpc.engine.tls import cluster_security
from dask_hpc.sites.specs import resolve_spec

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from typing import Self

    from dask_hpc.batch.system import BatchSystem
    from dask_hpc.cluster.spec import ClusterSpec
    from dask_hpc.compat.job import Job
    from dask_hpc.engine.scheduler import HPCScheduler

_NOWHERE = "tcp://<insert-scheduler-address-here>:8786"
_GONE = ("draining", "ended")


class JobQueueCluster(HPCCluster):
    """Deploy Dask on a batch system, in the words of dask-jobqueue.

    A superclass: `SLURMCluster` and others know their batch system. It can be used directly with a
    `Job` type of one's own.

    Parameters
    ----------
    n_workers : int
        Worker processes to start with. Default 0.
    job_cls : type
        The class of the jobs.
    keywords
        Those of dask-jobqueue; see ``docs/howto/from-dask-jobqueue.md``.

    Raises
    ------
    ValueError
        If a keyword cannot be what it is, in dask-jobqueue's words.
    SubmitRejected
        If the batch system refused the first jobs.
    """

    job_cls: Any = None

    def __init__(self, n_workers: int = 0, job_cls: Any = None, **keywords: Any) -> None:
        self.status = Status.closed  # of an object whose constructor did not get to its end
        reconfigure()
        if job_cls is not None:
            self.job_cls = job_cls
        options = read_cluster_options(type(self), self.job_cls, keywords=keywords)
        self._options = options
        self._job_kwargs = options.jobs
        self.scheduler_spec = options.scheduler
        self.shared_temp_directory = options.shared_temp_directory
        self.queue = keywords.get("queue")
        self._place = place_of(options.scheduler["options"])
        self._template = self._make(_NOWHERE, "dummy-name")
        self._first_workers = n_workers
        self._wanted: int | None = 0
        self._doing: set[asyncio.Future[Any]] = set()
        self._seen: dict[str, Job] = {}
        self._jobs_queue: Queue | None = None
        self._resolve = self._described
        self._setup(asynchronous=options.asynchronous, loop=options.loop)

    def _make(self, scheduler: str, name: str, **more: Any) -> Job:
        try:
            job: Job = self.job_cls(scheduler, name=name, **{**self._job_kwargs, **more})
        except TypeError as error:
            said = unexpected_keyword(type(self), error, keywords=self._job_kwargs)
            raise said or error from error
        return job

    async def _described(self) -> ClusterSpec:
        """Return the cluster that the job and the options of the scheduler describe."""
        job = self._template
        spec = await resolve_spec(
            settings_of(job) | self._place.settings,
            site=await site_of(system_of(type(job))),
            name=free_name(self._options.name or job.job_name or "dask-worker"),
            home=Home.HERE,
        )
        return shaped(spec, job)

    async def _start_once(self) -> None:
        await super()._start_once()
        if self._options.security not in (None, True):
            self.security = self._options.security
        if self._first_workers:
            self._wanted = self._jobs_for(self._first_workers)
            await self._controller.scale(self._wanted)

    async def _start_scheduler(self, spec: ClusterSpec) -> HPCScheduler:
        if self._options.security not in (None, True):
            give_certificates(self._options.security, ClusterDirectory(spec.directory).tls)
        self._jobs_queue = self._queue_for(spec)
        return await start_scheduler(spec, queue=self._jobs_queue, port=self._place.port)

    def _queue_for(self, spec: ClusterSpec) -> Queue:
        plain = queue_of(spec)
        system: BatchSystem = plain.system
        if not any(reasons_for_own_script(self._template)):
            return Queue(
                supplied(self._template, spec, system=system), plain.runner, user=spec.user
            )
        # Whoever starts jobs in a way of its own has names and numbers of its own for them.
        if system_of(type(self._template)) is None or has_own(self._template, "start"):
            nobody = Unasked(spec.name)
            return Remembered(nobody, plain.runner, user=spec.user, make=self._job_named)
        return OwnScripts(system, plain.runner, user=spec.user, make=self._job_named)

    def _job_named(self, name: str, job_name: str) -> Job:
        """Return a job of the user's class that belongs to this cluster."""
        tls = ClusterDirectory(self.spec.directory).tls
        address = self._address_of_scheduler()
        job = self._make(
            address,
            name,
            job_name=job_name,
            protocol=f"{address.partition('://')[0]}://",
            security=cluster_security(tls, secure=self.spec.secure),
        )
        if isinstance(job, HTCondorJob):  # whose name is not in its header
            job.job_header_dict["batch_name"] = job_name
        return job

    def _address_of_scheduler(self) -> str:
        return str(self._scheduler.address) if self._scheduler else _NOWHERE

    @property
    def scheduler(self) -> HPCScheduler | None:
        """The scheduler, in this process."""
        return self._scheduler

    @property
    def _dummy_job(self) -> Job:
        return self._make(self._address_of_scheduler(), "dummy-name")

    @property
    def job_header(self) -> str | None:
        """The directives of a job."""
        return self._template.job_header

    @property
    def job_name(self) -> str | None:
        """The name of a job as its header says it; the queue shows the name of the cluster."""
        return self._template.job_name

    def job_script(self, pool: str = "") -> str:  # noqa: ARG002 - HPCCluster's signature
        """Return the script of a job, byte for byte as it is submitted."""
        if self._jobs_queue and isinstance(self._jobs_queue.system, Supplied):
            return self._jobs_queue.system.text
        if self._jobs_queue:
            return self._job_named("dummy-name", str(self.job_name)).job_script()
        return self._dummy_job.job_script()

    @property
    def new_spec(self) -> dict[str, Any]:
        """What a further job would be."""
        return {"cls": self.job_cls, "options": self._job_kwargs}

    @property
    def worker_spec(self) -> dict[str, Any]:
        """What is wanted, an entry for each job."""
        wanted = self._wanted
        if wanted is None:
            wanted = self._reported().wanted if self._scheduler else 0
        return {f"{self.name}-{index}": self.new_spec for index in range(wanted)}

    @property
    def plan(self) -> set[str]:
        """The names of the workers that the jobs bring."""
        each = range(self._template.worker_processes)
        return {f"{slot}-{index}" for slot in self.workers for index in each}

    requested = plan

    @property
    def workers(self) -> dict[str, Job]:
        """The jobs that wait or run, by their place in a submission."""
        jobs = self._reported().jobs if self._scheduler else ()
        live = {job.slot: job.job for job in jobs if job.phase not in _GONE}
        self._seen = {slot: self._seen.get(slot) or self._submitted(slot) for slot in live}
        for slot, job in self._seen.items():
            job.job_id = live[slot]
        return dict(self._seen)

    def _submitted(self, slot: str) -> Job:
        job = copy.copy(self._template)
        job.name, job.status = slot, Status.running
        return job

    def _reported(self) -> Any:
        return self._scheduler.plugins["dask-hpc-controller"].report() if self._scheduler else None

    def _jobs_for(self, workers: float) -> int:
        return math.ceil(workers / self._template.worker_processes)

    def scale(  # type: ignore[override]  # dask-jobqueue takes jobs by position
        self,
        n: int | None = None,
        jobs: int = 0,
        memory: str | int | None = None,
        cores: float | None = None,
        **_: Any,
    ) -> Any:
        """Want a fixed size: ``n`` workers, else the most of jobs, memory and cores.

        Raises
        ------
        SubmitRejected
            If the batch system refused the jobs, in its words. The next call starts afresh.
        """
        if n is not None:
            jobs = self._jobs_for(n)
        else:
            size = 0 if memory is None else parse_bytes(memory)
            by_size = math.ceil(size / self._template.worker_memory)
            jobs = max(jobs, by_size, math.ceil((cores or 0) / self._template.worker_cores))
        self._wanted = jobs
        return super().scale(jobs=jobs)

    def adapt(self, minimum: Any = None, maximum: Any = None, **keywords: Any) -> Adaptation:
        """Follow the work at hand between two sizes, in workers, jobs, cores or memory."""
        self._wanted = None
        said = {"minimum": minimum, "maximum": maximum, **keywords}
        adaptation = super().adapt(**bounds_in_jobs(said, job=self._template))
        return _Adapting(adaptation, self._settled)

    def _do(self, verb: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        doing = super()._do(verb)
        if asyncio.isfuture(doing):
            self._doing.add(doing)
            doing.add_done_callback(self._doing.discard)
        return doing

    async def _settled(self) -> None:
        await asyncio.gather(*self._doing)

    def __await__(self) -> Generator[Any, Any, Self]:
        async def settle() -> Self:
            if self.status == Status.created:
                await self._start()
            await self._settled()
            return self

        return settle().__await__()


class _Adapting(Adaptation):
    """An adaptive cluster's bounds, with the name by which distributed's tests nudge it."""

    def __init__(
        self, adaptation: Adaptation, settled: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        vars(self).update(vars(adaptation))
        self._settled = settled

    async def adapt(self) -> None:
        """Return when the bounds are known to the controller, which does the rest."""
        await self._settled()
