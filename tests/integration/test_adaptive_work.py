"""An adaptive cluster follows the work, to nothing and back, and loses no result on the way."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from distributed import Client

from dask_hpc import HPCCluster
from tests.integration.places import place_at, wait_for
from tests.integration.test_lost_jobs import computed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.places import Place


pytestmark = pytest.mark.bed("slurm")


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """A real batch system, where it is about jobs; else there is `still`."""
    with place_at(request, "slurm") as found:
        yield found


def live(cluster: HPCCluster) -> list[Any]:
    return [job for job in cluster.jobs() if job.phase != "ended"]


def square(seconds: float) -> Callable[[int], int]:
    # A function of a function travels whole: jobs cannot import this module.
    def work(number: int) -> int:
        time.sleep(seconds)
        return number**2

    return work


def test_results_outlive_the_jobs_that_made_them_and_the_last_job_goes_with_them(
    place: Place,
) -> None:
    with HPCCluster(**place.small, name=place.name()) as cluster, Client(cluster) as client:
        cluster.adapt(minimum=0, maximum_jobs=3, interval="0.5s")
        held = client.map(square(0.2), range(60), pure=False)
        wait_for(lambda: len([job for job in live(cluster) if job.phase == "running"]) == 3)
        expected = [number**2 for number in range(60)]
        assert client.gather(held) == expected
        wait_for(lambda: len(live(cluster)) == 1)
        assert {future.status for future in held} == {"finished"}
        assert client.gather(held) == expected
        assert computed(client, {future.key for future in held}) == 60
        released = time.monotonic()
        del held
        wait_for(lambda: not place.live_jobs(cluster.name))
        assert time.monotonic() - released < 30
        assert cluster.report().wanted == 0
        assert client.submit(pow, 2, 10).result(timeout=30) == 1024  # and the jobs come back


# the pace, which has nothing to do with the batch system ------------------------------------------


@pytest.fixture(scope="module")
def still(local_place: Place) -> Iterator[HPCCluster]:
    """A cluster whose jobs ask for more than there is, and wait for ever."""
    size = {**local_place.small, "memory": "100GB"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in local_place.environ.items():
            patch.setenv(name, value)
        with HPCCluster(**size, name=local_place.name()) as cluster:
            yield cluster


@pytest.mark.parametrize(("interval", "looks"), [(0.2, 2), (0.5, 6)])
def test_it_shrinks_when_so_many_looks_found_no_work(
    still: HPCCluster, interval: float, looks: int
) -> None:
    with Client(still) as client:
        still.adapt(minimum=0, maximum_jobs=1, interval=interval, wait_count=looks)
        work = client.submit(time.sleep, 0, pure=False)
        wait_for(lambda: still.report().wanted == 1)
        released = time.time()
        del work
        wait_for(lambda: still.report().wanted == 0)
    (shrunk,) = [one for one in still.why() if one.time > released and "adapt" in one.what]
    assert shrunk.why == "the work asks for 0 workers: 0 jobs"
    # The first look that found nothing came within an interval.
    earliest, latest = (looks - 1) * interval, looks * interval
    assert earliest - 0.1 < shrunk.time - released < latest + 0.3 * looks + 1


@pytest.mark.parametrize(
    ("duration", "jobs"), [("1s", 10), ("2.5s", 4), (None, 2), ("10s", 1)], ids=str
)
def test_it_takes_as_many_jobs_as_do_the_work_in_time(
    still: HPCCluster, duration: str | None, jobs: int
) -> None:
    still.scale(0)
    with Client(still) as client:
        # To distributed, a task of which it knows nothing takes half a second.
        work = client.map(time.sleep, [0.01] * 40, pure=False)
        still.adapt(minimum=0, maximum_jobs=20, interval="0.2s", target_duration=duration)
        wait_for(lambda: still.report().wanted == jobs, 30)
        del work
