"""`HPCCluster`: the user's handle on a cluster, wherever its scheduler lives."""

from __future__ import annotations

import asyncio
import logging
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

from distributed import rpc
from distributed.core import Status
from distributed.deploy.cluster import Cluster
from distributed.utils import Log, silence_logging_cmgr

from dask_hpc._clock import SystemClock
from dask_hpc._files import read_tail
from dask_hpc._units import parse_seconds
from dask_hpc.cluster.commands import worker_job
from dask_hpc.cluster.directory import ClusterDirectory, directory_of
from dask_hpc.cluster.record import read_cluster
from dask_hpc.cluster.slot import new_tag
from dask_hpc.cluster.spec import Home
from dask_hpc.deploy.amounts import Adaptation, Amount, bounds_of, jobs_at_least
from dask_hpc.deploy.ending import end_cluster, end_jobs
from dask_hpc.deploy.hope import check_hope
from dask_hpc.deploy.living import remember
from dask_hpc.deploy.reaching import check_reachable, home_of, spec_of
from dask_hpc.deploy.starting import prepare, submit_scheduler, wait_for_scheduler
from dask_hpc.engine.client import ControllerClient
from dask_hpc.engine.start import queue_of, start_scheduler
from dask_hpc.engine.tls import cluster_security
from dask_hpc.errors import (
    ClusterError,
    ControllerUnreachable,
    StartTimeout,
)
from dask_hpc.sites.specs import check_keywords, resolve_spec

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

    from dask_hpc.cluster.record import ClusterRecord
    from dask_hpc.cluster.spec import ClusterSpec
    from dask_hpc.controller.report import JobReport, Report
    from dask_hpc.engine.scheduler import HPCScheduler

_FIRST_LOOK, _LAST_LOOK = 0.1, 1.0  # seconds, while waiting for workers
_LOG_LINES = 200


class HPCCluster(Cluster):
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
    def from_name(cls, name: str, *, asynchronous: bool = False, loop: Any = None) -> Self:
        """Return a handle on a cluster that exists.

        Parameters
        ----------
        name
            The cluster's; `clusters` lists them.

        Raises
        ------
        ClusterNotFound
            If there is none.
        ControllerUnreachable
            If its scheduler has ended or does not answer.
        """
        self = cls.__new__(cls)
        self.status = Status.closed
        self._resolve = spec_of(directory_of(name))
        self._setup(asynchronous=asynchronous, loop=loop, attaches=True)
        return self

    def _setup(self, *, asynchronous: bool, loop: Any, attaches: bool = False) -> None:
        self._attaches = attaches
        self._scheduler: HPCScheduler | None = None
        self._quiet = ExitStack()
        self._spec: ClusterSpec | None = None
        self._starting: asyncio.Task[None] | None = None
        super().__init__(asynchronous=asynchronous, loop=loop)
        remember(self)
        if not self.called_from_running_loop:
            self._loop_runner.start()
            try:
                self.sync(self._start)
            except BaseException:
                self.status = Status.closed
                self._loop_runner.stop()
                raise

    async def _start(self) -> None:
        if self._starting is None:
            self._starting = asyncio.ensure_future(self._start_once())
        try:
            await self._starting
        except BaseException:
            self.status = Status.closed
            raise

    async def _start_once(self) -> None:
        spec = self._spec = await self._resolve()
        self.name = spec.name
        if self._attaches:
            record = check_reachable(read_cluster(ClusterDirectory(spec.directory)))
        elif spec.home is Home.JOB:
            record = await wait_for_scheduler(spec, await submit_scheduler(spec))
        else:
            record = await self._start_here(spec)
        self.security = cluster_security(ClusterDirectory(spec.directory).tls, secure=spec.secure)
        self.scheduler_comm = rpc(
            record.address, connection_args=self.security.get_connection_args("client")
        )
        try:
            await super()._start()
        except OSError as error:
            raise ControllerUnreachable(
                f"the scheduler of {spec.name!r} does not answer at {record.address}: {error}",
                hint=f"dask-hpc status {spec.name}",
            ) from error

    async def _start_here(self, spec: ClusterSpec) -> ClusterRecord:
        directory = prepare(spec)
        # A notebook is no place for what a scheduler tells its log.
        self._quiet.enter_context(silence_logging_cmgr(logging.WARNING))
        try:
            self._scheduler = await start_scheduler(spec)
        except BaseException:
            self._quiet.close()
            directory.remove()
            raise
        return read_cluster(directory)

    @property
    def spec(self) -> ClusterSpec:
        """Every setting, resolved."""
        if self._spec is None:
            raise ClusterError("the cluster has not started", hint="await it first")
        return self._spec

    def scale(
        self,
        n: int | None = None,
        *,
        jobs: int | None = None,
        cores: int | None = None,
        memory: str | int | None = None,
    ) -> Any:
        """Want a fixed size: ``n`` workers, or as many jobs, cores or bytes.

        Jobs are submitted whole: a size between two numbers of jobs is rounded up.

        Raises
        ------
        SubmitRejected
            If the batch system refused the jobs, in its words. The next call starts afresh.
        """
        amount = Amount(workers=n, jobs=jobs, cores=cores, memory=memory)
        return self._do(lambda: self._controller.scale(jobs_at_least(amount, self.spec)))

    def adapt(
        self,
        minimum: int | None = None,
        maximum: int | None = None,
        *,
        minimum_jobs: int | None = None,
        maximum_jobs: int | None = None,
        minimum_cores: int | None = None,
        maximum_cores: int | None = None,
        interval: str | float = "5s",
    ) -> Adaptation:
        """Follow the work at hand between two sizes, in workers, jobs or cores.

        The minimum (default 0) is rounded up to whole jobs, the maximum (default 1000 jobs) down.
        ``interval`` is how often the scheduler looks.
        """
        low = Amount(workers=minimum, jobs=minimum_jobs, cores=minimum_cores)
        high = Amount(workers=maximum, jobs=maximum_jobs, cores=maximum_cores)
        seconds = parse_seconds(interval, where="interval")
        bounds = bounds_of(low, high, spec=self.spec, interval=seconds)
        self._do(lambda: self._controller.adapt(bounds))
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

    def job_script(self) -> str:
        """Return the script of a worker job, as it is submitted."""
        system = queue_of(self.spec).system
        return system.script(worker_job(self.spec, system.variables, tag=new_tag(self.spec.name)))

    def shutdown(self) -> Any:
        """End the cluster: jobs, scheduler, files and keys."""
        return self.sync(self._shutdown)

    async def _freeze(self) -> Report:
        report = await self._controller.report()
        return await self._controller.scale(report.wanted)

    async def _jobs(self) -> tuple[JobReport, ...]:
        return (await self._controller.report()).jobs

    async def _shutdown(self) -> None:
        directory = ClusterDirectory(self.spec.directory)
        if self.status == Status.running:
            await super()._close()
        if self._scheduler:
            await self._scheduler.close(reason="the cluster was closed")
            self._scheduler = None
            self._quiet.close()
            await end_jobs(directory)
        elif directory.path.is_dir():
            await end_cluster(directory)

    async def _close(self) -> None:
        """Detach from a cluster in a job; end one whose scheduler is here."""
        if self._starting and not self._starting.done():
            self._starting.cancel()
        if self._scheduler:
            await self._shutdown()
        elif self.status == Status.running:
            await super()._close()
        self.status = Status.closed

    async def _wait_for_workers(
        self, n_workers: int = 0, timeout: str | float | None = None
    ) -> None:
        clock = SystemClock()
        seconds = None if timeout is None else parse_seconds(timeout, where="timeout")
        deadline = None if seconds is None else clock.monotonic() + seconds
        pause = _FIRST_LOOK
        while True:
            report = await self._controller.report()
            if report.workers >= n_workers:
                return
            check_hope(report)
            if deadline is not None and clock.monotonic() >= deadline:
                raise StartTimeout(
                    f"{report.workers} of {n_workers} workers after {seconds:.0f} s",
                    hint=f"waits for {report.waits_for or 'nothing'}",
                )
            await clock.sleep(pause)
            pause = min(_LAST_LOOK, pause * 1.5)

    async def _get_logs(
        self,
        cluster: bool = True,
        scheduler: bool = True,
        workers: bool = True,
    ) -> Any:
        logs = await super()._get_logs(cluster=False, scheduler=scheduler, workers=workers)
        if cluster:
            decisions = await self._controller.decisions()
            lines = [f"{decision.what}: {decision.why}" for decision in decisions]
            logs["Cluster"] = Log("\n".join(lines))
            for path in sorted(ClusterDirectory(self.spec.directory).logs.iterdir()):
                logs[path.name] = Log(read_tail(path, lines=_LOG_LINES))
        return logs

    @property
    def _controller(self) -> ControllerClient:
        if self.scheduler_comm is None:
            raise ClusterError("the cluster is not connected", hint="start it, or attach to it")
        return ControllerClient(self.scheduler_comm)

    def _do(self, verb: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """Carry out a verb whose answer nobody needs; in asynchronous use it begins at once."""

        async def act() -> None:
            await verb()

        return asyncio.ensure_future(act()) if self.asynchronous else self.sync(act)

    def __await__(self) -> Generator[Any, Any, Self]:
        async def start() -> Self:
            if self.status == Status.created:
                await self._start()
            return self

        return start().__await__()


_SETTINGS = frozenset(
    {
        "cores", "memory", "processes", "nodes", "gpus", "walltime", "queue", "account",
        "interface", "scheduler_interface", "ports", "local_directory", "env", "directives",
        "prologue", "idle_timeout", "death_timeout", "secure",
    }
)  # fmt: skip
