"""The reasons of PBS and Torque in plain words."""

from __future__ import annotations

import pytest

from dask_hpc.batch.model import JobState
from dask_hpc.batch.pbs_words import ENDED_STATES, HOLDS, REFUSALS, STATES, WAITING, plain_reason


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("Not enough free nodes available", "nodes to become free"),
        ("Not enough of the right type of nodes are available", "nodes to become free"),
        ("Insufficient amount of resource: mem (R: 4gb A: 0kb T: 16gb)", "no node has so much"),
        ("Insufficient amount of queue resource: ncpus", "jobs of the queue"),
        ("Insufficient amount of server resource: ncpus", "all jobs together"),
        ("Can Never Run: Insufficient amount of resource: ncpus", "never start"),
        ("Not enough total nodes available", "never start"),
        ("Queue workq per-user limit reached on resource ncpus", "as much as they may"),
        ("would exceed user ada's limit on resource ncpus in complex", "as much as they may"),
        ("User has reached queue debug running job limit.", "you run as many"),
        ("Queue debug per-user job limit reached", "you run as many"),
        ("Group has reached server running limit.", "your group"),
        ("Queue debug job limit has been reached.", "the queue or its nodes"),
        ("Queue not started.", "starts no jobs now"),
        ("Job would conflict with reservation or top job", "higher priority"),
        ("Job would interfere with a confirmed reservation", "reserved"),
        ("Job would cross dedicated time boundary", "maintenance"),
        ("Job will run in nonprimetime only", "hours"),
        ("Execution_Time", "time at which it may start"),
    ],
)
def test_a_waiting_job_says_why_in_plain_words(reason: str, words: str) -> None:
    assert words in plain_reason(reason, JobState.PENDING)


def test_a_held_job_says_who_holds_it() -> None:
    assert "by you" in plain_reason("Hold_Types u", JobState.HELD, holds="u")
    assert "operator" in plain_reason("Hold_Types no", JobState.HELD, holds="no")
    assert plain_reason("Hold_Types x", JobState.HELD, holds="x") == ""


def test_an_unknown_reason_has_no_plain_words() -> None:
    assert plain_reason("the flux capacitor is empty", JobState.PENDING) == ""


def test_a_reason_for_waiting_says_nothing_of_a_job_that_runs_or_has_ended() -> None:
    for state in (JobState.RUNNING, JobState.CANCELLED, JobState.UNKNOWN):
        assert plain_reason("Not enough free nodes available", state, holds="u") == ""


def test_an_ended_job_is_explained_by_its_state() -> None:
    assert plain_reason("Exit_status -11", JobState.TIMED_OUT) == "reached its walltime"
    assert "memory" in plain_reason("exceeded resource mem", JobState.OUT_OF_MEMORY)


def test_sentences_fit_into_a_message() -> None:
    sentences = [refusal.hint for refusal in REFUSALS]
    sentences += [sentence for _, sentence in WAITING]
    for sentence in [*sentences, *HOLDS.values(), *ENDED_STATES.values()]:
        assert sentence
        assert not sentence.endswith(".")
        assert "\n" not in sentence


def test_no_letter_alone_says_how_a_job_ended() -> None:
    assert not [letter for letter, state in STATES.items() if state.is_final]
