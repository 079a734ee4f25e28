"""What a handle shows: link, card, controls, progress; in a program, a notebook, an extension."""

from __future__ import annotations

import http.cookiejar
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from distributed import Client

from dask_hpc import HPCCluster
from dask_hpc.deploy.progress import told_in_notebook
from tests.integration.places import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.places import Place


@pytest.fixture(scope="module", params=["here", "job"])
def cluster(place: Place, request: pytest.FixtureRequest) -> Iterator[HPCCluster]:
    """A cluster of one job that the tests of this module share."""
    name = place.name()
    with HPCCluster(**place.small, name=name, scheduler=request.param) as cluster:
        cluster.scale(jobs=1)
        cluster.wait_for_workers(2, timeout=60)
        yield cluster
        cluster.shutdown()


@contextmanager
def browser() -> Iterator[urllib.request.OpenerDirector]:
    """Give something that keeps cookies."""
    jar = http.cookiejar.CookieJar()
    yield urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))


def test_the_link_opens_the_dashboard_wherever_the_scheduler_is(cluster: HPCCluster) -> None:
    link = cluster.dashboard_link
    health = link.partition("status")[0] + "health"
    with browser() as one:
        with pytest.raises(urllib.error.HTTPError, match="403"):
            one.open(health, timeout=20)
        assert one.open(link, timeout=20).status == 200
        assert one.open(health, timeout=20).read() == b"ok"
    with browser() as other, pytest.raises(urllib.error.HTTPError, match="403"):
        other.open(link, timeout=20)
    assert cluster.dashboard_link != link


def test_a_client_of_the_cluster_has_the_link(cluster: HPCCluster) -> None:
    with Client(cluster) as client:
        assert client.dashboard_link == cluster.dashboard_link
        assert "http://127.0.0.1:" in client._repr_html_()


def test_a_client_by_address_shows_itself_and_says_where_the_link_is(cluster: HPCCluster) -> None:
    with Client(cluster.scheduler_address, security=cluster.security) as client:
        assert f"HPCCluster.from_name('{cluster.name}').dashboard_link" in client.dashboard_link
        assert cluster.scheduler_address in client._repr_html_()


def test_the_card_shows_the_jobs_as_they_are(cluster: HPCCluster) -> None:
    html = cluster._repr_html_()
    assert "1 running" in html
    assert "2 of 2" in html
    assert f"token={cluster.dashboard_link.rpartition('=')[2]}" in html
    assert "token" not in repr(cluster)


def test_in_another_thread_it_is_shown_too(cluster: HPCCluster) -> None:
    shown: list[str] = []
    thread = threading.Thread(target=lambda: shown.append(cluster._repr_html_()))
    thread.start()
    thread.join(20)
    assert cluster.name in shown[0]


async def test_in_asynchronous_use_it_is_shown_too(place: Place) -> None:
    async with HPCCluster(**place.small, name=place.name(), asynchronous=True) as cluster:
        await cluster.scale(jobs=1)
        await cluster.wait_for_workers(2, timeout=60)
        assert cluster.dashboard_link.startswith("http://127.0.0.1:")
        assert "1 running" in cluster._repr_html_()
    assert cluster.dashboard_link == ""
    assert "closed" in cluster._repr_html_()


def test_a_closed_handle_has_no_link_and_no_port(place: Place) -> None:
    cluster = HPCCluster(**place.small, name=place.name())
    link = cluster.dashboard_link
    cluster.close()
    assert cluster.dashboard_link == ""
    with browser() as one, pytest.raises(urllib.error.URLError, match="refused"):
        one.open(link, timeout=20)


def test_controls_show_the_cluster_and_scale_it(cluster: HPCCluster) -> None:
    pytest.importorskip("ipywidgets")
    root = cluster._widget()
    assert cluster._widget() is root
    card, controls, said, _ = root.children
    assert "1 running" in card.value
    (jobs, scale), (low, high, adapt) = (row.children for row in controls.children)
    assert jobs.value == 1
    low.value, high.value = 5, 1
    adapt.click()
    assert "minimum of 5 jobs is above the maximum of 1" in said.value
    low.value, high.value = 1, 1
    adapt.click()
    assert said.value == ""
    wait_for(lambda: "adapts between 1 and 1 jobs" in card.value)
    scale.click()
    wait_for(lambda: "adapts" not in card.value)
    assert cluster.report().maximum is None


def test_nothing_is_told_outside_of_notebooks(capsys: pytest.CaptureFixture[str]) -> None:
    told_in_notebook()("2 of 4 workers")
    assert capsys.readouterr() == ("", "")


class Shell:
    """A shell of IPython that has a kernel, as notebooks have."""

    kernel = object()


def test_a_notebook_is_told_each_thing_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ipython = pytest.importorskip("IPython")
    shown: list[str] = []

    class Place:
        def update(self, html: object) -> None:
            shown.append(html.data)  # type: ignore[attr-defined]  # of IPython's HTML

    monkeypatch.setattr(ipython, "get_ipython", Shell)
    monkeypatch.setattr(ipython.display, "display", lambda *_, **__: Place())
    tell = told_in_notebook()
    for words in ("1 of 4", "1 of 4", "2 <of> 4"):
        tell(words)
    assert shown == ["<div>1 of 4</div>", "<div>2 &lt;of&gt; 4</div>"]
