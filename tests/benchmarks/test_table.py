"""The results as text, for a terminal and for a page."""

from __future__ import annotations

import math

import pytest
from benchmarks.publishing import between
from benchmarks.rows import Spread
from benchmarks.table import against, number, page, spread_of, text

from tests.benchmarks.figures import ALL, FACTS


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.0, "0"), (0.01234, "0.0123"), (1.0, "1"), (12.345, "12.3"), (99.96, "100"),
     (1234.5, "1,234"), (math.inf, "never")],
)  # fmt: skip
def test_a_number_has_three_digits(value: float, said: str) -> None:
    assert number(value) == said


def test_a_spread_without_width_is_its_median() -> None:
    assert spread_of(Spread(median=1.0, least=1.0, most=1.0001)) == "1"
    assert spread_of(Spread(median=1.0, least=0.5, most=2.0)) == "1 (0.5 to 2)"


def test_the_table_has_a_line_a_measure_under_its_rival() -> None:
    lines = text(ALL)
    assert lines[0].split() == ["ours", "theirs", "ratio", "goal"]
    assert lines[1:4] == [
        "",
        "16 workers on a node (3 turns, load 0.2 to 0.4)",
        "  beside dask worker",
    ]
    assert lines[4].split("  ")[-1].strip() == "met"
    assert "0.8 (0.7 to 0.9)" in lines[4]
    assert lines[4].index("0.8 (") == lines[0].index("ours")
    assert "≤ 0.2" in lines[4]
    assert lines[5].endswith("≤ 0.12  NOT MET")


def test_the_table_says_what_never_came_and_what_was_not_measured() -> None:
    said = "\n".join(text(ALL))
    assert "1 (0.5 to 1.5)" in said
    assert "never" in said
    assert "≤ 1 s" in said
    assert "Ask: not measured: there is no Slurm: only root can start it" in said


def test_the_page_has_every_row_with_its_rival_and_the_machine() -> None:
    said = page(FACTS, ALL)
    assert "2026-09-21, Slow & Steady 3000, 2 cores, 24 GiB, load 0.2 at the start." in said
    assert "dask-hpc 0.1.0, distributed 2026.8.0, Python 3.11.7." in said
    assert (
        "| wall s | 0.8 (0.7 to 0.9) | dask worker | 4 (3 to 8) | 0.2 (0.1 to 0.3) | ≤ 0.2 | met |"
        in said
    )
    rows = [line for line in said.splitlines() if line.startswith("| ")]
    assert {line.count("|") for line in rows} == {8}


def test_the_page_about_one_rival_has_what_was_measured_beside_it() -> None:
    figures = against("dask worker", ALL)
    assert "| 16 workers on a node: wall s | 0.8 (0.7 to 0.9) | 4 (3 to 8) |" in figures
    assert "Lost job" not in figures
    old = "so\n<!-- figures: begin -->\nold\n<!-- figures: end -->\nsay we\n"
    new = between(old, figures)
    assert new == between(new, figures)
    assert "old" not in new
    assert new.startswith("so\n<!-- figures: begin -->\n\n| |")
    assert new.endswith("|\n\n<!-- figures: end -->\nsay we\n")
