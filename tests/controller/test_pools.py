"""A cluster with several kinds of workers: each is scaled, adapted and halted by itself."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dask_hpc.cluster.spec import Pool
from dask_hpc.controller.adaptive import Bounds
from dask_hpc.errors import ConfigError, SubmitRejected
from tests.controller.world import A_JOB, World, a_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

GPU = Pool(worker=replace(A_JOB, cores=2), processes=1, python="/opt/gpu/bin/python", max_jobs=3)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(tmp_path, settings={"pools": {"gpu": GPU}}) as world:
        yield world


def cores(world: World) -> list[int]:
    return sorted(job.resources.cores for job in world.live)


async def test_each_pool_has_the_number_of_its_own(world: World) -> None:
    await world.controller.scale(2)
    await world.controller.scale(1, pool="gpu")
    assert await world.serving(3)
    assert cores(world) == [2, 4, 4]
    report = world.controller.report()
    assert (report.wanted, report.workers) == (3, 6)
    assert {name: pool.wanted for name, pool in report.pools.items()} == {"default": 2, "gpu": 1}
    assert sorted(job.pool for job in report.jobs) == ["default", "default", "gpu"]
    await world.controller.scale(0)
    assert await world.serving(1)
    assert cores(world) == [2]
    assert "scaled of pool 'gpu' to 1 job" in world.why()


async def test_a_job_says_which_pool_it_is_for_and_runs_its_python(world: World) -> None:
    await world.controller.scale(1, pool="gpu")
    (script,) = [one.stdin for one in world.system.commands if one.argv[1] == "submit"]
    assert script
    assert "/opt/gpu/bin/python" in script
    assert "gpu" in script[script.index("--pool") :].split()[:3]


async def test_a_lost_job_is_replaced_in_its_own_pool(world: World) -> None:
    await world.controller.scale(1)
    await world.controller.scale(1, pool="gpu")
    assert await world.serving(2)
    (gpu,) = [job for job in world.live if job.resources.cores == 2]
    world.system.end(gpu.id)
    assert await world.until(lambda: len(world.submitted) == 3, 5)
    assert await world.serving(2)
    assert cores(world) == [2, 4]


async def test_a_refusal_of_one_pool_leaves_the_others_alone(world: World) -> None:
    world.system.refuse("no GPUs today")
    with pytest.raises(SubmitRejected, match="no GPUs"):
        await world.controller.scale(1, pool="gpu")
    await world.controller.scale(2)
    assert await world.serving(2)
    report = world.controller.report()
    assert report.pools["gpu"].halted == "no GPUs today"
    assert report.pools["default"].halted == ""
    assert report.waits_for == "somebody to call scale of pool 'gpu': no GPUs today"


async def test_each_pool_follows_the_work_that_is_for_it(world: World) -> None:
    world.crew.work = {"default": 4, "gpu": 9}
    bounds = Bounds(minimum=0, maximum=10, target_duration=60.0)
    await world.controller.adapt(bounds)
    await world.controller.adapt(bounds, pool="gpu")
    assert await world.serving(5)
    # Two workers a job in one pool; the queue of the other allows three jobs.
    assert cores(world) == [2, 2, 2, 4, 4]
    assert {seconds for _, _, seconds in world.crew.asked} == {60.0}


async def test_a_pool_that_is_not_there_is_an_error_and_changes_nothing(world: World) -> None:
    await world.controller.scale(1)
    with pytest.raises(ConfigError, match="has no pool 'gpus'") as refused:
        await world.controller.scale(1, pool="gpus")
    assert refused.value.hint == "its pools are default, gpu"
    assert await world.serving(1)
