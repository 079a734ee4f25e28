"""How the cells of Grid Engine's answers are read."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dask_hpc.batch.model import JobId, JobState
from dask_hpc.batch.sge_table import (
    collapse,
    job_index,
    moment,
    number,
    requested,
    seconds,
    size,
    state_of,
    task_ids,
)
from dask_hpc.batch.sge_words import PLAIN, REFUSALS, WAITING, plain_reason


@pytest.mark.parametrize(
    ("letters", "expected"),
    [
        ("qw", JobState.PENDING),
        ("Rq", JobState.PENDING),
        ("hqw", JobState.HELD),
        ("hRwq", JobState.HELD),
        ("t", JobState.RUNNING),
        ("r", JobState.RUNNING),
        ("Rr", JobState.RUNNING),
        ("hr", JobState.RUNNING),
        ("s", JobState.SUSPENDED),
        ("hS", JobState.SUSPENDED),
        ("T", JobState.SUSPENDED),
        ("dr", JobState.COMPLETING),
        ("dhr", JobState.COMPLETING),
        ("Eqw", JobState.FAILED),
        ("Ehqw", JobState.FAILED),
        ("", JobState.UNKNOWN),
        ("Xr", JobState.UNKNOWN),
        ("running", JobState.UNKNOWN),
    ],
)
def test_a_state_is_read_by_its_letters(letters: str, expected: JobState) -> None:
    assert state_of(letters) is expected


@pytest.mark.parametrize(
    ("job", "tasks", "expected"),
    [
        ("36", "", ["36"]),
        ("36", "undefined", ["36"]),
        ("36", "3", ["36.3"]),
        ("36", "1-9:4", ["36.1", "36.5", "36.9"]),
        ("36", "1,3-5:1", ["36.1", "36.3", "36.4", "36.5"]),
        ("36", "5-1", []),
        ("36", "1-2:0", ["36.1", "36.2"]),
        ("x", "", []),
        ("", "1", []),
    ],
)
def test_a_row_is_one_job_or_several(job: str, tasks: str, expected: list[str]) -> None:
    assert list(task_ids(job, tasks)) == expected


def test_a_misread_range_does_not_fill_the_memory() -> None:
    assert len(task_ids("1", "1-999999999")) < 200_000


@pytest.mark.parametrize(("job_id", "index"), [("36", 0), ("36.1", 0), ("36.12", 11), ("36.x", 0)])
def test_places_are_counted_from_0_and_tasks_from_1(job_id: str, index: int) -> None:
    assert job_index(JobId(job_id)) == index


@settings(max_examples=60, deadline=None)
@given(tasks=st.lists(st.tuples(st.integers(1, 3), st.integers(1, 40)), max_size=60))
def test_collapsed_ids_name_the_same_jobs(tasks: list[tuple[int, int]]) -> None:
    ids = {JobId(f"{parent}.{task}") for parent, task in tasks} | {JobId("7")}
    pairs = (word.partition(".") for word in collapse(ids))
    told = [one for parent, _, part in pairs for one in task_ids(parent, part)]
    assert sorted(told) == sorted(ids)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("2026-11-20T08:27:13", 1795163233.0),
        ("2026-11-20T08:27:13.250", 1795163233.0),
        ("Fri Nov 20 08:27:13 2026", 1795163233.0),
        ("Sun Nov  1 00:00:00 2026", 1793491200.0),
        ("-/-", None),
        ("", None),
        ("2026-13-40T08:27:13", None),
        ("Fri Foo 20 08:27:13 2026", None),
        ("0000-01-01T00:00:00", None),
    ],
)
def test_a_moment_is_seconds_or_nothing(cell: str, expected: float | None) -> None:
    assert moment(cell) == expected


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("600", 600.0), ("00:02:00", 120.0), ("48:0:0", 172800.0), ("6s", 6.0), ("2.5", 2.0),
        ("INFINITY", None), ("infinity", None), ("", None),
    ],
)  # fmt: skip
def test_a_limit_is_seconds_or_none(cell: str, expected: float | None) -> None:
    assert seconds(cell) == expected


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("100M", 100 * 2**20), ("100m", 10**8), ("1.410MB", int(1.410 * 2**20)), ("0.000B", 0),
        ("2G", 2**31), ("infinity", 0), ("", 0),
    ],
)  # fmt: skip
def test_a_size_is_bytes(cell: str, expected: int) -> None:
    assert size(cell) == expected


def test_a_number_may_be_followed_by_words() -> None:
    assert [number(cell) for cell in ("137                  (Killed)", "0", "", "-")] == [
        137, 0, 0, 0,
    ]  # fmt: skip


def test_the_category_of_a_job_says_what_it_asked_for() -> None:
    assert requested("-u ada -l h_rt=5,h_vmem=100M -q all.q -pe smp 2 -l gpu=1") == {
        "h_rt": "5", "h_vmem": "100M", "gpu": "1",
    }  # fmt: skip
    assert requested("NONE") == {}


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ('queue instance "all.q@n1" dropped because it is full', "nodes to become free"),
        ('queue instance "all.q@n1" dropped because it is disabled', "closed"),
        ('queue instance "all.q@n1" dropped because it is temporarily not available', "down"),
        ('(-l slots=1) cannot run at host "n1" because it offers only hc:slots=0', "free cores"),
        ('cannot run because it exceeds limit "ada/////" in rule "max/1"', "quota"),
        ("job dropped because of job dependencies", "another job"),
        ("execution time not reached", "earliest start"),
        ('cannot run in queue "q" because PE "smp" is not in PE list', "never start"),
        ('(-l h_rt=7200) cannot run in queue "short.q" because of cluster queue', "walltime"),
        ("qw", "its turn"),
    ],
)
def test_a_waiting_job_says_why_in_plain_words(reason: str, words: str) -> None:
    assert words in plain_reason(reason, JobState.PENDING)


def test_a_reason_for_waiting_says_nothing_of_a_job_that_runs() -> None:
    assert plain_reason("Job is in hold state", JobState.RUNNING) == ""


def test_sentences_fit_into_a_message() -> None:
    plain = [sentence for _, sentence in PLAIN]
    for sentence in [*plain, *WAITING.values(), *(one.hint for one in REFUSALS if one.hint)]:
        assert sentence
        assert not sentence.endswith(".")
        assert "\n" not in sentence
