"""Commands that are asked for by files: run a few at a time, answered once, ended when unwanted."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from dask_hpc.batch.model import JobSpec, JobState, Resources, Tag
from dask_hpc.batch.programs import programs_of
from dask_hpc.batch.queue import Queue
from dask_hpc.errors import BatchError, BatchUnavailable, SubmitRejected
from dask_hpc.process.requests import Answer, Request, Requests
from dask_hpc.process.runner import Command
from dask_hpc.process.spool import SpoolRunner
from dask_hpc.remote.serving import Serving
from dask_hpc.testing import FakeClock, FakeSystem
from dask_hpc.testing.dialect import FakeDialect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

JOB = JobSpec(tag=Tag("x"), resources=Resources(cores=1, memory=1), body="run", log="/log")
STATUS = Command(argv=("fake", "status", "me"))


class Site:
    """A batch system, and a room in which it is asked from elsewhere."""

    def __init__(self, room: Path) -> None:
        self.room = room
        self.clock = FakeClock()
        self.system = FakeSystem(self.clock)
        self.requests = Requests(room)
        self.runner = SpoolRunner(directory=room, clock=self.clock)
        self.queue = Queue(FakeDialect(), self.runner, user="me")
        self.serving = self.new_serving()

    def new_serving(self) -> Serving:
        return Serving(self.requests, programs_of(FakeDialect()), runner=self.system)

    def now(self) -> float:
        return self.room.stat().st_mtime

    @asynccontextmanager
    async def served(self) -> AsyncIterator[None]:
        """Let somebody look for requests all the while."""

        async def serve() -> None:
            while True:
                self.serving.look(self.now())
                await self.clock.sleep(0.1)

        task = asyncio.ensure_future(serve())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def pass_time(self, seconds: float) -> None:
        until = self.clock.monotonic() + seconds
        while self.clock.monotonic() < until:
            self.serving.look(self.now())
            await self.clock.sleep(0.1)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    room = tmp_path / "requests"
    room.mkdir(mode=0o700)
    return Site(room)


async def test_a_whole_life_of_jobs_goes_through_it(site: Site) -> None:
    async with site.served():
        ids = await site.queue.submit(JOB, 3)
        assert set(await site.queue.status([JOB.tag])) == set(ids)
        await site.queue.cancel(ids)
        states = {job.state for job in (await site.queue.status([JOB.tag])).values()}
        assert states == {JobState.CANCELLED}
        assert await site.queue.queues()
    assert list(site.room.iterdir()) == []


async def test_a_refusal_is_the_batch_systems(site: Site) -> None:
    site.system.refuse("the queue is closed")
    async with site.served():
        with pytest.raises(SubmitRejected, match="the queue is closed"):
            await site.queue.submit(JOB)


async def test_several_run_at_a_time_but_not_many(site: Site) -> None:
    site.system.slow_down("status", seconds=5)
    for _ in range(10):
        site.requests.put(Request.of(STATUS, 60))
    await site.pass_time(3)
    assert len(site.system.commands) == 4
    await site.pass_time(3)
    assert len(site.system.commands) == 8
    await site.pass_time(10)
    assert len(site.requests.listing().answered) == len(site.system.commands) == 10


async def test_what_is_taken_back_before_it_was_begun_never_runs(site: Site) -> None:
    asking = asyncio.ensure_future(site.queue.submit(JOB))
    while not site.requests.listing().waiting:
        await site.clock.sleep(0.01)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await site.pass_time(5)
    assert site.system.commands == []


async def test_what_is_taken_back_while_it_runs_is_ended(site: Site) -> None:
    site.system.slow_down("status", seconds=1000)
    key = site.requests.put(Request.of(STATUS, 2000))
    await site.pass_time(1)
    site.requests.take_back(key)
    await site.pass_time(1)
    assert not site.serving.look(site.now())
    assert list(site.room.iterdir()) == []


async def test_a_command_gets_the_time_that_was_asked_for(site: Site) -> None:
    site.system.be_silent("status")
    key = site.requests.put(Request.of(STATUS, 30))
    await site.pass_time(29)
    assert not site.requests.listing().answered
    await site.pass_time(2)
    with pytest.raises(BatchUnavailable, match="did not answer within 30 s"):
        site.requests.answer_to(key).result(STATUS)


async def test_a_foreign_command_is_refused_and_not_run(site: Site) -> None:
    async with site.served():
        with pytest.raises(BatchError, match="rm is no command of fake, and was not run"):
            await site.runner.run(Command(argv=("rm", "-rf", "/")))
    assert site.system.commands == []


async def test_a_truncated_request_is_answered_and_holds_up_nobody(site: Site) -> None:
    bad = site.room / "0.request"
    bad.touch(mode=0o600)
    bad.write_text('{"version": 1, "argv": ["fake", "sub')
    async with site.served():
        await site.queue.status([JOB.tag])
    assert len(site.system.commands) == 1
    with pytest.raises(BatchError, match=r"the agent did not run the command: .* is damaged"):
        site.requests.answer_to("0").result(STATUS)


async def test_a_request_that_others_could_have_written_is_not_run(site: Site) -> None:
    key = site.requests.put(Request.of(STATUS, 60))
    (site.room / f"{key}.request").chmod(0o622)
    await site.pass_time(1)
    assert site.system.commands == []
    with pytest.raises(BatchError, match="is open to others"):
        site.requests.answer_to(key).result(STATUS)


async def test_what_a_predecessor_had_begun_is_answered_and_not_run_again(site: Site) -> None:
    begun, done = (site.requests.put(Request.of(STATUS, 60)) for _ in range(2))
    for key in (begun, done):
        site.requests.begin(key, now=site.now())
    site.requests.answer(done, Answer(stdout="[]"))
    successor = site.new_serving()
    successor.take_over()
    successor.look(site.now())
    assert site.system.commands == []
    assert site.requests.answer_to(done).result(STATUS).stdout == "[]"
    with pytest.raises(BatchUnavailable, match="whether it had its effect is not known"):
        site.requests.answer_to(begun).result(STATUS)


async def test_a_job_whose_answer_was_lost_with_the_agent_is_found_by_its_tag(site: Site) -> None:
    site.system.slow_down("submit", seconds=5)
    asking = asyncio.ensure_future(site.queue.submit(JOB))
    await site.pass_time(2)
    await site.serving.close()  # as a kill would: the job is in the queue, and nobody knows
    site.serving = site.new_serving()
    site.serving.take_over()
    async with site.served():
        with pytest.raises(BatchUnavailable, match="is not known"):
            await asking
        assert len(await site.queue.status([JOB.tag])) == 1


async def test_where_requests_are_closed_nothing_is_begun(site: Site) -> None:
    site.requests.put(Request.of(STATUS, 60))
    site.requests.close()
    await site.pass_time(5)
    assert site.system.commands == []


async def test_closing_ends_what_is_under_way(site: Site) -> None:
    site.system.slow_down("status", seconds=1000)
    key = site.requests.put(Request.of(STATUS, 2000))
    await site.pass_time(1)
    await site.serving.close()
    assert site.requests.listing().begun == {key}
    assert not site.requests.listing().answered
