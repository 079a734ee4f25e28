"""Jobs as bars of a timeline: each phase a piece, each job a row. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from dask_hpc._units import format_seconds
from dask_hpc.controller.states import Phase, Step
from dask_hpc.engine.dashboard.words import failed, has_begun, reason_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dask_hpc.controller.report import JobReport
    from dask_hpc.engine.dashboard.history import Sample

# What a page tells apart, by phase.
KINDS = {
    Phase.SUBMITTING: "pending",
    Phase.PENDING: "pending",
    Phase.STARTING: "starting",
    Phase.RUNNING: "running",
    Phase.MISSING: "missing",
    Phase.DRAINING: "draining",
}
# Of Okabe and Ito: people with any kind of colour vision tell them apart.
COLOURS = {
    "running": "#009E73",
    "draining": "#CC79A7",
    "starting": "#56B4E9",
    "pending": "#E69F00",
    "missing": "#F0E442",
}
LABELLED = 40  # rows: more of them have no room for words
_WORDS = 60  # letters of a label


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A job in one phase, from one time to another (seconds since the epoch), in a row."""

    job: JobReport
    row: int
    kind: str
    left: float
    right: float

    @property
    def lasted(self) -> str:
        """How long it took."""
        return format_seconds(self.right - self.left)


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a job ended, and when, or what holds it back: the words at the end of its row."""

    job: JobReport
    row: int
    time: float
    is_bad: bool
    words: str


def pieces(jobs: Sequence[JobReport], *, now: float) -> list[Piece]:
    """Return the pieces of every job's bar; the first job is in the highest row."""
    found = []
    for row, job in _rows(jobs):
        last = job.steps[-1]
        steps = [*job.steps, Step(phase="", time=last.time if _is_over(job) else now)]
        for step, after in pairwise(steps):
            if kind := _kind(job, step):
                left = min(step.time, after.time)
                found.append(Piece(job=job, row=row, kind=kind, left=left, right=after.time))
    return found


def ends(jobs: Sequence[JobReport], *, now: float) -> list[End]:
    """Return what stands at the end of each row."""
    return [
        End(
            job=job,
            row=row,
            time=job.steps[-1].time if _is_over(job) else now,
            is_bad=failed(job),
            words=_label(job, now) if len(jobs) <= LABELLED else "",
        )
        for row, job in _rows(jobs)
    ]


def stairs(samples: Sequence[Sample], *, now: float) -> list[Sample]:
    """Return the samples, the last one once more for now."""
    return [*samples, replace(samples[-1], time=now)] if samples else []


def _kind(job: JobReport, step: Step) -> str:
    kind = KINDS.get(Phase(step.phase), "")
    # One that never began to run does not drain: it is taken out of the queue.
    return "pending" if kind == "draining" and not has_begun(job) else kind


def _rows(jobs: Sequence[JobReport]) -> list[tuple[int, JobReport]]:
    return [(len(jobs) - 1 - index, job) for index, job in enumerate(jobs) if job.steps]


def _is_over(job: JobReport) -> bool:
    return job.phase == Phase.ENDED


def _label(job: JobReport, now: float) -> str:
    words = reason_words(job, now)
    return words if len(words) <= _WORDS else f"{words[: _WORDS - 1]}…"
