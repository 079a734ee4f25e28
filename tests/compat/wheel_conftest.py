"""The fixtures and markers that dask-jobqueue's tests ask for; copied beside them.

Its wheel has the tests and not their conftest: this one keeps the same contract.
"""

from __future__ import annotations

import importlib
from typing import Any

import dask
import pytest
from distributed.utils_test import cleanup, loop, loop_in_thread

__all__ = ["cleanup", "loop", "loop_in_thread"]

_NAMES = {
    "pbs": "PBSCluster",
    "moab": "MoabCluster",
    "slurm": "SLURMCluster",
    "sge": "SGECluster",
    "lsf": "LSFCluster",
    "oar": "OARCluster",
    "htcondor": "HTCondorCluster",
}
# What every system is able to do without a batch system: its constructor needs nothing else.
_NEEDED: dict[str, dict[str, Any]] = {"htcondor": {"disk": "1GB"}}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("-E", action="store", metavar="NAME", default=None)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "env(name): only with -E name")
    config.addinivalue_line("markers", "xfail_env(names): expected to fail with -E name")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # What needs no batch system does not need it again with each of them.
    if chosen := config.getoption("-E"):
        items[:] = [item for item in items if _is_about(item, chosen)]


def _is_about(item: pytest.Item, system: str) -> bool:
    named = {mark.args[0] for mark in item.iter_markers("env")}
    return system in named or "EnvSpecificCluster" in getattr(item, "fixturenames", ())


def pytest_runtest_setup(item: pytest.Item) -> None:
    chosen = item.config.getoption("-E")
    names = [mark.args[0] for mark in item.iter_markers("env")]
    if names and chosen not in names:
        pytest.skip(f"needs -E {names[0]}")
    for mark in item.iter_markers("xfail_env"):
        if chosen in mark.args[0]:
            item.add_marker(pytest.mark.xfail(reason=mark.args[0][chosen]))


def _cluster(name: str) -> Any:
    if name == "local":  # it is not among the names at the top
        return importlib.import_module("dask_jobqueue.local").LocalCluster
    return getattr(importlib.import_module("dask_jobqueue"), _NAMES[name])


@pytest.fixture(params=[*_NAMES, "local"])
def Cluster(request: pytest.FixtureRequest) -> Any:  # noqa: N802 - the name in the tests
    for key, value in _NEEDED.get(request.param, {}).items():
        dask.config.set({f"jobqueue.{request.param}.{key}": value})
    return _cluster(request.param)


@pytest.fixture
def EnvSpecificCluster(request: pytest.FixtureRequest) -> Any:  # noqa: N802 - the name in the tests
    chosen = request.config.getoption("-E") or "local"
    for key, value in _NEEDED.get(chosen, {}).items():
        dask.config.set({f"jobqueue.{chosen}.{key}": value})
    return _cluster(chosen)
