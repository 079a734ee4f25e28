"""What is remembered of jobs, also of those that the controller has forgotten."""

from __future__ import annotations

from dataclasses import replace

from dask_hpc.engine.dashboard import history
from dask_hpc.engine.dashboard.history import JobHistory, seconds_on_nodes, with_steps
from tests.engine.dashboard.reports import FAILED, RUNS, WAITS, job, report


def test_jobs_stay_when_the_controller_forgets_them() -> None:
    seen = JobHistory()
    seen.note(report(WAITS, FAILED), now=8.0)
    seen.note(report(WAITS), now=9.0)
    assert [each.slot for each in seen.jobs()] == ["x.1", "x.3"]


def test_the_newest_job_comes_first() -> None:
    seen = JobHistory()
    seen.note(report(job("x.1", ("pending", 1.0)), job("x.2", ("pending", 5.0))), now=5.0)
    assert [each.slot for each in seen.jobs()] == ["x.2", "x.1"]


def test_a_sample_is_taken_when_a_number_changes() -> None:
    seen = JobHistory()
    for now in (1.0, 2.0, 3.0):
        seen.note(report(WAITS, RUNS), now=now)
    seen.note(report(WAITS, RUNS, wanted=5), now=4.0)
    assert [(each.time, *each.counts) for each in seen.samples] == [(1.0, 2, 1, 1), (4.0, 5, 1, 1)]


def test_many_samples_are_thinned_out_and_the_last_ones_kept() -> None:
    seen = JobHistory()
    for now in range(5000):
        seen.note(report(wanted=now), now=float(now))
    assert len(seen.samples) <= 2000
    assert [each.wanted for each in seen.samples[-3:]] == [4997, 4998, 4999]
    assert seen.samples[0].wanted == 0


def test_a_job_is_on_its_nodes_from_its_start_to_its_end() -> None:
    assert seconds_on_nodes(WAITS, 100.0) == 0.0
    assert seconds_on_nodes(RUNS, 110.0) == 100.0
    assert seconds_on_nodes(FAILED, 110.0) == 3.0


def test_a_job_that_is_taken_out_of_the_queue_was_on_no_node() -> None:
    gone = job("x.1", ("pending", 0.0), ("draining", 5.0), ("ended", 9.0))
    assert seconds_on_nodes(gone, 100.0) == 0.0
    seen = JobHistory()
    seen.note(report(job("x.1", ("pending", 0.0), ("draining", 5.0))), now=6.0)
    assert seen.samples[-1].up == 0


def test_nodes_of_a_pool_are_counted() -> None:
    seen = JobHistory(nodes={"default": 1, "wide": 4})
    seen.note(report(RUNS, replace(RUNS, slot="x.9", pool="wide")), now=20.0)
    assert seen.node_seconds(20.0) == 10.0 + 40.0


def test_what_is_forgotten_was_used_all_the_same() -> None:
    seen = JobHistory()
    ended = [
        job(f"x.{index}", ("running", float(index)), ("ended", index + 2.0))
        for index in range(history._JOBS + 10)
    ]
    seen.note(report(*ended), now=1e6)
    assert len(seen.jobs()) == len(ended)  # as long as the controller tells of them
    assert seen.node_seconds(1e6) == 2.0 * len(ended)
    seen.note(report(ended[-1]), now=1e6)
    seen.note(report(ended[-1]), now=1e6)
    assert len(seen.jobs()) == history._JOBS
    assert seen.node_seconds(1e6) == 2.0 * len(ended)
    assert seen.jobs()[-1].slot == "x.10"


def test_steps_are_put_together_from_what_was_seen() -> None:
    first = replace(WAITS, steps=())
    seen = with_steps(first, None)
    later = with_steps(replace(first, phase="running", since=7.0), seen)
    assert [(step.phase, step.time) for step in later.steps] == [("pending", 1.0), ("running", 7.0)]
    assert with_steps(replace(first, phase="running", since=7.0), later).steps == later.steps
