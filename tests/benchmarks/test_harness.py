"""Contenders take turns, each in a program of its own; what fails is nobody's turn."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from benchmarks.harness import Contender, Measurement, TurnFailed, take_turn

from benchmarks import harness

if TYPE_CHECKING:
    from benchmarks.harness import Quantities


def measurement(*, repeats: int = 2) -> Measurement:
    return Measurement(
        name="Two ways",
        contenders=[
            Contender(name="ours", run=lambda: {"wall s": 1.0}),
            Contender(name="theirs", run=lambda: {"wall s": 2.0}, turns=1, yardstick=True),
        ],
        repeats=repeats,
    )


class Programs:
    """Stands where programs are started: it remembers whose turn it was."""

    def __init__(self, *, broken: tuple[int, ...] = ()) -> None:
        self.started: list[int] = []
        self._broken = broken

    def __call__(self, part: str, place: int, *, seconds: float) -> Quantities:
        self.started.append(place)
        if len(self.started) in self._broken:
            raise TurnFailed("it fell over")
        found: Quantities = json.loads(take_turn(measurement(), place))
        return found


def test_the_contenders_take_turns() -> None:
    programs = Programs()
    runs = harness.measure("two", measurement(repeats=3), apart=programs)
    assert programs.started == [0, 1, 0, 0]  # the other one's answer is known after one turn
    assert runs.values == {"ours": {"wall s": [1.0] * 3}, "theirs": {"wall s": [2.0]}}
    assert runs.yardsticks == ("theirs",)
    assert len(runs.loads) == 3


def test_a_turn_that_fails_for_one_is_taken_again_by_all() -> None:
    programs = Programs(broken=(2,))
    runs = harness.measure("two", measurement(), apart=programs)
    assert programs.started == [0, 1, 0, 1, 0]
    assert runs.values["ours"]["wall s"] == [1.0, 1.0]
    assert runs.failures == ["it fell over"]


def test_what_fails_again_is_given_up_with_what_there_is() -> None:
    runs = harness.measure("two", measurement(repeats=5), apart=Programs(broken=(3, 4)))
    assert runs.values["ours"]["wall s"] == [1.0]
    assert runs.failures == ["it fell over", "it fell over"]


def test_what_cannot_be_measured_here_is_not_begun() -> None:
    programs = Programs()

    def nowhere() -> object:
        raise harness.Unavailable("there is no Slurm")

    odd = Measurement(name="", contenders=[], around=nowhere)  # type: ignore[arg-type]  # it raises
    with pytest.raises(harness.Unavailable, match="no Slurm"):
        harness.measure("two", odd, apart=programs)
    assert programs.started == []
