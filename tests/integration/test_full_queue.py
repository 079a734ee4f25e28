"""A Slurm that takes no more jobs from anybody, where sbatch would try again for two minutes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dask_hpc import HPCCluster
from tests.integration.own_beds import own_slurm
from tests.integration.places import place_at, wait_for
from tests.integration.shims import calls_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.places import Place

pytestmark = [pytest.mark.bed("slurm"), pytest.mark.timeout(240)]

ROOM = 5  # jobs


@pytest.fixture
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A Slurm that keeps a few jobs, those that have ended among them."""
    request.getfixturevalue("slurm")
    monkeypatch.setenv("BED_SLURM_JOBS", str(ROOM + 1))  # it refuses the one that reaches it
    with own_slurm(), place_at(request, "slurm") as found:
        yield found


def test_as_many_jobs_come_as_a_full_queue_takes_and_the_cluster_goes_on(
    place: Place, tmp_path: Path
) -> None:
    options = {**place.small, "cores": 1, "processes": 1, "memory": "300MB"}
    with calls_in(tmp_path) as calls, HPCCluster(**options, name=place.name()) as cluster:
        cluster.scale(jobs=ROOM + 3)
        cluster.wait_for_workers(ROOM, timeout=60)
        wait_for(lambda: "temporarily unable" in cluster.report().waits_for)
        assert len(place.live_jobs(cluster.name)) == ROOM
        assert cluster.report().halted == ""
        assert cluster.report().unanswered_since is None  # no sbatch is waited for
        cluster.scale(jobs=1)
        wait_for(lambda: len(place.live_jobs(cluster.name)) == 1)
        assert len(calls.of("sbatch")) <= 12
