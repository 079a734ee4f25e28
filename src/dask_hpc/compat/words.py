"""Keywords of other tools: what they mean, and which of them an argument by place is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_JOBS = {
    "cores": ("int", "Cores of a job; all its workers share them."),
    "memory": ("str", 'Memory of a job, as ``"24GB"``; all its workers share it.'),
    "processes": ("int", "Worker processes of a job. Default: about the square root of cores."),
    "interface": ("str", 'Network interface, as ``"ib0"``. Default: by route.'),
    "death_timeout": ("float", "Seconds that a worker looks for its scheduler. Default 60."),
    "local_directory": ("str", "Where workers spill, on the node."),
    "worker_command": ("str", "Module of another worker; then the job's own script runs."),
    "worker_extra_args": ("list", "Further options of the worker."),
    "job_script_prologue": ("list", "Shell lines that a job runs first."),
    "job_extra_directives": ("list", "Further directives (a dict for HTCondor)."),
    "job_directives_skip": ("list", "Directives with one of these words in them are left out."),
    "log_directory": ("str", "Where the batch system writes the logs of jobs."),
    "shebang": ("str", "First line of the script."),
    "python": ("str", "Python of the jobs. Default: the one that runs this."),
    "job_name": ("str", "Name in the header. Default ``dask-worker``."),
    "config_name": ("str", "Section of ``jobqueue`` in dask's configuration."),
    "n_workers": ("int", "Worker processes to start with. Default 0."),
    "name": ("str", "Name of the cluster."),
    "scheduler_options": ("dict", "Interface, host and port of the scheduler."),
    "security": ("Security", "Certificates of your own. Default: new ones for this cluster."),
    "asynchronous": ("bool", "Whether this is used with async and await."),
}
_OWN = {
    "queue": ("str", "Queue or partition of the jobs."),
    "account": ("str", "Who pays."),
    "project": ("str", "Who pays."),
    "walltime": ("str", "How long a job may run."),
    "resource_spec": ("str", "What the jobs ask for, instead of cores and memory."),
    "job_cpu": ("int", "Cores to ask for. Default: cores."),
    "job_mem": ("str", "Memory to ask for. Default: memory."),
    "ncpus": ("int", "Cores to ask for. Default: cores."),
    "mem": ("int", "Bytes to ask for. Default: memory."),
    "lsf_units": ("str", "Unit of memory. Default: as ``lsf.conf`` says."),
    "use_stdin": ("bool", "Whether a job's own script goes to bsub by standard input."),
    "disk": ("str", "Disk of a job. Required."),
    "submit_command_extra": ("list", "Further options of condor_submit."),
    "cancel_command_extra": ("list", "Further options of condor_rm."),
    "memory_per_core_property_name": ("str", "The property that memory is filtered by."),
}


def described(name: str, sentence: str, *, own: tuple[str, ...]) -> str:
    """Return the documentation of a cluster with these keywords of its own."""
    keywords = {key: _OWN[key] for key in own} | _JOBS
    lines = (f"    {key} : {kind}\n        {say}" for key, (kind, say) in keywords.items())
    return (
        f"{sentence}\n\n    Parameters\n    ----------\n" + "\n".join(lines) + "\n\n"
        f'    Examples\n    --------\n    >>> cluster = {name}(cores=8, memory="24GB")\n'
        "    >>> cluster.scale(jobs=10)\n    >>> cluster.adapt(maximum_jobs=20)\n"
    )


def named(
    names: Sequence[str], places: Sequence[Any], *, options: Mapping[str, Any]
) -> dict[str, Any]:
    """Return arguments by name, of those that were given by place and those by name.

    Raises
    ------
    TypeError
        As for any call: if there are too many, or one is given twice.
    """
    if len(places) > len(names):
        raise TypeError(f"{len(places)} arguments are given, at most {len(names)} can be")
    given = dict(zip(names, places, strict=False))
    if twice := given.keys() & options.keys():
        raise TypeError(f"{min(twice)!r} is given twice")
    return {**given, **options}
