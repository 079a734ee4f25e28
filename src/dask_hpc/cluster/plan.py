"""What runs in a cluster that is one job: a script, and with how many workers at least."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dask_hpc._files import read_record, write_record

if TYPE_CHECKING:
    from dask_hpc.cluster.directory import ClusterDirectory

OUR_FAILURE = 125  # the exit code of a run that failed by us, as that of env(1) and nohup(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A command line, the directory it runs in, the workers it needs to go on: all, if not said."""

    argv: tuple[str, ...]
    directory: str
    min_workers: int | None = None


def read_plan(directory: ClusterDirectory) -> Plan | None:
    """Return what is to run, or nothing if the cluster is there for interactive use."""
    try:
        return read_record(directory.plan, Plan)
    except FileNotFoundError:
        return None


def write_plan(directory: ClusterDirectory, plan: Plan) -> None:
    """Say what is to run."""
    write_record(directory.plan, plan)
