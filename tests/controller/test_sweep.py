from __future__ import annotations

import pytest

from dask_hpc.batch.model import JobId, JobSpec, JobState, Resources, Tag
from dask_hpc.controller.journal import Entry, Event
from dask_hpc.controller.sweep import open_tags, sweep
from dask_hpc.errors import BatchUnavailable
from dask_hpc.testing import FakeClock, FakeSystem

OURS, OURS_TOO, THEIRS = Tag("c-ours"), Tag("c-too"), Tag("d-theirs")


def entry(event: Event, tag: str, count: int = 0, job: str = "") -> Entry:
    jobs = (JobId(job),) if job else ()
    return Entry(time=0.0, event=event, why="", tag=Tag(tag), count=count, jobs=jobs)


# open tags ----------------------------------------------------------------------------------------


def test_a_submission_is_open_from_its_intent_until_its_last_job_ended() -> None:
    story = [entry(Event.INTENT, "a", count=2)]
    assert open_tags(story) == (Tag("a"),)
    story += [entry(Event.SUBMITTED, "a"), entry(Event.ENDED, "a", job="1.0")]
    assert open_tags(story) == (Tag("a"),)
    story += [entry(Event.ENDED, "a", job="1.1")]
    assert open_tags(story) == ()


def test_a_refused_submission_is_not_open() -> None:
    assert open_tags([entry(Event.INTENT, "a", count=3), entry(Event.REFUSED, "a")]) == ()


def test_a_submission_stays_open_whose_job_is_only_lost() -> None:
    story = [entry(Event.INTENT, "a", count=2), entry(Event.ENDED, "a"), entry(Event.LOST, "a")]
    assert open_tags(story) == (Tag("a"),)


def test_entries_that_are_about_no_submission_open_none() -> None:
    assert open_tags([entry(Event.SCALE, ""), entry(Event.HALT, ""), entry(Event.CANCEL, "")]) == ()


def test_submissions_are_told_apart() -> None:
    story = [
        entry(Event.INTENT, "a", count=1),
        entry(Event.INTENT, "b", count=1),
        entry(Event.ENDED, "a", job="1"),
    ]
    assert open_tags(story) == (Tag("b"),)


# sweeping -----------------------------------------------------------------------------------------


class Bench:
    """A batch system with jobs of two clusters."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.system = FakeSystem(self.clock)

    async def submit(self, tag: Tag, count: int = 1) -> None:
        job = JobSpec(
            tag=tag,
            resources=Resources(cores=1, memory=1, walltime=1e6),
            body="run",
            log="/{index}",
        )
        await self.system.queue().submit(job, count)

    async def sweep(self, *tags: Tag) -> list[JobId]:
        left = await sweep(self.system.queue(), tags, seconds=8, clock=self.clock)
        return [job.id for job in left]

    def live(self) -> list[Tag]:
        return [job.tag for job in self.system.jobs.values() if not job.state.is_final]

    def asked(self, verb: str) -> int:
        return sum(command.argv[1] == verb for command in self.system.commands)


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_every_job_that_carries_our_tags_ends_and_no_other(bench: Bench) -> None:
    for tag in (OURS, THEIRS, OURS_TOO):
        await bench.submit(tag, 2)
    assert await bench.sweep(OURS, OURS_TOO) == []
    assert bench.live() == [THEIRS, THEIRS]
    assert bench.asked("cancel") == 1


async def test_without_tags_nobody_is_asked(bench: Bench) -> None:
    assert await bench.sweep() == []
    assert bench.system.commands == []


async def test_an_empty_listing_is_believed_when_the_next_one_says_the_same(bench: Bench) -> None:
    await bench.submit(OURS)
    bench.system.list_nothing()
    assert await bench.sweep(OURS) == []
    assert bench.live() == []
    listings = bench.asked("status")
    assert await bench.sweep(Tag("c-never-was")) == []
    assert bench.asked("status") - listings == 2


async def test_a_listing_that_shows_them_ended_is_believed_at_once(bench: Bench) -> None:
    await bench.submit(OURS)
    bench.system.end(JobId("1"))
    assert await bench.sweep(OURS) == []
    assert bench.asked("status") == 1


async def test_a_job_that_does_not_end_in_time_is_returned(bench: Bench) -> None:
    await bench.submit(OURS)
    bench.system.jobs[JobId("1")].state = JobState.COMPLETING
    assert await bench.sweep(OURS) == [JobId("1")]
    assert 8 <= bench.clock.monotonic() < 11
    assert bench.asked("cancel") == 0


async def test_a_listing_that_fails_is_asked_for_again(bench: Bench) -> None:
    await bench.submit(OURS)
    queue = bench.system.queue()
    bench.system.be_silent("status", times=2)
    quick = type(queue)(queue.system, bench.system, user="me", timeout=1)
    assert await sweep(quick, [OURS], seconds=8, clock=bench.clock) == ()
    assert bench.live() == []


async def test_a_cancellation_that_fails_is_said_again(bench: Bench) -> None:
    await bench.submit(OURS)
    bench.system.be_silent("cancel")
    queue = bench.system.queue()
    quick = type(queue)(queue.system, bench.system, user="me", timeout=1)
    assert await sweep(quick, [OURS], seconds=8, clock=bench.clock) == ()
    assert bench.live() == []


async def test_a_batch_system_that_never_answers_is_an_error(bench: Bench) -> None:
    await bench.submit(OURS)
    bench.system.be_silent("status", times=100)
    with pytest.raises(BatchUnavailable):
        await bench.sweep(OURS)
