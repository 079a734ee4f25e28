"""Links to ports of this host, as they are seen from a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dask_hpc.deploy.inside import seen_from_notebook
from dask_hpc.deploy.reaching import own_name
from dask_hpc.errors import ClusterNotFound, ConfigError

if TYPE_CHECKING:
    from pathlib import Path

LINK = "http://127.0.0.1:4711/room/status?token=abc"
NAMES = ("DASK_HPC_JUPYTER", "JUPYTERHUB_SERVICE_PREFIX", "JPY_PARENT_PID", "DASK_HPC_CLUSTER")


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("variables", "link"),
    [
        ({}, LINK),
        ({"JPY_PARENT_PID": "7"}, LINK),  # Jupyter on this very host
        # Dask's extension in the server itself asks the port.
        ({"JUPYTERHUB_SERVICE_PREFIX": "/user/ada/"}, LINK),
        (
            {"JUPYTERHUB_SERVICE_PREFIX": "/user/ada/", "JPY_PARENT_PID": "7"},
            "/user/ada/proxy/4711/room/status?token=abc",
        ),
        (
            {"DASK_HPC_JUPYTER": "/rain-1/", "JPY_PARENT_PID": "7"},
            "/rain-1/proxy/4711/room/status?token=abc",
        ),
    ],
)
def test_a_link_goes_by_the_jupyter_that_the_browser_sees(
    variables: dict[str, str], link: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert seen_from_notebook(LINK) == link


@pytest.mark.usefixtures("home")
def test_without_a_name_the_cluster_of_the_session_is_meant(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ClusterNotFound, match="there is no cluster"):
        own_name()
    monkeypatch.setenv("DASK_HPC_CLUSTER", "rain")
    assert own_name() == "rain"


def test_without_a_name_the_only_one_is_meant(home: Path) -> None:
    (home / "clusters" / "snow").mkdir(parents=True)
    assert own_name() == "snow"
    (home / "clusters" / "hail").mkdir()
    with pytest.raises(ConfigError, match="several"):
        own_name()
