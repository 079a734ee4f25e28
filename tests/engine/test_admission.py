"""Two jobs that claim one slot."""

from __future__ import annotations

from typing import Any

from dask_hpc.engine.admission import RUN, Admissions


def run(job: str, began: float = 1.0) -> dict[str, Any]:
    return {RUN: {"job": job, "began": began}}


def test_all_workers_of_the_first_job_come_in_and_those_of_a_second_one_do_not() -> None:
    admissions = Admissions()
    assert admissions.refuses("x.0-0", run("7"), here=[]) == ""
    assert admissions.refuses("x.0-1", run("7"), here=["x.0-0"]) == ""
    said = admissions.refuses("x.0-2", run("8"), here=["x.0-0", "x.0-1"])
    assert said == "x.0 is served by job 7 already: job 8 is one too many"
    assert admissions.refuses("x.0-0", run("7"), here=["x.0-1"]) == "", "restarted by its nanny"


def test_a_job_that_runs_again_under_its_id_is_another_run() -> None:
    admissions = Admissions()
    assert admissions.refuses("x.0-0", run("7", 1.0), here=[]) == ""
    assert "one too many" in admissions.refuses("x.0-1", run("7", 2.0), here=["x.0-0"])


def test_a_slot_whose_workers_are_all_gone_is_free() -> None:
    admissions = Admissions()
    assert admissions.refuses("x.0-0", run("7"), here=[]) == ""
    assert admissions.refuses("x.0-0", run("8"), here=["x.1-0"]) == ""
    assert "job 8 already" in admissions.refuses("x.0-1", run("7"), here=["x.0-0"])


def test_slots_do_not_matter_to_each_other_and_strangers_to_nobody() -> None:
    admissions = Admissions()
    assert admissions.refuses("x.0-0", run("7"), here=[]) == ""
    assert admissions.refuses("x.1-0", run("8"), here=["x.0-0"]) == ""
    assert admissions.refuses("somebody", {}, here=["x.0-0"]) == ""
    assert admissions.refuses("x.0-5", {}, here=["x.0-0"]) == ""
