"""Over the ends of many walltimes, the wanted workers are there, and hardly more."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from hypothesis import example, given, settings
from hypothesis import strategies as st

from dask_hpc.cluster.slot import Slot
from tests.controller.world import A_JOB, a_world
from tests.places import scratch

_WALLTIMES = 8


@settings(max_examples=8, deadline=None)
@given(
    walltime=st.sampled_from([60.0, 120.0, 600.0, 7200.0]),
    share=st.sampled_from([0.0, 0.01, 0.1, 0.3]),
    wanted=st.integers(1, 5),
)
@example(walltime=120.0, share=0.01, wanted=4)
def test_the_wanted_workers_are_there_although_every_job_ends(
    walltime: float, share: float, wanted: int
) -> None:
    async def live() -> None:
        worker = replace(A_JOB, walltime=walltime)
        with scratch() as home:
            async with a_world(home, settings={"worker": worker, "start_timeout": 1e6}) as world:
                world.crew.habits.boots = boots = max(1.0, share * walltime)
                await world.controller.scale(wanted)
                assert await world.serving(wanted, boots + 30)
                there = 0
                seconds = int(_WALLTIMES * walltime)
                step = max(1, seconds // 400)
                for _ in range(0, seconds, step):
                    await world.later(step)
                    leaving = {Slot.parse(job.slot) for job in world.jobs("draining")}
                    there += min(wanted, len(world.crew.present().keys() - leaving))
                    assert len(world.live) <= 3 * wanted
                assert there >= 0.98 * wanted * len(range(0, seconds, step))
                # A job serves for at least a quarter of its walltime, less what its start takes.
                assert len(world.system.jobs) <= wanted * (4 * _WALLTIMES + 1)
                assert world.controller.report().halted == ""

    asyncio.run(live())
