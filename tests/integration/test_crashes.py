"""A controller that is killed at any of its side effects is followed by one that knows all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from dask_hpc.cli.main import cli
from tests.integration.places import SITES, place_at, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.integration.places import Place

_EFFECTS = 6  # of the story below, at least; the end of a job may be seen too late to count
_PATIENCE = 60.0


@pytest.fixture(scope="module", params=SITES)
def places(request: pytest.FixtureRequest) -> Iterator[Place]:
    """A site with real jobs."""
    with place_at(request, request.param) as found:
        yield found


def effects(place: Place) -> Sequence[int]:
    """Return the side effects that are tried: on Slurm those around a submission."""
    return {"local": range(1, _EFFECTS + 2), "slurm": (2, 3)}[place.site]


@pytest.mark.timeout(300)
def test_a_controller_killed_at_any_side_effect_leaves_no_orphan_and_no_duplicate(
    places: Place,
) -> None:
    crashed = [number for number in effects(places) if crashes(places, number)]
    assert crashed[:_EFFECTS] == [number for number in effects(places) if number <= _EFFECTS]


def crashes(place: Place, number: int) -> bool:
    """Let a cluster grow and shrink whose controller dies at a side effect, if it gets there."""
    name = place.name()
    crash = ("--prologue", f"export DASK_HPC_CRASH_AT={number}")
    place.ask("up", *place.small_options, *crash, "--name", name, "--jobs", "2", "--detach")
    wait_for(lambda: has_size(place, name, jobs=2), _PATIENCE, what=f"two jobs, {number}")
    wait_for(lambda: is_scaled(place, name), _PATIENCE, what=f"an answer, {number}")
    wait_for(lambda: has_size(place, name, jobs=1), _PATIENCE, what=f"one job, {number}")
    logs = [path.read_text() for path in place.directory(name).glob("logs/*.log")]
    place.ask("down", name)
    assert place.left(name) == []
    return any("ended with exit code 86: it is started again" in log for log in logs)


def is_scaled(place: Place, name: str) -> bool:
    """Ask for one job, as often as it takes: the scheduler may be starting again."""
    return CliRunner().invoke(cli, ["scale", name, "2"], env=place.environ).exit_code == 0


def has_size(place: Place, name: str, *, jobs: int) -> bool:
    """Whether there are so many jobs, each with both of its workers, and none besides."""
    done = CliRunner().invoke(cli, ["status", name, "--json"], env=place.environ)
    report = json.loads(done.stdout).get("report") if done.exit_code == 0 else None
    if not report or report["workers"] != 2 * jobs:
        return False
    tags = {job["slot"].rpartition(".")[0] for job in report["jobs"]}
    live = place.live_jobs(name)
    # The scheduler's own job is the one that the controller does not know.
    return len(live) == jobs + 1 and sum(job.tag in tags for job in live) == jobs
