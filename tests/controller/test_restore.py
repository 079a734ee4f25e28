"""A controller that takes up what another one left when it was ended in the midst of its work."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from dask_hpc.batch.model import JobState
from dask_hpc.controller.adaptive import Bounds
from tests.controller.world import World, a_world, succeed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(tmp_path, cores=8) as world:
        yield world


async def test_pending_jobs_are_kept_and_those_whose_workers_are_gone_replaced(
    world: World,
) -> None:
    await world.controller.scale(4)
    assert await world.until(lambda: len(world.jobs("running")) == 2)
    for job in world.jobs("running"):
        world.crew.disconnect(next(slot for slot in world.crew.present() if str(slot) == job.slot))
    assert await succeed(world)
    assert await world.until(lambda: len(world.submitted) == 2, 60)
    assert await world.until(lambda: len(world.jobs("running")) == 2, 60)
    assert (world.submitted, len(world.live)) == ([4, 2], 4)


async def test_workers_that_are_still_there_go_on(world: World) -> None:
    await world.controller.scale(2)
    assert await world.serving(2)
    assert await succeed(world)
    assert await world.serving(2)
    assert world.submitted == [2]
    assert world.controller.report().wanted == 2


async def test_a_submission_without_an_answer_is_found_by_its_tag(world: World) -> None:
    world.system.lose_answer("submit")
    asking = asyncio.ensure_future(world.controller.scale(2))
    await world.later(1)
    asking.cancel()
    assert await succeed(world)
    assert await world.serving(2, 60)
    assert len(world.submitted) == 1


async def test_a_submission_that_never_happened_is_made_again(world: World) -> None:
    world.system.be_silent("submit")
    asking = asyncio.ensure_future(world.controller.scale(2))
    await world.later(1)
    asking.cancel()
    assert await succeed(world)
    assert await world.serving(2, 60)
    assert world.submitted == [2, 2]


async def test_jobs_that_were_dismissed_are_ended(world: World) -> None:
    await world.controller.scale(4)
    assert await world.until(lambda: len(world.jobs("running")) == 2)
    world.system.be_silent("cancel", times=10)
    asking = asyncio.ensure_future(world.controller.scale(1))
    await world.later(1)
    asking.cancel()
    world.system.be_silent("cancel", times=0)
    assert await succeed(world)
    assert await world.until(lambda: len(world.live) == 1, 60)
    assert [job.state for job in world.live] == [JobState.RUNNING]


async def test_bounds_are_kept(world: World) -> None:
    world.crew.work = 2
    await world.controller.adapt(Bounds(minimum=0, maximum=2, interval=7.0))
    assert await world.serving(1)
    assert await succeed(world)
    world.crew.work = 4
    assert await world.serving(2)
    assert (world.controller.report().minimum, world.controller.report().maximum) == (0, 2)


async def test_jobs_that_followed_the_work_are_kept_until_it_has_had_time_to_come_back(
    world: World,
) -> None:
    world.crew.work = 4
    await world.controller.adapt(Bounds(minimum=0, maximum=2, interval=20.0))
    assert await world.serving(2)
    world.crew.work = 0
    assert await succeed(world)
    await world.later(30)
    assert len(world.live) == 2
    assert await world.until(lambda: world.live == [], 60)


async def test_without_a_journal_there_is_nothing_to_take_up(world: World) -> None:
    assert await world.controller.restore() is False


# those that were taken for lost -------------------------------------------------------------------


async def test_pending_jobs_that_listings_concealed_are_back_and_their_replacements_leave(
    tmp_path: Path,
) -> None:
    async with a_world(tmp_path, cores=1) as world:
        world.system.list_nothing(times=2)
        await world.controller.scale(2)
        assert await world.until(lambda: len(world.submitted) == 2)
        assert len(world.live) == 4
        assert await world.until(lambda: len(world.live) == 2, 60)
        assert "turned up again" in world.why()
        await world.later(1000)
        assert (world.submitted, len(world.live)) == ([2, 2], 2)


async def test_a_running_job_that_was_taken_for_lost_serves_again(world: World) -> None:
    world.crew.habits.boots = 100.0
    world.system.list_nothing(times=3)
    world.crew.habits.records = False
    await world.controller.scale(1)
    assert await world.until(lambda: len(world.submitted) == 2)
    assert await world.until(lambda: len(world.live) == 1, 200)
    assert await world.serving(1, 200)


# those that are there twice -----------------------------------------------------------------------


async def test_of_two_jobs_in_one_place_the_one_that_is_known_stays(tmp_path: Path) -> None:
    async with a_world(tmp_path, cores=8) as world:
        world.system.submit_twice()
        await world.controller.scale(4)
        known = {job.job for job in world.jobs()}
        assert len(world.live) == 8
        assert await world.until(lambda: {job.id for job in world.live} == known, 30)
        assert "another job has their place" in world.why()
        assert await world.until(lambda: len(world.jobs("running")) == 2)
        await world.later(300)
        assert {job.id for job in world.live} == known
        assert world.submitted == [4]
