"""What the local queue does next. Pure: no clock, no processes, no store.

Rule 1: jobs start in the order in which they were submitted. One that is larger than the machine
waits for ever and holds up nobody, and so does one that follows another, until that has ended.
Rule 2: a job is over when none of its processes lives, and not before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dask_hpc._units import format_bytes, format_seconds
from dask_hpc.localqueue.model import Machine, State

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from dask_hpc.localqueue.model import Key, Task

KILL_AGAIN = 1.0  # seconds
LOST = "nobody saw it end: the queue's daemon or the machine had ended before it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was seen of a started job: its leader, the other processes, how the leader ended."""

    leader: bool = True
    others: bool = True
    exit_code: int | None = None
    ended: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Start a job."""

    task: Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Leave a job where it is, and say why."""

    task: Task
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminate:
    """Ask all processes of a job to end; ``ending`` is the state that this leads to, if set."""

    task: Task
    ending: State | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """End all processes of a job that had their time."""

    task: Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """Note how a job ended."""

    task: Task
    state: State
    reason: str
    exit_code: int | None
    ended: float


Action = Start | Wait | Terminate | Kill | Finish


def plan(
    tasks: Sequence[Task], seen: Mapping[Key, Seen], *, machine: Machine, now: float
) -> list[Action]:
    """Return what to do with these jobs; what was not looked at counts as living."""
    started = [task for task in tasks if task.state is not State.PENDING]
    actions = [
        action
        for task in started
        if (action := _follow(task, seen.get(task.key, Seen()), now=now)) is not None
    ]
    over = {action.task.key for action in actions if isinstance(action, Finish)}
    return [*actions, *queue([task for task in tasks if task.key not in over], machine)]


def queue(tasks: Iterable[Task], machine: Machine) -> list[Start | Wait]:
    """Return which pending jobs start now, and what the others wait for."""
    tasks = sorted(tasks, key=lambda task: task.key)
    live = {task.submission for task in tasks}
    free = free_part(tasks, machine)
    first: Task | None = None
    decisions: list[Start | Wait] = []
    for task in (task for task in tasks if task.state is State.PENDING):
        aside = _too_large(task, machine) or _too_early(task, live)
        reason = aside or _too_large_now(task, free) or (first and f"waits for job {first.id}")
        if reason and not aside:
            first = first or task
        if reason:
            decisions.append(Wait(task=task, reason=reason))
            continue
        decisions.append(Start(task=task))
        free = Machine(cores=free.cores - task.cores, memory=free.memory - task.memory)
    return decisions


def free_part(tasks: Iterable[Task], machine: Machine) -> Machine:
    """Return what started jobs leave of a machine; nothing less than none."""
    started = [task for task in tasks if task.state in (State.RUNNING, State.COMPLETING)]
    return Machine(
        cores=max(0, machine.cores - sum(task.cores for task in started)),
        memory=max(0, machine.memory - sum(task.memory for task in started)),
    )


def next_time(tasks: Sequence[Task], *, now: float) -> float:
    """Return when there is something to do although nothing happens; for ever is infinite."""
    limits = [task.time_limit for task in tasks if task.state is State.RUNNING]
    ends = [task.kill_at for task in tasks if task.state is State.COMPLETING]
    times = [time for time in limits if time is not None]
    times += [time if time > now else now + KILL_AGAIN for time in ends if time is not None]
    return min(times, default=math.inf)


def _too_large(task: Task, machine: Machine) -> str:
    if task.cores > machine.cores:
        return f"needs {_cores(task.cores)}, this machine has {machine.cores}"
    if task.memory > machine.memory:
        needed, there = format_bytes(task.memory), format_bytes(machine.memory)
        return f"needs {needed} of memory, this machine has {there}"
    return ""


def _too_early(task: Task, live: Collection[int]) -> str:
    return f"waits for the end of job {task.after}" if task.after in live else ""


def _too_large_now(task: Task, free: Machine) -> str:
    if task.cores > free.cores:
        return f"waits for {_cores(task.cores, 'free ')} ({free.cores} free)"
    if task.memory > free.memory:
        needed, there = format_bytes(task.memory), format_bytes(free.memory)
        return f"waits for {needed} of free memory ({there} free)"
    return ""


def _cores(count: int, free: str = "") -> str:
    return f"{count} {free}core{'' if count == 1 else 's'}"


def _follow(task: Task, seen: Seen, *, now: float) -> Action | None:
    if not seen.leader and not seen.others:
        return _finish(task, seen, now=now)
    if task.state is State.COMPLETING:
        is_late = task.kill_at is not None and now >= task.kill_at
        return Kill(task=task) if is_late else None
    if not seen.leader:
        return Terminate(task=task, ending=None, reason="ends what its script left running")
    if task.cancel_asked:
        return Terminate(task=task, ending=State.CANCELLED, reason="was cancelled")
    if task.time_limit is not None and now >= task.time_limit:
        reason = f"reached its walltime of {format_seconds(task.walltime or 0)}"
        return Terminate(task=task, ending=State.TIMED_OUT, reason=reason)
    return None


def _finish(task: Task, seen: Seen, *, now: float) -> Finish:
    state, reason = _outcome(task, seen.exit_code)
    return Finish(
        task=task,
        state=state,
        reason=reason,
        exit_code=seen.exit_code,
        ended=seen.ended or now,
    )


def _outcome(task: Task, code: int | None) -> tuple[State, str]:
    if task.ending is not None:
        return task.ending, task.reason
    if code is None:
        return State.LOST, LOST
    if code == 0:
        return State.DONE, ""
    # A shell adds 128 to the number of the signal that ended a program.
    words = f"signal {code - 128} ended it" if 128 < code < 160 else f"exit code {code}"
    return State.FAILED, words
