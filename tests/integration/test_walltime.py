"""A job near the end of its walltime is replaced before it ends, and hands over what it has."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from distributed import Client, as_completed

from dask_hpc import HPCCluster
from tests.integration.places import place_at, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.places import Place

WALLTIME = 16.0  # of which a quarter is for leaving


@pytest.fixture(scope="module")
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """The local queue alone: Slurm counts walltimes in minutes."""
    with place_at(request, "local") as found:
        yield found


def nap(seconds: float) -> Callable[[int], int]:
    # A function of a function travels whole: jobs cannot import this module.
    def work(number: int) -> int:
        time.sleep(seconds)
        return number

    return work


def blamed(client: Client) -> int:
    def count(dask_scheduler: Any) -> int:
        return sum(task.suspicious for task in dask_scheduler.tasks.values())

    return client.run_on_scheduler(count)


def test_work_goes_on_over_the_end_of_a_job(place: Place) -> None:
    options = {**place.small, "name": place.name(), "walltime": WALLTIME}
    with HPCCluster(**options) as cluster, Client(cluster) as client:
        cluster.scale(jobs=1)
        client.wait_for_workers(2, timeout=30)
        first = cluster.jobs()[0]
        kept = client.scatter({"kept": 42})["kept"]
        work = as_completed(client.map(nap(0.2), range(8)))
        results: list[int] = []
        for future in work:
            results.append(future.result())
            if time.time() < first.end_time + 1:
                work.add(client.submit(nap(0.2), len(results) + 7))
        assert sorted(results) == list(range(len(results)))
        assert len(results) > WALLTIME / 0.2
        assert kept.result() == 42
        assert blamed(client) == 0
        old, new = cluster.jobs()
        assert (old.job, old.phase, new.phase) == (first.job, "ended", "running")
        assert old.exit_code == 0
        assert "its walltime ends" in old.reason
        assert any(
            "submitted" in decision.what and f"job {first.job} leaves" in decision.why
            for decision in cluster.why()
        )
        wait_for(lambda: len(place.live_jobs(cluster.name)) == 1)
