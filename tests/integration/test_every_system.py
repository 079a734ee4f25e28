"""The engine on every batch system: what users of one have, users of all have."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from distributed import Client

from dask_hpc import HPCCluster
from dask_hpc.errors import JobFailed
from tests.integration.as_user import run_as_user
from tests.integration.places import wait_for
from tests.integration.systems import AS_USER, EVERY, SystemPlace, system_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.beds.beds import UsersBed

pytestmark = pytest.mark.timeout(180)

OTHERS = ("test_counted_commands.py", "test_dead_systems.py")  # which do so by themselves elsewhere


@pytest.fixture(scope="module", params=EVERY)
def system(request: pytest.FixtureRequest) -> Iterator[SystemPlace]:
    with system_at(request, request.param) as found:
        yield found


def squares(client: Client, count: int) -> int:
    """Return the sum of squares; workers know nothing of this module."""
    return sum(client.gather(client.map(lambda number: number * number, range(count))))


def names(client: Client) -> set[str]:
    return {each["name"] for each in client.scheduler_info(n_workers=-1)["workers"].values()}


def test_a_cluster_computes_replaces_a_lost_job_and_shrinks_to_nothing(
    system: SystemPlace,
) -> None:
    name = system.name()
    with HPCCluster(**system.small, name=name) as cluster, Client(cluster) as client:
        cluster.scale(jobs=2)
        client.wait_for_workers(4, timeout=60)
        assert len({job.id for job in system.live_jobs(name)}) == 2
        assert squares(client, 20) == 2470
        lost, *_ = system.live_jobs(name)
        before = names(client)
        system.cancel(lost.id)
        wait_for(lambda: len(names(client) & before) == 2, what="the lost job's workers leave")
        wait_for(lambda: len(names(client)) == 4, 60, what="another job comes in its place")
        assert squares(client, 30) == 8555
        cluster.scale(jobs=0)
        wait_for(lambda: not names(client), what="all workers leave")
        wait_for(lambda: not system.live_jobs(name), what="all jobs end")
    assert system.left(name) == []


def test_a_detached_cluster_is_found_again_and_taken_down(system: SystemPlace) -> None:
    name = system.name()
    cluster = HPCCluster(**system.small, name=name, scheduler="job")
    cluster.scale(jobs=1)
    cluster.wait_for_workers(2, timeout=60)
    cluster.close()
    again = HPCCluster.from_name(name)
    with Client(again) as client:
        assert squares(client, 12) == 506
    assert len(system.live_jobs(name)) == 2  # the scheduler's, and that of the workers
    again.shutdown()
    assert system.left(name) == []


def test_work_brings_jobs_and_its_end_sends_them_away(system: SystemPlace) -> None:
    name = system.name()
    with HPCCluster(**system.small, name=name) as cluster, Client(cluster) as client:
        cluster.adapt(minimum_jobs=0, maximum_jobs=2, wait_count=2, interval="500ms")
        assert not system.live_jobs(name)
        assert squares(client, 10) == 285
        assert len(system.jobs(name)) <= 2
        wait_for(lambda: not system.live_jobs(name), 60, what="the idle jobs end")


def test_a_job_that_dies_at_once_is_told_with_its_words(system: SystemPlace) -> None:
    name = system.name()
    options = {**system.small, "prologue": ["echo alas, no such module >&2", "exit 3"]}
    with HPCCluster(**options, name=name) as cluster:
        cluster.scale(jobs=1)
        with pytest.raises(JobFailed, match="alas, no such module"):
            cluster.wait_for_workers(2, timeout=60)
        assert len(cluster.jobs()) <= 1 + 3
    assert system.left(name) == []


@pytest.mark.skipif(AS_USER in os.environ, reason="runs all of the above, and not itself")
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.bed(name)) for name in ("oar", "htcondor")]
)
def test_all_of_this_where_root_submits_no_jobs(request: pytest.FixtureRequest, name: str) -> None:
    bed: UsersBed = request.getfixturevalue(name)
    files = (Path(__file__), *(Path(__file__).with_name(other) for other in OTHERS))
    assert "10 passed" in run_as_user(bed, *files, system=name, seconds=580)
