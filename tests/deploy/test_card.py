"""How a cluster looks in a notebook."""

from __future__ import annotations

from dataclasses import replace

from dask_hpc.controller.report import PoolReport, Trouble
from dask_hpc.deploy.card import CardFacts, card, jobs_table
from tests.engine.dashboard.reports import FAILED, RUNS, WAITS, job, report

FACTS = CardFacts(
    kind="HPCCluster",
    name="rain",
    place="slurm, its scheduler is here",
    now=40.0,
    address="tls://10.0.0.1:8786",
    link="http://127.0.0.1:4711/abc/status?token=t0ken",
    workers=2,
    threads=4,
    memory=2**30,
)


def test_it_says_what_the_cluster_is() -> None:
    html = card(replace(FACTS, report=report(RUNS, wanted=3)))
    for words in ("rain", "HPCCluster, slurm", "tls://10.0.0.1:8786", "2 of 6 · 4 threads · 1 GiB"):
        assert words in html


def test_the_link_works_and_its_token_is_not_read_by_those_who_look_on() -> None:
    html = card(FACTS)
    assert 'href="http://127.0.0.1:4711/abc/status?token=t0ken"' in html
    assert html.count("t0ken") == 1
    assert ">http://127.0.0.1:4711/abc/status<" in html


def test_without_a_report_it_shows_what_is_known() -> None:
    html = card(replace(FACTS, link="", workers=0))
    assert "href" not in html
    assert "jobs" not in html
    assert "rain" in html


def test_jobs_are_counted_by_state_and_those_not_submitted_are_named() -> None:
    html = card(replace(FACTS, report=report(WAITS, RUNS, FAILED, wanted=5)))
    assert "1 running" in html
    assert "1 pending" in html
    assert "3 not submitted" in html


def test_without_jobs_it_says_how_to_get_some() -> None:
    assert "scale or adapt asks for some" in card(replace(FACTS, report=report()))


def test_pending_jobs_come_with_reason_and_the_first_start() -> None:
    soon = replace(WAITS, start_estimate=100.0)
    html = card(replace(FACTS, report=report(soon, replace(WAITS, slot="x.8"))))
    assert "2 jobs pending: resources are not free; the first is expected to start in 1m" in html


def test_pools_have_a_line_each() -> None:
    pools = {
        "default": PoolReport(wanted=1, workers=2, workers_per_job=2),
        "gpu": PoolReport(wanted=2, workers=0, workers_per_job=4, minimum=0, maximum=8),
    }
    html = card(replace(FACTS, report=report(RUNS, pools=pools)))
    assert "gpu" in html
    assert "adapts between 0 and 8 jobs" in html
    assert "0 of 8" in html


def test_trouble_shows_the_end_of_the_log() -> None:
    trouble = Trouble(kind="JobFailed", message="job 3 ended", log_tail="Traceback <x>")
    html = card(replace(FACTS, report=report(FAILED, trouble=trouble)))
    assert "job 3 ended" in html
    assert "Traceback &lt;x&gt;" in html


def test_the_end_of_the_scheduler_is_told_in_time() -> None:
    ending = replace(FACTS, report=report(RUNS, ends=100.0))
    assert "the scheduler&#x27;s own job ends in 1m" in card(ending)
    assert "own job ends" not in card(replace(ending, walltime=60.0))


def test_words_of_others_are_no_html() -> None:
    html = card(replace(FACTS, name="<i>", report=report(replace(WAITS, reason="<script>"))))
    assert "<script>" not in html
    assert "<i>" not in html


def test_the_list_has_live_jobs_first_and_an_end() -> None:
    html = jobs_table((FAILED, RUNS), now=40.0)
    assert html.index("running") < html.index("it failed")
    many = tuple(job(f"x.{index}", ("pending", 0.0)) for index in range(30))
    assert "and 5 more: cluster.jobs()" in jobs_table(many, now=1.0)
    assert jobs_table((), now=1.0) == "none yet"
