"""JupyterLab in a job of Slurm, reached on its node and by a relay that srun puts beside it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dask_hpc._clock import SystemClock
from dask_hpc.batch.model import JobId
from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.cluster.record import read_cluster, read_spec
from dask_hpc.cluster.session import read_session
from dask_hpc.errors import TunnelError
from dask_hpc.jupyter.session import SessionGate
from dask_hpc.remote.routes import Target, find_way
from tests.integration.places import place_at
from tests.jupyter.guest import PATIENCE, Guest, opened
from tests.jupyter.test_lab import COMPUTE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.places import Place

pytestmark = pytest.mark.bed("slurm")


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    with place_at(request, "slurm", parent="/tmp") as found:
        yield found


@pytest.mark.timeout(400)
async def test_the_page_says_which_queue_would_start_it_and_how_it_gets_there(
    place: Place,
) -> None:
    name = place.name()
    # More than the queue allows: Slurm takes the job, and lets it wait for ever.
    words = ("up", *place.small_options, "--queue", "debug", "--name", name, "--jobs", "0")
    with opened(place, *words, "--lab") as (link, process):
        guest = Guest(link)
        page = await told(guest, "partition=batch")
        assert "asks for more time than the partition allows" in page
        assert "queue batch would start it now: type <code>scontrol update jobid=" in page
        typed = page.partition("<code>")[2].partition("</code>")[0]
        moved = await asyncio.create_subprocess_exec(*typed.split())
        assert await moved.wait() == 0
        await guest.api("status")
        assert place.dask_hpc("down", name).returncode == 0
        assert process.wait(PATIENCE) == 0
        assert process.stderr
        assert f"; queue batch would start it now: type {typed}\n" in process.stderr.read()
    assert place.left(name) == []


async def told(guest: Guest, words: str) -> str:
    """Return the page that waits, when it says this."""
    clock = SystemClock()
    deadline = clock.monotonic() + PATIENCE
    page = (await guest.enter()).body.decode()
    while words not in page:
        assert clock.monotonic() < deadline, page
        await clock.sleep(0.5)
        page = (await guest.fetch(f"{guest.room}/lab")).body.decode()
    return page


@pytest.mark.timeout(400)
async def test_a_cell_computes_by_every_way_to_it(place: Place) -> None:
    name = place.name()
    words = ("up", *place.small_options, "--name", name, "--workers", "2", "--lab")
    with opened(place, *words) as (link, process):
        guest = Guest(link)
        assert (await guest.enter()).code == 200
        kernel = await guest.kernel()
        assert await kernel.run(COMPUTE) == f"{name} 4950"
        await kernel.run("precious = 42")
        directory = ClusterDirectory(place.directory(name))
        await by_relay(directory, kernel.number)
        await refused(directory)
        assert place.dask_hpc("down", name).returncode == 0
        assert process.wait(PATIENCE) == 0
    assert place.left(name) == []


async def by_relay(directory: ClusterDirectory, number: str) -> None:
    """See the same kernel over a step of its job."""
    async with SessionGate(directory, routes=("job",)) as gate:
        guest = Guest(gate.link)
        assert (await guest.enter()).code == 200
        page = await guest.fetch(f"{guest.room}/lab")
        assert b"jupyter-config-data" in page.body
        kernel = await guest.rejoin(number)
        assert await kernel.run("print(precious, end='')") == "42"
        long = await kernel.run("print('x' * 300_000, end='')")
        assert long == "x" * 300_000


async def refused(directory: ClusterDirectory) -> None:
    """Hear why each way that cannot be taken is none."""
    target = Target(
        session=read_session(directory), record=read_cluster(directory), spec=read_spec(directory)
    )
    away = replace(target, session=replace(target.session, node="elsewhere"))
    with pytest.raises(TunnelError, match="direct: it is on elsewhere"):
        await find_way(away, only=("direct",))
    gone = replace(target, record=replace(target.record, job=JobId("999999")))
    with pytest.raises(TunnelError, match=r"job: srun gives no answer: .*nvalid job id"):
        await find_way(gone, only=("job",))
