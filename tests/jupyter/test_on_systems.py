"""JupyterLab in a job of batch systems other than Slurm, from a login session there."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.as_user import run_as_user
from tests.integration.systems import AS_USER, SystemPlace, system_at
from tests.jupyter.guest import PATIENCE, Guest, opened
from tests.jupyter.test_lab import COMPUTE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.beds.beds import OarBed

pytestmark = pytest.mark.timeout(400)

SYSTEMS = (
    [os.environ[AS_USER]]
    if AS_USER in os.environ
    else [pytest.param("sge", marks=pytest.mark.bed("sge"))]
)


@pytest.fixture(params=SYSTEMS)
def system(request: pytest.FixtureRequest) -> Iterator[SystemPlace]:
    with system_at(request, request.param) as found:
        yield found


async def test_the_link_leads_to_a_kernel_that_computes_on_the_cluster(
    system: SystemPlace,
) -> None:
    name = system.name()
    words = ("up", *system.small_options, "--name", name, "--workers", "2", "--lab")
    with opened(system, *words) as (link, process):
        guest = Guest(link)
        assert (await guest.enter()).code == 200
        kernel = await guest.kernel()
        page = await guest.fetch(f"{guest.room}/lab")
        assert b"jupyter-config-data" in page.body
        assert await kernel.run(COMPUTE) == f"{name} 4950"
        assert system.dask_hpc("down", name).returncode == 0
        assert process.wait(PATIENCE) == 0
    # Later than the clusters here, for asking needs a loop of its own.
    left = await asyncio.to_thread(system.left, name)
    assert left == []


@pytest.mark.skipif(AS_USER in os.environ, reason="runs all of the above, and not itself")
def test_all_of_this_on_oar_which_takes_no_jobs_of_root(oar: OarBed) -> None:
    assert "1 passed" in run_as_user(oar, Path(__file__), system="oar", seconds=300)
