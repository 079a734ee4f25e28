"""The scheduler's own job ends: whoever asks is told in time."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from dask_hpc._clock import SystemClock
from dask_hpc.batch.model import JobId, Resources, Tag
from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.engine.client import ControllerClient, connected
from dask_hpc.engine.start import start_scheduler
from tests.boot.stage import eventually, new_cluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest

WORDS = "the scheduler's own job ends in "


@asynccontextmanager
async def controller(ends: float | None, *, walltime: float) -> AsyncIterator[ControllerClient]:
    resources = Resources(cores=1, memory=2**28, walltime=walltime)
    with new_cluster(scheduler=resources) as spec:
        scheduler = await start_scheduler(spec, tag=Tag("boot-x"), job=JobId("7"), end_time=ends)
        try:
            async with connected(ClusterDirectory(spec.directory)) as controller:
                yield controller
        finally:
            await scheduler.close()


async def told(controller: ControllerClient) -> list[str]:
    return [one.why for one in await controller.decisions() if one.why.startswith(WORDS)]


async def test_in_the_last_quarter_of_the_walltime_it_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ends = SystemClock().time() + 900
    async with controller(ends, walltime=3600.0) as cluster:
        assert (await cluster.report()).ends == ends
        await eventually(lambda: WORDS in caplog.text)
        (words,) = await told(cluster)
        assert words.endswith(": its workers end with it")
        assert caplog.text.count(WORDS) == 1


async def test_a_job_without_an_end_says_nothing() -> None:
    async with controller(None, walltime=80.0) as cluster:
        assert (await cluster.report()).ends is None
        assert await told(cluster) == []


async def test_while_there_is_time_nothing_is_said() -> None:
    async with controller(SystemClock().time() + 3600, walltime=3600.0) as cluster:
        assert await told(cluster) == []
