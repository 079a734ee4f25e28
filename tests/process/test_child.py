"""What other rooms than the runners may use of a child process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dask_hpc._clock import SystemClock
from dask_hpc.process.child import start_child
from dask_hpc.process.runner import Command

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from dask_hpc.process.child import Child

_TALK = "while read -r line; do echo heard $line; done; echo bye"


@pytest.fixture
async def listening() -> AsyncIterator[Child]:
    command = Command(argv=("sh", "-c", _TALK), stdin="one\n")
    child = await start_child(command, clock=SystemClock(), hold_stdin=True)
    yield child
    await child.end()


async def test_input_can_stay_open(listening: Child) -> None:
    assert not await listening.wait(0.1)
    assert listening.result(Command(argv=("sh",))).stdout == "heard one\n"


async def test_a_program_that_waits_for_the_end_of_its_input_is_ended_all_the_same(
    listening: Child,
) -> None:
    await listening.end()
    assert listening.result(Command(argv=("sh",))).exit_code == -15


async def test_ending_twice_does_no_harm(listening: Child) -> None:
    await listening.end()
    await listening.end()


async def test_a_word_of_its_own_can_count_as_the_end() -> None:
    script = "printf al >&2; sleep 0.05; printf l-done >&2; exec sleep 60 >&- 2>&-"
    child = await start_child(
        Command(argv=("sh", "-c", script)), clock=SystemClock(), end_mark="all-done"
    )
    try:
        assert await child.wait(30)
    finally:
        await child.end()
    assert child.result(Command(argv=("sh",))).stderr == "all-done"
