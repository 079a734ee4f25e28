"""What a killed program left in the queue costs nobody anything: its jobs end as they start."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.integration.places import place_at, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.places import Place

pytestmark = pytest.mark.bed("slurm")
PROGRAM = """
import time
from dask_hpc import HPCCluster
cluster = HPCCluster(**{options!r})
cluster.scale(jobs=3)
cluster.wait_for_workers(2)
print("up", flush=True)
while True:
    time.sleep(0.1)
"""
SECONDS = 10.0  # that a job may run for nobody


@pytest.fixture(scope="module")
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """Slurm alone: on the local queue a job that waits is no other one."""
    with place_at(request, "slurm") as found:
        yield found


def test_jobs_that_wait_when_their_program_is_killed_end_as_soon_as_they_start(
    place: Place,
) -> None:
    name = place.name()
    program = PROGRAM.format(options={**place.one_at_a_time, "name": name})
    with place.python(program) as process:
        assert process.stdout
        assert process.stdout.readline() == "up\n"
        assert len(place.live_jobs(name)) == 3
        killed = time.time()
        process.kill()
    wait_for(lambda: not place.live_jobs(name), 3 * SECONDS + 15)
    runs = lengths(place.directory(name) / "jobs")
    assert len(runs) == len(place.jobs(name)) == 3
    assert all(end - max(killed, begin) < SECONDS for begin, end in runs.values()), (killed, runs)
    assert place.dask_hpc("down", name).returncode == 0


def lengths(records: Path) -> dict[str, tuple[float, float]]:
    """Return when each job began and ended, by their own records."""
    return {
        path.stem: (path.stat().st_mtime, path.with_suffix(".end").stat().st_mtime)
        for path in records.glob("*.start")
    }
