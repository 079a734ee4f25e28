"""What the controller should do next. Pure: no clock, no I/O, no dask.

Rule 1: every decision about worker jobs is made in this file.
Rule 2: this file never learns how jobs are submitted or workers are reached.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dask_hpc._units import counted
from dask_hpc.controller.states import Action, Cancel, Halt, Phase, Retire, Submit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dask_hpc.cluster.slot import Slot
    from dask_hpc.controller.states import Snapshot, WorkerJob

# Those that cost least to lose come first. A submission without an answer cannot be cancelled
# yet: it has no id.
_CHEAPEST = (Phase.PENDING, Phase.STARTING, Phase.MISSING, Phase.RUNNING)
_JUST_NOW = 5.0  # seconds


def decide(snapshot: Snapshot) -> list[Action]:
    """Say what brings the jobs to the wanted number, each action with its reason."""
    leaving = [action for job in snapshot.jobs if (action := _leave(job, snapshot))]
    gone = {action.slot: action.why for action in leaving}
    lasting = [
        job
        for job in snapshot.jobs
        if job.is_live and job.phase is not Phase.DRAINING and job.slot not in gone
    ]
    missing = snapshot.wanted - len(lasting)
    if missing < 0:
        return [*leaving, *_shrink(lasting, surplus=-missing, wanted=snapshot.wanted)]
    if missing == 0 or snapshot.halted:
        return [*leaving]
    if snapshot.failures >= snapshot.limits.failures:
        return [*leaving, Halt(f"{snapshot.failures} jobs in a row ended before a worker started")]
    return [*leaving, Submit(missing, _why_submit(snapshot, gone, lasting=len(lasting)))]


def _leave(job: WorkerJob, snapshot: Snapshot) -> Cancel | Retire | None:
    """Return the end of a job that cannot go on, whatever number is wanted."""
    if job.phase is Phase.MISSING and snapshot.now - job.since >= snapshot.limits.missing:
        return Cancel(job.slot, f"its workers are gone for {snapshot.limits.missing:.0f} s")
    if job.phase is not Phase.RUNNING or job.end_time is None:
        return None
    left = job.end_time - snapshot.now
    if left < snapshot.limits.ending:
        return Retire(job.slot, f"its walltime ends in {max(0, left):.0f} s")
    return None


def _shrink(jobs: Sequence[WorkerJob], *, surplus: int, wanted: int) -> list[Action]:
    choice = [job for job in jobs if job.phase in _CHEAPEST]
    choice.sort(key=lambda job: (_CHEAPEST.index(job.phase), not job.idle, -job.since))
    why = f"{counted(len(jobs), 'job')}, {wanted} wanted"
    return [
        Retire(job.slot, why) if job.phase is Phase.RUNNING else Cancel(job.slot, why)
        for job in choice[:surplus]
    ]


def _why_submit(snapshot: Snapshot, gone: Mapping[Slot, str], *, lasting: int) -> str:
    why = f"{lasting} of {snapshot.wanted} wanted jobs"
    left = [(job.since, job, job.reason) for job in snapshot.jobs if _just_ended(job, snapshot.now)]
    left += [(snapshot.now, job, gone[job.slot]) for job in snapshot.jobs if job.slot in gone]
    if not left:
        return why
    _, last, reason = max(left, key=lambda one: one[0])
    return f"{why}: job {last.job or last.slot} {'leaves' if last.is_live else 'ended'} ({reason})"


def _just_ended(job: WorkerJob, now: float) -> bool:
    # What ended long ago was replaced then.
    return not job.is_live and not job.dismissed and now - job.since <= _JUST_NOW
