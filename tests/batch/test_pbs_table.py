"""How the parts of PBS's listings are read."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dask_hpc.batch.model import JobId
from dask_hpc.batch.pbs_table import (
    array_of,
    collapse,
    job_index,
    job_number,
    moment,
    number,
    seconds,
)


@pytest.mark.parametrize(
    ("job_id", "array", "index", "serial"),
    [
        ("42.login1", "42.login1", 0, 42),
        ("42[7].login1.site", "42[].login1.site", 7, 42),
        ("42[7]", "42[]", 7, 42),
        ("42", "42", 0, 42),
        ("nonsense", "nonsense", 0, 0),
    ],
)
def test_an_id_says_array_index_and_number(
    job_id: str, array: str, index: int, serial: int
) -> None:
    known = JobId(job_id)
    assert (array_of(known), job_index(known), job_number(known)) == (array, index, serial)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 40)), max_size=60))
def test_collapsed_ids_name_the_same_jobs(elements: list[tuple[int, int]]) -> None:
    ids = {JobId(f"{array}[{index}].x") for array, index in elements} | {JobId("7.x")}
    told = []
    for word in collapse(ids):
        array, _, rest = word.partition("[")
        first, _, last = rest.partition("]")[0].partition("-")
        indices = range(int(first), int(last or first) + 1) if first else ()
        told += [f"{array}[{index}].x" for index in indices] or [word]
    assert sorted(told) == sorted(ids)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1795161975", 1795161975.0),
        ("Fri Nov 20 08:06:15 2026", 1795161975.0),
        ("Fri Nov  6 08:06:15 2026\n", 1793952375.0),
        ("Fri Foo 20 08:06:15 2026", None),
        ("UNKNOWN", None),
        ("0", None),
        ("", None),
        ("9" * 400, None),
    ],
)
def test_a_moment_is_seconds_or_nothing(text: str, expected: float | None) -> None:
    assert moment(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("24:00:00", 86400.0), ("30:00", 1800.0), ("90", 90.0), ("-1", None), ("", None), ("x", None)],
)
def test_a_duration_is_seconds_or_nothing(text: str, expected: float | None) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize(("text", "expected"), [("-29", -29), ("7", 7), ("7b", None), ("", None)])
def test_a_number_is_whole_or_nothing(text: str, expected: int | None) -> None:
    assert number(text) == expected
