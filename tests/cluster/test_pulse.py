"""The pulse of a run: beats while the block runs, and silence is counted from the last one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dask_hpc._clock import until_now
from dask_hpc._files import write_private
from dask_hpc.cluster.pulse import Pulse, beating, pulse_of
from dask_hpc.cluster.slot import Slot
from dask_hpc.testing.clock import FakeClock

if TYPE_CHECKING:
    from pathlib import Path


async def silences(pulse: Pulse, clock: FakeClock, *, seconds: int) -> list[float]:
    found = []
    for _ in range(seconds):
        await clock.advance(1.0)
        found.append(pulse.silence())
    return found


def test_a_pulse_beats_while_the_block_runs_and_not_after_it(tmp_path: Path) -> None:
    path = pulse_of(tmp_path, Slot.parse("run-1.0"))
    assert path.name == "run-1.0.pulse"
    with beating(path, every=0.01):
        assert until_now(lambda: path.exists() and int(path.read_text()) >= 3, 10)
    count = path.read_text()
    assert not until_now(lambda: path.read_text() != count, 0.1)


def test_a_pulse_outlives_a_directory_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "later" / "pulse"
    with beating(path, every=0.01):
        path.parent.mkdir()
        assert until_now(path.exists, 10)


async def test_silence_is_counted_from_the_last_beat(tmp_path: Path) -> None:
    path, clock = tmp_path / "pulse", FakeClock(autojump=False)
    pulse = Pulse(path, clock)
    assert await silences(pulse, clock, seconds=2) == [0, 0]  # nothing has begun
    write_private(path, "1")
    assert await silences(pulse, clock, seconds=3) == [0, 1, 2]
    write_private(path, "2")
    assert await silences(pulse, clock, seconds=2) == [0, 1]
    path.unlink()  # what cannot be read is no beat
    assert await silences(pulse, clock, seconds=2) == [2, 3]
    pulse.forgive()
    assert await silences(pulse, clock, seconds=1) == [1]


async def test_a_look_that_was_held_up_counts_little(tmp_path: Path) -> None:
    path, clock = tmp_path / "pulse", FakeClock(autojump=False)
    write_private(path, "1")
    pulse = Pulse(path, clock)
    assert pulse.silence() == 0
    await clock.advance(600.0)
    assert pulse.silence() == 1
