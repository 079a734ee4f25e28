"""A client loses its connection in the middle of the work: nothing is lost, nothing runs twice."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cloudpickle
import dask
import pytest

from dask_hpc import HPCCluster
from dask_hpc._clock import SystemClock
from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.cluster.record import read_cluster
from dask_hpc.engine.lease_client import HPCClient
from dask_hpc.engine.tls import cluster_security
from tests.beds.beds import CHECKOUT
from tests.boot.stage import eventually
from tests.engine.proxy import proxy_to
from tests.integration.places import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.places import Place

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers do not have it

TASKS = 100
CUT, LOST = 20.0, 16.0  # seconds
NOTICE = {"DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "12s"}  # not 30 s as by default


def work(number: int, traces: str) -> int:
    """Leave a file that no other run leaves."""
    time.sleep(0.1)
    Path(traces, f"{number}-{os.getpid()}-{time.time_ns()}").touch()
    return number * number


def runs(traces: Path) -> list[int]:
    return sorted(int(path.name.partition("-")[0]) for path in traces.iterdir())


# real packets ------------------------------------------------------------------------------------


@dataclass(slots=True)
class Drop:
    """A program that loses packets for a time; the other tests need not wait for it."""

    process: subprocess.Popen[str]

    def story(self) -> tuple[dict[str, Any], list[int]]:
        """Return what the client has said, and the number of every task that has run."""
        out, err = self.process.communicate(timeout=150)
        assert self.process.returncode == 0, err
        said, ran = map(json.loads, out.splitlines())
        return said, ran


@contextmanager
def dropping(seconds: float, environ: dict[str, str]) -> Iterator[Drop]:
    """Start a cluster in a network of its own whose client is cut off for some seconds."""
    with tempfile.TemporaryDirectory(prefix="dh", dir="/tmp") as home:
        program = [sys.executable, "-m", "tests.integration.dropping", home, str(seconds)]
        process = subprocess.Popen(
            ["unshare", "--net", *program],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=CHECKOUT,
            env={**os.environ, **environ},
        )
        try:
            yield Drop(process)
        finally:
            process.terminate()
            process.communicate()


@pytest.fixture(scope="module", autouse=True)
def drop() -> Iterator[Drop | None]:
    """A drop that both ends notice in the middle, while the other tests of this module run."""
    if os.geteuid():
        yield None
        return
    with dropping(LOST, NOTICE) as drop:
        yield drop


def check(drop: Drop | None) -> None:
    if drop is None:
        pytest.skip("only root can make a network")
    said, ran = drop.story()
    assert said["right"], said
    assert said["late"] == 1000 * 1000
    assert said["states"] == ["finished"]
    assert said["left"] == "closed"
    assert ran == [*range(100), 1000]
    assert said["seconds"] < 20, said


# a connection that is cut ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def name(local_place: Place) -> Iterator[str]:
    """A detached cluster with two workers."""
    name = local_place.name()
    local_place.ask("up", *local_place.small_options, "--name", name, "--workers", "2")
    yield name
    local_place.ask("down", name)


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    path = tmp_path / "traces"
    path.mkdir()
    return path


async def test_a_client_that_was_cut_off_gets_every_result(
    local_place: Place, name: str, traces: Path
) -> None:
    directory = ClusterDirectory(local_place.directory(name))
    port = int(read_cluster(directory).address.rpartition(":")[2])
    security = cluster_security(directory.tls, secure=True)
    async with (
        proxy_to(port) as proxy,
        HPCClient(f"tls://127.0.0.1:{proxy.port}", security=security, asynchronous=True) as client,
    ):
        futures = client.map(work, range(TASKS), traces=str(traces), pure=False)
        gathering = asyncio.ensure_future(client.gather(futures))
        await eventually(lambda: len(runs(traces)) >= TASKS / 2)
        proxy.cut()
        await SystemClock().sleep(CUT)
        assert client.waits
        assert runs(traces) == list(range(TASKS))
        proxy.restore()
        results = [number * number for number in range(TASKS)]
        assert await asyncio.wait_for(gathering, 20) == results
        assert await client.gather(futures) == results
    assert runs(traces) == list(range(TASKS))


@pytest.fixture
def cluster(local_place: Place, name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[HPCCluster]:
    monkeypatch.setenv("DASK_HPC_HOME", str(local_place.home))
    with HPCCluster.from_name(name) as cluster:
        yield cluster


def test_a_client_that_closes_keeps_nothing(cluster: HPCCluster, traces: Path) -> None:
    watcher = HPCClient(cluster.scheduler_address, security=cluster.security, set_as_default=False)
    with watcher:
        client = cluster.get_client()
        assert client.lease == cluster.spec.client_lease == 900
        assert cluster.get_client() is client
        futures = client.map(work, range(4), traces=str(traces), pure=False)
        client.gather(futures)
        client.close()
        wait_for(lambda: not watcher.run_on_scheduler(tasks_of), 1)
        assert watcher.kept() == {}


def tasks_of(dask_scheduler: Any) -> list[str]:
    return list(dask_scheduler.tasks)


def test_workers_and_clients_are_ready_for_thousands(cluster: HPCCluster) -> None:
    with cluster.get_client() as client:
        there = [*client.run(readiness).values()]
        assert {timeout for _, timeout in there} == {"120s"}
        for soft, hard in (*(limits for limits, _ in there), readiness()[0]):
            assert soft == hard
        assert client._timeout == 120


def readiness() -> tuple[tuple[int, int], str]:
    timeout = dask.config.get("distributed.comm.timeouts.connect")
    return resource.getrlimit(resource.RLIMIT_NOFILE), str(timeout)


# and real packets again, of which the story has been written meanwhile ----------------------------


@pytest.mark.timeout(200)
def test_lost_packets_cost_nothing(drop: Drop | None) -> None:
    check(drop)


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_packets_that_are_lost_for_longer_than_distributed_waits_cost_nothing() -> None:
    if os.geteuid():
        check(None)
    with dropping(75, {}) as drop:
        check(drop)
