"""What a ``jobqueue.yaml`` and a line of code would do otherwise here than with dask-jobqueue."""

from __future__ import annotations

import ast
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dask
import yaml

from dask_hpc.compat import jobqueue
from dask_hpc.compat.cluster_options import read_cluster_options
from dask_hpc.compat.jobqueue_config import DEFAULTS, known_keys
from dask_hpc.compat.renamed import EVERYWHERE, PROJECT
from dask_hpc.compat.translation import reasons_for_own_script, walltime_of
from dask_hpc.errors import ConfigError
from dask_hpc.sites.nearest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_RENAMED = {one.old.replace("_", "-"): one.new.replace("_", "-") for one in (*EVERYWHERE, PROJECT)}
_VAIN = {
    "shared-temp-directory": "no effect: certificates are in the cluster's own directory",
}
_OWN_SCRIPT = "its own script is submitted, one job at a time, without drains in time: {why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that differs, and where it is said."""

    place: str
    words: str


def read_file(text: str, *, name: str) -> dict[str, Any]:
    """Return the sections of a file.

    Raises
    ------
    ConfigError
        If it is no YAML, or has no table ``jobqueue``.
    """
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{name} is no YAML: {error}") from None
    sections = found.get("jobqueue") if isinstance(found, dict) else None
    if not isinstance(sections, dict):
        raise ConfigError(f"{name} has no table jobqueue", hint="as in jobqueue: {slurm: {...}}")
    return sections


def in_sections(sections: Mapping[str, Any]) -> Iterator[Difference]:
    """Yield what differs in the sections of a file."""
    for section, said in sections.items():
        if not isinstance(said, dict):
            yield Difference(place=f"jobqueue.{section}", words="is not a table: no effect")
            continue
        known = set().union(*map(known_keys, [section] if section in DEFAULTS else DEFAULTS))
        for key, value in said.items():
            words = _of_key(str(key).replace("_", "-"), value, known=known)
            if words:
                yield Difference(place=f"jobqueue.{section}.{key}", words=words)


def _of_key(key: str, value: Any, *, known: set[str]) -> str:
    if key not in known:
        return f"is unknown; {did_you_mean(key, known)}"
    # Where there is no account, project is a key of its own.
    if value is not None and key in _RENAMED and _RENAMED[key] in known | {"job-directives-skip"}:
        return f"has a new name: {_RENAMED[key]}"
    return _VAIN.get(key, "") if value else ""


def in_line(line: str, sections: Mapping[str, Any]) -> Iterator[Difference]:
    """Yield what differs for a line like ``SLURMCluster(cores=8, memory="24GB")``.

    Raises
    ------
    ConfigError
        If it is no such call, or the call would fail.
    """
    kind, keywords = _call(line)
    place = kind.__name__
    with dask.config.set(jobqueue=dict(sections)), warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            options = read_cluster_options(kind, kind.job_cls, keywords=keywords)
            job = kind.job_cls(**options.jobs)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{place} fails, here as there: {error}") from None
    yield from (Difference(place=place, words=str(one.message)) for one in said)
    for why in reasons_for_own_script(job):
        yield Difference(place=place, words=_OWN_SCRIPT.format(why=why))
    if "walltime" in job.said.own and job.said["walltime"] and walltime_of(job) is None:
        words = f"walltime {job.said['walltime']!r} is not understood: workers do not drain in time"
        yield Difference(place=place, words=words)


def _call(line: str) -> tuple[Any, dict[str, Any]]:
    wrong = ConfigError(
        f"{line!r} is no call of a cluster", hint='as in SLURMCluster(cores=8, memory="24GB")'
    )
    try:
        tree = ast.parse(line.strip()).body[0]
        call = getattr(tree, "value", None)
        if not isinstance(call, ast.Call) or call.args:
            raise wrong
        name = getattr(call.func, "id", None) or getattr(call.func, "attr", "")
        keywords = {str(each.arg): ast.literal_eval(each.value) for each in call.keywords}
    except (SyntaxError, ValueError, IndexError):
        raise wrong from None
    if name not in jobqueue.__all__ or not name.endswith("Cluster"):
        raise wrong
    return getattr(jobqueue, name), keywords
