"""A cluster beyond the end of its scheduler's job: another job follows, under the same name."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dask_hpc.cluster.commands import scheduler_job
from dask_hpc.cluster.followon import (
    FollowOn,
    find_follow_on,
    forget_follow_on,
    write_follow_on,
)
from dask_hpc.cluster.plan import read_plan
from dask_hpc.cluster.record import read_spec
from dask_hpc.cluster.slot import new_tag
from dask_hpc.cluster.spec import Home
from dask_hpc.deploy.reaching import settled
from dask_hpc.engine.client import check_running
from dask_hpc.engine.start import queue_of
from dask_hpc.errors import BatchError, ConfigError

if TYPE_CHECKING:
    from dask_hpc.cluster.directory import ClusterDirectory
    from dask_hpc.cluster.record import ClusterRecord


async def extend(directory: ClusterDirectory) -> FollowOn:
    """Queue a job in which a cluster goes on when its scheduler's job has ended; return it.

    A new scheduler starts there, and JupyterLab if the cluster has one, with the same settings,
    keys and address for the browser, and it wants the workers that were wanted last. What was in
    memory does not survive: kernels, and data on workers.

    Raises
    ------
    ConfigError
        If the cluster is one that no job can follow, or already does.
    ControllerUnreachable
        If its scheduler has not started, or has ended.
    BatchError
        If the job was refused.
    """
    record, spec = await settled(directory), read_spec(directory)
    check_running(record)
    _check(directory, record)
    queue = queue_of(spec)
    line = queue.system.outlook.after_directive(record.job)
    if not line:
        raise ConfigError(
            f"{spec.system} starts no job after the end of another one",
            hint="a longer walltime, from the start on, is what helps there",
        )
    follow_on = FollowOn(after=record.tag, tag=new_tag(spec.name))
    write_follow_on(directory, follow_on)
    asked = replace(spec.scheduler, directives=(*spec.scheduler.directives, line))
    job = scheduler_job(replace(spec, scheduler=asked), queue.system.variables, tag=follow_on.tag)
    try:
        ids = await queue.submit(job)
    except BatchError as error:
        if not error.transient:
            forget_follow_on(directory)
        raise
    follow_on = replace(follow_on, job=ids[0])
    write_follow_on(directory, follow_on)
    return follow_on


def _check(directory: ClusterDirectory, record: ClusterRecord) -> None:
    name = record.name
    if record.home is not Home.JOB or not record.job:
        raise ConfigError(
            f"the scheduler of {name!r} is in a program, which no job follows",
            hint="dask-hpc up starts clusters that outlive programs",
        )
    if read_plan(directory):
        raise ConfigError(
            f"{name!r} runs a script, which cannot go on in another job",
            hint="a longer walltime, from the start on, is what helps there",
        )
    if follow_on := find_follow_on(directory, after=record.tag):
        raise ConfigError(
            f"job {follow_on.job or follow_on.tag} already follows job {record.job} of {name!r}",
            hint=f"when it runs, dask-hpc extend {name} queues another one",
        )
