"""Time that passes when everybody waits for it."""

from __future__ import annotations

import asyncio
import time

from dask_hpc._clock import until, wait_for
from dask_hpc.testing import FakeClock


async def test_an_hour_passes_at_once() -> None:
    clock, before = FakeClock(start=1000.0), time.monotonic()
    await clock.sleep(3600)
    assert (clock.monotonic(), clock.time()) == (3600, 4600)
    assert time.monotonic() - before < 1


async def test_sleepers_wake_in_the_order_of_their_moments() -> None:
    clock = FakeClock()
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, *naps: float) -> None:
        for nap in naps:
            await clock.sleep(nap)
            woken.append((name, clock.monotonic()))

    await asyncio.gather(sleeper("a", 1, 5), sleeper("b", 2, 2), sleeper("c", 0))
    assert woken == [("c", 0), ("a", 1), ("b", 2), ("b", 4), ("a", 6)]


async def test_time_stands_still_while_somebody_has_something_to_do() -> None:
    clock = FakeClock()
    queue: asyncio.Queue[int] = asyncio.Queue(1)
    moments: list[float] = []

    async def produce() -> None:
        for number in range(20):
            await queue.put(number)

    async def consume() -> None:
        for _ in range(20):
            await queue.get()
            moments.append(clock.monotonic())

    await asyncio.gather(clock.sleep(5), produce(), consume())
    assert moments == [0] * 20


async def test_a_wait_that_was_given_up_does_not_hold_time_back() -> None:
    clock = FakeClock()
    given_up = asyncio.ensure_future(clock.sleep(10))
    await clock.sleep(1)
    given_up.cancel()
    await clock.sleep(100)
    assert clock.monotonic() == 101


async def test_without_the_jumping_only_advance_lets_time_pass() -> None:
    clock = FakeClock(autojump=False)
    naps = [asyncio.ensure_future(clock.sleep(seconds)) for seconds in (1, 2, 3)]
    await clock.advance(2)
    assert [nap.done() for nap in naps] == [True, True, False]
    assert clock.monotonic() == 2
    await clock.advance(1)
    assert naps[2].done()


async def test_advancing_lets_those_who_wake_sleep_again() -> None:
    clock = FakeClock(autojump=False)
    moments: list[float] = []

    async def tick() -> None:
        while True:
            await clock.sleep(1)
            moments.append(clock.monotonic())

    task = asyncio.create_task(tick())
    await clock.advance(3.5)
    task.cancel()
    assert moments == [1, 2, 3]
    assert clock.monotonic() == 3.5


async def test_it_is_a_clock_for_every_wait_of_ours() -> None:
    clock = FakeClock()
    assert not await wait_for(asyncio.Event(), 30, clock=clock)
    assert clock.monotonic() == 30
    assert await until(lambda: clock.monotonic() > 40, 30, clock=clock, every=1)
    assert clock.monotonic() == 41
