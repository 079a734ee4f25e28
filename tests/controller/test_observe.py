from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dask_hpc.batch.model import JobId, JobState, JobStatus
from dask_hpc.cluster.jobrecords import JobRecord
from dask_hpc.controller.crew import Presence
from dask_hpc.controller.observe import LISTINGS_UNTIL_LOST, Evidence, observe
from dask_hpc.controller.states import Phase, WorkerJob
from tests.controller.jobs import NOW, a_job, slot

# As drawn in `controller.states`; those that an action makes are not made by observing.
ARROWS = {
    Phase.SUBMITTING: {Phase.PENDING, Phase.STARTING, Phase.RUNNING, Phase.ENDED},
    Phase.PENDING: {Phase.STARTING, Phase.RUNNING, Phase.ENDED},
    Phase.STARTING: {Phase.RUNNING, Phase.ENDED},
    Phase.RUNNING: {Phase.MISSING, Phase.ENDED},
    Phase.MISSING: {Phase.RUNNING, Phase.ENDED},
    Phase.DRAINING: {Phase.ENDED},
    Phase.ENDED: set[Phase](),
}
LIVE = [phase for phase in Phase if phase is not Phase.ENDED]
FINAL = [state for state in JobState if state.is_final]

SILENCE = Evidence(now=NOW)
HERE = Presence(workers=2, idle=False)
BEGAN = JobRecord(slot=str(slot(7)), job=JobId("7"), host="node1", time=NOW - 9, end_time=NOW + 99)
ENDED = replace(BEGAN, time=NOW, code=1)


def listed(state: JobState, **facts: Any) -> JobStatus:
    return JobStatus(id=JobId("7"), tag=slot(7).tag, state=state, **facts)


def seen(**evidence: Any) -> Evidence:
    return replace(SILENCE, **evidence)


def after(phase: Phase, **evidence: Any) -> WorkerJob:
    return observe(a_job(7, phase), seen(**evidence))


# the way to RUNNING -------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.RUNNING])
def test_silence_changes_nothing(phase: Phase) -> None:
    assert observe(a_job(7, phase), SILENCE) == replace(
        a_job(7, phase), reason="its workers are not connected" if phase is Phase.MISSING else ""
    )


def test_a_submission_without_an_answer_is_adopted_when_the_queue_shows_it() -> None:
    job = after(Phase.SUBMITTING, status=listed(JobState.PENDING, reason="Priority"))
    assert (job.phase, job.job, job.since) == (Phase.PENDING, JobId("7"), NOW)


@pytest.mark.parametrize("state", [JobState.PENDING, JobState.HELD])
def test_a_waiting_job_has_the_plain_reason_of_the_queue_and_its_estimate(state: JobState) -> None:
    status = listed(state, reason="Priority", plain_reason="others first", start_estimate=NOW + 60)
    job = after(Phase.PENDING, status=status)
    assert (job.phase, job.since) == (Phase.PENDING, NOW - 5)
    assert (job.reason, job.start_estimate) == ("others first", NOW + 60)


def test_without_plain_words_the_systems_own_are_the_reason() -> None:
    assert after(Phase.PENDING, status=listed(JobState.PENDING, reason="Nice")).reason == "Nice"


@pytest.mark.parametrize("state", [JobState.RUNNING, JobState.SUSPENDED, JobState.COMPLETING])
def test_a_job_that_the_queue_has_started_is_starting(state: JobState) -> None:
    job = after(Phase.PENDING, status=listed(state))
    assert (job.phase, job.since, job.reason) == (Phase.STARTING, NOW, "the job is starting")


def test_a_start_record_says_more_than_a_listing() -> None:
    job = after(Phase.PENDING, start=BEGAN, status=listed(JobState.PENDING, reason="Priority"))
    assert (job.phase, job.reason) == (Phase.STARTING, "its workers are starting")
    assert (job.host, job.end_time, job.start_estimate) == ("node1", NOW + 99, None)


def test_a_start_record_tells_the_id_of_a_submission_without_an_answer() -> None:
    job = after(Phase.SUBMITTING, start=BEGAN)
    assert (job.phase, job.job) == (Phase.STARTING, JobId("7"))


def test_the_queue_says_the_end_time_that_the_record_does_not_know() -> None:
    status = listed(JobState.RUNNING, end_time=NOW + 50)
    assert after(Phase.STARTING, status=status).end_time == NOW + 50
    assert after(Phase.STARTING, status=status, start=BEGAN).end_time == NOW + 99
    unknown = replace(BEGAN, end_time=None)
    assert after(Phase.STARTING, status=status, start=unknown).end_time == NOW + 50


@pytest.mark.parametrize("phase", [Phase.SUBMITTING, Phase.PENDING, Phase.STARTING, Phase.MISSING])
def test_a_job_whose_workers_are_connected_runs(phase: Phase) -> None:
    job = after(phase, presence=HERE, status=listed(JobState.PENDING, reason="Priority"))
    assert (job.phase, job.since, job.served, job.reason) == (Phase.RUNNING, NOW, True, "")
    assert (job.workers, job.idle) == (2, False)


def test_a_running_job_keeps_the_moment_since_when_it_runs() -> None:
    assert after(Phase.RUNNING, presence=HERE).since == NOW - 5


@pytest.mark.parametrize("state", [JobState.PENDING, JobState.HELD])
def test_a_late_listing_does_not_move_a_starting_job_backwards(state: JobState) -> None:
    late = listed(state, reason="Priority", start_estimate=NOW + 60)
    job = after(Phase.STARTING, status=late)
    assert (job.phase, job.start_estimate) == (Phase.STARTING, None)
    assert "Priority" not in job.reason


@pytest.mark.parametrize("phase", LIVE)
def test_a_word_that_nobody_knows_changes_no_phase(phase: Phase) -> None:
    before = observe(a_job(7, phase), SILENCE)
    job = observe(before, seen(status=listed(JobState.UNKNOWN, reason="FROBBING")))
    assert (job.phase, job.since) == (before.phase, before.since)


def test_a_word_that_nobody_knows_is_shown() -> None:
    status = listed(JobState.UNKNOWN, reason="FROBBING")
    assert after(Phase.PENDING, status=status).reason == "the queue calls it FROBBING"


# away from RUNNING --------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [JobState.PENDING, JobState.RUNNING, JobState.UNKNOWN])
def test_a_job_that_served_and_has_no_workers_misses_them(state: JobState) -> None:
    job = after(Phase.RUNNING, status=listed(state))
    assert (job.phase, job.since, job.workers) == (Phase.MISSING, NOW, 0)
    assert job.served


def test_a_job_that_drains_goes_on_draining_with_the_workers_that_are_left() -> None:
    job = after(Phase.DRAINING, presence=HERE, status=listed(JobState.RUNNING), start=BEGAN)
    assert (job.phase, job.workers) == (Phase.DRAINING, 2)
    assert after(Phase.DRAINING).workers == 0


# the end ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", LIVE)
@pytest.mark.parametrize("state", FINAL)
def test_the_word_of_the_queue_ends_a_job_in_every_phase(phase: Phase, state: JobState) -> None:
    job = after(phase, status=listed(state))
    assert (job.phase, job.since, job.workers) == (Phase.ENDED, NOW, 0)
    assert job.reason


@pytest.mark.parametrize("phase", LIVE)
def test_an_end_record_ends_a_job_in_every_phase(phase: Phase) -> None:
    job = after(phase, start=BEGAN, end=ENDED, status=listed(JobState.RUNNING))
    assert (job.phase, job.reason) == (Phase.ENDED, "it ended with exit code 1")


@pytest.mark.parametrize("phase", LIVE)
def test_a_job_that_two_listings_do_not_show_is_lost_unless_its_workers_speak(phase: Phase) -> None:
    assert observe(a_job(7, phase), seen(absences=1)).is_live
    assert not observe(a_job(7, phase), seen(absences=2)).is_live
    assert observe(a_job(7, phase), seen(absences=2, presence=HERE)).is_live
    assert LISTINGS_UNTIL_LOST == 2


def test_a_lost_job_was_forgotten_or_never_taken() -> None:
    assert after(Phase.PENDING, absences=2).reason == "the queue forgot it"
    assert after(Phase.SUBMITTING, absences=2).reason == "the queue never took it"


def test_a_job_that_only_silence_calls_ended_is_marked() -> None:
    assert after(Phase.PENDING, absences=2).lost
    assert not after(Phase.PENDING, absences=2, end=ENDED).lost
    assert not after(Phase.PENDING, absences=2, status=listed(JobState.LOST)).lost


def test_the_end_is_told_in_the_words_that_say_most() -> None:
    words = listed(JobState.TIMED_OUT, reason="TimeLimit", plain_reason="one hour is over")
    assert after(Phase.RUNNING, status=words).reason == "its walltime ended: one hour is over"
    bare = listed(JobState.CANCELLED, reason="CANCELLED by 0")
    assert after(Phase.RUNNING, status=bare).reason == "it was cancelled: CANCELLED by 0"
    failed = listed(JobState.FAILED, reason="NonZeroExitCode")
    seven = replace(ENDED, code=7)
    assert after(Phase.STARTING, status=failed, end=seven).reason == "it failed with exit code 7"


@pytest.mark.parametrize(
    ("evidence", "phase"),
    [
        ({"status": listed(JobState.PENDING)}, Phase.PENDING),
        ({"status": listed(JobState.RUNNING)}, Phase.STARTING),
        ({"presence": HERE}, Phase.RUNNING),
        ({"status": listed(JobState.DONE)}, Phase.ENDED),
        ({"presence": HERE, "end": ENDED}, Phase.ENDED),
        ({}, Phase.ENDED),
    ],
)
def test_a_job_that_was_taken_for_lost_is_back_where_it_shows_itself(
    evidence: dict[str, Any], phase: Phase
) -> None:
    lost = after(Phase.PENDING, absences=2)
    back = observe(lost, seen(**evidence))
    assert (back.phase, back.lost) == (phase, phase is Phase.ENDED)
    assert not back.dismissed


def test_a_job_that_ended_before_it_served_failed_to_start() -> None:
    assert after(Phase.STARTING, end=ENDED).failed_to_start
    assert not after(Phase.RUNNING, end=ENDED).failed_to_start
    dismissed = a_job(7, Phase.DRAINING, dismissed=True)
    assert not observe(dismissed, seen(end=ENDED)).failed_to_start


# properties ---------------------------------------------------------------------------------------

few = settings(max_examples=50)
evidence = st.builds(
    Evidence,
    now=st.just(NOW),
    presence=st.none() | st.builds(Presence, workers=st.integers(1, 4), idle=st.booleans()),
    start=st.none() | st.just(BEGAN),
    end=st.none() | st.builds(lambda code: replace(ENDED, code=code), st.integers(0, 255)),
    status=st.none()
    | st.builds(listed, st.sampled_from(JobState), reason=st.sampled_from(["", "Priority"])),
    absences=st.integers(0, 3),
)


@given(start=st.sampled_from(Phase), story=st.lists(evidence, max_size=8))
def test_phases_move_along_the_drawn_arrows_only(start: Phase, story: list[Evidence]) -> None:
    job = a_job(7, start)
    for number, told in enumerate(story):
        now = NOW + number
        new = observe(job, replace(told, now=now))
        if new.phase is not job.phase:
            assert job.lost or new.phase in ARROWS[job.phase]
            assert new.since == now
        else:
            assert new.since == job.since
        assert new.served >= job.served
        job = new


@few
@given(told=evidence)
def test_an_ended_job_stays_as_it_ended(told: Evidence) -> None:
    job = a_job(7, Phase.ENDED, reason="it failed")
    assert observe(job, told) is job


@few
@given(phase=st.sampled_from(LIVE), told=evidence)
def test_what_was_seen_is_not_seen_differently_the_second_time(
    phase: Phase, told: Evidence
) -> None:
    once = observe(a_job(7, phase), told)
    assert observe(once, told) == once


@few
@given(phase=st.sampled_from(LIVE), told=evidence)
def test_nothing_but_an_end_ends_a_job(phase: Phase, told: Evidence) -> None:
    says_so = (
        told.end is not None
        or (told.status is not None and told.status.state.is_final)
        or (_is_silent(told) and told.absences >= LISTINGS_UNTIL_LOST)
    )
    assert observe(a_job(7, phase), told).is_live is not says_so


def _is_silent(told: Evidence) -> bool:
    return told.presence is None and told.status is None
