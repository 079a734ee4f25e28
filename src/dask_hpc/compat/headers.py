"""The directives of each batch system as dask-jobqueue writes them, in its order. Pure.

Each one is a mark and the rest of the line. The scripts of users' sites, and what they grep for,
rely on them.
"""

from __future__ import annotations

import math
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dask_hpc.compat.job import Job

_NO_MEMORY = (
    "OAR Job memory reserved resources will not be set according to Dask Worker memory limit, "
    "which can cause crashes. See `memory_per_core_property_name` documentation for more details"
)
_LSF_POWERS = {unit: power for power, unit in enumerate("kmgtpez", start=1)}


def header(job: Job, lines: Iterable[str], *, mark: str, after: Iterable[str] = ()) -> str:
    """Return a header: what the job does not skip, and what its user adds."""
    kept = [
        f"{mark} {line}"
        for line in lines
        if not any(skip in f"{mark} {line}" for skip in job.job_directives_skip)
    ]
    added = (f"{mark} {line}" for line in (*job.job_extra_directives, *after))
    return "\n".join((*kept, *added))


def slurm(job: Job) -> Iterator[str]:
    """Yield the options of sbatch."""
    said = job.said
    yield from _given("-J %s", job.job_name)
    if job.log_directory is not None:
        stem = f"{job.log_directory}/{job.job_name or 'worker'}-%J"
        yield from (f"-e {stem}.err", f"-o {stem}.out")
    yield from _given("-p %s", said["queue"])
    yield from _given("-A %s", said["account"])
    yield "-n 1"
    yield f"--cpus-per-task={int(said['job_cpu'] or job.worker_cores)}"
    memory = said["job_mem"]
    yield f"--mem={slurm_format_bytes_ceil(job.worker_memory) if memory is None else memory}"
    yield from _given("-t %s", said["walltime"])


def pbs(job: Job) -> Iterator[str]:
    """Yield the options of qsub, and of msub."""
    said = job.said
    yield from _given("-N %s", job.job_name)
    yield from _given("-q %s", said["queue"])
    yield from _given("-A %s", said["account"] or os.environ.get("PBS_ACCOUNT"))
    memory = pbs_format_bytes_ceil(job.worker_memory)
    default = f"select=1:ncpus={job.worker_cores}:mem={memory}"
    yield f"-l {default if said['resource_spec'] is None else said['resource_spec']}"
    yield from _given("-l walltime=%s", said["walltime"])
    if job.log_directory is not None:
        yield from (f"-e {job.log_directory}/", f"-o {job.log_directory}/")


def sge(job: Job) -> Iterator[str]:
    """Yield the options of Grid Engine's qsub, which asks for neither cores nor memory."""
    said = job.said
    yield from _given("-N %s", job.job_name)
    yield from _given("-q %s", said["queue"])
    yield from _given("-P %s", said["project"])
    yield from _given("-l %s", said["resource_spec"])
    yield from _given("-l h_rt=%s", said["walltime"])
    if job.log_directory is not None:
        yield from (f"-e {job.log_directory}/", f"-o {job.log_directory}/")
    yield from ("-cwd", "-j y")


def lsf(job: Job) -> Iterator[str]:
    """Yield the options of bsub."""
    said = job.said
    yield from _given("-J %s", job.job_name)
    if job.log_directory is not None:
        stem = f"{job.log_directory}/{job.name or 'worker'}-%J"
        yield from (f"-e {stem}.err", f"-o {stem}.out")
    yield from _given("-q %s", said["queue"])
    yield from _given('-P "%s"', said["project"])
    cores = job.worker_cores if said["ncpus"] is None else said["ncpus"]
    yield f"-n {cores}"
    if cores > 1:
        yield '-R "span[hosts=1]"'
    memory = job.worker_memory if said["mem"] is None else said["mem"]
    units = said["lsf_units"] or lsf_detect_units()
    yield f"-M {lsf_format_bytes_ceil(memory, lsf_units=units)}"
    yield from _given("-W %s", said["walltime"])


def oar(job: Job) -> Iterator[str]:
    """Yield the options of oarsub but for the filter by memory."""
    said = job.said
    yield from _given("-n %s", job.job_name)
    yield from _given("-q %s", said["queue"])
    yield from _given("--project %s", said["project"])
    # On one line: of several, OAR would take any one.
    wanted = said["resource_spec"]
    parts = [f"/nodes=1/core={job.worker_cores}" if wanted is None else wanted]
    yield f"-l {','.join([*parts, *_given('walltime=%s', said['walltime'])])}"


def oar_memory(job: Job) -> Iterator[str]:
    """Yield the filter by memory, with what else the user filters by: OAR takes the last one."""
    name = job.said["memory_per_core_property_name"]
    if name is None:
        warnings.warn(_NO_MEMORY, UserWarning, stacklevel=5)
        return
    if name == "not_applicable":
        return
    amount = f"{name}>={math.ceil(job.worker_memory / (job.worker_cores * 2**20))}"
    other = return_last_job_property(job.job_extra_directives)
    yield f"-p {amount}" if other is None else f"-p '{other} AND {amount}'"


def htcondor(job: Job, *, disk: int) -> dict[str, Any]:
    """Return the statements of a submit description."""
    said: dict[str, Any] = {
        "MY.DaskWorkerName": '"htcondor--$F(MY.JobId)--"',
        "batch_name": job.name,
        "RequestCpus": "MY.DaskWorkerCores",
        "RequestMemory": "floor(MY.DaskWorkerMemory / 1048576)",
        "RequestDisk": "floor(MY.DaskWorkerDisk / 1024)",
        "MY.JobId": '"$(ClusterId).$(ProcId)"',
        "MY.DaskWorkerCores": job.worker_cores,
        "MY.DaskWorkerMemory": job.worker_memory,
        "MY.DaskWorkerDisk": disk,
    }
    if job.log_directory:
        said |= {
            "LogDirectory": job.log_directory,
            "Output": "$(LogDirectory)/worker-$F(MY.JobId).out",
            "Error": "$(LogDirectory)/worker-$F(MY.JobId).err",
            "Log": "$(LogDirectory)/worker-$(ClusterId).log",
            "Stream_Output": True,
            "Stream_Error": True,
        }
    return said


def _given(form: str, value: Any) -> Iterator[str]:
    if value is not None:
        yield form % (value,)


def slurm_format_bytes_ceil(n: int) -> str:
    """Return bytes as Slurm counts them, rounded up: its K is a KiB, and the least there is.

    Examples
    --------
    >>> slurm_format_bytes_ceil(28_000_000_000)
    '27G'
    """
    for letter, unit in (("G", 2**30), ("M", 2**20)):
        if n >= unit:
            return f"{math.ceil(n / unit)}{letter}"
    return f"{max(1, math.ceil(n / 2**10))}K"


def pbs_format_bytes_ceil(n: int) -> str:
    """Return bytes as PBS counts them, rounded up, in units of which there are ten at least.

    Examples
    --------
    >>> pbs_format_bytes_ceil(1_234_567_890)
    '1178MB'
    """
    for word, unit in (("GB", 2**30), ("MB", 2**20), ("kB", 2**10)):
        if n >= 10 * unit:
            return f"{math.ceil(n / unit)}{word}"
    return f"{n}B"


def lsf_format_bytes_ceil(n: int, lsf_units: str = "mb") -> str:
    """Return bytes in a unit of LSF, which counts in thousands here, rounded up.

    Examples
    --------
    >>> lsf_format_bytes_ceil(1_234_567_890)
    '1235'
    """
    return str(math.ceil(n / 1000 ** _LSF_POWERS[lsf_units[0].lower()]))


def lsf_detect_units() -> str:
    """Return the unit of limits that lsf.conf names, else ``kb``."""
    places = (os.environ.get(name) for name in ("LSF_CONFDIR", "LSF_ENVDIR"))
    directory = next((place for place in places if place), "/etc")
    try:
        lines = Path(directory, "lsf.conf").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "kb"
    # Of several, LSF takes the last.
    for name, _, value in (line.strip().partition("=") for line in reversed(lines)):
        if name == "LSF_UNIT_FOR_LIMITS" and value[:1].lower() in _LSF_POWERS:
            return value[0].lower() + "b"
    return "kb"


def return_last_job_property(job_extra_directives: Iterable[str]) -> str | None:
    """Return the last ``-p`` among the lines of a user."""
    own = [line for line in job_extra_directives if line.startswith("-p")]
    return own[-1].replace("-p ", "") if own else None
