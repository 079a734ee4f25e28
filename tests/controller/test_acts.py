"""What the controller does with its decisions, where the batch system takes its time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.controller.world import a_world

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_submission_that_hangs_is_told_before_it_is_given_up(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world:
        world.system.be_silent("submit")
        begin = world.clock.time()
        scaled = asyncio.ensure_future(world.controller.scale(1))
        await world.later(4)
        assert world.controller.report().unanswered_since is None
        await world.later(2)
        report = world.controller.report()
        assert report.unanswered_since == begin
        assert report.waits_for == "the batch system to answer"
        await world.later(10)
        await scaled
        assert world.controller.report().unanswered_since is None
        assert await world.serving(1)
