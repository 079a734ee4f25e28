"""``dask-hpc scale``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.places import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.places import Place, Standing


@pytest.fixture(scope="module")
def name(place: Place) -> Iterator[str]:
    """A cluster without workers."""
    name = place.name()
    place.ask("up", *place.small_options, "--name", name, "--jobs", "0")
    yield name
    assert place.ask("down", name) == [{"name": name, "left": []}]


def test_a_number_is_one_of_workers(place: Place, name: str) -> None:
    done = place.dask_hpc("scale", name, "3")
    assert done.returncode == 0, done
    assert done.stdout.startswith("0 of 4 workers")
    wait_for(lambda: place.ask("status", name)["report"]["workers"] == 4)
    assert place.ask("scale", name, "0")["wanted"] == 0
    wait_for(lambda: len(place.live_jobs(name)) == 1)  # the scheduler's own


def test_bounds_let_it_follow_the_work(place: Place, name: str) -> None:
    report = place.ask("scale", name, "1:5")
    assert (report["minimum"], report["maximum"], report["wanted"]) == (1, 2, 1)
    assert "adapts 1 to 2 jobs" in place.dask_hpc("status", name).stdout
    report = place.ask("scale", name, "0")
    assert (report["minimum"], report["maximum"], report["wanted"]) == (None, None, 0)


@pytest.mark.parametrize("size", ["many", "1.5", "5:2", "1:2:3", "", ":3", "2GB"])
def test_a_size_that_is_none_is_told(standing: Standing, size: str) -> None:
    done = standing.place.dask_hpc("scale", standing.name, size)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"error: N|MIN:MAX {size!r} is not a size\nhint: a number of workers, 40, or bounds, 0:40\n"
    )
    assert standing.place.ask("status", standing.name)["report"]["wanted"] == 1


def test_without_a_size_it_says_how_it_is_used(standing: Standing) -> None:
    done = standing.place.dask_hpc("scale", standing.name)
    assert done.returncode == 2
    assert done.stderr.startswith("error: missing argument 'N|MIN:MAX'\nhint: ")


def test_what_is_not_there_is_answered_with_the_nearest(standing: Standing) -> None:
    done = standing.place.dask_hpc("scale", f"{standing.name}x", "3")
    assert done.returncode == 1
    assert done.stderr.endswith(f"hint: did you mean {standing.name!r}?\n")
