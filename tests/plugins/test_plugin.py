"""A batch system that another package brings is found, keeps the contract, and carries clusters."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from distributed import Client

from dask_hpc import HPCCluster
from dask_hpc.batch.queue import Queue
from dask_hpc.plugins import BATCH_SYSTEMS, load, names
from dask_hpc.process.local import LocalRunner
from dask_hpc.sites.specs import user_name
from dask_hpc.testing import conformance
from dask_hpc.testing.conformance import Bench
from tests.integration.places import wait_for
from tests.standins.jobs import VARIABLE, Jobs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Build the package and install it, where Python looks while these tests run."""
    place = tmp_path_factory.mktemp("abacus")
    source, target = place / "source", place / "site"
    shutil.copytree(HERE / "abacus", source)
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    offline = ("--no-index", "--no-deps", "--no-build-isolation")
    argv = [*pip, *offline, "--target", str(target), str(source)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(target)
        patch.setenv("PATH", f"{HERE / 'abacus' / 'bin'}{os.pathsep}{os.environ['PATH']}")
        yield target


@pytest.fixture
def abacus(installed: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Queue]:
    """An Abacus of one test."""
    directory = home / "abacus"
    directory.mkdir()
    monkeypatch.setenv(VARIABLE, str(directory))
    yield Queue(load(BATCH_SYSTEMS, "abacus")(), LocalRunner(), user=user_name())
    Jobs(directory).end_all()


def test_its_entry_point_is_found(installed: Path) -> None:
    assert "abacus" in names(BATCH_SYSTEMS)
    found = sys.modules[load(BATCH_SYSTEMS, "abacus").__module__].__file__
    assert found == str(installed / "abacus_hpc" / "__init__.py")


@pytest.mark.parametrize("check", conformance.CHECKS, ids=lambda check: check.__name__)
async def test_it_keeps_the_contract(
    check: Callable[[Bench], Awaitable[None]], abacus: Queue, tmp_path: Path
) -> None:
    await check(Bench(queue=abacus, directory=tmp_path))


def test_a_cluster_computes_on_it_and_replaces_a_lost_job(abacus: Queue, home: Path) -> None:
    size: dict[str, Any] = {"cores": 1, "processes": 1, "memory": "300MB", "walltime": "10m"}
    with HPCCluster(site="abacus", **size, name="beads") as cluster, Client(cluster) as client:
        cluster.scale(jobs=2)
        client.wait_for_workers(2, timeout=60)
        assert client.submit(sum, [1, 2, 3]).result(timeout=30) == 6
        jobs = Jobs(home / "abacus")
        jobs.cancel([0])
        wait_for(lambda: len(jobs.all()) == 3, what="another job comes in its place")
        wait_for(lambda: cluster.report().workers == 2)
        cluster.scale(jobs=0)
        wait_for(lambda: all(job.state == "ended" for job in jobs.all()))
