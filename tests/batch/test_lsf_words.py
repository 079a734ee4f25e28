"""LSF's reasons in plain words, and how its times, tables and ids are read."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dask_hpc.batch.lsf_job import moment, seconds_between
from dask_hpc.batch.lsf_queues import collapse
from dask_hpc.batch.lsf_table import column
from dask_hpc.batch.lsf_words import CODES, ENDINGS, REFUSALS, STATES, WAITING, plain_waiting
from dask_hpc.batch.model import JobId, JobState


def test_a_job_that_waits_for_slots_says_so_whatever_hosts_it_could_not_have() -> None:
    reasons = "Job's resource requirements not satisfied: 4 hosts; Job slot limit reached: 1 host"
    assert plain_waiting(reasons) == "waits for slots to become free"


def test_an_unknown_reason_has_no_plain_words() -> None:
    assert plain_waiting("The flux capacitor is cold: 1 host") == ""


def test_sentences_fit_into_a_message() -> None:
    endings = [ending.plain for ending in (*ENDINGS.values(), *CODES.values())]
    hints = [refusal.hint for refusal in REFUSALS]
    for sentence in [*(plain for _, plain in WAITING), *endings, *hints]:
        assert sentence
        assert not sentence.endswith(".")
        assert "\n" not in sentence


def test_only_an_end_is_final() -> None:
    assert [word for word, state in STATES.items() if state.is_final] == ["DONE"]
    assert all(ending.state.is_final for ending in (*ENDINGS.values(), *CODES.values()))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Nov 20 08:13:34 2026", 1795162414.0),
        ("Fri Nov 20 08:13:34 2026", 1795162414.0),
        ("Nov 20 08:13 2026 L", 1795162380.0),
        ("Nov  2 08:13:34 2026 E", 1793607214.0),
        ("Nov 20 08:13", None),
        ("Nov 31 08:13 2026", None),
        ("Nov 20 08:13 0000", None),
        ("Foo 20 08:13 2026", None),
        ("-", None),
        ("", None),
    ],
)
def test_a_moment_is_seconds_or_nothing(text: str, expected: float | None) -> None:
    assert moment(text) == expected


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("Nov 20 08:13:58", "Nov 20 08:14:59", 61.0),
        ("Feb 28 23:59:59", "Feb 29 00:00:01", 2.0),
        ("Dec 31 23:59:59", "Jan  1 00:00:01", 2.0),
        ("Nov 20 08:13:58", "what", None),
        (None, "Nov 20 08:14:59", None),
    ],
)
def test_a_duration_needs_no_year(
    start: str | None, end: str | None, expected: float | None
) -> None:
    assert seconds_between(start, end) == expected


def test_a_column_is_read_by_its_place() -> None:
    lines = [" CPULIMIT     RUNLIMIT    PROCLIMIT", " 5.0 min of a 30.0 min of b 8", "", " A", " B"]
    assert column(lines, "CPULIMIT") == "5.0 min of a"
    assert column(lines, "RUNLIMIT").startswith("30.0 min")
    assert column(lines, "MEMLIMIT") == ""


@settings(max_examples=60, deadline=None)
@given(
    elements=st.lists(st.tuples(st.integers(1, 3), st.integers(1, 40)), max_size=60),
    longest=st.integers(1, 5),
)
def test_collapsed_ids_name_the_same_jobs(elements: list[tuple[int, int]], longest: int) -> None:
    ids = {JobId(f"{parent}[{index}]") for parent, index in elements} | {JobId("7")}
    told: list[str] = []
    for word in collapse(ids, longest=longest):
        assert word.count(",") < longest
        parent, _, rest = word.partition("[")
        for part in rest.rstrip("]").split(","):
            first, _, last = part.partition("-")
            indices = range(int(first), int(last or first) + 1) if part else ()
            told += [f"{parent}[{index}]" for index in indices] if part else [parent]
    assert sorted(told) == sorted(ids)


def test_states_have_words_of_their_own() -> None:
    assert STATES["PSUSP"] is JobState.HELD
    assert STATES["UNKWN"] is JobState.UNKNOWN
