"""The words of the batch layer."""

from __future__ import annotations

import dataclasses

import pytest

from dask_hpc.batch.model import JobId, JobState, JobStatus, Resources, Tag

FINAL = {"done", "failed", "cancelled", "timed-out", "out-of-memory", "preempted", "lost"}
WAITING = {"pending", "held"}


@pytest.mark.parametrize("state", JobState)
def test_a_state_is_final_if_the_job_will_not_run_any_more(state: JobState) -> None:
    assert state.is_final is (state.value in FINAL)


@pytest.mark.parametrize("state", JobState)
def test_a_state_is_waiting_if_the_job_has_not_begun(state: JobState) -> None:
    assert state.is_waiting is (state.value in WAITING)


def test_an_unknown_state_decides_nothing() -> None:
    assert not JobState.UNKNOWN.is_final
    assert not JobState.UNKNOWN.is_waiting


def test_values_cannot_be_changed() -> None:
    status = JobStatus(id=JobId("1"), tag=Tag("a"), state=JobState.PENDING)
    with pytest.raises(dataclasses.FrozenInstanceError):
        status.state = JobState.DONE  # type: ignore[misc]  # that it cannot be is the test


def test_a_job_asks_for_one_node_and_no_gpu_unless_it_says_so() -> None:
    resources = Resources(cores=4, memory=2**30)
    assert (resources.nodes, resources.gpus, resources.walltime) == (1, 0, None)
