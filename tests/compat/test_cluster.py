"""The drop-in as third parties use it, on the embedded queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import dask
import pytest
from distributed import Client, Security

from dask_hpc.compat import jobqueue
from tests.integration.places import wait_for

if TYPE_CHECKING:
    from pathlib import Path

SMALL: dict[str, Any] = {"cores": 1, "memory": "300MB"}
pytestmark = [pytest.mark.timeout(120), pytest.mark.slow]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASK_HPC_HOME", str(tmp_path / "home"))


class SiteJob(jobqueue.LocalJob):
    """As a site's own package has it: keywords with defaults, lines added, a worker of its own."""

    config_name = "site"
    keywords: ClassVar[tuple[str, ...]] = jobqueue.LocalJob.keywords

    def __init__(self, scheduler: Any = None, name: Any = None, *, image: str = "", **more: Any):
        super().__init__(scheduler=scheduler, name=name, **more)
        self.image = image
        self._command_template = f"env IMAGE={image} {self._command_template}"


class SiteCluster(jobqueue.JobQueueCluster):
    """The cluster that goes with it."""

    job_cls = SiteJob


def test_a_site_class_with_a_worker_of_its_own_runs_that_worker() -> None:
    with (
        dask.config.set({"jobqueue.site": {"cores": 1, "memory": "300MB"}}),
        SiteCluster(image="python.sif") as cluster,
        Client(cluster) as client,
    ):
        cluster.scale(jobs=1)
        client.wait_for_workers(1, timeout=60)
        found = client.submit(lambda: __import__("os").environ["IMAGE"]).result()
        assert found == "python.sif"
        assert "env IMAGE=python.sif" in cluster.job_script()
        cluster.scale(0)
        wait_for(lambda: not client.scheduler_info()["workers"], 30, what="it leaves")


def test_a_named_section_and_adaptive_scaling_through_a_client() -> None:
    section = {"cores": 2, "memory": "600MB", "processes": 2, "job-script-prologue": ["export A=b"]}
    with (
        dask.config.set({"jobqueue.mine": section}),
        jobqueue.LocalCluster(config_name="mine") as cluster,
        Client(cluster) as client,
    ):
        cluster.adapt(minimum_jobs=0, maximum_jobs=2, interval="100ms")
        assert client.submit(lambda: __import__("os").environ["A"]).result(60) == "b"
        assert len(client.scheduler_info()["workers"]) == 2
        assert "export A=b" in cluster.job_script()
        wait_for(lambda: not cluster.workers, 60, what="it shrinks to nothing")


def test_workers_that_are_wanted_at_once_come() -> None:
    with jobqueue.LocalCluster(1, **SMALL) as cluster, Client(cluster) as client:
        client.wait_for_workers(1, timeout=60)
        assert [type(job) for job in cluster.workers.values()] == [jobqueue.LocalJob]
        assert cluster.observed == cluster.plan
        assert cluster.job_name == "dask-worker"


async def test_it_can_be_awaited() -> None:
    async with jobqueue.LocalCluster(asynchronous=True, **SMALL) as cluster:
        cluster.scale(jobs=1)
        await cluster
        assert len(cluster.workers) == 1
        assert cluster.scheduler is not None
        async with Client(cluster, asynchronous=True) as client:
            await client.wait_for_workers(1, timeout=60)


def test_certificates_of_a_user_are_taken() -> None:
    security = Security.temporary()
    with jobqueue.LocalCluster(security=security, **SMALL) as cluster:
        assert cluster.security is security
        with Client(cluster, security=security) as client:
            cluster.scale(1)
            assert client.submit(sum, [1, 2]).result(60) == 3


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"memory": "1GB"}, r"LocalCluster\(cores=8, memory='1GB'\)"),
        ({**SMALL, "wrong": 1}, "unexpected keyword argument 'wrong'.+LocalCluster"),
        ({**SMALL, "host": "here"}, "pass 'host' through 'scheduler_options'"),
    ],
)
def test_mistakes_are_told_in_the_known_words(keywords: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        jobqueue.LocalCluster(**keywords)


def test_a_cluster_needs_a_class_of_jobs() -> None:
    with pytest.raises(ValueError, match="Job type"):
        jobqueue.JobQueueCluster(**SMALL)
