"""How the cells of Slurm's listings are read."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dask_hpc.batch.model import JobId, JobState
from dask_hpc.batch.slurm_table import (
    collapse,
    exit_code,
    gpus,
    job_ids,
    job_index,
    moment,
    number,
    seconds,
    state_of,
)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("36", ["36"]),
        ("36_1", ["36_1"]),
        ("36+1", ["36+1"]),
        ("36_[0-3]", ["36_0", "36_1", "36_2", "36_3"]),
        ("36_[1,5-9:2%4]", ["36_1", "36_5", "36_7", "36_9"]),
        ("36_[1,2,...]", ["36_1", "36_2"]),
        ("36_[5-1]", []),
        ("36_[1-2:0]", ["36_1", "36_2"]),
        ("36.batch", []),
        ("", []),
        ("abc", []),
    ],
)
def test_a_cell_names_one_or_several_jobs(cell: str, expected: list[str]) -> None:
    assert list(job_ids(cell)) == expected


def test_a_misread_range_does_not_fill_the_memory() -> None:
    assert len(job_ids("1_[0-999999999]")) < 200_000


@pytest.mark.parametrize(("job_id", "index"), [("36", 0), ("36_0", 0), ("36_12", 12), ("36+1", 0)])
def test_the_index_of_a_job_is_in_its_id(job_id: str, index: int) -> None:
    assert job_index(JobId(job_id)) == index


@settings(max_examples=60, deadline=None)
@given(
    tasks=st.lists(st.tuples(st.integers(1, 3), st.integers(0, 40)), max_size=60),
    longest=st.integers(1, 5),
)
def test_collapsed_ids_name_the_same_jobs(tasks: list[tuple[int, int]], longest: int) -> None:
    ids = {JobId(f"{parent}_{index}") for parent, index in tasks} | {JobId("7")}
    words = collapse(ids, longest=longest)
    told = [job_id for word in words for job_id in job_ids(word)]
    assert sorted(told) == sorted(ids)
    assert all(word.count(",") < longest for word in words)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("RUNNING", JobState.RUNNING),
        ("CANCELLED by 1001", JobState.CANCELLED),
        ("COMPLETING", JobState.COMPLETING),
        ("NODE_FAIL", JobState.LOST),
        ("OUT_OF_MEMORY", JobState.OUT_OF_MEMORY),
        ("REQUEUE_HOLD", JobState.HELD),
        ("REVOKED", JobState.UNKNOWN),
        ("", JobState.UNKNOWN),
        ("running", JobState.UNKNOWN),
    ],
)
def test_a_state_is_read_by_the_table(cell: str, expected: JobState) -> None:
    assert state_of(cell) is expected


@pytest.mark.parametrize(
    ("code", "signal", "state", "expected"),
    [
        (0, 0, JobState.DONE, 0),
        (3, 0, JobState.FAILED, 3),
        (0, 9, JobState.FAILED, 137),
        (0, 53, JobState.FAILED, None),
        (0, 0, JobState.FAILED, None),
        (0, 15, JobState.CANCELLED, None),
        (0, 0, JobState.TIMED_OUT, None),
        (0, 125, JobState.OUT_OF_MEMORY, None),
        (4294967294 >> 8, 0, JobState.FAILED, None),
        (0, 0, JobState.RUNNING, None),
    ],
)
def test_an_exit_code_is_told_only_where_it_means_something(
    code: int, signal: int, state: JobState, expected: int | None
) -> None:
    assert exit_code(code, signal=signal, state=state) == expected


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("1795170427", 1795170427.0),
        ("N/A", None),
        ("Unknown", None),
        ("0", None),
        ("", None),
        # No SLURM_TIME_FORMAT there: the time zone is not known, so it is not guessed.
        ("2026-11-20T08:27:00", None),
        ("9" * 400, None),
    ],
)
def test_a_moment_is_seconds_or_nothing(cell: str, expected: float | None) -> None:
    assert moment(cell) == expected


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("1-00:00:00", 86400.0),
        ("12:30:00", 45000.0),
        ("2:00", 120.0),
        ("infinite", None),
        ("n/a", None),
        ("", None),
    ],
)
def test_a_limit_is_seconds_or_none(cell: str, expected: float | None) -> None:
    assert seconds(cell) == expected


@pytest.mark.parametrize(
    ("cell", "expected"), [("4096+", 4096), ("16", 16), ("(null)", 0), ("", 0)]
)
def test_a_number_may_stand_for_more(cell: str, expected: int) -> None:
    assert number(cell) == expected


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("(null)", 0),
        ("gpu:2", 2),
        ("gpu:a100:4(S:0-1)", 4),
        ("gpu:a100:4(S:0,1),gpu:v100:2(S:0)", 6),
        ("nvme:1,gpu:8,mps:400", 8),
        ("tpu:4", 0),
    ],
)
def test_gpus_are_counted_whatever_their_kind(cell: str, expected: int) -> None:
    assert gpus(cell) == expected
