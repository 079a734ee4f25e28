"""A job that waits in the queue is on its way: nothing is submitted or cancelled because of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from distributed import Client

from dask_hpc import HPCCluster
from tests.integration.places import place_at, wait_for
from tests.integration.shims import calls_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.places import Place
    from tests.integration.shims import Calls

pytestmark = pytest.mark.bed("slurm")
WAIT = 25.0  # seconds in the queue


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """Slurm alone: it keeps jobs waiting for as long as they ask for."""
    with place_at(request, "slurm") as found:
        yield found


@pytest.fixture
def calls(place: Place, tmp_path: Path) -> Iterator[Calls]:
    """What is asked of Slurm."""
    with calls_in(tmp_path) as calls:
        yield calls


def test_a_task_that_waits_long_in_the_queue_costs_one_submission(
    place: Place, calls: Calls
) -> None:
    late = {**place.small, "directives": f"--begin=now+{WAIT:.0f}"}
    begin = time.monotonic()
    with HPCCluster(**late, name=place.name()) as cluster, Client(cluster) as client:
        cluster.adapt(minimum=0, maximum_jobs=8, interval="1s")
        task = client.submit(pow, 2, 10)
        wait_for(lambda: "earliest start" in cluster.report().waits_for, 30)
        assert task.result(timeout=60) == 1024
        assert time.monotonic() - begin > WAIT
        del task  # and with it all demand
        wait_for(lambda: [job.state for job in place.jobs(cluster.name)] == ["completed"], 20)
        assert len(calls.of("sbatch")) == 1
        assert calls.of("scancel") == []
        # A queue in which nothing changes is asked less and less often.
        ours = [call for call in calls.of("squeue") if "--Format" in call]
        assert 3 <= len(ours) <= 12
