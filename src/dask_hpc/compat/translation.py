"""dask-jobqueue's keywords as ours: what of a job our own worker host can do, and the rest. Pure.

What it cannot do, a job says in words; its cluster then submits the script of the job itself.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from dask_hpc._units import parse_seconds
from dask_hpc.compat import jobs
from dask_hpc.compat.job import Job
from dask_hpc.compat.keywords import STOCK_COMMAND, system_of
from dask_hpc.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dask_hpc.cluster.spec import ClusterSpec

# What a class may have otherwise than ours without losing our host: its header, its commands.
_OURS = ("job_script", "start", "close", "_submit_job", "_close_job", "_job_id_from_submit_output")
_TAKEN = ("--preload", "--resources")
# Our host leaves in time before the walltime, and serves no HTTP.
_NEEDLESS = ("--lifetime", "--lifetime-stagger")
_FLAGS = ("--lifetime-restart", "--no-lifetime-restart", "--dashboard", "--no-dashboard")
_HOURS = re.compile(r"(\d+):(\d\d)")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """The options of ``dask worker`` that our host understands; ``rest`` are the others."""

    offers: dict[str, float] = field(default_factory=dict)
    preload: tuple[str, ...] = ()
    rest: tuple[str, ...] = ()


def read_options(words: list[Any]) -> WorkerOptions:
    """Return the further arguments of a worker as they are meant."""
    offers: dict[str, float] = {}
    preload: list[str] = []
    rest: list[str] = []
    left = iter(shlex.split(" ".join(map(str, words))))
    for word in left:
        name, equals, value = word.partition("=")
        if name not in (*_TAKEN, *_NEEDLESS):
            rest += [] if word in _FLAGS else [word]
            continue
        value = value if equals else next(left, "")
        if name == "--resources":
            pairs = (pair.partition("=") for pair in value.replace(",", " ").split())
            offers |= {key: float(amount) for key, _, amount in pairs}
        elif name == "--preload":
            preload.append(value)
    return WorkerOptions(offers=offers, preload=tuple(preload), rest=tuple(rest))


def reasons_for_own_script(job: Job) -> Iterator[str]:
    """Yield why a job's own script must be submitted, if it must."""
    if system_of(type(job)) is None:
        yield f"{type(job).__name__} belongs to no batch system that is known here"
    for name in _OURS:
        if has_own(job, name):
            yield f"{type(job).__name__} has {name} of its own"
    said = job.said
    if said.worker_command != STOCK_COMMAND:
        yield f"the worker command is {said.worker_command}"
    if not said.nanny:
        yield "the workers have no nanny"
    if len(shlex.split(said.python)) != 1:
        yield f"python is a prefix: {said.python}"
    if job.has_own_command:
        yield f"{type(job).__name__} changes the command of the worker"
    if rest := read_options(said["worker_extra_args"] or []).rest:
        yield f"the worker has options of its own: {shlex.join(rest)}"
    if any(said["job_script_epilogue"] or ()):
        yield "something runs after the worker"


def has_own(job: Job, name: str) -> bool:
    """Return whether a job does something otherwise than the classes here."""
    return getattr(type(job), name).__module__ not in (Job.__module__, jobs.__name__)


def settings_of(job: Job) -> dict[str, Any]:
    """Return the settings of a cluster whose jobs are like this one."""
    said = job.said
    return {
        "cores": job.worker_cores,
        "memory": job.worker_memory,
        "processes": min(job.worker_processes, job.worker_cores),
        "interface": said["interface"],
        "local_directory": said["local_directory"],
        "death_timeout": said["death_timeout"],
        "resources": read_options(said["worker_extra_args"] or []).offers or None,
    }


def shaped(spec: ClusterSpec, job: Job) -> ClusterSpec:
    """Return a cluster that runs its workers as this job does, and nothing else."""
    said = job.said
    worker = replace(spec.worker, walltime=walltime_of(job), directives=())
    preload = read_options(said["worker_extra_args"] or []).preload
    lines = [*job.prologue]
    if preload:
        modules = shlex.quote(str(list(preload)))
        lines.append(f"export DASK_DISTRIBUTED__WORKER__PRELOAD={modules}")
    python = said.python if said["python"] else spec.python
    prologue = (*spec.prologue, *lines)
    return replace(spec, worker=worker, pools={}, python=python, prologue=prologue)


def walltime_of(job: Job) -> float | None:
    """Return the seconds that a job may run, if its header says so in a way that can be read."""
    text = job.said["walltime"] if "walltime" in job.said.own else None
    if text is None or isinstance(job, jobs.LocalJob):
        return None
    hours = _HOURS.fullmatch(str(text)) if isinstance(job, jobs.LSFJob) else None
    if hours:
        return int(hours[1]) * 3600.0 + int(hours[2]) * 60.0
    try:
        # A bare number is minutes there.
        in_minutes = isinstance(job, jobs.SLURMJob | jobs.LSFJob) and str(text).isdecimal()
        return float(text) * 60 if in_minutes else parse_seconds(text)
    except ConfigError:  # the batch system may understand it all the same
        return None
