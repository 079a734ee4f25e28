"""`HPCCluster`: the user's handle on a cluster, wherever its scheduler lives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from distributed.core import Status

from dask_hpc.cluster.commands import worker_job
from dask_hpc.cluster.directory import directory_of
from dask_hpc.cluster.slot import new_tag
from dask_hpc.cluster.spec import DEFAULT_POOL
from dask_hpc.deploy.amounts import Adaptation, Amount, bounds_of, jobs_at_least, patience_of
from dask_hpc.deploy.handle import ClusterHandle
from dask_hpc.deploy.reaching import home_of, own_name, spec_of
from dask_hpc.engine.start import queue_of
from dask_hpc.sites.specs import check_keywords, resolve_spec

if TYPE_CHECKING:
    from dask_hpc.controller.report import JobReport, Report


class HPCCluster(ClusterHandle):
    """A Dask cluster whose workers are batch jobs.

    Parameters
    ----------
    site
        A profile's name; ``"local"`` is the queue embedded in dask-hpc, ``"slurm"`` the batch
        system found here. Without one the site is detected.
    name
        Up to 40 small letters, digits, ``-`` and ``_``. Default: a new one.
    scheduler
        ``"here"``: in this process, and the cluster ends with it. ``"job"``: in a job of its own,
        that outlives this process; see `from_name`.
    cores
        Cores of one node of one job. Default 1.
    memory
        Memory of one node of one job, as ``"100GB"`` or in bytes. Default 2 GiB for each core.
    processes
        Worker processes that share the cores and the memory of a node.
    nodes, gpus
        Nodes of one job, and GPUs of one node.
    walltime
        How long a job may run, as ``"2h"`` or in seconds. Default one hour.
    queue, account
        As the batch system calls them. Default: the system's own.
    interface, scheduler_interface
        Network interfaces of workers and scheduler, as ``"ib0"``. Default: by route.
    ports
        Ports to listen on, as ``"8700:8799"``. Default: any.
    local_directory
        Where workers spill, on the node; variables of the job are expanded there.
    env
        The software environment of the jobs: a directory with ``bin/python``, or a Python.
        Default: the one that runs this.
    directives
        Further lines for the batch system, without its comment mark.
    prologue
        Shell lines that every job runs first.
    idle_timeout
        When to end a cluster that has neither work nor client. Default 30 minutes for a scheduler
        in a job of its own, else never.
    death_timeout
        How long a worker looks for its scheduler. Default 60 s.
    secure
        Mutual TLS on every connection. Default true.
    asynchronous, loop
        As of `distributed.deploy.Cluster`.
    more
        Any other setting, as ``scheduler_memory="4GB"``; see ``docs/reference/settings.md``. A word
        that is none is refused, with the nearest one that is.

    Raises
    ------
    ConfigError
        If a setting cannot be what it is. Nothing was submitted or written then.
    ClusterExists
        If the name is in use.
    BatchError
        If the batch system refused the scheduler's job.
    JobFailed
        If the scheduler's job ended before it started, with the end of its log.
    """

    def __init__(
        self,
        site: str | None = None,
        name: str | None = None,
        scheduler: str = "here",
        *,
        cores: int | None = None,
        memory: str | int | None = None,
        processes: int | None = None,
        nodes: int | None = None,
        gpus: int | None = None,
        walltime: str | float | None = None,
        queue: str | None = None,
        account: str | None = None,
        interface: str | None = None,
        scheduler_interface: str | None = None,
        ports: str | None = None,
        local_directory: str | None = None,
        env: str | None = None,
        directives: str | list[str] | None = None,
        prologue: str | list[str] | None = None,
        idle_timeout: str | float | None = None,
        death_timeout: str | float | None = None,
        secure: bool | None = None,
        asynchronous: bool = False,
        loop: Any = None,
        **more: Any,
    ) -> None:
        self.status = Status.closed  # of an object whose constructor did not get to its end
        check_keywords(more)
        given = {key: value for key, value in locals().items() if key in _SETTINGS} | more
        self._resolve = lambda: resolve_spec(given, site=site, name=name, home=home_of(scheduler))
        self._setup(asynchronous=asynchronous, loop=loop)

    @classmethod
    def from_name(
        cls, name: str | None = None, *, asynchronous: bool = False, loop: Any = None
    ) -> Self:
        """Return a handle on a cluster that exists.

        Parameters
        ----------
        name
            The cluster's; `clusters` lists them. Default: in the Jupyter session of a cluster,
            that one; else the only one there is.

        Raises
        ------
        ConfigError
            If there are several, and no name.
        ClusterNotFound
            If there is none.
        ControllerUnreachable
            If its scheduler has ended or does not answer.
        """
        self = cls.__new__(cls)
        self.status = Status.closed
        self._resolve = spec_of(directory_of(name or own_name()))
        self._setup(asynchronous=asynchronous, loop=loop, attaches=True)
        return self

    def scale(
        self,
        n: int | None = None,
        *,
        jobs: int | None = None,
        cores: int | None = None,
        memory: str | int | None = None,
        pool: str = DEFAULT_POOL,
    ) -> Any:
        """Want a fixed size: ``n`` workers, or as many jobs, cores or bytes.

        Jobs are submitted whole: a size between two numbers of jobs is rounded up. The size of
        other pools stays.

        Raises
        ------
        SubmitRejected
            If the batch system refused the jobs, in its words. The next call starts afresh.
        """
        amount = Amount(workers=n, jobs=jobs, cores=cores, memory=memory)
        jobs = jobs_at_least(amount, self.spec.of(pool))
        return self._do(lambda: self._controller.scale(jobs, pool=pool))

    def adapt(
        self,
        minimum: int | None = None,
        maximum: int | None = None,
        *,
        minimum_jobs: int | None = None,
        maximum_jobs: int | None = None,
        minimum_cores: int | None = None,
        maximum_cores: int | None = None,
        minimum_memory: str | int | None = None,
        maximum_memory: str | int | None = None,
        interval: str | float = "5s",
        wait_count: int = 3,
        target_duration: str | float | None = None,
        pool: str = DEFAULT_POOL,
    ) -> Adaptation:
        """Follow the work at hand between two sizes, in workers, jobs, cores or memory.

        Parameters
        ----------
        minimum, minimum_jobs, minimum_cores, minimum_memory
            The smallest size, rounded up to whole jobs. Default 0.
        maximum, maximum_jobs, maximum_cores, maximum_memory
            The largest size, rounded down to whole jobs. Default 1000 jobs.
        interval
            How often the scheduler looks at the work, as ``"5s"`` or in seconds.
        wait_count
            How many looks in a row must ask for fewer jobs until there are fewer.
        target_duration
            In what time all the work should be done. Default: dask's
            ``distributed.adaptive.target-duration``, 5 s.
        pool
            Which kind of workers. Tasks that ask for resources count for the pools that offer
            them, all others for the default pool.

        Raises
        ------
        ConfigError
            If a number makes no sense, or there is no such pool.
        """
        low = Amount(workers=minimum, jobs=minimum_jobs, cores=minimum_cores, memory=minimum_memory)
        high = Amount(
            workers=maximum, jobs=maximum_jobs, cores=maximum_cores, memory=maximum_memory
        )
        patience = patience_of(interval, wait_count, target_duration=target_duration)
        bounds = bounds_of(low, high, spec=self.spec.of(pool), patience=patience)
        self._do(lambda: self._controller.adapt(bounds, pool=pool))
        return Adaptation(bounds, self.freeze)

    def freeze(self) -> Any:
        """Stop to adapt, and stay at the present number of jobs."""
        return self._do(self._freeze)

    def report(self) -> Any:
        """Return what is wanted and what is there: jobs, workers, and what is in the way."""
        return self.sync(lambda: self._controller.report())

    def jobs(self) -> Any:
        """Return the worker jobs, live ones and the last that ended, with state and reason."""
        return self.sync(self._jobs)

    def why(self) -> Any:
        """Return the last decisions of the controller, each with its reason."""
        return self.sync(lambda: self._controller.decisions())

    def job_script(self, pool: str = DEFAULT_POOL) -> str:
        """Return the script of a worker job, as it is submitted."""
        system, tag = queue_of(self.spec).system, new_tag(self.spec.name)
        return system.script(worker_job(self.spec, system.variables, tag=tag, pool=pool))

    def shutdown(self) -> Any:
        """End the cluster: jobs, scheduler, files and keys."""
        return self.sync(self._shutdown)

    async def _freeze(self) -> Report:
        report = await self._controller.report()
        return await self._controller.scale(report.wanted)

    async def _jobs(self) -> tuple[JobReport, ...]:
        return (await self._controller.report()).jobs


_SETTINGS = frozenset(
    {
        "cores", "memory", "processes", "nodes", "gpus", "walltime", "queue", "account",
        "interface", "scheduler_interface", "ports", "local_directory", "env", "directives",
        "prologue", "idle_timeout", "death_timeout", "secure",
    }
)  # fmt: skip
