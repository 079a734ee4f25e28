"""A job that is taken away in the middle of the work is replaced, and nothing is lost or blamed."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import dask
import pytest
from distributed import Client

from dask_hpc import HPCCluster
from tests.integration.places import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.places import Place


def cancel(place: Place, job: str) -> None:
    place.cancel(job)


def signal_usr1(place: Place, job: str) -> None:
    """Do what a site does that warns jobs before it takes their node."""
    if place.site == "slurm":
        subprocess.run(["scancel", "--signal=USR1", "--full", job], check=True)
    else:
        shells = [
            process
            for process in place.processes()
            if process.environ().get("DASK_HPC_LOCAL_JOB_ID") == job
            if process.cmdline()[0] == "bash"
        ]
        for process in shells:
            process.send_signal(10)


@pytest.fixture(scope="module")
def cluster(place: Place) -> Iterator[HPCCluster]:
    """A cluster of two jobs with two workers each, in which no task may be blamed even once."""
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        HPCCluster(**place.small, name=place.name()) as cluster,
    ):
        yield cluster


@pytest.fixture
def client(cluster: HPCCluster) -> Iterator[Client]:
    """A client of the full cluster."""
    cluster.scale(jobs=2)
    with Client(cluster) as client:
        client.wait_for_workers(4, timeout=30)
        wait_for(lambda: len(running(cluster)) == 2)
        yield client


def running(cluster: HPCCluster) -> list[Any]:
    return [job for job in cluster.jobs() if job.phase == "running"]


def blamed(client: Client) -> int:
    """Return how often a worker died with a task, and how many tasks failed."""

    def count(dask_scheduler: Any) -> int:
        tasks = dask_scheduler.tasks.values()
        return sum(task.suspicious + (task.state == "erred") for task in tasks)

    return client.run_on_scheduler(count)


def computed(client: Client, keys: set[str]) -> int:
    """Return how often these tasks ended well."""

    def count(dask_scheduler: Any) -> int:
        log = [event for event in dask_scheduler.transition_log if event[0] in keys]
        return sum(event[1:3] == ("processing", "memory") for event in log)

    return client.run_on_scheduler(count)


def task(seconds: float) -> Callable[[int], tuple[int, bytes]]:
    def work(number: int) -> tuple[int, bytes]:
        import time

        time.sleep(seconds)
        return number**2, bytes(1000)

    return work


@pytest.mark.parametrize(
    ("seconds", "count"),
    [
        pytest.param(0.1, 120, id="short tasks"),
        pytest.param(4.0, 4, id="tasks longer than the notice"),
    ],
)
def test_a_cancelled_job_is_replaced_and_nothing_is_lost(
    cluster: HPCCluster, client: Client, place: Place, seconds: float, count: int
) -> None:
    before = {job.job for job in running(cluster)}
    futures = client.map(task(seconds), range(count), pure=False)
    wait_for(lambda: len([each for each in client.processing().values() if each]) == 4)
    victim = sorted(before)[0]
    cancel(place, victim)
    wait_for(lambda: victim not in {job.job for job in running(cluster)})
    wait_for(lambda: len(running(cluster)) == 2 and running(cluster)[0].workers == 2)
    assert [number for number, _ in client.gather(futures)] == [each**2 for each in range(count)]
    assert blamed(client) == 0
    (new,) = {job.job for job in running(cluster)} - before
    assert new not in before
    assert any(victim in decision.why for decision in cluster.why())


def test_a_warned_job_leaves_in_peace(cluster: HPCCluster, client: Client, place: Place) -> None:
    held = client.map(task(0.0), range(40), pure=False)
    client.gather(held)
    keys = {future.key for future in held}
    futures = client.map(task(0.1), range(100), pure=False)
    victim = running(cluster)[0].job
    signal_usr1(place, victim)
    wait_for(lambda: victim not in {job.id for job in place.live_jobs(cluster.name)}, 30)
    assert [number for number, _ in client.gather(futures)] == [each**2 for each in range(100)]
    assert blamed(client) == 0
    assert computed(client, keys) == 40  # what it held was not computed again
    wait_for(lambda: len(running(cluster)) == 2)
