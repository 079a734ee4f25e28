"""Start a cluster's scheduler with its controller, in whichever process calls."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import dask

from dask_hpc import _hosts
from dask_hpc._clock import SystemClock
from dask_hpc.batch.model import JobId, Tag
from dask_hpc.batch.queue import Queue
from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.cluster.record import ClusterRecord, ClusterState, write_cluster
from dask_hpc.engine.limits import check_interface, free_port, raise_open_file_limit
from dask_hpc.engine.scheduler import HPCScheduler
from dask_hpc.engine.service import ControllerService
from dask_hpc.engine.tls import cluster_security
from dask_hpc.plugins import BATCH_SYSTEMS, load
from dask_hpc.process.local import LocalRunner

if TYPE_CHECKING:
    from dask_hpc.cluster.spec import ClusterSpec


def queue_of(spec: ClusterSpec) -> Queue:
    """Return the queue that a cluster submits to, from the machine that this runs on."""
    system = load(BATCH_SYSTEMS, spec.system).from_facts(spec.facts)
    return Queue(system, LocalRunner(), user=spec.user)


async def start_scheduler(
    spec: ClusterSpec,
    *,
    tag: Tag = Tag(""),
    job: JobId = JobId(""),
    end_time: float | None = None,
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

    Raises
    ------
    ConfigError
        If this host does not have the network interface.
    LaunchError
        If every port of the site is in use.
    SecurityError
        If the cluster's keys are not private.
    """
    raise_open_file_limit()
    directory = ClusterDirectory(spec.directory)
    scheduler = _scheduler(spec, directory)
    scheduler.add_plugin(ControllerService(spec, queue_of(spec), scheduler=scheduler))
    await scheduler
    record = ClusterRecord(
        name=spec.name,
        site=spec.site,
        home=spec.home,
        state=ClusterState.RUNNING,
        created=SystemClock().time(),
        tag=tag,
        job=job,
        address=scheduler.address,
        nonce=secrets.token_hex(8),
        process=_hosts.own_mark(),
        end_time=end_time,
    )
    write_cluster(directory, record)
    return scheduler


def _scheduler(spec: ClusterSpec, directory: ClusterDirectory) -> HPCScheduler:
    interface = spec.scheduler_interface or spec.interface
    check_interface(interface)
    # What distributed makes has the mode that the umask gives it.
    (directory.path / "dask-scratch-space").mkdir(mode=0o700, exist_ok=True)
    # Nobody else uses this directory, and shared file systems are slow to lock, or hang.
    with dask.config.set({"distributed.worker.use-file-locking": False}):
        return HPCScheduler(
            dashboard_socket=directory.dashboard,
            security=cluster_security(directory.tls, secure=spec.secure),
            protocol="tls" if spec.secure else "tcp",
            interface=interface,
            host="127.0.0.1" if spec.loopback else None,
            port=free_port(spec.ports) if spec.ports else 0,
            dashboard=True,
            idle_timeout=spec.idle_timeout,
            local_directory=str(directory.path),
        )
