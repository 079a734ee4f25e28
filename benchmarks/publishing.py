"""Where the picture of a run goes: beside its values, and into the documentation if it is meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.environment import CHECKOUT
from benchmarks.facts import RESULTS
from benchmarks.picture import draw
from benchmarks.table import against, page

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.facts import Facts
    from benchmarks.harness import Runs

PICTURE = CHECKOUT / "docs" / "images" / "bench.svg"
PAGE = CHECKOUT / "docs" / "reference" / "measured.md"
# The page for users of the other one has the figures beside it.
COMPARED = CHECKOUT / "docs" / "howto" / "from-dask-jobqueue.md"
_BEGIN, _END = "<!-- figures: begin -->\n", "<!-- figures: end -->\n"


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
    figures = against("dask-jobqueue", found)
    COMPARED.write_text(between(COMPARED.read_text(encoding="utf-8"), figures), encoding="utf-8")
    return PICTURE, PAGE, COMPARED


def between(text: str, figures: str) -> str:
    """Return a page with other figures between its marks."""
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    return f"{before}{begin}\n{figures}\n{end}{after}"
