"""A runner whose commands somebody else runs: in time, once, or not at all."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from dask_hpc._files import write_record
from dask_hpc._hosts import own_mark
from dask_hpc.errors import BatchError, BatchUnavailable, CommandMissing, UnreadableOutput
from dask_hpc.process.requests import AGENT, AgentRecord, Answer, Requests
from dask_hpc.process.runner import Command, Result, Runner
from dask_hpc.process.spool import SpoolRunner
from dask_hpc.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

COMMAND = Command(argv=("squeue", "--me"), stdin="x", env={"LC_ALL": "C"})


class Desk:
    """A room for requests, a runner that leaves them there, and somebody who may answer."""

    def __init__(self, room: Path) -> None:
        self.room = room
        self.clock = FakeClock(autojump=True)
        self.runner = SpoolRunner(directory=room, clock=self.clock)
        self.requests = Requests(room)

    def beat(self) -> None:
        """Show that an agent lives, at the time of the clock."""
        if not (self.room / AGENT).exists():
            write_record(self.room / AGENT, AgentRecord(process=own_mark()))
        os.utime(self.room / AGENT, (0.0, self.clock.time()))

    async def serve(self, seconds: float, deed: Callable[[str], None]) -> None:
        """Do something with the first request after some time, with signs of life all along."""
        until = self.clock.monotonic() + seconds
        while self.clock.monotonic() < until:
            self.beat()
            await self.clock.sleep(1)
        listing = self.requests.listing()
        for key in (*listing.waiting, *listing.begun):
            deed(key)

    def begin(self, key: str) -> None:
        """Take a request up."""
        assert self.requests.begin(key, now=self.room.stat().st_mtime)

    def left(self) -> list[str]:
        """Return what lies around besides the agent's record."""
        return [path.name for path in self.room.iterdir() if path.name != AGENT]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    room = tmp_path / "requests"
    room.mkdir(mode=0o700)
    return Desk(room)


async def asked(desk: Desk, deed: Callable[[str], None], *, after: float = 2) -> Result:
    """Return what the runner says, while somebody serves."""
    serving = asyncio.ensure_future(desk.serve(after, deed))
    try:
        return await desk.runner.run(COMMAND, timeout=60)
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


def test_it_is_a_runner_and_equal_by_its_directory(desk: Desk, tmp_path: Path) -> None:
    runner: Runner = desk.runner
    assert runner == SpoolRunner(directory=desk.room)
    assert hash(runner) == hash(SpoolRunner(directory=desk.room))
    assert runner != SpoolRunner(directory=tmp_path)


async def test_it_returns_the_answer_and_leaves_nothing(desk: Desk) -> None:
    seen = []

    def answer(key: str) -> None:
        request = desk.requests.begin(key, now=desk.room.stat().st_mtime)
        assert request
        seen.append(request.command)
        desk.requests.answer(key, Answer(exit_code=2, stdout="36\n", stderr="no"))

    result = await asked(desk, answer)
    assert result == Result(command=COMMAND, exit_code=2, stdout="36\n", stderr="no")
    assert seen == [COMMAND]
    assert desk.left() == []


@pytest.mark.parametrize(("after", "late"), [(0.05, 0.2), (30, 1.0)])
async def test_it_looks_often_at_first_and_less_often_later(
    desk: Desk, after: float, late: float
) -> None:
    asking = asyncio.ensure_future(desk.runner.run(COMMAND, timeout=60))
    while desk.clock.monotonic() < after:
        desk.beat()
        await desk.clock.sleep(after / 30)
    answered = desk.clock.monotonic()
    desk.requests.answer(desk.requests.listing().waiting[0], Answer())
    await asking
    assert desk.clock.monotonic() - answered <= late


async def test_the_errors_of_the_other_side_are_raised(desk: Desk) -> None:
    error = CommandMissing("squeue cannot be run here", hint="load its module")
    with pytest.raises(CommandMissing, match="squeue cannot be run here"):
        await asked(desk, lambda key: desk.requests.answer(key, Answer.failure(error)))
    assert desk.left() == []


async def test_a_request_that_nobody_begins_in_time_is_taken_back(desk: Desk) -> None:
    keys: list[str] = []
    with pytest.raises(BatchUnavailable, match=r"the agent on .* has not answered since"):
        await asked(desk, keys.append, after=59)
    assert 59 < desk.clock.monotonic() <= 61
    assert desk.left() == []
    assert desk.requests.begin(keys[0], now=desk.room.stat().st_mtime) is None


async def test_one_that_was_begun_and_has_no_answer_is_taken_back_too(desk: Desk) -> None:
    with pytest.raises(BatchUnavailable, match="squeue has no answer"):
        await asked(desk, desk.begin)
    assert 59 < desk.clock.monotonic() <= 61
    assert desk.left() == []


async def test_an_agent_without_a_sign_of_life_is_not_waited_for_long(desk: Desk) -> None:
    desk.beat()
    with pytest.raises(BatchUnavailable, match="has not answered since") as error:
        await desk.runner.run(COMMAND, timeout=60)
    assert desk.clock.monotonic() < 20
    assert "dask-hpc status" in error.value.hint
    assert desk.left() == []


async def test_without_an_agent_it_says_so(desk: Desk) -> None:
    with pytest.raises(BatchUnavailable, match="squeue has no answer: there is no agent"):
        await desk.runner.run(COMMAND, timeout=60)
    assert desk.clock.monotonic() < 20
    assert desk.left() == []


@pytest.mark.parametrize("after", [0, 10])
async def test_where_nothing_is_begun_any_more_nobody_waits(desk: Desk, after: float) -> None:
    desk.beat()
    asking = asyncio.ensure_future(desk.runner.run(COMMAND, timeout=60))
    await desk.clock.sleep(after)
    desk.requests.close()
    with pytest.raises(BatchError, match="the cluster is being ended") as error:
        await asking
    assert not error.value.transient
    assert desk.clock.monotonic() <= after + 1
    assert desk.left() == ["closed"]


async def test_an_agent_that_comes_back_meanwhile_is_in_time(desk: Desk) -> None:
    desk.beat()

    async def come_back() -> Result:
        await desk.clock.sleep(12)
        return await asked(desk, lambda key: desk.requests.answer(key, Answer(stdout="x")))

    first = asyncio.ensure_future(desk.runner.run(COMMAND, timeout=60))
    await come_back()
    assert (await first).stdout == "x"


async def test_whoever_is_cancelled_takes_the_request_back(desk: Desk) -> None:
    asking = asyncio.ensure_future(desk.runner.run(COMMAND))
    while not desk.left():
        await desk.clock.sleep(0.01)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert desk.left() == []


async def test_an_answer_that_cannot_be_read_is_told(desk: Desk) -> None:
    def garble(key: str) -> None:
        path = desk.room / f"{key}.answer"
        path.touch(mode=0o600)
        path.write_text("{")

    with pytest.raises(UnreadableOutput, match="the agent's answer cannot be read"):
        await asked(desk, garble)
    assert desk.left() == []


async def test_a_directory_that_others_can_read_is_refused(desk: Desk) -> None:
    desk.room.chmod(0o755)
    with pytest.raises(BatchError, match="is open to others"):
        await desk.runner.run(COMMAND)
    assert desk.left() == []


async def test_a_directory_that_is_gone_is_no_answer(desk: Desk) -> None:
    desk.room.rmdir()
    with pytest.raises(BatchUnavailable, match="squeue cannot be asked for"):
        await desk.runner.run(COMMAND)


async def test_a_directory_that_goes_meanwhile_is_no_answer(desk: Desk) -> None:
    def remove(key: str) -> None:
        for path in desk.room.iterdir():
            path.unlink()
        desk.room.rmdir()

    with pytest.raises(BatchUnavailable, match="squeue cannot be asked for"):
        await asked(desk, remove)
