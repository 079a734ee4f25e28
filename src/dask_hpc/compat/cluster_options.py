"""The keywords of a cluster that are none of its jobs', and the mistakes made with them."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dask_hpc.cluster.directory import check_name, directory_of
from dask_hpc.compat.jobqueue_config import value_of
from dask_hpc.compat.keywords import config_name_of, system_of
from dask_hpc.engine.scheduler import HPCScheduler
from dask_hpc.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

# Keywords that others are derived from, with what they are if nobody says.
_OWN: dict[str, Any] = {
    "loop": None, "security": None, "shared_temp_directory": None, "silence_logs": "error",
    "name": None, "asynchronous": False, "scheduler_options": None, "scheduler_cls": None,
    "interface": None, "protocol": None, "config_name": None,
}  # fmt: skip
_CONFIGURED = ("interface", "scheduler_options", "shared_temp_directory")
_EXAMPLES = {"dashboard_address": '":12345"', "host": '"your-host"'}
_MOVED = (
    "Please pass '{name}' through 'scheduler_options': use\n"
    'cluster = {kind}(..., scheduler_options={{"{name}": {example}}}) rather than\n'
    "cluster = {kind}(..., {name}={example})"
)
_NO_JOB_CLASS = (
    "You need to specify a Job type. Two cases:\n"
    "- you are inheriting from JobQueueCluster (most likely): you need to add a 'job_cls' class "
    "variable in your JobQueueCluster-derived class {kind}\n"
    "- you are using JobQueueCluster directly (less likely, only useful for tests): "
    "please explicitly pass a Job type through the 'job_cls' parameter."
)
_UNEXPECTED = (
    'Got {words}. Very likely this unexpected parameter was passed in "job_kwargs" in the {kind} '
    "constructor:\njob_kwargs={keywords}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterOptions:
    """What a call and the configuration say of a cluster; ``jobs`` are the keywords of its jobs."""

    name: str | None
    asynchronous: bool
    loop: Any
    security: Any
    shared_temp_directory: str | None
    scheduler: dict[str, Any]
    jobs: dict[str, Any]


def read_cluster_options(
    kind: type, job_cls: Any, *, keywords: Mapping[str, Any]
) -> ClusterOptions:
    """Return the options of a cluster of this class.

    Raises
    ------
    ValueError
        If there is no class of jobs, or a keyword belongs into ``scheduler_options``.
    """
    if job_cls is None:
        raise ValueError(_NO_JOB_CLASS.format(kind=kind))
    _refuse_moved(kind, keywords)
    own = {name: keywords.get(name, default) for name, default in _OWN.items()}
    section = own["config_name"] or config_name_of(job_cls)
    for name in _CONFIGURED:
        if own[name] is None:
            own[name] = value_of(section, system_of(job_cls), key=name.replace("_", "-"))
    jobs = {name: value for name, value in keywords.items() if name not in _OWN}
    security = own["security"] or None
    options = {
        "protocol": own["protocol"] or ("tls://" if security else None),
        "dashboard_address": ":8787",
        "security": security,
        **(own["scheduler_options"] or {}),
    }
    if not {"host", "interface"} & set(options):
        options["interface"] = own["interface"]
    return ClusterOptions(
        name=own["name"],
        asynchronous=own["asynchronous"],
        loop=own["loop"],
        security=security,
        shared_temp_directory=own["shared_temp_directory"],
        scheduler={"cls": own["scheduler_cls"] or HPCScheduler, "options": options},
        # There are classes that take these out of their keywords.
        jobs={
            **jobs,
            "config_name": section,
            "interface": own["interface"],
            "protocol": options["protocol"],
            "security": None,
        },
    )


def unexpected_keyword(
    kind: type, error: TypeError, *, keywords: Mapping[str, Any]
) -> ValueError | None:
    """Return the error for an unknown keyword of a job, if that is what went wrong."""
    match = re.search("unexpected keyword argument.+", str(error))
    if match is None:
        return None
    return ValueError(
        _UNEXPECTED.format(words=match[0], kind=kind.__name__, keywords=dict(keywords))
    )


def free_name(wanted: str) -> str:
    """Return a name of a cluster that is like this one, and that nobody has."""
    name = re.sub(r"[^a-z0-9_-]+", "-", wanted.lower()).strip("-_")[:32] or "dask-worker"
    try:
        if not directory_of(check_name(name)).path.exists():
            return name
    except ConfigError:
        name = f"dask-{name}"
    while directory_of(found := f"{name}-{secrets.token_hex(2)}").path.exists():
        pass
    return found


def _refuse_moved(kind: type, keywords: Mapping[str, Any]) -> None:
    for name, example in _EXAMPLES.items():
        if keywords.get(name) is not None:
            raise ValueError(_MOVED.format(name=name, kind=kind.__name__, example=example))
