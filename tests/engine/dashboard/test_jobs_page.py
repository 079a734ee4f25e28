"""The page of the jobs, as it is drawn."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dask_hpc._clock import SystemClock
from dask_hpc.controller.report import Trouble
from dask_hpc.engine.dashboard.watch import JobWatch
from tests.engine.dashboard.reports import FAILED, RUNS, WAITS, job, report

pytest.importorskip("bokeh")

from bokeh.document import Document

from dask_hpc.engine.dashboard.jobs_page import JobsPage, fill


def shown(*jobs: object, **facts: object) -> JobsPage:
    watch = JobWatch()
    watch.history.note(report(*jobs, **facts), now=SystemClock().time())  # type: ignore[arg-type]  # jobs
    page = JobsPage(watch)
    page.update()
    return page


def test_each_kind_of_phase_has_its_bars() -> None:
    page = shown(WAITS, RUNS)
    assert page._bars["pending"].data["name"] == ["1", "1", "2"]
    assert page._bars["running"].data["where"] == ["n1, 2 workers"]
    assert page._bars["draining"].data["name"] == []
    assert {kind: item.visible for kind, item in page._legend.items()} == {
        "pending": True, "starting": True, "running": True, "missing": False, "draining": False,
        "failed": False, "ended": False,
    }  # fmt: skip


def test_failures_are_marked_and_reasons_written_beside() -> None:
    page = shown(FAILED, WAITS)
    assert page._marks[True].data["row"] == [0]
    assert set(page._texts.data["words"]) == {"it failed", "resources are not free"}


def test_an_empty_page_says_what_to_do() -> None:
    page = shown()
    assert not page._timeline.visible
    assert not page._size.visible
    assert "cluster.scale(jobs=2)" in page._words.text


def test_trouble_is_told_and_is_no_html() -> None:
    page = shown(FAILED, trouble=Trouble(kind="JobFailed", message="<b>job 3</b> ended"))
    assert "&lt;b&gt;job 3&lt;/b&gt; ended" in page._words.text


def test_many_jobs_have_thin_rows_without_words() -> None:
    page = shown(*(job(f"x.{index}", ("pending", 0.0), reason="why") for index in range(500)))
    assert page._timeline.height == 900
    assert set(page._texts.data["words"]) == {""}
    assert page._timeline.yaxis[0].axis_label == "500 jobs, the newest at the top"
    assert page._timeline.yaxis[0].ticker.ticks == []


def test_few_jobs_are_named_at_their_rows() -> None:
    page = shown(job("x.1", ("pending", 1.0)), job("x.2", ("pending", 2.0)))
    assert page._timeline.yaxis[0].major_label_overrides == {0: "1", 1: "2"}
    assert page._timeline.yaxis[0].ticker.ticks == [0, 1]


def test_a_part_that_somebody_looks_at_stays_in_view() -> None:
    page = shown(RUNS)
    page._times.update(start=5.0, end=6.0)
    page.update()
    assert (page._times.start, page._times.end) == (5.0, 6.0)


def test_more_jobs_make_it_higher() -> None:
    page = shown(RUNS)
    before = page._timeline.height
    page._jobs.history.note(report(RUNS, replace(WAITS, slot="x.9")), now=1.0)
    page.update()
    assert page._timeline.height > before


def test_it_is_filled_into_a_document_and_looks_again() -> None:
    doc = Document()
    fill(doc, JobWatch(), among={"pages": ["jobs"]})
    assert doc.title == "Dask: Jobs"
    assert len(doc.session_callbacks) == 1
    assert doc.template_variables == {"pages": ["jobs"]}
