"""``dask-hpc extend``: a cluster and its JupyterLab go on in a job that follows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dask_hpc._clock import SystemClock
from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.cluster.followon import find_follow_on
from dask_hpc.cluster.record import read_cluster
from tests.integration.places import place_at, wait_for
from tests.jupyter.guest import PATIENCE, Guest, opened
from tests.jupyter.test_lab import COMPUTE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.places import Place

pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def slurm(request: pytest.FixtureRequest) -> Iterator[Place]:
    with place_at(request, "slurm", parent="/tmp") as found:
        yield found


async def test_the_same_link_leads_to_jupyterlab_in_the_job_that_follows(
    local_place: Place,
) -> None:
    place, name = local_place, local_place.name()
    directory = ClusterDirectory(place.directory(name))
    with opened(place, "up", *place.small_options, "--name", name, "--workers", "2", "--lab") as (
        link,
        process,
    ):
        guest = Guest(link)
        await guest.enter()
        kernel = await guest.kernel()
        first = read_cluster(directory)
        done = place.dask_hpc("extend", name)
        assert done.returncode == 0, done
        follow_on = find_follow_on(directory, after=first.tag)
        assert follow_on
        assert done.stdout == f"job {follow_on.job} follows job {first.job} of {name}\n"
        assert "kernels, and data on workers, end with job" in done.stderr
        place.cancel(first.job)  # as a walltime that is over does it
        await gone(guest, kernel.number)
        again = await guest.kernel()
        assert await again.run(COMPUTE) == f"{name} 4950"
        assert read_cluster(directory).job == follow_on.job
        assert place.dask_hpc("down", name).returncode == 0
        assert process.wait(PATIENCE) == 0
    assert place.left(name) == []


async def gone(guest: Guest, number: str) -> None:
    """Wait until JupyterLab is another one, which does not know a kernel."""
    clock = SystemClock()
    deadline = clock.monotonic() + PATIENCE
    while (await guest.fetch(f"{guest.room}/api/kernels/{number}")).code != 404:
        assert clock.monotonic() < deadline
        await clock.sleep(0.3)


def bare(place: Place, *words: str) -> str:
    """Return the name of a new cluster without workers."""
    name = place.name()
    place.ask("up", *place.small_options, "--name", name, "--jobs", "0", *words)
    return name


def seen(place: Place, name: str) -> dict[str, Any]:
    """Return a cluster as it is listed."""
    found: dict[str, Any] = next(each for each in place.ask("ls") if each["name"] == name)
    return found


def test_one_job_follows_and_down_ends_both(local_place: Place) -> None:
    place, name = local_place, bare(local_place)
    job = place.ask("extend", name)["job"]
    (pending,) = [each for each in place.all_jobs() if each.id == job]
    assert pending.state == "pending"
    assert f"\njob {job} follows when" in place.dask_hpc("status", name).stdout
    again = place.dask_hpc("extend", name)
    assert again.returncode == 1
    assert f"job {job} already follows job" in again.stderr
    assert place.dask_hpc("down", name).returncode == 0
    assert place.left(name) == []


def test_a_cluster_that_nobody_uses_needs_no_job_that_follows(local_place: Place) -> None:
    place, name = local_place, bare(local_place, "--idle-timeout", "8")
    assert place.ask("extend", name)["job"]
    wait_for(lambda: seen(place, name)["state"] == "ended")
    wait_for(lambda: not place.live_jobs(name))
    assert place.dask_hpc("down", name).returncode == 0


@pytest.mark.bed("slurm")
def test_the_job_that_follows_begins_when_the_first_has_ended(slurm: Place) -> None:
    name = bare(slurm)
    first = seen(slurm, name)
    job = slurm.ask("extend", name)["job"]
    (pending,) = [each for each in slurm.all_jobs() if each.id == job]
    assert pending.state == "pending"
    slurm.cancel(first["job"])
    wait_for(lambda: seen(slurm, name)["job"] == job)
    wait_for(lambda: seen(slurm, name)["state"] == "running")
    assert slurm.ask("scale", name, "1")["wanted"] == 1
    assert slurm.dask_hpc("down", name).returncode == 0
    assert slurm.left(name) == []
