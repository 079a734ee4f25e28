"""One listing for all who watch, as rarely as it changes, and never believed too soon."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from dask_hpc.batch.model import JobId, JobSpec, JobState, Resources, Tag
from dask_hpc.batch.queue import Queue
from dask_hpc.batch.watch import Pace, Watch, Watches, watches_of_this_process
from dask_hpc.errors import BatchUnavailable
from dask_hpc.testing import FakeClock, FakeSystem, ScriptedRunner

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


A, B = Tag("a"), Tag("b")


@dataclass(slots=True)
class Scene:
    """A simulated batch system with its watch, and time that passes when told to."""

    clock: FakeClock
    fake: FakeSystem
    queue: Queue
    watch: Watch
    directory: Path

    def job(self, tag: Tag) -> JobSpec:
        return JobSpec(
            tag=tag,
            resources=Resources(cores=1, memory=2**30),
            body="serve",
            log=str(self.directory / "{index}.log"),
        )

    async def submit(self, tag: Tag, count: int = 1) -> tuple[JobId, ...]:
        ids = await self.queue.submit(self.job(tag), count)
        self.watch.follow([tag])
        return ids

    @property
    def listings(self) -> list[tuple[str, ...]]:
        return [one.argv[3:] for one in self.fake.commands if one.argv[1] == "status"]


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    clock = FakeClock(autojump=False)
    fake = FakeSystem(clock)
    queue = fake.queue()
    watch = Watch(queue, clock=clock)
    task = asyncio.create_task(watch.run())
    yield Scene(clock, fake, queue, watch, tmp_path)
    assert not task.done()
    task.cancel()


async def test_nothing_is_asked_while_nobody_follows_anything(scene: Scene) -> None:
    await scene.clock.advance(1000)
    assert scene.listings == []


async def test_a_followed_submission_is_listed_at_once(scene: Scene) -> None:
    (job_id,) = await scene.submit(A)
    await scene.clock.advance(0)
    assert scene.watch.latest[job_id].state is JobState.RUNNING
    assert scene.watch.listed_at == scene.clock.time()


async def test_one_question_serves_all_submissions(scene: Scene) -> None:
    await scene.submit(A)
    await scene.submit(B)
    await scene.clock.advance(0)
    assert scene.listings == [("a", "b")]
    assert {job.tag for job in scene.watch.latest.values()} == {A, B}


async def test_the_wait_doubles_while_nothing_changes_up_to_a_minute(scene: Scene) -> None:
    await scene.submit(A)
    times = []
    scene.watch.subscribe(lambda: times.append(scene.clock.monotonic()))
    await scene.clock.advance(250)
    assert times == [0, 1, 3, 7, 15, 31, 63, 123, 183, 243]


async def test_the_wait_is_short_again_after_a_change(scene: Scene) -> None:
    (job_id,) = await scene.submit(A)
    await scene.clock.advance(100)
    scene.fake.end(job_id)
    times = []
    scene.watch.subscribe(lambda: times.append(scene.clock.monotonic()))
    await scene.clock.advance(30)
    assert times == [123, 124, 126, 130]


async def test_another_reason_or_estimate_is_no_hurry(scene: Scene) -> None:
    await scene.submit(A, 9)  # one more than there are cores
    await scene.clock.advance(100)
    waiting = [one for one in scene.fake.jobs.values() if one.state is JobState.PENDING]
    waiting[0].reason = "another one"
    listings = len(scene.listings)
    await scene.clock.advance(59)
    assert len(scene.listings) == listings + 1


async def test_a_poke_is_answered_soon_but_never_faster_than_the_pace(scene: Scene) -> None:
    await scene.submit(A)
    await scene.clock.advance(100)
    times = []
    scene.watch.subscribe(lambda: times.append(scene.clock.monotonic()))
    for _ in range(10):
        scene.watch.poke()
        await scene.clock.advance(0.1)
    assert times == [100]
    await scene.clock.advance(0.5)
    assert times == [100, 101]


async def test_a_new_submission_is_listed_soon(scene: Scene) -> None:
    await scene.submit(A)
    await scene.clock.advance(100)
    (job_id,) = await scene.submit(B)
    await scene.clock.advance(0)
    assert job_id in scene.watch.latest


async def test_the_shortest_wait_is_a_setting(tmp_path: Path) -> None:
    clock = FakeClock(autojump=False)
    fake = FakeSystem(clock)
    watch = Watch(fake.queue(), clock=clock, pace=Pace(shortest=30, longest=120))
    task = asyncio.create_task(watch.run())
    watch.follow([A])
    times = []
    watch.subscribe(lambda: times.append(clock.monotonic()))
    await clock.advance(10)
    watch.poke()
    await clock.advance(400)
    task.cancel()
    assert times == [0, 30, 90, 210, 330]


async def test_one_question_is_in_flight_at_a_time(scene: Scene) -> None:
    await scene.submit(A)
    scene.fake.be_silent("status")
    await scene.clock.advance(0)
    scene.watch.poke()
    scene.watch.follow([B])
    await scene.clock.advance(59)
    assert len(scene.listings) == 1
    await scene.clock.advance(1)
    assert scene.listings == [("a",), ("a", "b")]


async def test_a_failed_listing_keeps_what_was_known_and_its_age(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    (job_id,) = await scene.submit(A)
    await scene.clock.advance(0)
    known, listed_at = scene.watch.latest[job_id], scene.watch.listed_at
    assert unanswered(scene) is None
    assert listed_at is not None
    scene.fake.be_silent("status", times=3)
    with caplog.at_level(logging.WARNING, logger="dask_hpc.batch.watch"):
        await scene.clock.advance(185)
    assert len(scene.listings) == 4
    failure = scene.watch.failure
    assert isinstance(failure, BatchUnavailable)
    assert scene.watch.latest == {job_id: known}
    assert scene.watch.listed_at == listed_at
    assert scene.watch.absences(A) == 0
    assert unanswered(scene) == listed_at + 1  # when it was asked for the second time
    assert len(caplog.records) == 1
    await scene.clock.advance(10)
    assert scene.watch.failure is None
    assert unanswered(scene) is None
    assert scene.watch.listed_at == scene.clock.time()


async def test_the_end_of_a_long_outage_is_soon_seen(scene: Scene) -> None:
    await scene.submit(A)
    await scene.clock.advance(300)  # nothing changes: a minute passes between two questions
    scene.fake.be_silent("status", times=5)
    asked = len(scene.listings)
    while len(scene.listings) < asked + 5:
        await scene.clock.advance(1)
    await scene.clock.advance(60 + 10)  # a question without an answer takes a minute, too
    assert len(scene.listings) == asked + 6
    assert scene.watch.failure is None


def unanswered(scene: Scene) -> float | None:
    return scene.watch.unanswered_since


async def test_a_question_that_hangs_is_known_to_before_it_is_given_up(scene: Scene) -> None:
    await scene.submit(A)
    await scene.clock.advance(0)
    scene.fake.be_silent("status", times=2)
    await scene.clock.advance(1)
    asked = scene.clock.time()
    await scene.clock.advance(5)
    assert unanswered(scene) is None
    await scene.clock.advance(1)
    assert unanswered(scene) == asked
    await scene.clock.advance(60)
    assert scene.watch.failure is not None
    assert unanswered(scene) == asked


async def test_whoever_asks_nothing_does_not_know_that_there_is_no_answer(scene: Scene) -> None:
    await scene.submit(A)
    scene.fake.be_silent("status", times=9)
    await scene.clock.advance(100)
    assert unanswered(scene) is not None
    scene.watch.unfollow([A])
    assert unanswered(scene) is None


async def test_an_empty_listing_while_jobs_were_alive_is_not_believed(scene: Scene) -> None:
    (job_id,) = await scene.submit(A)
    await scene.clock.advance(0)
    listed_at = scene.watch.listed_at
    scene.fake.list_nothing()
    await scene.clock.advance(1)
    assert len(scene.listings) == 2
    assert job_id in scene.watch.latest
    assert scene.watch.listed_at == listed_at
    assert scene.watch.absences(A) == 0
    await scene.clock.advance(1)
    assert scene.watch.listed_at == scene.clock.time()
    assert scene.watch.absences(A) == 0


async def test_jobs_that_are_gone_for_good_are_counted_as_absent(scene: Scene) -> None:
    (job_id,) = await scene.submit(A)
    await scene.clock.advance(0)
    scene.fake.forget(job_id)
    seen = []
    for _ in range(4):
        await scene.clock.advance(1)
        seen.append((job_id in scene.watch.latest, scene.watch.absences(A)))
    # In doubt once; then believed, and after a change soon asked again.
    assert seen == [(True, 0), (False, 1), (False, 2), (False, 2)]


async def test_an_empty_listing_after_all_jobs_have_ended_is_believed(scene: Scene) -> None:
    (job_id,) = await scene.submit(A)
    scene.fake.end(job_id)
    await scene.clock.advance(0)
    scene.fake.list_nothing()
    await scene.clock.advance(1)
    assert scene.watch.absences(A) == 1


async def test_absence_is_counted_for_each_job_of_an_array(scene: Scene) -> None:
    ids = await scene.submit(A, 3)
    await scene.clock.advance(0)
    scene.fake.forget(ids[1])
    await scene.clock.advance(2.5)
    assert [scene.watch.absences(A, index) for index in range(3)] == [0, 2, 0]


async def test_a_submission_that_was_never_taken_is_counted_as_absent(scene: Scene) -> None:
    scene.watch.follow([A])
    await scene.clock.advance(2)
    assert scene.watch.absences(A, 0) == 2
    assert scene.watch.absences(A, 7) == 2


async def test_listings_from_before_a_submission_say_nothing_of_it(scene: Scene) -> None:
    scene.watch.follow([A])  # its intent is on disk, sbatch takes its time
    await scene.clock.advance(6)
    assert scene.watch.absences(A) == 3
    scene.fake.lose_answer("submit")
    with pytest.raises(BatchUnavailable):
        await asyncio.gather(scene.queue.submit(scene.job(A)), scene.clock.advance(60))
    scene.watch.poke()
    assert scene.watch.absences(A) == 0
    await scene.clock.advance(1)
    assert [job.tag for job in scene.watch.latest.values()] == [A]


async def test_a_listing_in_flight_says_nothing_of_what_was_submitted_meanwhile(
    scene: Scene,
) -> None:
    await scene.submit(A)
    await scene.clock.advance(0)
    scene.fake.slow_down("status", seconds=10)
    await scene.clock.advance(1)  # a question is under way
    await scene.submit(B)
    scene.fake.forget(JobId("2"))  # it was refused after all
    await scene.clock.advance(10)
    assert scene.watch.absences(B) == 0
    await scene.clock.advance(10)
    assert scene.watch.absences(B) == 1


async def test_pokes_do_not_hide_that_a_job_is_gone(scene: Scene) -> None:
    ids = await scene.submit(A, 2)
    await scene.clock.advance(0)
    scene.fake.forget(ids[0])
    for _ in range(3):
        scene.watch.poke()
        await scene.clock.advance(1)
    assert scene.watch.absences(A, 0) == 3


async def test_what_nobody_follows_any_more_is_forgotten(scene: Scene) -> None:
    await scene.submit(A)
    (kept,) = await scene.submit(B)
    await scene.clock.advance(0)
    scene.watch.unfollow([A, Tag("never-followed")])
    assert set(scene.watch.latest) == {kept}
    assert scene.watch.absences(A) == 0
    await scene.clock.advance(2)
    assert scene.listings[-1] == ("b",)
    scene.watch.unfollow([B])
    listings = len(scene.listings)
    await scene.clock.advance(500)
    assert len(scene.listings) == listings


async def test_nobody_is_called_after_unsubscribing(scene: Scene) -> None:
    calls: list[int] = []

    def listener() -> None:
        calls.append(1)

    scene.watch.subscribe(listener)
    await scene.submit(A)
    await scene.clock.advance(0)
    scene.watch.unsubscribe(listener)
    await scene.clock.advance(60)
    assert calls == [1]


async def test_the_latest_listing_cannot_be_changed_by_those_who_see_it(scene: Scene) -> None:
    with pytest.raises(TypeError):
        scene.watch.latest[JobId("1")] = None  # type: ignore[index]  # that it cannot be is the test


# sharing ------------------------------------------------------------------------------------------


async def test_clusters_with_one_queue_share_a_watch(scene: Scene) -> None:
    watches = Watches(clock=scene.clock)
    again = scene.fake.queue()
    async with watches.share(scene.queue) as first, watches.share(again) as second:
        assert first is second
        first.follow([A])
        second.follow([B])
        await scene.clock.advance(0)
        assert scene.listings == [("a", "b")]


async def test_another_user_or_runner_has_another_watch(scene: Scene) -> None:
    watches = Watches(clock=scene.clock)
    async with (
        watches.share(scene.queue) as first,
        watches.share(scene.fake.queue(user="somebody")) as second,
        watches.share(FakeSystem(scene.clock).queue()) as third,
    ):
        assert len({id(first), id(second), id(third)}) == 3


async def test_the_last_who_leaves_ends_the_watch(scene: Scene) -> None:
    watches = Watches(clock=scene.clock)
    async with watches.share(scene.queue) as watch:
        async with watches.share(scene.queue):
            pass
        watch.follow([A])
        await scene.clock.advance(2)
        assert len(scene.listings) == 2
    await scene.clock.advance(500)
    assert len(scene.listings) == 2
    async with watches.share(scene.queue) as fresh:
        assert fresh is not watch


async def test_a_listener_that_stumbles_is_seen_and_harms_nobody(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[int] = []

    def broken() -> None:
        raise ZeroDivisionError

    scene.watch.subscribe(broken)
    scene.watch.subscribe(lambda: calls.append(1))
    await scene.submit(A)
    await scene.clock.advance(1)
    assert calls == [1, 1]
    assert "ZeroDivisionError" in caplog.text


async def test_a_watch_that_ends_by_a_bug_does_not_end_unseen(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    runner = ScriptedRunner()
    runner.answer("fake", "nothing that is asked")
    queue = Queue(scene.queue.system, runner, user="me")
    async with Watches(clock=scene.clock).share(queue) as watch:
        watch.follow([A])
        await scene.clock.advance(0)
    assert "the script has no answer" in caplog.text


def test_a_process_has_one_set_of_watches() -> None:
    assert watches_of_this_process() is watches_of_this_process()
