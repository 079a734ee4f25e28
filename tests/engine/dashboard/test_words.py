"""Jobs in words."""

from __future__ import annotations

from dataclasses import replace

from dask_hpc.controller.report import PoolReport, Trouble
from dask_hpc.engine.dashboard.history import JobHistory
from dask_hpc.engine.dashboard.words import (
    EMPTY,
    headline,
    job_words,
    progress_words,
    reason_words,
    size_words,
    waiting_words,
    warnings,
)
from tests.engine.dashboard.reports import FAILED, RUNS, WAITS, job, report


def seen(*jobs: object, **facts: object) -> JobHistory:
    found = JobHistory()
    found.note(report(*jobs, **facts), now=20.0)  # type: ignore[arg-type]  # jobs, as report takes
    return found


def test_a_headline_says_what_is_there_and_what_it_cost() -> None:
    line = headline(seen(WAITS, RUNS, wanted=2), now=3610.0)
    assert line == "1 of 2 wanted jobs up · 2 workers · 1 pending · 1.00 node-hours used"


def test_empty_states_are_told() -> None:
    assert headline(JobHistory(), now=0.0).startswith("Nothing is known about jobs")
    assert headline(seen(), now=0.0) == EMPTY


def test_those_that_drain_are_up_if_they_ever_began() -> None:
    drains = job("x.5", ("running", 1.0), ("draining", 9.0))
    gone = job("x.6", ("pending", 1.0), ("draining", 9.0))
    words = size_words(report(RUNS, drains, gone, wanted=1))
    assert words.startswith("2 of 1 wanted job up (1 draining) · ")


def test_an_adaptive_cluster_says_its_bounds() -> None:
    assert size_words(report(RUNS, minimum=0, maximum=8)).endswith("adapts between 0 and 8 jobs")


def test_reasons_are_counted_the_most_frequent_one_first() -> None:
    jobs = [
        job(f"x.{index}", ("pending", 0.0), reason=reason) for index, reason in enumerate("abbcddd")
    ]
    assert waiting_words(report(*jobs)) == "d (3); b (2); a (1); 1 other reasons"
    assert waiting_words(report(jobs[0])) == "a"
    assert waiting_words(report(RUNS)) == ""


def test_a_start_that_is_expected_is_told_of_waiting_jobs_alone() -> None:
    waits = replace(WAITS, start_estimate=80.0)
    assert reason_words(waits, 20.0) == "resources are not free; expected to start in 1m"
    assert reason_words(replace(waits, reason=""), 20.0) == "expected to start in 1m"
    assert reason_words(replace(RUNS, start_estimate=80.0), 20.0) == ""


def test_progress_tells_of_the_job_that_comes_first() -> None:
    soon, late = (replace(WAITS, slot=f"x.{at}", start_estimate=at) for at in (50.0, 90.0))
    starting = job("x.7", ("starting", 1.0))
    words = progress_words(report(late, soon, starting, RUNS), 8, now=20.0)
    assert words == (
        "2 of 8 workers · 2 jobs pending: resources are not free; expected to start in 30s"
        " · 1 job starting"
    )


def test_people_are_warned_of_trouble_halts_and_the_end() -> None:
    trouble = Trouble(kind="JobFailed", message="job 3 ended", hint="its log is x.log")
    pools = {"default": PoolReport(wanted=1, workers=0, workers_per_job=1, halted="3 failed"),
             "gpu": PoolReport(wanted=1, workers=0, workers_per_job=1, halted="no")}  # fmt: skip
    found = warnings(report(trouble=trouble, pools=pools, ends=100.0), now=40.0)
    assert found == [
        "the scheduler's own job ends in 1m: its workers end with it",
        "job 3 ended (its log is x.log)",
        "No further job is submitted until scale is called: 3 failed",
        "No further job of pool gpu is submitted until scale is called: no",
    ]
    assert warnings(report(RUNS, ends=1e9), now=40.0) == []


def test_a_job_in_a_table() -> None:
    assert job_words(replace(RUNS, end_time=100.0), 40.0) == (
        *("2", "", "running", "25s", "2", "n1", "1m", ""),
    )
    assert job_words(FAILED, 40.0)[-2:] == ("", "it failed")
