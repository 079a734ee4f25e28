"""Every way to wait."""

from __future__ import annotations

import asyncio
import time

import pytest

from dask_hpc._clock import SystemClock, until, until_now, wait_for

_CLOCK = SystemClock()


class _Countdown:
    """A condition that holds at the n-th look."""

    def __init__(self, looks: int) -> None:
        self.looks = looks

    def __call__(self) -> bool:
        self.looks -= 1
        return self.looks <= 0


def test_the_systems_clock_tells_both_times() -> None:
    assert _CLOCK.time() == pytest.approx(time.time(), abs=5)
    assert _CLOCK.monotonic() == pytest.approx(time.monotonic(), abs=5)


async def test_sleeping_lets_others_run() -> None:
    ran = asyncio.Event()
    task = asyncio.get_running_loop().create_task(_set(ran))
    await _CLOCK.sleep(0.001)
    assert ran.is_set()
    await task


async def test_an_event_that_is_set_needs_no_wait() -> None:
    event = asyncio.Event()
    event.set()
    assert await wait_for(event, 0, clock=_CLOCK)


async def test_an_event_ends_the_wait() -> None:
    event = asyncio.Event()
    asyncio.get_running_loop().call_soon(event.set)
    begin = time.monotonic()
    assert await wait_for(event, 60, clock=_CLOCK)
    assert time.monotonic() - begin < 5


async def test_an_event_that_does_not_come_is_told() -> None:
    assert not await wait_for(asyncio.Event(), 0.01, clock=_CLOCK)


async def test_no_task_is_left_after_a_wait() -> None:
    event = asyncio.Event()
    asyncio.get_running_loop().call_soon(event.set)
    await wait_for(event, 60, clock=_CLOCK)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_no_task_is_left_after_a_wait_that_was_cancelled() -> None:
    waiting = asyncio.ensure_future(wait_for(asyncio.Event(), 60, clock=_CLOCK))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_condition_is_looked_at_until_it_holds() -> None:
    condition = _Countdown(3)
    assert await until(condition, 60, clock=_CLOCK, every=0.001)
    assert condition.looks == 0


async def test_a_condition_that_holds_is_looked_at_once_even_without_time() -> None:
    assert await until(lambda: True, 0, clock=_CLOCK)
    assert not await until(lambda: False, 0, clock=_CLOCK)


async def test_a_condition_that_never_holds_is_told() -> None:
    assert not await until(lambda: False, 0.01, clock=_CLOCK, every=0.001)


def test_a_program_without_a_loop_waits_alike() -> None:
    condition = _Countdown(3)
    assert until_now(condition, 60, every=0.001)
    assert condition.looks == 0
    assert not until_now(lambda: False, 0.01, every=0.001)


async def _set(event: asyncio.Event) -> None:
    event.set()
