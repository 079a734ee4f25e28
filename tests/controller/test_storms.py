"""Whatever befalls a cluster: when it is over, its jobs are as many as wanted, and can be ended."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from dask_hpc.batch.model import JobState
from dask_hpc.cluster.slot import Slot
from tests.controller.world import World, a_world, succeed
from tests.places import scratch

if TYPE_CHECKING:
    from collections.abc import Callable

    from dask_hpc.testing import FakeJob

_OVER = 200  # seconds until every fault that was ordered has happened
_QUIET = 300  # seconds until all is well again


def _with_a_job(deed: Callable[[World, FakeJob], None]) -> Callable[[World, int], None]:
    def act(world: World, number: int) -> None:
        if live := [job for job in world.live if job.started is not None]:
            deed(world, live[number % len(live)])

    return act


def _disconnect(world: World, number: int) -> None:
    # Of a job that was seen to serve: how long another may take to start is no matter here.
    if serving := world.jobs("running"):
        world.crew.disconnect(Slot.parse(serving[number % len(serving)].slot))


def _fail(world: World, number: int) -> None:
    world.crew.habits.fails, world.crew.habits.failures = 7, number % 3


# What may happen, each with a number that means something or nothing.
BLOWS: dict[str, Callable[[World, int], None]] = {
    "a job is cancelled": _with_a_job(lambda w, job: w.system.end(job.id, JobState.CANCELLED)),
    "a script ends": _with_a_job(lambda w, job: w.system.end(job.id, JobState.FAILED, exit_code=3)),
    "workers are gone": _disconnect,
    "no answer": lambda w, number: w.system.lose_answer("submit", times=number % 3),
    "not submitted": lambda w, number: w.system.be_silent("submit", times=number % 3),
    "nothing listed": lambda w, number: w.system.list_nothing(times=number % 4),
    "not listed": lambda w, number: w.system.be_silent("status", times=number),
    "not cancelled": lambda w, number: w.system.be_silent("cancel", times=number % 4),
    "no history": lambda w, number: w.system.be_silent("history", times=number),
    "does not start": _fail,
}
deeds = st.tuples(
    st.sampled_from(["scale", "restart", *BLOWS]), st.integers(0, 7), st.sampled_from([0, 1, 9])
)


@settings(max_examples=12, deadline=None)
@given(
    story=st.lists(deeds, min_size=3, max_size=10),
    wanted=st.integers(0, 5),
    cores=st.sampled_from([8, 1000]),
    records=st.booleans(),
    remembered=st.sampled_from([0, 300]),
)
def test_after_any_storm_the_jobs_are_as_many_as_wanted_and_end_with_the_cluster(
    story: list[tuple[str, int, int]], wanted: int, cores: int, records: bool, remembered: int
) -> None:
    async def live() -> None:
        with scratch() as home:
            async with a_world(home, cores=cores, listed_for=remembered) as world:
                world.crew.habits.records = records
                for deed, number, pause in story:
                    await _do(world, deed, number)
                    await world.later(pause)
                await _calm(world)
                await world.controller.scale(wanted)
                assert await world.until(lambda: _is_as_wanted(world, wanted, cores), _QUIET)
                assert await world.controller.stop() == ()
                assert world.live == []

    asyncio.run(live())


async def _do(world: World, deed: str, number: int) -> None:
    if deed == "scale":
        await world.controller.scale(number)
    elif deed == "restart":
        await succeed(world)
    else:
        BLOWS[deed](world, number)


async def _calm(world: World) -> None:
    """Let every fault that was ordered happen, and none that was not."""
    world.crew.habits.fails = None
    await world.later(_OVER)
    world.system.list_nothing(times=0)
    for verb in ("submit", "status", "cancel", "history"):
        world.system.lose_answer(verb, times=0)
        world.system.be_silent(verb, times=0)


def _is_as_wanted(world: World, wanted: int, cores: int) -> bool:
    at_work = min(wanted, cores // world.spec.worker.cores)
    return len(world.live) == len(world.jobs()) == wanted and len(world.jobs("running")) == at_work
