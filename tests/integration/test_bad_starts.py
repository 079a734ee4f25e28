"""Jobs that begin and never serve: they hang, are killed, or die; each is noticed and said once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from distributed.core import Status

from dask_hpc import HPCCluster
from dask_hpc.errors import JobFailed, SubmitRejected
from tests.integration.places import place_at, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.places import Place

pytestmark = pytest.mark.bed("slurm")
PATIENCE = 10  # seconds until a job that does not start is given up


@pytest.fixture(scope="module")
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """Slurm alone: what it shows of jobs is the matter here."""
    with place_at(request, "slurm") as found:
        yield found


def running(cluster: HPCCluster) -> list[Any]:
    return [job for job in cluster.jobs() if job.phase == "running"]


def test_jobs_that_hang_are_replaced_and_given_up_in_the_end(place: Place) -> None:
    options = {**place.small, "prologue": "sleep 1d", "start_timeout": PATIENCE}
    with HPCCluster(**options, name=place.name()) as cluster:
        cluster.scale(jobs=2)
        wait_for(lambda: len(place.live_jobs(cluster.name)) == 2)
        first = {job.id for job in place.jobs(cluster.name)}
        wait_for(lambda: {job.id for job in place.jobs(cluster.name)} - first, PATIENCE + 15)
        wait_for(lambda: cluster.report().halted, 2 * PATIENCE + 15)
        report = cluster.report()
        assert report.halted == "4 jobs in a row ended before a worker started"
        assert f"no worker of it connected in {PATIENCE} s" in report.trouble.message
        with pytest.raises(JobFailed, match="no worker of it connected"):
            cluster.wait_for_workers(1, timeout=30)
        wait_for(lambda: not place.live_jobs(cluster.name))
        assert len(place.jobs(cluster.name)) <= 2 + 3
        assert place.dask_hpc("why", cluster.name).stdout.count("no worker of it connected") >= 2


def test_a_job_that_is_killed_before_it_serves_is_replaced(place: Place, tmp_path: Path) -> None:
    repaired = tmp_path / "repaired"
    prologue = f"[ -e {repaired} ] || sleep 1d"
    with HPCCluster(**place.small, name=place.name(), prologue=prologue) as cluster:
        cluster.scale(jobs=1)
        wait_for(lambda: [job.phase for job in cluster.jobs()] == ["starting"])
        (first,) = cluster.jobs()
        repaired.touch()
        place.cancel(first.job)
        cluster.wait_for_workers(2, timeout=30)
        assert running(cluster)[0].job != first.job
        decisions = [decision for decision in cluster.why() if "submitted" in decision.what]
        assert f"job {first.job} ended (" in decisions[-1].why


def test_an_adaptive_cluster_does_not_wait_for_the_dead(place: Place) -> None:
    prologue = ["echo the module system is down", "exit 7"]
    with HPCCluster(**place.small, name=place.name(), prologue=prologue) as cluster:
        cluster.adapt(minimum_jobs=2, maximum_jobs=4, interval="0.5s")
        with pytest.raises(JobFailed, match="exit code 7") as caught:
            cluster.wait_for_workers(4, timeout=30)
        assert caught.value.log_tail == "the module system is down"
        assert cluster.report().waits_for.startswith("somebody to call scale")
        assert 2 <= len(place.jobs(cluster.name)) <= 2 + 3


ALOUD = """
import sys, time
from dask_hpc import HPCCluster
from dask_hpc.errors import HPCError
with HPCCluster(**{options!r}) as cluster:
    try:
        cluster.{verb}
        cluster.wait_for_workers(1, timeout=30)
    except HPCError as error:
        print(type(error).__name__)
    time.sleep(2)  # for more of the same to be said
"""


@pytest.mark.parametrize(
    ("setting", "verb", "error", "said"),
    [
        pytest.param(
            {"prologue": "echo no module; exit 7"},
            "scale(jobs=4)",
            "JobFailed",
            "before a worker started",
            id="jobs that die",
        ),
        pytest.param(
            {"queue": "nowhere"},
            "adapt(minimum_jobs=3, maximum_jobs=4, interval='0.2s')",
            "SubmitRejected",
            "nowhere",
            id="submissions that are refused",
        ),
    ],
)
def test_several_errors_with_one_cause_are_said_once(
    place: Place, setting: dict[str, Any], verb: str, error: str, said: str
) -> None:
    options = {**place.small, **setting, "name": place.name()}
    with place.python(ALOUD.format(options=options, verb=verb)) as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, f"{error}\n"), err
    assert err.count(said) == 1, err
    assert "Traceback" not in err


# before there is a cluster ------------------------------------------------------------------------


async def test_a_cluster_whose_start_was_refused_can_be_closed_and_made_again(
    place: Place,
) -> None:
    options = {**place.small, "name": place.name(), "scheduler": "job"}
    cluster = HPCCluster(**options, scheduler_queue="nowhere", asynchronous=True)
    begin = time.monotonic()
    with pytest.raises(SubmitRejected, match="nowhere"):
        await cluster
    assert time.monotonic() - begin < 20
    await cluster.close()
    await cluster.close()
    assert cluster.status is Status.closed
    assert place.left(options["name"]) == []
    async with HPCCluster(**options, asynchronous=True) as again:
        await again.scale(jobs=1)
        await again.wait_for_workers(2, timeout=30)
        await again.shutdown()
