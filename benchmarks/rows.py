"""From the values of every turn to one row a measure: medians, their ratio, whether it will do."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.harness import Goal, Runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The middle, the least and the most of several values."""

    median: float
    least: float
    most: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measure: ours, and beside one other unless there is none.

    ``ratio`` is that of the medians; its spread is that of the turns, each ours by theirs.
    A ``yardstick`` is no rival. ``goal`` is the most that the ratio may be, or, if it is
    ``absolute``, that our median may be.
    """

    measure: str
    ours: Spread
    other: str = ""
    yardstick: bool = False
    theirs: Spread | None = None
    ratio: Spread | None = None
    goal: float | None = None
    absolute: bool = False

    @property
    def quantity(self) -> str:
        """What was measured, without its unit."""
        return self.measure.rpartition(" ")[0] or self.measure

    @property
    def unit(self) -> str:
        """The unit of ours and theirs."""
        return self.measure.rpartition(" ")[2]

    @property
    def reached(self) -> float | None:
        """What is held against the goal: our median, or its ratio to theirs."""
        if self.absolute:
            return self.ours.median
        return self.ratio.median if self.ratio else None

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; nothing where there is none."""
        if self.goal is None or self.reached is None:
            return None
        return self.reached <= self.goal


def spread(values: Sequence[float]) -> Spread:
    """Return the middle, the least and the most."""
    return Spread(median=statistics.median(values), least=min(values), most=max(values))


def rows(runs: Runs) -> list[Row]:
    """Return a row for each quantity and rival, or one without a rival that has no other."""
    if not runs.loads:
        return []
    found: list[Row] = []
    ours = next(iter(runs.values))
    for quantity, values in runs.values[ours].items():
        beside = list(_beside(runs, quantity, values=values))
        found += beside or [Row(measure=quantity, ours=spread(values))]
    return [_with_goal(row, runs.goals, first=_is_first(row, found)) for row in found]


def _beside(runs: Runs, quantity: str, *, values: Sequence[float]) -> Iterator[Row]:
    for other, theirs in list(runs.values.items())[1:]:
        if quantity in theirs:
            mine, its = spread(values), spread(theirs[quantity])
            turns = [a / b for a, b in zip(values, theirs[quantity], strict=False) if b]
            ratio = Spread(
                median=mine.median / its.median if its.median else float("inf"),
                least=min(turns, default=float("inf")),
                most=max(turns, default=float("inf")),
            )
            yield Row(
                measure=quantity,
                ours=mine,
                other=other,
                yardstick=other in runs.yardsticks,
                theirs=its,
                ratio=ratio,
            )


def _is_first(row: Row, among: Sequence[Row]) -> bool:
    return next(one for one in among if one.measure == row.measure) is row


def _with_goal(row: Row, goals: Sequence[Goal], *, first: bool) -> Row:
    """Return the row with the goal that is set for it; an absolute one stands in one row only."""
    for goal in goals:
        if goal.quantity != row.measure:
            continue
        if goal.beside == row.other and row.other:
            return replace(row, goal=goal.at_most, absolute=False)
        if not goal.beside and first:
            return replace(row, goal=goal.at_most, absolute=True)
    return row
