"""Bars of a timeline."""

from __future__ import annotations

from dask_hpc.engine.dashboard.history import Sample
from dask_hpc.engine.dashboard.timeline import LABELLED, ends, pieces, stairs
from tests.engine.dashboard.reports import FAILED, RUNS, WAITS, job


def test_each_phase_is_a_piece_until_the_next_or_until_now() -> None:
    drawn = [(each.row, each.kind, each.left, each.right) for each in pieces([RUNS], now=20.0)]
    assert drawn == [(0, "pending", 0, 10), (0, "starting", 10, 15), (0, "running", 15, 20)]


def test_an_ended_job_grows_no_more() -> None:
    assert max(each.right for each in pieces([FAILED], now=100.0)) == 8.0


def test_the_first_job_is_in_the_highest_row() -> None:
    assert [(each.job.slot, each.row) for each in ends([WAITS, RUNS], now=20.0)] == [
        ("x.1", 1),
        ("x.2", 0),
    ]


def test_a_job_that_is_taken_out_of_the_queue_does_not_drain() -> None:
    gone = job("x.1", ("pending", 0.0), ("draining", 5.0), ("ended", 9.0))
    assert {each.kind for each in pieces([gone], now=10.0)} == {"pending"}
    left = job("x.1", ("running", 0.0), ("draining", 5.0), ("ended", 9.0))
    assert [each.kind for each in pieces([left], now=10.0)] == ["running", "draining"]


def test_ends_say_why_and_whether_that_is_bad() -> None:
    waits, failed = ends([WAITS, FAILED], now=20.0)
    assert (waits.words, waits.is_bad, waits.time) == ("resources are not free", False, 20.0)
    assert (failed.words, failed.is_bad, failed.time) == ("it failed", True, 8.0)


def test_rows_too_thin_for_words_have_none() -> None:
    many = [job(f"x.{index}", ("pending", 0.0), reason="why") for index in range(LABELLED + 1)]
    assert {each.words for each in ends(many, now=1.0)} == {""}
    assert {each.words for each in ends(many[1:], now=1.0)} == {"why"}


def test_long_words_are_cut() -> None:
    (end,) = ends([job("x.1", ("pending", 0.0), reason="w" * 99)], now=1.0)
    assert end.words == "w" * 59 + "…"


def test_a_clock_that_jumped_back_draws_nothing_backwards() -> None:
    drawn = pieces([job("x.1", ("pending", 10.0), ("running", 5.0))], now=3.0)
    assert all(each.left <= each.right for each in drawn)


def test_the_last_sample_holds_until_now() -> None:
    one = Sample(time=1.0, wanted=2, up=1, waiting=1)
    assert [(each.time, each.counts) for each in stairs([one], now=9.0)] == [
        (1.0, (2, 1, 1)),
        (9.0, (2, 1, 1)),
    ]
    assert stairs([], now=9.0) == []
