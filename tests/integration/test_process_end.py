"""A program that ends without closing its cluster leaves nothing behind."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.integration.places import wait_for

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from tests.integration.places import Place

BEGIN = """
import asyncio, time
from dask_hpc import HPCCluster
options = {options!r}

def grow(cluster, jobs=3):
    cluster.scale(jobs=jobs)
    cluster.wait_for_workers(2)
    print("up", flush=True)

async def main():
    cluster = await HPCCluster(**options, asynchronous=True)
    await cluster.scale(jobs=3)
    await cluster.wait_for_workers(2)
    print("up", flush=True)
"""
ENDINGS = {
    "nothing": ("grow(HPCCluster(**options))", 0),
    "an error": ("with HPCCluster(**options) as cluster: grow(cluster); 1 / 0", 1),
    "an event loop": ("asyncio.run(main())", 0),
}
# Not one long sleep: a signal that comes just before it is seen after it.
WAIT = """
cluster = HPCCluster(**options)
grow(cluster)
while True:
    time.sleep(0.1)
"""


def begin(place: Place, name: str, ending: str) -> subprocess.Popen[str]:
    return place.python(BEGIN.format(options={**place.one_at_a_time, "name": name}) + ending)


@pytest.fixture
def name(place: Place) -> Iterator[str]:
    """The name of a cluster that is not there any more after the test."""
    name = place.name()
    yield name
    assert place.left(name) == []


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_end_of_a_program_ends_its_cluster(place: Place, name: str, ending: str) -> None:
    program, code = ENDINGS[ending]
    with begin(place, name, program) as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (code, "up\n"), err
    wait_for(lambda: not place.left(name), 30, what=f"{place.left(name)}")


def test_ctrl_c_ends_it_too(place: Place, name: str) -> None:
    with begin(place, name, WAIT) as process:
        assert process.stdout
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "KeyboardInterrupt" in err
    wait_for(lambda: not place.left(name), 30, what=f"{place.left(name)}")


def test_running_jobs_of_a_killed_program_end_by_themselves(place: Place, name: str) -> None:
    program = BEGIN.format(options={**place.small, "name": name}) + WAIT.replace(
        "cluster)\n", "cluster, jobs=1)\n"
    )
    with place.python(program) as process:
        assert process.stdout
        assert process.stdout.readline() == "up\n"
        process.kill()
    wait_for(lambda: not place.live_jobs(name), 30)
    assert place.dask_hpc("down", name).returncode == 0
