"""One incarnation of each slot: of two jobs in one place of a submission, the second one leaves.

A batch system may run a job again, or run twice what was submitted once. A worker says which run
of its job it belongs to; the first run of a slot that connects has it for as long as any of its
workers is here.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from dask_hpc.cluster.slot import Slot, slot_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

RUN = "dask-hpc-run"  # the name under which workers say it


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRun:
    """One run of a job: its id, and when its host began, in seconds since the epoch."""

    job: str
    began: float


class Admissions:
    """Which run has each slot."""

    def __init__(self) -> None:
        self._runs: dict[Slot, JobRun] = {}

    def refuses(self, name: object, extra: Mapping[str, Any], *, here: Iterable[object]) -> str:
        """Admit a worker, or return why it may not come.

        Parameters
        ----------
        name, extra
            Of the worker.
        here
            The names of the workers that are connected.
        """
        slot, run = slot_of(name), _run_of(extra)
        if slot is None or run is None:
            return ""
        first = self._runs.setdefault(slot, run)
        if first == run:
            return ""
        if any(slot_of(other) == slot for other in here):
            return f"{slot} is served by job {first.job} already: job {run.job} is one too many"
        self._runs[slot] = run
        return ""


def say_run(worker: object, *, run: JobRun) -> dict[str, str | float]:  # noqa: ARG001 - distributed calls it so
    """Return what a worker tells of the run that it belongs to."""
    return asdict(run)


def _run_of(extra: Mapping[str, Any]) -> JobRun | None:
    said = extra.get(RUN)
    return JobRun(job=str(said["job"]), began=float(said["began"])) if said else None
