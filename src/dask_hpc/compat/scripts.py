"""The script of a cluster's jobs: a header of dask-jobqueue's on top of our own worker host."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

from dask_hpc.batch.htcondor_request import description
from dask_hpc.batch.model import Tag
from dask_hpc.cluster.commands import worker_job
from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.compat.jobs import HTCondorJob, quote_environment
from dask_hpc.compat.supplied import MANNERS, Supplied

if TYPE_CHECKING:
    from dask_hpc.batch.model import JobSpec
    from dask_hpc.batch.system import BatchSystem
    from dask_hpc.cluster.spec import ClusterSpec
    from dask_hpc.compat.job import Job

_OPENS_ITSELF = ("slurm", "local")  # they put the output where the submission says
_BASH = "#!/usr/bin/env bash"
# Statements of ours that give way to a user's; what else is ours comes last and wins.
_GIVES_WAY = ("universe", "transfer_output_files", "periodic_remove")
_ENVIRONMENT = "environment"


def supplied(job: Job, spec: ClusterSpec, *, system: BatchSystem) -> Supplied:
    """Return a cluster's batch system, which submits the script of this job each time."""
    kind = type(job)
    ours = next(one for one in kind.__mro__ if one.__module__ == HTCondorJob.__module__)
    return Supplied(
        system,
        script_of(job, spec, system=system),
        submits=_changed(job.submit_command, vars(ours).get("submit_command")),
        cancels=_changed(job.cancel_command, vars(ours).get("cancel_command")),
        keeps_logs=job.log_directory is not None,
    )


def script_of(job: Job, spec: ClusterSpec, *, system: BatchSystem) -> str:
    """Return what is submitted for every job of a cluster, byte for byte."""
    variables = replace(system.variables, tag=MANNERS[system.name].tag)
    wanted = worker_job(spec, variables, tag=Tag(spec.name))
    if isinstance(job, HTCondorJob):
        return _description(job, wanted)
    opening = _opening(job, spec, system=system)
    head = (job.shebang or _BASH, "", *filter(None, [job.job_header]), *opening)
    return "\n".join((*head, "", wanted.body.rstrip(), ""))


def _opening(job: Job, spec: ClusterSpec, *, system: BatchSystem) -> tuple[str, ...]:
    """Return the lines that see to it that the cluster knows the job's log."""
    keeps = job.log_directory is not None
    if system.name in _OPENS_ITSELF and not keeps:
        return ()
    logs = shlex.quote(str(ClusterDirectory(spec.directory).logs))
    tag, index = MANNERS[system.name].tag, system.variables.index
    log = f'dask_hpc_log={logs}/{tag}."{index}".log'
    if keeps and system.name != "oar":
        return (log, 'ln -sf "$(readlink /proc/self/fd/1)" "$dask_hpc_log" 2>/dev/null || :')
    return (log, 'exec >>"$dask_hpc_log" 2>&1 || exit 1')


def _description(job: HTCondorJob, wanted: JobSpec) -> str:
    header = (f"{key} = {value}" for key, value in job.job_header_dict.items())
    users = {key.lower(): str(value) for key, value in job.job_header_dict.items()}
    lines = description(wanted, 1).splitlines()
    ours = lines[: next(n for n, line in enumerate(lines) if line.startswith("+JobBatchName"))]
    ours += [line for line in lines if line.startswith("periodic_remove")]
    kept = [line for line in ours if line.partition(" =")[0] not in {*_GIVES_WAY} & {*users}]
    own = f"{_pairs(users.get(_ENVIRONMENT, ''))} DASK_HPC_JOB_NAME=$(dask_hpc_tag) ".lstrip()
    named = [
        line.replace('"', f'"{own}', 1) if line.startswith(f"{_ENVIRONMENT} =") else line
        for line in kept
    ]
    return "\n".join((job.shebang, "", *header, "", *named, "queue $(dask_hpc_count:1)", ""))


def _pairs(environment: str) -> str:
    """Return the variables of a statement as they stand between double quotes.

    https://htcondor.readthedocs.io/en/latest/man-pages/condor_submit.html: the older form has
    semicolons, and no double quotes around it.
    """
    text = environment.strip()
    if text.startswith('"'):
        return text[1:-1].strip()
    pairs = (pair.partition("=") for pair in text.split(";") if pair.strip())
    return quote_environment({name.strip(): value for name, _, value in pairs})


def _changed(command: str | None, ours: str | None) -> tuple[str, ...]:
    return tuple(shlex.split(command)) if command and command != ours else ()
