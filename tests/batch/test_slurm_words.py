"""Slurm's reasons in plain words."""

from __future__ import annotations

import pytest

from dask_hpc.batch.model import JobState
from dask_hpc.batch.slurm_words import ENDED, REFUSALS, STATES, WAITING, plain_reason


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("Resources", "nodes to become free"),
        ("ReqNodeNotAvail, UnavailableNodes:node1", "shorter walltime"),
        ("AssocGrpCpuLimit", "jobs of your account"),
        ("AssocGrpCPUMinutesLimit", "share of time"),
        ("AssocMaxJobsLimit", "your account allows"),
        ("QOSMaxJobsPerUserLimit", "the QOS allows"),
        ("QOSMaxCpuPerJobLimit", "ask for less"),
        ("QOSMaxMemoryPerNode", "of a node"),
        ("QOSGrpNodeLimit", "jobs of its QOS"),
        ("QOSMinGRES", "less than its QOS demands"),
        ("ReservationInvalid", "reservation"),
        ("None", "not looked at"),
    ],
)
def test_a_waiting_job_says_why_in_plain_words(reason: str, words: str) -> None:
    assert words in plain_reason(reason, JobState.PENDING)


def test_an_unknown_reason_has_no_plain_words() -> None:
    assert plain_reason("FluxCapacitor", JobState.PENDING) == ""


def test_a_reason_for_waiting_says_nothing_of_a_job_that_runs_or_has_ended() -> None:
    assert plain_reason("Resources", JobState.RUNNING) == ""
    assert plain_reason("Resources", JobState.CANCELLED) == ""


def test_an_ended_job_is_explained_by_its_state_where_its_reason_does_not() -> None:
    assert plain_reason("None", JobState.TIMED_OUT) == "reached its walltime"
    assert plain_reason("OutOfMemory", JobState.OUT_OF_MEMORY) == plain_reason(
        "", JobState.OUT_OF_MEMORY
    )


def test_sentences_fit_into_a_message() -> None:
    hints = [refusal.hint for refusal in REFUSALS]
    for sentence in [*WAITING.values(), *ENDED.values(), *hints]:
        assert sentence
        assert not sentence.endswith(".")
        assert "\n" not in sentence


def test_only_words_that_slurm_means_for_good_are_final() -> None:
    final = {word for word, state in STATES.items() if state.is_final}
    assert final == {
        "COMPLETED", "FAILED", "BOOT_FAIL", "DEADLINE", "LAUNCH_FAILED", "RECONFIG_FAIL",
        "OUT_OF_MEMORY", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "CANCELLED",
    }  # fmt: skip
