"""`HPCCluster` on real jobs, with its scheduler here and in a job of its own."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import pytest
from distributed import Client

from dask_hpc import HPCCluster, clusters
from dask_hpc.errors import (
    ClusterError,
    ClusterExists,
    ClusterNotFound,
    ConfigError,
    ControllerUnreachable,
    StartTimeout,
)
from tests.integration.places import untagged, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.places import Place

HOMES = ("here", "job")


@pytest.fixture(scope="module")
def cluster(place: Place) -> Iterator[HPCCluster]:
    """A cluster that the tests of this module share; each of them scales it as it needs."""
    home = {"local": "here", "slurm": "job"}[place.site]  # the other two are in tests further down
    with HPCCluster(**place.small, name=place.name(), scheduler=home) as cluster:
        yield cluster
        cluster.shutdown()


@pytest.fixture
def client(cluster: HPCCluster) -> Iterator[Client]:
    """A client of the shared cluster."""
    with Client(cluster) as client:
        yield client


def phases(cluster: HPCCluster) -> list[str]:
    return [job.phase for job in cluster.jobs() if job.phase != "ended"]


def is_running(cluster: HPCCluster, jobs: int) -> bool:
    return phases(cluster) == ["running"] * jobs


# the shared cluster ------------------------------------------------------------------------------


def test_it_computes(cluster: HPCCluster, client: Client) -> None:
    cluster.scale(jobs=2)
    client.wait_for_workers(4, timeout=30)
    powers = client.map(pow, range(200), [2] * 200)
    assert client.submit(sum, powers).result(timeout=30) == sum(number**2 for number in range(200))


def test_its_own_client_computes(cluster: HPCCluster) -> None:
    cluster.scale(jobs=1)
    with cluster.get_client() as client:
        assert client.submit(pow, 2, 10).result(timeout=30) == 1024


@pytest.mark.parametrize(
    ("size", "jobs"),
    [
        ({"n": 1}, 1),
        ({"cores": 3}, 2),
        ({"memory": 600_000_000}, 1),
        ({"memory": "601MB"}, 2),
        ({"jobs": 0}, 0),
    ],
)
def test_a_size_is_rounded_up_to_whole_jobs(
    cluster: HPCCluster, place: Place, size: dict[str, Any], jobs: int
) -> None:
    cluster.scale(**size)
    wait_for(lambda: is_running(cluster, jobs))
    wait_for(lambda: len(cluster.scheduler_info["workers"]) == 2 * jobs)
    others = 1 if cluster.spec.home == "job" else 0
    wait_for(lambda: len(place.live_jobs(cluster.name)) == jobs + others)


def test_a_smaller_cluster_still_has_the_results(cluster: HPCCluster, client: Client) -> None:
    cluster.scale(jobs=2)
    client.wait_for_workers(4, timeout=30)
    powers = client.map(pow, range(100), [3] * 100)
    client.gather(powers)
    holders = {worker for keys in client.who_has(powers).values() for worker in keys}
    assert len(holders) > 1
    cluster.scale(jobs=1)
    wait_for(lambda: is_running(cluster, 1))
    assert all(future.status == "finished" for future in powers)
    assert client.gather(powers) == [number**3 for number in range(100)]


def test_it_grows_with_the_work_and_shrinks_to_the_minimum(
    cluster: HPCCluster, client: Client
) -> None:
    cluster.scale(0)
    wait_for(lambda: not phases(cluster))
    adaptation = cluster.adapt(minimum_jobs=0, maximum_jobs=2, interval=0.2)
    assert (adaptation.minimum, adaptation.maximum) == (0, 2)
    work = client.map(time.sleep, [0.1] * 60, pure=False)
    wait_for(lambda: is_running(cluster, 2))
    client.gather(work)
    del work  # results that somebody may still ask for keep a job alive
    wait_for(lambda: not phases(cluster))


def test_a_frozen_cluster_adapts_no_more(cluster: HPCCluster, client: Client) -> None:
    adaptation = cluster.adapt(minimum=1, maximum=2, interval=0.1)
    assert (adaptation.minimum, adaptation.maximum) == (1, 1)
    adaptation = cluster.adapt(minimum=1, maximum_cores=4, interval=0.1)
    assert (adaptation.minimum, adaptation.maximum) == (1, 2)
    wait_for(lambda: is_running(cluster, 1))
    adaptation.stop()
    client.gather(client.map(time.sleep, [0.02] * 60, pure=False))
    assert cluster.why()[-1].why == "scaled to 1 job"
    assert is_running(cluster, 1)


def test_jobs_say_where_they_run_and_until_when(cluster: HPCCluster, place: Place) -> None:
    cluster.scale(jobs=1)
    cluster.wait_for_workers(2, timeout=30)
    (job,) = [job for job in cluster.jobs() if job.phase == "running"]
    assert job.workers == 2
    assert job.host
    assert 500 < job.end_time - time.time() < 601
    assert job.job in {each.id for each in place.live_jobs(cluster.name)}


def test_every_decision_has_a_reason(cluster: HPCCluster) -> None:
    cluster.scale(jobs=0)
    cluster.scale(jobs=1)
    whys = [(decision.what, decision.why) for decision in cluster.why()]
    assert all(why for _, why in whys)
    assert ("scale", "scaled to 1 job") in whys
    assert any(what.startswith("submitted ") and "of 1 wanted jobs" in why for what, why in whys)


def test_the_script_it_shows_is_the_one_that_it_submits(cluster: HPCCluster, place: Place) -> None:
    cluster.scale(jobs=0)
    wait_for(lambda: not phases(cluster))
    cluster.scale(jobs=1)
    (job,) = [job for job in cluster.jobs() if job.phase != "ended"]
    assert job.job is not None
    assert untagged(cluster.job_script()) == untagged(place.script(job.job))
    cluster.wait_for_workers(2, timeout=30)


def test_logs_are_those_of_scheduler_controller_workers_and_jobs(
    cluster: HPCCluster, client: Client
) -> None:
    cluster.scale(jobs=1)
    client.wait_for_workers(2, timeout=30)
    logs = cluster.get_logs()
    assert "scaled to 1 job" in logs["Cluster"]
    assert "Scheduler" in logs
    assert len([name for name in logs if name.startswith("tls://")]) == 2
    assert any("Registered to" in text for name, text in logs.items() if name.endswith(".log"))


def test_a_handle_by_name_is_as_good(cluster: HPCCluster, client: Client) -> None:
    cluster.scale(jobs=1)
    cluster.wait_for_workers(2, timeout=30)
    client.scatter({"here": 1})
    with HPCCluster.from_name(cluster.name) as again:
        again.scale(jobs=2)
        # Both hear of the workers.
        wait_for(lambda: len(cluster.scheduler_info["workers"]) == 4)
        wait_for(lambda: len(again.scheduler_info["workers"]) == 4)
        wait_for(lambda: again.jobs() == cluster.jobs())
        assert again.job_script().splitlines()[0] == cluster.job_script().splitlines()[0]
        with Client(again) as other:
            assert other.submit(pow, 5, 3).result(timeout=30) == 125
    assert client.submit(pow, 6, 3).result(timeout=30) == 216  # closing it detached it only


def test_it_is_among_the_clusters(cluster: HPCCluster, place: Place) -> None:
    record = clusters()[cluster.name]
    assert (record.site, record.home, record.state) == (place.site, cluster.spec.home, "running")
    assert record.address == cluster.scheduler_address


def test_it_shows_itself(cluster: HPCCluster) -> None:
    assert cluster.name in repr(cluster)
    assert cluster.name in cluster._repr_html_()


def test_waiting_for_too_many_ends_in_time_and_says_for_what(cluster: HPCCluster) -> None:
    cluster.scale(jobs=1)
    with pytest.raises(StartTimeout, match="of 64 workers after 0 s"):
        cluster.wait_for_workers(64, timeout=0.3)


def test_jobs_that_cannot_start_say_what_they_wait_for(cluster: HPCCluster) -> None:
    cluster.scale(jobs=20)  # ten times four cores, more than either site has
    wait_for(lambda: any(job.phase == "pending" and job.reason for job in cluster.jobs()))
    with pytest.raises(StartTimeout) as caught:
        cluster.wait_for_workers(40, timeout=0.1)
    assert caught.value.hint.startswith("waits for the queue: ")
    cluster.scale(jobs=0)
    wait_for(lambda: not phases(cluster))


@pytest.mark.parametrize(
    ("size", "said"),
    [
        ({}, "a size is said in no way"),
        ({"n": 2, "jobs": 1}, "a size is said in several ways: workers, jobs"),
        ({"jobs": -1}, "jobs -1 is negative"),
        ({"memory": "3XB"}, "3XB"),
    ],
)
def test_a_size_that_is_none_changes_nothing(
    cluster: HPCCluster, size: dict[str, Any], said: str
) -> None:
    before = cluster.why()
    with pytest.raises(ConfigError, match=said):
        cluster.scale(**size)
    with pytest.raises(ConfigError, match="minimum of 3 jobs is above the maximum of 2"):
        cluster.adapt(minimum_jobs=3, maximum_jobs=2)
    assert [each for each in cluster.why() if each not in before and each.what == "scale"] == []


def test_a_name_in_use_is_refused(cluster: HPCCluster, place: Place) -> None:
    with pytest.raises(ClusterExists, match=f"a cluster named '{cluster.name}' exists") as caught:
        HPCCluster(**place.small, name=cluster.name)
    assert caught.value.hint.startswith(f"dask-hpc status {cluster.name}")
    assert cluster.jobs() is not None


# from begin to end -------------------------------------------------------------------------------


@pytest.mark.parametrize("home", HOMES)
def test_leaving_the_block_ends_a_cluster_here_and_detaches_from_one_in_a_job(
    place: Place, home: str
) -> None:
    name = place.name()
    with HPCCluster(**place.small, name=name, scheduler=home) as cluster:
        cluster.scale(jobs=1)
        cluster.wait_for_workers(2, timeout=30)
    assert cluster.status.name == "closed"
    if home == "job":
        with HPCCluster.from_name(name) as again:
            assert is_running(again, 1)
            again.shutdown()
    assert name not in clusters()
    wait_for(lambda: not place.left(name), 30)


@pytest.mark.parametrize("home", HOMES)
async def test_asynchronous_use(place: Place, home: str) -> None:
    name = place.name()
    options = {**place.small, "name": name, "scheduler": home}
    async with HPCCluster(**options, asynchronous=True) as cluster:
        await cluster.scale(jobs=1)
        await cluster.wait_for_workers(2, timeout=30)
        async with Client(cluster, asynchronous=True) as client:
            assert await client.submit(pow, 2, 10) == 1024
        async with cluster.get_client() as client:
            assert await client.submit(pow, 3, 4) == 81
        assert [job.phase for job in await cluster.jobs()] == ["running"]
        assert any(decision.what == "scale" for decision in await cluster.why())
        assert "Cluster" in await cluster.get_logs()
        async with HPCCluster.from_name(name, asynchronous=True) as again:
            assert await again.jobs() == await cluster.jobs()
        await cluster.shutdown()
        assert name not in clusters()
    wait_for(lambda: not place.left(name), 30)


async def test_what_is_asked_of_an_asynchronous_cluster_before_it_began_is_an_error(
    place: Place,
) -> None:
    name = place.name()
    cluster = HPCCluster(**place.small, name=name, asynchronous=True)
    with pytest.raises(ClusterError, match="has not started"):
        cluster.job_script()
    with pytest.raises(ClusterError, match="is not connected"):
        await cluster.jobs()
    await cluster.close()
    assert place.left(name) == []


@pytest.mark.parametrize(
    ("wrong", "said", "hint"),
    [
        ({"coers": 3}, "keyword 'coers' is unknown", "did you mean 'cores'?"),
        ({"memory": "3XB"}, "memory '3XB' is not an amount of memory", "write a number and one of"),
        ({"walltime": "2fortnights"}, "walltime '2fortnights' is not a duration", ""),
        ({"cores": 0}, "cores '0' is not a whole number of at least 1", ""),
        ({"processes": 3}, "processes 3 is more than cores 2", "processes share the cores"),
        ({"site": "slrm"}, "site 'slrm' is unknown", "did you mean 'slurm'?"),
        ({"scheduler": "there"}, "scheduler 'there' is unknown", '"here" for this process'),
        ({"name": "Climate 2"}, "cluster name 'Climate 2' cannot be used", "small letters"),
        ({"account": "a\n#!/bin/sh"}, "holds a control character", "write plain text"),
    ],
)
@pytest.mark.parametrize("home", HOMES)
def test_what_cannot_be_is_refused_before_anything_is_written(
    place: Place, home: str, wrong: dict[str, Any], said: str, hint: str
) -> None:
    before = sorted(place.home.rglob("*"))
    with pytest.raises(ConfigError, match=re.escape(said)) as caught:
        HPCCluster(**{**place.small, "name": place.name(), "scheduler": home, **wrong})
    assert hint in caught.value.hint
    assert sorted(place.home.rglob("*")) == before


def test_no_cluster_has_the_name(place: Place) -> None:
    with pytest.raises(ClusterNotFound, match=r"there is no cluster named 'nobody'"):
        HPCCluster.from_name("nobody")


def test_a_cluster_whose_process_was_killed_cannot_be_attached_to(place: Place) -> None:
    name = place.name()
    program = (
        "import sys, os; from dask_hpc import HPCCluster\n"
        f"cluster = HPCCluster(**{place.small!r}, name={name!r})\n"
        "os.kill(os.getpid(), 9)"
    )
    with place.python(program) as process:
        process.communicate(timeout=30)
    with pytest.raises(ControllerUnreachable, match="is not running") as caught:
        HPCCluster.from_name(name)
    assert name in caught.value.hint
    assert place.dask_hpc("down", name).returncode == 0
    assert place.left(name) == []
