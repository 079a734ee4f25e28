"""Where the picture of a run goes: beside its values, and into the documentation if it is meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.environment import CHECKOUT
from benchmarks.facts import RESULTS
from benchmarks.picture import draw
from benchmarks.table import page

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.facts import Facts
    from benchmarks.harness import Runs

PICTURE = CHECKOUT / "docs" / "images" / "bench.svg"
PAGE = CHECKOUT / "docs" / "reference" / "measured.md"


def keep(facts: Facts, found: Sequence[Runs]) -> Path:
    """Write the picture of a run beside its values."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / "latest.svg"
    path.write_text(draw(facts, found), encoding="utf-8")
    return path


def publish(facts: Facts, found: Sequence[Runs]) -> tuple[Path, ...]:
    """Write picture and table for the documentation."""
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(draw(facts, found), encoding="utf-8")
    PAGE.write_text(page(facts, found), encoding="utf-8")
    return PICTURE, PAGE
