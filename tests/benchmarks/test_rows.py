"""Medians, their ratio, the spread of the turns, and whether a goal is reached."""

from __future__ import annotations

import math

from benchmarks.harness import Goal, Runs
from benchmarks.rows import Spread, rows, spread

from tests.benchmarks.figures import HELP, LOST, MISSING, NODE


def test_a_row_has_medians_and_their_ratio_and_the_ratios_of_the_turns() -> None:
    wall, _ = rows(NODE)
    assert wall.ours == Spread(median=0.8, least=0.7, most=0.9)
    assert wall.theirs == Spread(median=4.0, least=3.0, most=8.0)
    assert wall.ratio == Spread(median=0.2, least=0.1, most=0.9 / 3.0)
    assert (wall.other, wall.quantity, wall.unit) == ("dask worker", "wall", "s")


def test_the_median_of_an_even_number_is_between_the_two_in_the_middle() -> None:
    assert spread([4.0, 1.0, 3.0, 9.0]).median == 3.5


def test_a_goal_beside_another_holds_the_ratio() -> None:
    wall, cpu = rows(NODE)
    assert (wall.goal, wall.reached, wall.met) == (0.20, 0.2, True)
    assert (cpu.goal, cpu.reached, cpu.met) == (0.12, 0.2, False)


def test_a_goal_of_its_own_holds_the_median_in_its_unit() -> None:
    (row,) = rows(LOST)
    assert (row.absolute, row.reached, row.met) == (True, 1.0, True)


def test_beside_what_never_came_the_ratio_is_nothing() -> None:
    (row,) = rows(LOST)
    assert row.theirs
    assert row.theirs.median == math.inf
    assert row.ratio
    assert row.ratio.median == 0


def test_each_rival_has_its_row_and_a_goal_stands_in_one() -> None:
    python, dask = rows(HELP)
    assert [row.other for row in (python, dask)] == ["python", "dask"]
    assert [row.yardstick for row in (python, dask)] == [True, False]
    assert [row.goal for row in (python, dask)] == [6.0, None]
    absolute = Runs(
        name="", values=HELP.values, goals=(Goal(quantity="wall ms", at_most=99),), loads=[0.1]
    )
    assert [row.goal for row in rows(absolute)] == [99, None]


def test_what_nobody_else_measures_has_a_row_alone() -> None:
    runs = Runs(name="", values={"ours": {"a s": [1.0]}, "theirs": {"b s": [1.0]}}, loads=[0.1])
    (row,) = rows(runs)
    assert (row.measure, row.other, row.theirs, row.ratio, row.met) == ("a s", "", None, None, None)


def test_a_rival_that_needs_nothing_is_out_of_reach() -> None:
    runs = Runs(name="", values={"a": {"n calls": [1]}, "b": {"n calls": [0]}}, loads=[0.1])
    (row,) = rows(runs)
    assert row.ratio == Spread(median=math.inf, least=math.inf, most=math.inf)


def test_what_was_not_measured_has_no_rows() -> None:
    assert rows(MISSING) == []
