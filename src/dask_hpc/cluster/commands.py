"""The jobs of a cluster: which program each runs, and with what."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dask_hpc.batch.model import JobSpec
from dask_hpc.batch.script import Program, job_body
from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.cluster.spec import DEFAULT_POOL

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dask_hpc.batch.model import Resources, Tag
    from dask_hpc.batch.system import JobVariables
    from dask_hpc.cluster.spec import ClusterSpec

# Must be set before Python starts: one hash seed for all workers, memory given back to the
# system, and one thread each for libraries that would take the whole node.
# https://docs.dask.org/en/stable/configuration.html (distributed.nanny.pre-spawn-environ)
ENVIRONMENT = {
    "PYTHONHASHSEED": "6640",
    "MALLOC_TRIM_THRESHOLD_": "65536",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


def worker_job(
    spec: ClusterSpec, variables: JobVariables, *, tag: Tag, pool: str = DEFAULT_POOL
) -> JobSpec:
    """Return a job that brings workers to a pool."""
    own = replace(spec.of(pool), is_one_job=False)  # what comes to such a cluster is as usual
    program = ("dask_hpc.boot.workers", "--pool", pool)
    return _job(own, variables, tag=tag, program=program, resources=own.worker)


def scheduler_job(spec: ClusterSpec, variables: JobVariables, *, tag: Tag) -> JobSpec:
    """Return the job in which the scheduler and its controller live."""
    program = ("dask_hpc.boot.allocation",) if spec.is_one_job else ("dask_hpc.boot.keeper",)
    return _job(spec, variables, tag=tag, program=program, resources=spec.scheduler)


def _launch(spec: ClusterSpec, resources: Resources, *, scripts: Path) -> tuple[str, ...]:
    """Return what runs a program on every node of a job, if there are several."""
    if resources.nodes == 1:
        return ()
    size = ("--nodes", str(resources.nodes), "--cores", str(resources.cores))
    words = ("--launcher", spec.launcher, *size, "--scripts", str(scripts))
    return (spec.python, "-m", "dask_hpc.launch.supervise", *words, "--")


def host_argv(spec: ClusterSpec, words: Sequence[str], *, python: str) -> tuple[str, ...]:
    """Return what runs a worker host on every node of the job that this is a process of.

    ``words`` are what the script of the job said of it.
    """
    directory = ClusterDirectory(spec.directory)
    own = (python, "-m", "dask_hpc.boot.workers", "--directory", str(directory.path), *words)
    launch = _launch(spec, spec.scheduler, scripts=directory.jobs)
    return (*launch, *own)


def _job(
    spec: ClusterSpec,
    variables: JobVariables,
    *,
    tag: Tag,
    program: tuple[str, ...],
    resources: Resources,
) -> JobSpec:
    directory = ClusterDirectory(spec.directory)
    argv = (*spec.wrapper, spec.python, "-m", *program, "--directory", str(directory.path))
    # The program of a cluster that is one job starts its worker hosts itself.
    launch = () if spec.is_one_job else _launch(spec, resources, scripts=directory.jobs)
    runs = Program(
        argv=(*launch, *argv),
        prologue=spec.prologue,
        environment=ENVIRONMENT,
        python_path=directory.code,
    )
    body = job_body(runs, variables, tag=tag, records=directory.jobs, walltime=resources.walltime)
    return JobSpec(
        tag=tag,
        resources=resources,
        body=body,
        log=str(directory.logs / f"{tag}.{{index}}.log"),
        comment=f"dask-hpc {spec.name}",
        outlives_nodes=spec.is_one_job and resources.nodes > 1,
    )
