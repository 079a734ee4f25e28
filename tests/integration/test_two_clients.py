"""A detached cluster outlives its clients, and ``down`` outlives the cluster."""

from __future__ import annotations

import os
import signal
import socket
import time
from typing import TYPE_CHECKING

import pytest
from distributed import Client

from dask_hpc import HPCCluster, clusters
from tests.integration.places import LocalPlace, wait_for

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

    import psutil

    from tests.integration.places import Place

# Attaches by name, scales, begins to work, and says the result when it is told to go on.
CLIENT = """
import sys, time
from distributed import Client
from dask_hpc import HPCCluster

def square(number):
    time.sleep(0.1)
    return number ** 2

name, jobs, first = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
cluster = HPCCluster.from_name(name)
client = Client(cluster)
cluster.scale(jobs=jobs)
cluster.wait_for_workers(2 * jobs, timeout=30)
futures = client.map(square, range(first, first + 40))
print(cluster.jobs()[0].job, flush=True)
print(sum(client.gather(futures)), flush=True)
sys.stdin.readline()
print(client.submit(sum, client.map(square, range(10))).result(), flush=True)
cluster.close()
"""
LIMIT = 20.0  # ten seconds that ``down`` has for everything, and some for a busy machine


@pytest.fixture
def name(place: Place) -> Iterator[str]:
    """A detached cluster, that is not there any more after the test."""
    name = place.name()
    place.ask("up", *place.small_options, "--name", name, "--workers", "2")
    yield name
    assert place.left(name) == []


def attach(place: Place, name: str, *, jobs: int, first: int) -> subprocess.Popen[str]:
    return place.python(CLIENT, name, str(jobs), str(first), stdin=-1)


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def down(place: Place, name: str) -> None:
    """Take a cluster down, and check that in time nothing of it is left."""
    address = clusters()[name].address
    begin = time.monotonic()
    done = place.dask_hpc("down", name)
    assert (done.returncode, done.stdout) == (0, f"{name} is gone\n"), done
    wait_for(lambda: not place.left(name), LIMIT)
    assert time.monotonic() - begin < LIMIT
    host, _, port = address.rpartition("/")[2].partition(":")
    with pytest.raises(OSError), socket.create_connection((host, int(port)), timeout=1):  # noqa: PT011
        pass


def test_the_work_of_one_client_goes_on_when_another_is_killed(place: Place, name: str) -> None:
    with attach(place, name, jobs=1, first=0) as one:
        assert line_of(one)
        other = attach(place, name, jobs=2, first=7)  # the last one who scales is right
        assert line_of(other)
        one.kill()
        one.communicate(timeout=60)
    with other:
        assert line_of(other) == str(sum(number**2 for number in range(7, 47)))
        out, err = other.communicate("\n", timeout=30)
    assert (out, other.returncode) == ("285\n", 0), err
    with HPCCluster.from_name(name) as cluster:
        whys = [decision.why for decision in cluster.why()]
    assert "scaled to 2 jobs" in whys
    down(place, name)


@pytest.fixture
def short_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASK_HPC__CLIENT_LEASE", "2s")


@pytest.mark.usefixtures("short_lease", "name")  # in this order
def test_what_a_lost_client_had_asked_for_is_forgotten_after_a_time(
    place: Place, name: str
) -> None:
    with attach(place, name, jobs=1, first=0) as one:
        assert line_of(one)
        one.kill()
    with HPCCluster.from_name(name) as cluster, Client(cluster) as client:
        wait_for(
            lambda: not client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks))
        )
        assert client.submit(pow, 2, 10).result(timeout=30) == 1024
    down(place, name)


def everything(place: Place) -> list[psutil.Process]:
    return place.processes()


def schedulers(place: Place) -> list[psutil.Process]:
    return [each for each in place.processes() if "dask_hpc.boot.scheduler" in each.cmdline()]


@pytest.mark.parametrize("victims", [everything, schedulers])
def test_down_ends_what_a_massacre_has_left(
    place: Place,
    name: str,
    victims: Callable[[Place], list[psutil.Process]],
) -> None:
    with attach(place, name, jobs=2, first=0) as client:
        assert line_of(client)
        found = victims(place)
        assert found
        scratch = [path.readlink() for path in place.directory(name).glob("jobs/*.scratch")]
        assert len(scratch) == 2
        assert all(path.is_dir() for path in scratch)
        if victims is everything and isinstance(place, LocalPlace):
            os.kill(place.daemon, signal.SIGKILL)
        for process in found:
            process.kill()
        client.kill()
        client.communicate(timeout=60)
    down(place, name)
    assert not any(path.exists() for path in scratch)


def test_all_clusters_go_down_at_once(place: Place, name: str) -> None:
    more = [place.name(), place.name()]
    for each in more:
        place.ask("up", *place.small_options, "--name", each, "--jobs", "0", "--detach")
    begin = time.monotonic()
    done = place.dask_hpc("down", "--all")
    assert done.returncode == 0, done
    assert sorted(done.stdout.split()) == sorted([name, *more, *["is", "gone"] * 3])
    wait_for(lambda: not place.left(), LIMIT)
    assert time.monotonic() - begin < LIMIT
