"""The batch system in memory. That it is one at all, the conformance tests show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dask_hpc.batch.model import JobId, JobSpec, JobState, Resources, Tag
from dask_hpc.errors import BatchUnavailable, SubmitRejected
from dask_hpc.testing import FakeClock, FakeJob, FakeSystem

if TYPE_CHECKING:
    from pathlib import Path

A = Tag("a")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def spec(tmp_path: Path, *body: str, cores: int = 1, walltime: float | None = None) -> JobSpec:
    return JobSpec(
        tag=A,
        resources=Resources(cores=cores, memory=2**30, walltime=walltime),
        body="\n".join(body),
        log=str(tmp_path / "{index}.log"),
    )


async def test_jobs_share_the_cores_and_nobody_overtakes(clock: FakeClock, tmp_path: Path) -> None:
    fake = FakeSystem(clock, cores=4)
    queue = fake.queue()
    (first,) = await queue.submit(spec(tmp_path, "sleep 10", cores=3))
    (large,) = await queue.submit(spec(tmp_path, "sleep 10", cores=2))
    (small,) = await queue.submit(spec(tmp_path, "sleep 10", cores=1))
    listed = await queue.status([A])
    assert [listed[one].state for one in (first, large, small)] == [
        JobState.RUNNING, JobState.PENDING, JobState.PENDING,
    ]  # fmt: skip
    assert listed[large].reason == "waits for 2 cores, 1 are free"
    assert listed[small].reason == "other jobs are ahead of it"
    await clock.sleep(15)
    assert [(job.started, job.ended) for job in fake.jobs.values()] == [
        (0, 10), (10, None), (10, None),
    ]  # fmt: skip


async def test_what_was_due_happens_at_its_own_moment(clock: FakeClock, tmp_path: Path) -> None:
    fake = FakeSystem(clock, cores=1, start_delay=2)
    await fake.queue().submit(spec(tmp_path, "echo hi", "sleep 10", "exit 0"), 3)
    await clock.sleep(1000)
    assert [(job.started, job.ended) for job in fake.jobs.values()] == [
        (2, 12), (12, 22), (22, 32),
    ]  # fmt: skip


async def test_a_test_ends_jobs_as_it_likes(clock: FakeClock, tmp_path: Path) -> None:
    fake = FakeSystem(clock)
    ids = await fake.queue().submit(spec(tmp_path, "serve"), 3)
    fake.end(ids[0])
    fake.end(ids[1], JobState.FAILED, exit_code=7)
    fake.end(ids[2], JobState.PREEMPTED)
    fake.end(ids[2], JobState.DONE)  # it has ended already
    listed = await fake.queue().status([A])
    assert [(job.state, job.exit_code) for job in listed.values()] == [
        (JobState.DONE, None), (JobState.FAILED, 7), (JobState.PREEMPTED, None),
    ]  # fmt: skip
    assert listed[ids[2]].plain_reason == "another job needs its cores"


async def test_somebody_is_told_of_starts_and_ends(clock: FakeClock, tmp_path: Path) -> None:
    fake = FakeSystem(clock)
    told: list[tuple[str, JobId]] = []

    def starts(job: FakeJob) -> None:
        told.append(("start", job.id))

    fake.on_start(starts)
    fake.on_end(lambda job: told.append(("end", job.id)))
    (job_id,) = await fake.queue().submit(spec(tmp_path, "serve"))
    await fake.queue().cancel([job_id])
    assert told == [("start", job_id), ("end", job_id)]


async def test_an_ended_job_leaves_the_listing_but_not_the_history(
    clock: FakeClock, tmp_path: Path
) -> None:
    fake = FakeSystem(clock, listed_for=60)
    ids = await fake.queue().submit(spec(tmp_path, "exit 0"))
    await clock.sleep(60)
    assert set(await fake.queue().status([A])) == set(ids)
    await clock.sleep(1)
    assert not await fake.queue().status([A])
    assert (await fake.queue().history(ids))[ids[0]].state is JobState.DONE


async def test_a_forgotten_job_leaves_no_trace(clock: FakeClock, tmp_path: Path) -> None:
    fake = FakeSystem(clock)
    ids = await fake.queue().submit(spec(tmp_path, "serve"))
    fake.forget(ids[0])
    assert not await fake.queue().status([A])
    assert not await fake.queue().history(ids)


async def test_it_refuses_as_often_as_it_was_told(clock: FakeClock, tmp_path: Path) -> None:
    fake = FakeSystem(clock)
    fake.refuse("closed for lunch", times=2)
    for _ in range(2):
        with pytest.raises(SubmitRejected, match="closed for lunch"):
            await fake.queue().submit(spec(tmp_path, "serve"))
    assert await fake.queue().submit(spec(tmp_path, "serve"))


async def test_an_answer_is_lost_although_the_job_exists(clock: FakeClock, tmp_path: Path) -> None:
    fake = FakeSystem(clock)
    fake.lose_answer("submit")
    with pytest.raises(BatchUnavailable):
        await fake.queue().submit(spec(tmp_path, "serve"))
    assert clock.monotonic() == 60
    assert len(fake.jobs) == 1


async def test_silence_means_that_nothing_was_done(clock: FakeClock, tmp_path: Path) -> None:
    fake = FakeSystem(clock)
    fake.be_silent("submit")
    with pytest.raises(BatchUnavailable):
        await fake.queue().submit(spec(tmp_path, "serve"))
    assert not fake.jobs


async def test_a_listing_may_lie(clock: FakeClock, tmp_path: Path) -> None:
    fake = FakeSystem(clock)
    await fake.queue().submit(spec(tmp_path, "serve"))
    fake.list_nothing()
    assert not await fake.queue().status([A])
    assert await fake.queue().status([A])


async def test_a_slow_answer_says_what_was_true_when_it_was_asked(
    clock: FakeClock, tmp_path: Path
) -> None:
    fake = FakeSystem(clock)
    fake.slow_down("status", seconds=8)
    (job_id,) = await fake.queue().submit(spec(tmp_path, "sleep 5", "exit 0"))
    listed = await fake.queue().status([A])
    assert clock.monotonic() == 8
    assert listed[job_id].state is JobState.RUNNING


async def test_a_log_that_cannot_be_written_fails_the_job(clock: FakeClock, tmp_path: Path) -> None:
    fake = FakeSystem(clock)
    await fake.queue().submit(spec(tmp_path / "nowhere", "echo hi"))
    (job,) = fake.jobs.values()
    assert job.state is JobState.FAILED
    assert "cannot be written" in job.reason


async def test_a_job_ends_at_its_walltime_even_if_its_script_ends_later(
    clock: FakeClock, tmp_path: Path
) -> None:
    fake = FakeSystem(clock)
    queue = fake.queue()
    await queue.submit(spec(tmp_path, "echo a", "sleep 100", "echo b", walltime=50))
    await queue.submit(spec(tmp_path, "sleep 50", "exit 0", walltime=50))
    await clock.sleep(200)
    assert [(job.state, job.ended) for job in fake.jobs.values()] == [
        (JobState.TIMED_OUT, 50), (JobState.DONE, 50),
    ]  # fmt: skip
    assert (tmp_path / "0.log").read_text() == "a\n"
