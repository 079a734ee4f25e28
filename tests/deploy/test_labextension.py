"""Dask's extension of JupyterLab makes, shows, scales and ends clusters of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import dask
import pytest
from distributed import Client
from tornado.httpclient import AsyncHTTPClient

from dask_hpc._clock import SystemClock, until
from tests.integration.places import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.integration.places import Place

clusters_of_jupyterlab = pytest.importorskip(
    "dask_labextension.manager", reason="dask-labextension is not installed"
)


@pytest.fixture
async def board(place: Place) -> AsyncIterator[Any]:
    """What the extension's server keeps its clusters in."""
    factory = {"module": "dask_hpc", "class": "HPCCluster", "args": [], "kwargs": place.small}
    with dask.config.set({"labextension.factory": factory}):
        async with clusters_of_jupyterlab.DaskClusterManager() as board:
            yield board


async def eventually(condition: Any) -> None:
    assert await until(condition, 60, clock=SystemClock())


async def test_a_cluster_is_made_scaled_and_ended(board: Any, place: Place) -> None:
    model = await board.start_cluster(configuration={"workers": 2})
    name = model["id"]
    assert model["scheduler_address"].startswith("tls://")
    await eventually(lambda: board.get_cluster(name)["workers"] == 2)
    assert board.get_cluster(name)["cores"] == 2
    model = board.adapt_cluster(name, 0, 4)
    assert set(model["adapt"]) == {"minimum", "maximum"}
    assert (await board.scale_cluster(name, 0)).get("adapt") is None
    await eventually(lambda: board.get_cluster(name)["workers"] == 0)
    await board.close_cluster(name)
    assert board.list_clusters() == []
    wait_for(lambda: not place.left(), 30)


async def test_a_cluster_may_adapt_from_the_start(board: Any) -> None:
    model = await board.start_cluster(configuration={"adapt": {"minimum": 2, "maximum": 4}})
    cluster = board._clusters[model["id"]]
    await eventually(lambda: board.get_cluster(model["id"])["workers"] == 2)
    async with Client(cluster, asynchronous=True) as client:
        assert await client.submit(pow, 2, 5) == 32


async def test_its_server_shows_the_dashboard_to_who_is_in(board: Any) -> None:
    # The extension asks for the pages at host and port of the link, for browsers of its own users.
    model = await board.start_cluster(configuration={})
    parts = urlsplit(model["dashboard_link"])
    front = f"http://{parts.hostname}:{parts.port}"
    passed_on = {"Host": "localhost:8888"}
    answer = await AsyncHTTPClient().fetch(f"{front}/health", headers=passed_on)
    assert answer.body == b"ok"
    refused = await AsyncHTTPClient().fetch(f"{front}/health", raise_error=False)
    assert refused.code == 403
