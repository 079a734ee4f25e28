"""What hosts say that cannot reach the scheduler is the cluster's trouble until they can."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dask_hpc._files import write_record
from dask_hpc.batch.model import JobId, JobState
from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.cluster.jobrecords import Attempt, Unreachable, unreachable_of
from dask_hpc.cluster.slot import Slot
from tests.controller.world import World, a_world

if TYPE_CHECKING:
    from pathlib import Path

    from dask_hpc.controller.report import Trouble

TRIED = (Attempt(address="tls://10.76.0.1:40123", error="timed out after 9 s"),)
WORDS = (
    "worker host node1 cannot reach the scheduler at tls://10.76.0.1:40123 (timed out after 9 s)"
)


async def cut_off(world: World) -> Path:
    """Start a job whose host cannot reach the scheduler, and return its sign of that."""
    world.crew.habits.boots = 50.0
    await world.controller.scale(1)
    assert await world.until(lambda: bool(world.jobs("starting")), 20)
    (job,) = world.jobs()
    slot = Slot.parse(job.slot)
    path = unreachable_of(ClusterDirectory(world.spec.directory).jobs, slot)
    sign = Unreachable(
        slot=job.slot,
        job=JobId(str(job.job)),
        host="node1",
        time=world.clock.time(),
        tried=TRIED,
        hint="scheduler_interface=eth0",
    )
    write_record(path, sign)
    return path


def trouble(world: World) -> Trouble | None:
    return world.controller.report().trouble


async def test_it_is_told_within_seconds_and_over_when_the_host_arrives(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world:
        sign = await cut_off(world)
        assert await world.until(lambda: trouble(world) is not None, 3)
        told = trouble(world)
        assert told
        assert (told.message, told.hint) == (WORDS, "scheduler_interface=eth0")
        assert told.job == world.jobs()[0].job
        sign.unlink()
        assert await world.until(lambda: trouble(world) is None, 3)


async def test_it_stays_when_the_job_ends_over_it(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world:
        await cut_off(world)
        assert await world.until(lambda: trouble(world) is not None, 3)
        world.system.end(world.live[0].id, JobState.FAILED, exit_code=1)
        assert await world.until(lambda: bool(world.jobs("ended")), 10)
        told = trouble(world)
        assert told
        assert told.message == WORDS


async def test_another_try_forgets_it(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world:
        await cut_off(world)
        assert await world.until(lambda: trouble(world) is not None, 3)
        await world.controller.scale(0)
        assert await world.until(lambda: not world.live, 60)
        await world.later(5)
        assert trouble(world) is None
