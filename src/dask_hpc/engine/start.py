"""Start a cluster's scheduler with its controller, in whichever process calls."""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import dask
from distributed.comm import parse_host_port

from dask_hpc import _hosts
from dask_hpc._clock import SystemClock
from dask_hpc.batch.model import JobId, Tag
from dask_hpc.batch.queue import Queue
from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.cluster.record import ClusterRecord, ClusterState, read_cluster, write_cluster
from dask_hpc.cluster.session import last_use
from dask_hpc.cluster.spec import Home
from dask_hpc.engine.limits import raise_open_file_limit
from dask_hpc.engine.listening import choose_ears, start_at_free_port, with_addresses
from dask_hpc.engine.scheduler import HPCScheduler
from dask_hpc.engine.schedulerfile import write_scheduler_file
from dask_hpc.engine.service import ControllerService
from dask_hpc.engine.tls import cluster_security
from dask_hpc.errors import ClusterNotFound, CommandMissing, ConfigError
from dask_hpc.plugins import BATCH_SYSTEMS, load
from dask_hpc.process.local import LocalRunner
from dask_hpc.process.spool import SpoolRunner

if TYPE_CHECKING:
    from dask_hpc.cluster.spec import ClusterSpec
    from dask_hpc.process.runner import Command, Result, Runner


def queue_of(spec: ClusterSpec, *, timeout: float = 60) -> Queue:
    """Return the queue that a cluster submits to, from the machine that this runs on."""
    system = load(BATCH_SYSTEMS, spec.system).from_facts(spec.facts)
    return Queue(system, LocalRunner(), user=spec.user, timeout=timeout)


def controller_queue(spec: ClusterSpec) -> Queue:
    """Return the same queue for the controller, which may have to ask an agent elsewhere."""
    runner: Runner = LocalRunner()
    if spec.has_agent:
        runner = SpoolRunner(directory=ClusterDirectory(spec.directory).requests)
    elif spec.home is Home.JOB:
        runner = _OnNode()
    return Queue(queue_of(spec).system, runner, user=spec.user)


@dataclass(frozen=True, slots=True)
class _OnNode:
    """Runs commands on the node of a scheduler's job, which may lack them for a reason."""

    async def run(self, command: Command, *, timeout: float = 60) -> Result:
        try:
            return await LocalRunner().run(command, timeout=timeout)
        except CommandMissing as error:
            hint = f"{error.hint}; where nodes may not submit, set submit_from to login"
            raise CommandMissing(str(error), result=error.result, hint=hint) from None


async def start_scheduler(
    spec: ClusterSpec,
    *,
    tag: Tag = Tag(""),
    job: JobId = JobId(""),
    end_time: float | None = None,
    queue: Queue | None = None,
    port: int | None = None,
) -> HPCScheduler:
    """Return the running scheduler of a cluster, after its record was written.

    Parameters
    ----------
    spec
        The cluster.
    tag, job
        The job that this runs in; empty outside of one.
    end_time
        When that job ends, in seconds since the epoch.
    queue
        Where worker jobs are submitted. Default: as the spec says.
    port
        The port to listen at if it is free. Default: any, or one of the spec's.

    Raises
    ------
    ConfigError
        If this host does not have the network interface, or the contact address is none.
    LaunchError
        If every port of the site is in use.
    SecurityError
        If the cluster's keys are not private.
    """
    raise_open_file_limit()
    directory = ClusterDirectory(spec.directory)
    ears = await choose_ears(spec)
    queue = queue or controller_queue(spec)

    def make(port: int) -> HPCScheduler:
        scheduler = _scheduler(spec, directory, hosts=ears.hosts, port=port)
        scheduler.add_plugin(ControllerService(spec, queue, scheduler=scheduler, ends=end_time))
        return scheduler

    before = _before(directory)
    first = parse_host_port(before.address.rpartition("/")[2])[1] if before else port
    scheduler: HPCScheduler = await start_at_free_port(make, spec.ports, first=first)
    record = _record(spec, tag=tag, job=job, end_time=end_time, before=before)
    write_cluster(directory, with_addresses(record, scheduler, ears=ears))
    write_scheduler_file(spec, scheduler, nonce=record.nonce)
    return scheduler


def _before(directory: ClusterDirectory) -> ClusterRecord | None:
    """Return the record of the scheduler that this one follows, at whose port it is looked for."""
    with suppress(ClusterNotFound, ConfigError):
        record = read_cluster(directory)
        return record if record.address else None
    return None


def _record(
    spec: ClusterSpec, *, tag: Tag, job: JobId, end_time: float | None, before: ClusterRecord | None
) -> ClusterRecord:
    return ClusterRecord(
        name=spec.name,
        site=spec.site,
        home=spec.home,
        state=ClusterState.RUNNING,
        created=before.created if before else SystemClock().time(),
        tag=tag,
        job=job,
        nonce=secrets.token_hex(8),
        process=_hosts.own_mark(),
        end_time=end_time,
    )


def _scheduler(
    spec: ClusterSpec, directory: ClusterDirectory, *, hosts: list[str], port: int
) -> HPCScheduler:
    # What distributed makes has the mode that the umask gives it.
    (directory.path / "dask-scratch-space").mkdir(mode=0o700, exist_ok=True)
    # Nobody else uses this directory, and shared file systems are slow to lock, or hang.
    with dask.config.set({"distributed.worker.use-file-locking": False}):
        scheduler = HPCScheduler(
            dashboard_socket=directory.dashboard,
            security=cluster_security(directory.tls, secure=spec.secure),
            protocol="tls" if spec.secure else "tcp",
            host=hosts,
            port=[port] * len(hosts),
            idle_timeout=spec.idle_timeout,
            client_lease=spec.client_lease,
            local_directory=str(directory.path),
        )
    scheduler.last_use = partial(last_use, directory)
    return scheduler
