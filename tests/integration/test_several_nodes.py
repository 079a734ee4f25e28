"""A job of several nodes: one worker host on each, and one job all the same."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from distributed import Client

from dask_hpc import HPCCluster
from tests.integration.places import place_at, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.places import Place

pytestmark = pytest.mark.bed("slurm")


@pytest.fixture(scope="module")
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    with place_at(request, "slurm") as found:
        yield found


@pytest.fixture
def cluster(place: Place) -> Iterator[HPCCluster]:
    """A cluster whose jobs have two nodes with two workers each."""
    options = {**place.small, "nodes": 2, "cores": 2, "processes": 2}
    with HPCCluster(**options, name=place.name()) as cluster:
        yield cluster


def nodes_of(client: Client) -> dict[str, str]:
    """Return the node of each worker, by its name."""
    told = client.run(lambda dask_worker: (dask_worker.name, os.environ["SLURMD_NODENAME"]))
    return dict(told.values())


def names(client: Client) -> set[str]:
    return {each["name"] for each in client.scheduler_info(n_workers=-1)["workers"].values()}


def phase_of(cluster: HPCCluster, job: str) -> str:
    return next(each.phase for each in cluster.jobs() if each.job == job)


def test_a_job_of_two_nodes_brings_the_workers_of_both(cluster: HPCCluster, place: Place) -> None:
    cluster.scale(jobs=1)
    with Client(cluster) as client:
        client.wait_for_workers(4, timeout=60)
        nodes = nodes_of(client)
        (job,) = [job for job in cluster.jobs() if job.phase == "running"]
        assert len(place.live_jobs(cluster.name)) == 1
        slot = next(iter(nodes)).rpartition("-")[0]
        assert set(nodes) == {f"{slot}-{number}" for number in range(4)}
        assert nodes[f"{slot}-0"] == nodes[f"{slot}-1"] != nodes[f"{slot}-2"] == nodes[f"{slot}-3"]
        assert client.submit(sum, [1, 2, 3]).result(timeout=30) == 6
        cluster.scale(n=3)  # three workers are one job still
        assert cluster.report().wanted == 1
        cluster.scale(jobs=0)
        wait_for(lambda: not place.live_jobs(cluster.name))
        wait_for(lambda: phase_of(cluster, job.job) == "ended")


def test_a_cancelled_job_of_two_nodes_is_replaced_whole(cluster: HPCCluster, place: Place) -> None:
    cluster.scale(jobs=1)
    with Client(cluster) as client:
        client.wait_for_workers(4, timeout=60)
        first = names(client)
        place.cancel(place.live_jobs(cluster.name)[0].id)
        wait_for(lambda: not first & names(client))
        client.wait_for_workers(4, timeout=60)
        assert len({name.rpartition("-")[0] for name in names(client)}) == 1
