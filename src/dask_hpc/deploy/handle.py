"""The connected handle beneath `HPCCluster`: how it starts, attaches, waits, detaches and ends."""

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
from dask_hpc._units import parse_seconds
from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.cluster.record import read_cluster
from dask_hpc.cluster.spec import Home
from dask_hpc.deploy.ending import end_cluster, end_jobs
from dask_hpc.deploy.face import ClusterFace
from dask_hpc.deploy.hope import check_hope
from dask_hpc.deploy.living import remember
from dask_hpc.deploy.logs import decision_lines, job_logs
from dask_hpc.deploy.progress import told_in_notebook
from dask_hpc.deploy.reaching import reachable
from dask_hpc.deploy.starting import prepare, submit_scheduler, wait_for_scheduler
from dask_hpc.deploy.widget import ClusterWidget
from dask_hpc.engine.client import ControllerClient
from dask_hpc.engine.dashboard.words import progress_words
from dask_hpc.engine.lease_client import client_of
from dask_hpc.engine.reach import address_from_here
from dask_hpc.engine.start import start_scheduler
from dask_hpc.engine.tls import cluster_security
from dask_hpc.errors import ClusterError, ControllerUnreachable, StartTimeout

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

    from dask_hpc.cluster.record import ClusterRecord
    from dask_hpc.cluster.spec import ClusterSpec
    from dask_hpc.controller.report import Report
    from dask_hpc.engine.lease_client import HPCClient
    from dask_hpc.engine.scheduler import HPCScheduler

_FIRST_LOOK, _LAST_LOOK = 0.1, 1.0  # seconds, while waiting for workers


class ClusterHandle(Cluster):
    """A connection to a cluster's scheduler and controller, wherever they live."""

    _resolve: Callable[[], Coroutine[Any, Any, ClusterSpec]]

    def _setup(self, *, asynchronous: bool, loop: Any, attaches: bool = False) -> None:
        self._attaches = attaches
        self._scheduler: HPCScheduler | None = None
        self._quiet = ExitStack()
        self._spec: ClusterSpec | None = None
        self._starting: asyncio.Task[None] | None = None
        self._shown: ClusterWidget | None = None
        self._tell: Callable[[str], None] = lambda _: None
        self._face = ClusterFace(
            self, ask=lambda: self._controller.report(), scheduler=lambda: self._scheduler
        )
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
            record = await reachable(ClusterDirectory(spec.directory))
        elif spec.home is Home.JOB:
            record = await wait_for_scheduler(spec, await submit_scheduler(spec))
        else:
            record = await self._start_here(spec)
        self.security = cluster_security(ClusterDirectory(spec.directory).tls, secure=spec.secure)
        address = await self._address(record)
        self.scheduler_comm = rpc(
            address, connection_args=self.security.get_connection_args("client")
        )
        try:
            await super()._start()
        except OSError as error:
            raise ControllerUnreachable(
                f"the scheduler of {spec.name!r} does not answer at {address}: {error}",
                hint=f"dask-hpc status {spec.name}",
            ) from error

    async def _address(self, record: ClusterRecord) -> str:
        """Return the address of the scheduler, as it is seen from here."""
        if self._scheduler is not None:
            return str(self._scheduler.address)
        return await address_from_here(record, self.security)

    async def _start_here(self, spec: ClusterSpec) -> ClusterRecord:
        directory = prepare(spec)
        # A notebook is no place for what a scheduler tells its log.
        self._quiet.enter_context(silence_logging_cmgr(logging.WARNING))
        try:
            self._scheduler = await self._start_scheduler(spec)
        except BaseException:
            self._quiet.close()
            directory.remove()
            raise
        return read_cluster(directory)

    async def _start_scheduler(self, spec: ClusterSpec) -> HPCScheduler:
        """Start the scheduler of a cluster whose directory is prepared, in this process."""
        return await start_scheduler(spec)

    @property
    def spec(self) -> ClusterSpec:
        """Every setting, resolved."""
        if self._spec is None:
            raise ClusterError("the cluster has not started", hint="await it first")
        return self._spec

    @property
    def dashboard_link(self) -> str:
        """A link that opens the dashboard in one browser of this host, once, within an hour.

        It leads to a port of this process, that shows nothing to anybody else; the scheduler may be
        on another host. In a kernel of a JupyterHub, or of the Jupyter session of a cluster, it is
        a path of Jupyter, which must have jupyter-server-proxy. Empty while the cluster is not
        connected.
        """
        return self._face.link

    def _repr_html_(self, cluster_status: Any = None) -> str:  # noqa: ARG002 - distributed's signature
        return self._face.card()

    def _widget(self) -> Any:
        try:
            if self._shown is None and self.status == Status.running:
                self._shown = ClusterWidget(self, self._face)
        except ImportError:
            return None
        return self._shown.root if self._shown else None

    async def _shutdown(self) -> None:
        await self._face.close()
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
        await self._face.close()
        if self._scheduler:
            await self._shutdown()
        elif self.status == Status.running:
            await super()._close()
        self.status = Status.closed

    def get_client(self) -> HPCClient:
        """Return the current client if it is one of this cluster, else a new one.

        Its futures outlive a lost connection; see ``docs/explanation/client-lease.md``.
        """
        return client_of(self, self._spec)

    def wait_for_workers(self, n_workers: int, timeout: str | float | None = None) -> Any:
        """Wait until so many workers are connected; a notebook shows how far it is.

        Parameters
        ----------
        n_workers
            How many worker processes.
        timeout
            For how long at most, as ``"10min"`` or in seconds. Default: for ever.

        Raises
        ------
        StartTimeout
            If there are fewer when the time is up, with what is waited for.
        JobFailed
            If no more will come, with the end of the log.
        """
        self._tell = told_in_notebook()
        return super().wait_for_workers(n_workers, timeout)

    async def _wait_for_workers(
        self, n_workers: int = 0, timeout: str | float | None = None
    ) -> None:
        clock = SystemClock()
        seconds = None if timeout is None else parse_seconds(timeout, where="timeout")
        deadline = None if seconds is None else clock.monotonic() + seconds
        pause = _FIRST_LOOK
        while True:
            report = await self._controller.report()
            self._tell(progress_words(report, n_workers, now=clock.time()))
            here = self._count(report)
            if here >= n_workers:
                return
            check_hope(report)
            if deadline is not None and clock.monotonic() >= deadline:
                raise StartTimeout(
                    f"{here} of {n_workers} workers after {seconds:.0f} s",
                    hint=f"waits for {report.waits_for or 'nothing'}",
                )
            await clock.sleep(pause)
            pause = min(_LAST_LOOK, pause * 1.5)

    def _count(self, report: Report) -> int:
        # The controller knows worker jobs, and not the workers beside the scheduler in its own.
        return len(self.scheduler_info["workers"]) if self.spec.is_one_job else report.workers

    async def _get_logs(
        self,
        cluster: bool = True,
        scheduler: bool = True,
        workers: bool = True,
    ) -> Any:
        logs = await super()._get_logs(cluster=False, scheduler=scheduler, workers=workers)
        if cluster:
            logs["Cluster"] = Log(decision_lines(await self._controller.decisions()))
            for name, text in job_logs(ClusterDirectory(self.spec.directory)).items():
                logs[name] = Log(text)
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
