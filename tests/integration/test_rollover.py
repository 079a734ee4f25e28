"""Work goes on over the end of all its jobs, with nearly all of the workers at any time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.integration.places import place_at
from tests.integration.soaking import soak

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.places import Place
    from tests.integration.soaking import Soaked

pytestmark = [pytest.mark.bed("slurm"), pytest.mark.timeout(240)]

# The shortest that Slurm knows; a quarter of it is for leaving.
LIVES = {"local": {"walltime": 20.0, "seconds": 50.0}, "slurm": {"walltime": 60.0, "seconds": 50.0}}


@pytest.fixture(scope="module")
def places(request: pytest.FixtureRequest) -> Iterator[dict[str, Place]]:
    """Both sites at once: most of the time it is jobs that are waited for."""
    with place_at(request, "local") as local, place_at(request, "slurm") as slurm:
        yield {"local": local, "slurm": slurm}


@pytest.fixture(scope="module")
def soaked(places: dict[str, Place]) -> dict[str, Soaked]:
    """How computations went that outlived their jobs."""
    with ThreadPoolExecutor() as pool:
        going = {
            site: pool.submit(soak, place, jobs=2, **LIVES[site]) for site, place in places.items()
        }
        return {site: future.result() for site, future in going.items()}


@pytest.mark.parametrize("site", LIVES)
def test_work_is_right_and_no_worker_is_missed(soaked: dict[str, Soaked], site: str) -> None:
    found = soaked[site]
    assert (found.wrong, found.blamed, found.again) == (0, 0, 0), found
    over = [end for end in found.jobs.elements() if end.startswith("its walltime ends")]
    assert len(over) >= 2, found
    assert found.connected >= 0.95, found


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_ten_minutes_of_work_on_jobs_of_two(
    places: dict[str, Place], capsys: pytest.CaptureFixture[str]
) -> None:
    found = soak(places["slurm"], jobs=3, seconds=600, walltime="2m")
    with capsys.disabled():
        print(f"\n{found}")
    assert (found.wrong, found.blamed, found.again) == (0, 0, 0), found
    assert found.connected >= 0.98, found
