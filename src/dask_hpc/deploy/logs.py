"""What scheduler, controller, workers and jobs of a cluster wrote, for whoever holds a handle."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from dask_hpc._files import read_tail

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dask_hpc.cluster.directory import ClusterDirectory
    from dask_hpc.controller.report import Decision

_LINES = 200  # of each file


def decision_lines(decisions: Iterable[Decision]) -> str:
    """Return what the controller did, and why, a line for each decision."""
    return "\n".join(
        f"{_clock(decision.time)} {decision.what}: {decision.why}" for decision in decisions
    )


def job_logs(directory: ClusterDirectory) -> dict[str, str]:
    """Return the end of each file that a job wrote, by the file's name."""
    if not directory.logs.is_dir():
        return {}
    paths = sorted(path for path in directory.logs.iterdir() if path.is_file())
    return {path.name: read_tail(path, lines=_LINES) for path in paths}


def _clock(time: float) -> str:
    return datetime.fromtimestamp(time).astimezone().strftime("%Y-%m-%d %H:%M:%S")
