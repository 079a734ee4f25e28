"""The pages of a scheduler, with bokeh and without."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from distributed import Client

from dask_hpc.engine.tls import cluster_security
from tests.engine.dashboard.reports import FAILED, RUNS, WAITS, report
from tests.engine.dashboard.visitor import House, Visitor, housing, visiting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

needs_bokeh = pytest.mark.usefixtures("bokeh")


@pytest.fixture
def bokeh() -> None:
    pytest.importorskip("bokeh")


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house() -> AsyncIterator[House]:
    """A scheduler for the tests of this module."""
    async with housing() as house:
        yield house


@pytest_asyncio.fixture(loop_scope="module")
async def visitor(house: House) -> AsyncIterator[Visitor]:
    async with house.visited() as found:
        await found.enter()
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def fresh() -> AsyncIterator[Visitor]:
    """A visitor of a scheduler that nobody has looked at yet."""
    async with visiting() as found:
        await found.enter()
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def plain(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Visitor]:
    """A scheduler in an environment without bokeh."""
    for name in [name for name in sys.modules if name.startswith("distributed.dashboard")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "dask_hpc.engine.dashboard.bokeh_pages", raising=False)
    monkeypatch.setitem(sys.modules, "bokeh", None)
    async with visiting() as found:
        await found.enter()
        yield found


@pytest.mark.slow
@needs_bokeh
async def test_the_first_who_asks_for_a_page_of_bokeh_loads_them(fresh: Visitor) -> None:
    first = await fresh.get("status")
    assert (first.code, first.headers["Location"]) == (302, "status")
    page = await fresh.get("status")
    assert page.code == 200
    assert 'href="jobs">Jobs</a>' in page.body.decode()


@pytest.mark.slow
@needs_bokeh
async def test_the_page_of_the_jobs_stands_among_dasks(visitor: Visitor) -> None:
    await visitor.get("jobs")
    page = (await visitor.get("jobs")).body.decode()
    assert 'href="workers">Workers</a>' in page
    assert "docs_json" in page


@pytest.mark.slow
@needs_bokeh
async def test_dasks_extension_of_jupyterlab_is_told_of_all_pages(fresh: Visitor) -> None:
    assert (await fresh.get("individual-plots.json")).code == 302
    plots = json.loads((await fresh.get("individual-plots.json")).body)
    assert plots["Individual Jobs"] == "/individual-jobs"
    assert plots["Individual Task Stream"] == "/individual-task-stream"
    assert (await fresh.get("individual-jobs")).code == 200


async def test_what_there_is_not_is_not_found(visitor: Visitor) -> None:
    await visitor.get("spam")
    assert (await visitor.get("spam")).code == 404


@pytest.mark.parametrize("page", ["jobs", "status"])
async def test_without_bokeh_jobs_are_shown_in_plain_html(plain: Visitor, page: str) -> None:
    plain.scheduler.jobs.end()
    plain.scheduler.jobs.history.note(report(WAITS, RUNS, FAILED), now=20.0)
    assert (await plain.get(page)).code == 302
    text = (await plain.get(page)).body.decode()
    assert "<h1>Jobs of boot</h1>" in text
    assert "1 of 3 wanted jobs up" in text
    for words in ("resources are not free", "it failed", "running", "install it"):
        assert words in text


async def test_without_bokeh_empty_states_are_told(plain: Visitor) -> None:
    await plain.get("jobs")
    assert "No job has been asked for yet" in (await plain.get("jobs")).body.decode()


async def test_words_of_a_batch_system_are_no_html(plain: Visitor) -> None:
    plain.scheduler.jobs.end()
    plain.scheduler.jobs.history.note(report(replace(WAITS, reason="<script>")), now=20.0)
    await plain.get("jobs")
    text = (await plain.get("jobs")).body.decode()
    assert "&lt;script&gt;" in text
    assert "<script>" not in text


async def test_a_client_without_a_cluster_shows_itself(visitor: Visitor) -> None:
    security = cluster_security(visitor.directory.tls, secure=True)
    async with Client(visitor.scheduler.address, security=security, asynchronous=True) as client:
        assert "private; see HPCCluster.from_name('boot').dashboard_link" in client.dashboard_link
        assert "dashboard_link" in client._repr_html_()
