"""Jobs of several workers come and go whole, those that wait before those that serve."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from distributed import Client

from dask_hpc import HPCCluster
from tests.integration.places import place_at, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.places import Place

pytestmark = pytest.mark.bed("slurm")
TWO_AT_A_TIME = ["--exclusive", "--exclude=node3,node4"]


@pytest.fixture(scope="module")
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """Slurm alone: its jobs can be told to wait for two nodes."""
    with place_at(request, "slurm") as found:
        yield found


@pytest.fixture(scope="module")
def cluster(place: Place) -> Iterator[HPCCluster]:
    """A cluster of which two jobs can run, with two workers each."""
    options = {**place.small, "directives": TWO_AT_A_TIME}
    with HPCCluster(**options, name=place.name()) as cluster:
        yield cluster


@pytest.fixture
def client(cluster: HPCCluster) -> Iterator[Client]:
    """A client of the cluster with two jobs at work and four in the queue."""
    cluster.scale(jobs=6)
    with Client(cluster) as client:
        client.wait_for_workers(4, timeout=30)
        wait_for(lambda: phases(cluster) == {"running": 2, "pending": 4})
        yield client


def phases(cluster: HPCCluster) -> Counter[str]:
    return Counter(job.phase for job in cluster.jobs() if job.phase != "ended")


def running(cluster: HPCCluster) -> set[str]:
    return {job.job for job in cluster.jobs() if job.phase == "running"}


def addresses(client: Client) -> set[str]:
    return set(client.scheduler_info(n_workers=-1)["workers"])


def test_scale_down_takes_the_jobs_that_wait_and_cuts_none_in_half(
    cluster: HPCCluster, client: Client, place: Place
) -> None:
    served, workers = running(cluster), addresses(client)
    cluster.scale(jobs=2)
    wait_for(lambda: {job.id for job in place.live_jobs(cluster.name)} == served)
    wait_for(lambda: phases(cluster) == {"running": 2})
    assert running(cluster) == served
    assert addresses(client) == workers
    cluster.scale(n=3)  # three workers are two jobs
    assert cluster.report().wanted == 2
    cluster.scale(n=2)
    wait_for(lambda: len(place.live_jobs(cluster.name)) == 1)
    left = addresses(client)
    assert len(left) == 2
    assert left < workers
    (job,) = running(cluster)
    owners = {name.rpartition("-")[0] for name in names(client)}
    assert len(owners) == 1
    assert job in served


def names(client: Client) -> list[str]:
    found = client.scheduler_info(n_workers=-1)["workers"].values()
    return [worker["name"] for worker in found]


def test_those_that_wait_are_no_loss_for_the_work(cluster: HPCCluster, client: Client) -> None:
    served = running(cluster)
    futures = client.map(lambda number: number + 1, range(200), pure=False)
    for jobs in (5, 3, 6, 2):
        cluster.scale(jobs=jobs)
    assert sum(client.gather(futures)) == 200 * 201 / 2
    wait_for(lambda: phases(cluster) == {"running": 2})
    assert running(cluster) == served
