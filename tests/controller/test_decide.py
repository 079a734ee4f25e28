from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dask_hpc.controller.decide import decide
from dask_hpc.controller.states import (
    Action,
    Cancel,
    Halt,
    Limits,
    Phase,
    Retire,
    Snapshot,
    Submit,
    WorkerJob,
)
from tests.controller.jobs import CANCELLABLE, LASTING, NOW, a_job, a_snapshot, slot

LIMITS = Limits()
TOO_FEW_LEFT = NOW + LIMITS.ending - 30
ENOUGH_LEFT = NOW + LIMITS.ending


# examples -----------------------------------------------------------------------------------------


def test_nothing_is_done_when_the_number_is_right() -> None:
    assert decide(a_snapshot(a_job(1, Phase.RUNNING), wanted=1)) == []


def test_all_that_is_missing_is_submitted_at_once() -> None:
    assert decide(a_snapshot(wanted=3)) == [Submit(3, "0 of 3 wanted jobs")]


@pytest.mark.parametrize("phase", LASTING)
def test_a_job_counts_from_its_submission_on(phase: Phase) -> None:
    job = a_job(1, phase)
    assert decide(a_snapshot(job, wanted=1)) == []
    assert decide(a_snapshot(job, wanted=2)) == [Submit(1, "1 of 2 wanted jobs")]


def test_a_job_that_leaves_or_has_ended_does_not_count() -> None:
    jobs = (a_job(1, Phase.DRAINING), a_job(2, Phase.ENDED, dismissed=True))
    assert decide(a_snapshot(*jobs, wanted=1)) == [Submit(1, "0 of 1 wanted jobs")]


def test_a_submission_names_the_last_job_that_ended_by_itself_and_how() -> None:
    jobs = (
        a_job(6, Phase.ENDED, since=NOW - 2, reason="it failed"),
        a_job(7, Phase.ENDED, since=NOW - 1, reason="it was cancelled"),
        a_job(8, Phase.ENDED, since=NOW, dismissed=True, reason="1 job, 0 wanted"),
        a_job(9, Phase.RUNNING),
    )
    why = "1 of 2 wanted jobs: job 7 ended (it was cancelled)"
    assert decide(a_snapshot(*jobs, wanted=2)) == [Submit(1, why)]


def test_a_job_that_ended_long_ago_is_not_why_more_are_submitted() -> None:
    ended = a_job(6, Phase.ENDED, since=NOW - 600, reason="it failed")
    assert decide(a_snapshot(ended, wanted=1)) == [Submit(1, "0 of 1 wanted jobs")]


def test_a_job_without_an_id_is_named_by_its_slot() -> None:
    ended = a_job(6, Phase.ENDED, since=NOW, job=None, reason="the queue never took it")
    why = "0 of 1 wanted jobs: job c-6.0 ended (the queue never took it)"
    assert decide(a_snapshot(ended, wanted=1)) == [Submit(1, why)]


def test_scale_down_takes_pending_jobs_first_then_starting_then_lost_then_idle_then_busy() -> None:
    cheapest_first = [
        a_job("pending", Phase.PENDING),
        a_job("starting", Phase.STARTING),
        a_job("missing", Phase.MISSING),
        a_job("idle", Phase.RUNNING),
        a_job("busy", Phase.RUNNING, idle=False),
    ]
    for surplus in range(1, 6):
        actions = decide(a_snapshot(*reversed(cheapest_first), wanted=5 - surplus))
        taken = [action.slot for action in actions if isinstance(action, (Cancel, Retire))]
        assert taken == [job.slot for job in cheapest_first[:surplus]]


def test_of_equals_the_youngest_goes() -> None:
    jobs = (a_job("old", Phase.PENDING, since=NOW - 9), a_job("young", Phase.PENDING, since=NOW))
    assert decide(a_snapshot(*jobs, wanted=1)) == [Cancel(slot("young"), "2 jobs, 1 wanted")]


def test_a_job_that_serves_is_retired_and_never_cut() -> None:
    assert decide(a_snapshot(a_job(1, Phase.RUNNING), wanted=0)) == [
        Retire(slot(1), "1 job, 0 wanted")
    ]


@pytest.mark.parametrize("phase", [Phase.PENDING, Phase.STARTING, Phase.MISSING])
def test_a_job_that_serves_nobody_is_cancelled(phase: Phase) -> None:
    assert decide(a_snapshot(a_job(1, phase), wanted=0)) == [Cancel(slot(1), "1 job, 0 wanted")]


def test_a_submission_without_an_answer_cannot_be_cancelled_yet() -> None:
    assert decide(a_snapshot(a_job(1, Phase.SUBMITTING), wanted=0)) == []


def test_a_job_is_retired_and_replaced_before_its_walltime_ends() -> None:
    job = a_job(7, Phase.RUNNING, end_time=TOO_FEW_LEFT)
    assert decide(a_snapshot(job, wanted=1)) == [
        Retire(slot(7), "its walltime ends in 60 s"),
        Submit(1, "0 of 1 wanted jobs: job 7 leaves (its walltime ends in 60 s)"),
    ]


def test_a_job_that_outlived_its_walltime_has_no_seconds_left() -> None:
    job = a_job(7, Phase.RUNNING, end_time=NOW - 5)
    assert decide(a_snapshot(job, wanted=0)) == [Retire(slot(7), "its walltime ends in 0 s")]


@pytest.mark.parametrize("end_time", [None, ENOUGH_LEFT])
def test_a_job_with_time_left_or_without_an_end_stays(end_time: float | None) -> None:
    assert decide(a_snapshot(a_job(7, Phase.RUNNING, end_time=end_time), wanted=1)) == []


def test_a_job_that_does_not_serve_yet_is_not_retired() -> None:
    assert decide(a_snapshot(a_job(7, Phase.STARTING, end_time=TOO_FEW_LEFT), wanted=1)) == []


def test_the_retirement_of_an_ending_job_counts_towards_a_smaller_cluster() -> None:
    jobs = (a_job(1, Phase.RUNNING, end_time=TOO_FEW_LEFT), a_job(2, Phase.PENDING))
    assert decide(a_snapshot(*jobs, wanted=1)) == [Retire(slot(1), "its walltime ends in 60 s")]


def test_a_job_whose_workers_are_gone_for_long_is_cancelled_and_replaced() -> None:
    job = a_job(7, Phase.MISSING, since=NOW - LIMITS.missing)
    why = "its workers are gone for 15 s"
    assert decide(a_snapshot(job, wanted=1)) == [
        Cancel(slot(7), why),
        Submit(1, f"0 of 1 wanted jobs: job 7 leaves ({why})"),
    ]


def test_workers_that_are_gone_for_a_moment_may_come_back() -> None:
    job = a_job(7, Phase.MISSING, since=NOW - LIMITS.missing + 1)
    assert decide(a_snapshot(job, wanted=1)) == []


def test_a_halted_controller_submits_nothing_but_still_lets_go() -> None:
    assert decide(a_snapshot(wanted=1, halted="no account")) == []
    jobs = (a_job(1, Phase.RUNNING, end_time=TOO_FEW_LEFT), a_job(2, Phase.PENDING))
    ending = Retire(slot(1), "its walltime ends in 60 s")
    assert decide(a_snapshot(*jobs, wanted=2, halted="no account")) == [ending]
    assert decide(a_snapshot(*jobs, wanted=0, halted="no account")) == [
        ending,
        Cancel(slot(2), "1 job, 0 wanted"),
    ]


def test_after_three_failed_starts_in_a_row_nothing_more_is_submitted() -> None:
    assert decide(a_snapshot(wanted=1, failures=2)) == [Submit(1, "0 of 1 wanted jobs")]
    assert decide(a_snapshot(wanted=1, failures=3)) == [
        Halt("3 jobs in a row ended before a worker started")
    ]


def test_failed_starts_are_no_matter_while_nothing_is_missing() -> None:
    assert decide(a_snapshot(a_job(1, Phase.RUNNING), wanted=1, failures=5)) == []


# properties ---------------------------------------------------------------------------------------


@st.composite
def worker_jobs(draw: st.DrawFn) -> tuple[WorkerJob, ...]:
    phases = draw(st.lists(st.sampled_from(Phase), max_size=12))
    moments = st.floats(NOW - 100, NOW)
    ends = st.none() | st.floats(NOW - 10, NOW + 300)
    return tuple(
        a_job(
            number,
            phase,
            since=draw(moments),
            idle=draw(st.booleans()),
            end_time=draw(ends),
            dismissed=phase is Phase.DRAINING,
        )
        for number, phase in enumerate(phases)
    )


often = settings(max_examples=60)
snapshots = st.builds(
    Snapshot,
    jobs=worker_jobs(),
    wanted=st.integers(0, 15),
    now=st.just(NOW),
    failures=st.integers(0, 4),
    halted=st.sampled_from(["", "", "refused"]),
)


def may_submit(snapshot: Snapshot) -> bool:
    return not snapshot.halted and snapshot.failures < snapshot.limits.failures


def lasting(snapshot: Snapshot) -> list[WorkerJob]:
    return [job for job in snapshot.jobs if job.phase in LASTING]


def removals(actions: list[Action]) -> list[Cancel | Retire]:
    return [action for action in actions if isinstance(action, (Cancel, Retire))]


def submissions(actions: list[Action]) -> list[Submit]:
    return [action for action in actions if isinstance(action, Submit)]


def performed(snapshot: Snapshot, actions: list[Action]) -> Snapshot:
    """Return what is there when all was done that was decided."""
    gone = {action.slot for action in removals(actions)}
    jobs = [
        replace(job, phase=Phase.DRAINING, dismissed=True) if job.slot in gone else job
        for job in snapshot.jobs
    ]
    for action in submissions(actions):
        jobs += [a_job(f"new{index}", Phase.PENDING, since=NOW) for index in range(action.count)]
    halted = next((action.why for action in actions if isinstance(action, Halt)), snapshot.halted)
    return replace(snapshot, jobs=tuple(jobs), halted=halted)


@often
@given(snapshot=snapshots)
def test_when_all_is_done_the_jobs_are_as_many_as_wanted(snapshot: Snapshot) -> None:
    after = lasting(performed(snapshot, decide(snapshot)))
    # Nobody can cancel a submission without an answer.
    stuck = sum(job.phase is Phase.SUBMITTING for job in after)
    assert len(after) <= max(snapshot.wanted, stuck)
    if may_submit(snapshot):
        assert len(after) >= snapshot.wanted


@often
@given(snapshot=snapshots)
def test_when_all_is_done_there_is_nothing_left_to_do(snapshot: Snapshot) -> None:
    assert decide(performed(snapshot, decide(snapshot))) == []


@often
@given(snapshot=snapshots)
def test_no_more_jobs_are_taken_than_are_too_many(snapshot: Snapshot) -> None:
    surplus = len(lasting(snapshot)) - snapshot.wanted
    cannot_go_on = [
        job
        for job in snapshot.jobs
        if (job.phase is Phase.MISSING and NOW - job.since >= LIMITS.missing)
        or (job.phase is Phase.RUNNING and job.end_time and job.end_time < NOW + LIMITS.ending)
    ]
    assert len(removals(decide(snapshot))) <= max(surplus, len(cannot_go_on), 0)


@often
@given(snapshot=snapshots)
def test_only_live_jobs_are_taken_each_once_and_none_that_serves_is_cut(snapshot: Snapshot) -> None:
    jobs = {job.slot: job for job in snapshot.jobs}
    taken = removals(decide(snapshot))
    assert len({action.slot for action in taken}) == len(taken)
    for action in taken:
        phase = jobs[action.slot].phase
        assert phase in CANCELLABLE
        assert isinstance(action, Retire) is (phase is Phase.RUNNING)


@often
@given(snapshot=snapshots)
def test_no_job_is_taken_while_a_cheaper_one_stays(snapshot: Snapshot) -> None:
    # Those that cannot go on are taken whatever they cost.
    jobs = [replace(job, end_time=None, since=NOW) for job in snapshot.jobs]
    snapshot = replace(snapshot, jobs=tuple(jobs))
    gone = {action.slot for action in removals(decide(snapshot))}
    choice = [job for job in jobs if job.phase in CANCELLABLE]
    taken = [cost(job) for job in choice if job.slot in gone]
    left = [cost(job) for job in choice if job.slot not in gone]
    assert not taken or not left or max(taken) <= min(left)


def cost(job: WorkerJob) -> tuple[int, bool]:
    return CANCELLABLE.index(job.phase), not job.idle


@often
@given(snapshot=snapshots)
def test_there_is_one_submission_at_most_and_none_that_must_not_be(snapshot: Snapshot) -> None:
    made = submissions(decide(snapshot))
    assert len(made) <= 1
    assert all(action.count > 0 for action in made)
    assert not made or may_submit(snapshot)


@often
@given(snapshot=snapshots)
def test_every_action_has_its_reason(snapshot: Snapshot) -> None:
    assert all(action.why for action in decide(snapshot))


# a world in which no job starts -------------------------------------------------------------------


@dataclass(kw_only=True)
class BadWorld:
    """Every job fails before a worker of it is there."""

    wanted: int
    waiting: int = 0
    failures: int = 0
    submitted: int = 0
    halted: str = ""
    ended: list[WorkerJob] = field(default_factory=list)

    def decide(self) -> None:
        pending = (a_job(number, Phase.PENDING) for number in range(self.waiting))
        jobs = (*self.ended, *pending)
        for action in decide(
            a_snapshot(*jobs, wanted=self.wanted, failures=self.failures, halted=self.halted)
        ):
            if isinstance(action, Submit):
                self.submitted += action.count
                self.waiting += action.count
            else:
                assert isinstance(action, Halt)
                self.halted = action.why

    def fail(self, count: int) -> None:
        self.waiting -= count
        self.failures += count
        self.ended = [a_job(f"e{number}", Phase.ENDED) for number in range(count)]


@often
@given(wanted=st.integers(1, 20), data=st.data())
def test_jobs_that_never_start_are_submitted_three_times_more_than_wanted_at_most(
    wanted: int, data: st.DataObject
) -> None:
    world = BadWorld(wanted=wanted)
    world.decide()
    while world.waiting:
        world.fail(data.draw(st.integers(1, world.waiting), label="jobs that fail now"))
        world.decide()
    assert world.halted
    assert world.submitted <= wanted + 3


@pytest.mark.parametrize("wanted", [1, 2, 3, 40])
def test_jobs_that_fail_one_by_one_or_all_at_once_end_in_a_halt(wanted: int) -> None:
    for together in (1, wanted):
        world = BadWorld(wanted=wanted)
        world.decide()
        while world.waiting:
            world.fail(min(together, world.waiting))
            world.decide()
        assert world.halted.endswith("jobs in a row ended before a worker started")
        assert world.submitted <= wanted + 2
