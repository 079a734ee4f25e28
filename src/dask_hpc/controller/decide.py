"""What the controller should do next. Pure: no clock, no I/O, no dask.

Rule 1: every decision about worker jobs is made in this file.
Rule 2: this file never learns how jobs are submitted or workers are reached.
"""

from __future__ import annotations

from dataclasses import replace
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
_RANK = {phase: rank for rank, phase in enumerate(_CHEAPEST)}
_GOING = (Phase.DRAINING, Phase.ENDED)
_JUST_NOW = 5.0  # seconds


def decide(snapshot: Snapshot) -> list[Action]:
    """Say what brings the jobs of a pool to the wanted number, each action with its reason."""
    leaving: list[Cancel | Retire] = []
    outgoing: list[WorkerJob] = []
    lasting: list[WorkerJob] = []
    for job in snapshot.jobs:
        if action := _leave(job, snapshot):
            leaving.append(action)
        elif job.phase not in _GOING:
            (outgoing if _ends_soon(job, snapshot) else lasting).append(job)
    gone = {action.slot: action.why for action in leaving}
    missing = snapshot.wanted - len(lasting)
    shrinking = _shrink(lasting, surplus=-missing, wanted=snapshot.wanted) if missing < 0 else []
    relieved = _relieve(lasting, outgoing, wanted=snapshot.wanted)
    gone |= {job.slot: "its walltime ends soon" for job in outgoing}
    why = f"{len(lasting)} of {snapshot.wanted} wanted jobs"
    # Those that hang and have not ended yet are failures already.
    hanging = sum(isinstance(action, Cancel) and action.hung for action in leaving)
    hanging += sum(job.hung and job.is_live for job in snapshot.jobs)
    snapshot = replace(snapshot, failures=snapshot.failures + hanging)
    return [*leaving, *shrinking, *relieved, *_grow(snapshot, missing, why=why, gone=gone)]


def _leave(job: WorkerJob, snapshot: Snapshot) -> Cancel | Retire | None:
    """Return the end of a job that cannot go on, whatever number is wanted."""
    limits, age = snapshot.limits, snapshot.now - job.since
    if job.phase is Phase.MISSING and age >= limits.missing:
        return Cancel(job.slot, f"its workers are gone for {limits.missing:.0f} s")
    if job.phase is Phase.STARTING and age >= limits.starting:
        return Cancel(job.slot, f"no worker of it connected in {limits.starting:.0f} s", hung=True)
    if job.phase is not Phase.RUNNING or job.end_time is None:
        return None
    left = job.end_time - snapshot.now
    if left < limits.ending and left < margin(job, limits.ending):
        return Retire(job.slot, f"its walltime ends in {max(0, left):.0f} s")
    return None


def margin(job: WorkerJob, longest: float) -> float:
    """Return how many seconds before the end of its walltime a job leaves: a quarter at most."""
    if job.end_time is None or job.began is None:
        return longest
    return min(longest, max(0.0, job.end_time - job.began) / 4)


def _ends_soon(job: WorkerJob, snapshot: Snapshot) -> bool:
    """Whether it is time to ask for the job that will take this one's place."""
    if job.phase is not Phase.RUNNING or job.end_time is None:
        return False
    left, limits = job.end_time - snapshot.now, snapshot.limits
    if left >= limits.ending + limits.lead:
        return False
    # However long the queue is: a job does not ask for its successor in its first half.
    length = job.end_time - (job.since if job.began is None else job.began)
    lead = min(limits.lead, max(0.0, length / 2))
    return left < margin(job, limits.ending) + lead


def _relieve(
    lasting: Sequence[WorkerJob], outgoing: Sequence[WorkerJob], *, wanted: int
) -> list[Action]:
    """Retire those whose time ends soon and whose successors serve already."""
    serving = sum(job.phase is Phase.RUNNING for job in lasting)
    surplus = min(wanted, serving) + len(outgoing) - wanted
    first = sorted(outgoing, key=lambda job: job.end_time or 0.0)
    why = "its walltime ends soon, and another has taken its place"
    if wanted < len(outgoing):
        why = f"{counted(len(lasting) + len(outgoing), 'job')}, {wanted} wanted"
    return [Retire(job.slot, why) for job in first[: max(0, surplus)]]


def _grow(snapshot: Snapshot, missing: int, *, why: str, gone: Mapping[Slot, str]) -> list[Action]:
    if snapshot.limits.jobs is not None:
        live = sum(job.is_live for job in snapshot.jobs)
        missing = min(missing, snapshot.limits.jobs - live)
    if missing <= 0 or snapshot.halted or snapshot.held:
        return []
    if snapshot.failures >= snapshot.limits.failures:
        return [Halt(f"{snapshot.failures} jobs in a row ended before a worker started")]
    return [Submit(missing, why + _because(snapshot, gone))]


def _shrink(jobs: Sequence[WorkerJob], *, surplus: int, wanted: int) -> list[Action]:
    choice = [job for job in jobs if job.phase in _RANK]
    choice.sort(key=lambda job: (_RANK[job.phase], not job.idle, -job.since))
    why = f"{counted(len(jobs), 'job')}, {wanted} wanted"
    return [
        Retire(job.slot, why) if job.phase is Phase.RUNNING else Cancel(job.slot, why)
        for job in choice[:surplus]
    ]


def _because(snapshot: Snapshot, gone: Mapping[Slot, str]) -> str:
    """Return which job was the last to make room, if one did just now."""
    left = [(job.since, job, job.reason) for job in snapshot.jobs if _just_ended(job, snapshot.now)]
    if gone:
        left += [(snapshot.now, job, gone[job.slot]) for job in snapshot.jobs if job.slot in gone]
    if not left:
        return ""
    _, last, reason = max(left, key=lambda one: one[0])
    return f": job {last.job or last.slot} {'leaves' if last.is_live else 'ended'} ({reason})"


def _just_ended(job: WorkerJob, now: float) -> bool:
    # What ended long ago was replaced then.
    return not job.is_live and not job.dismissed and now - job.since <= _JUST_NOW
