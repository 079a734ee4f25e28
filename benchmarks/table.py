"""The results as text: a line a measure, for a terminal or for a page."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from benchmarks.rows import rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.facts import Facts
    from benchmarks.harness import Runs
    from benchmarks.rows import Row, Spread

HEADS = ("", "ours", "theirs", "ratio", "goal", "")


def number(value: float, *, digits: int = 3) -> str:
    """Return a number with so many digits, or what stands for one that never came."""
    if math.isinf(value):
        return "never"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.{digits}g}"


def spread_of(spread: Spread) -> str:
    """Return a median with the least and the most, if they differ."""
    if number(spread.least) == number(spread.most):
        return number(spread.median)
    return f"{number(spread.median)} ({number(spread.least)} to {number(spread.most)})"


def cells(row: Row) -> tuple[str, ...]:
    """Return what stands in the columns of a row."""
    verdict = {None: "", True: "met", False: "NOT MET"}[row.met]
    goal = "" if row.goal is None else f"≤ {number(row.goal)}"
    if goal and row.absolute:
        goal += f" {row.unit}"
    return (
        row.measure,
        spread_of(row.ours),
        spread_of(row.theirs) if row.theirs else "",
        spread_of(row.ratio) if row.ratio and row.ratio.median else "",
        goal,
        verdict,
    )


def title(runs: Runs) -> str:
    """Return what was measured, how often and at which load."""
    if not runs.loads:
        return f"{runs.name}: not measured: {'; '.join(runs.failures)}"
    turns = f"{len(runs.loads)} turn{'s' if len(runs.loads) > 1 else ''}"
    failed = f", {len(runs.failures)} failed" if runs.failures else ""
    return f"{runs.name} ({turns}{failed}, load {min(runs.loads):.1f} to {max(runs.loads):.1f})"


def text(found: Sequence[Runs]) -> list[str]:
    """Return the lines of a table for a terminal."""
    blocks = [(runs, [(row.other, cells(row)) for row in rows(runs)]) for runs in found]
    measured = [line for _, lines in blocks for _, line in lines]
    widths = [max(map(len, column)) for column in zip(HEADS, *measured, strict=True)]
    widths[0] += 4
    said = [_padded(HEADS, widths)]
    for runs, lines in blocks:
        said += ["", title(runs)]
        said += _under_rivals(lines, widths)
    return [line.rstrip() for line in said]


def _under_rivals(
    lines: Sequence[tuple[str, tuple[str, ...]]], widths: Sequence[int]
) -> Iterator[str]:
    rival = ""
    for other, line in lines:
        if other and other != rival:
            yield f"  beside {other}"
        rival = other
        yield _padded((f"    {line[0]}", *line[1:]), widths)


def _padded(line: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))


def page(facts: Facts, found: Sequence[Runs]) -> str:
    """Return the table as a page of the documentation."""
    lines = [
        "<!-- written by `python -m benchmarks --publish` -->",
        "# Measured",
        "",
        f"{facts.date}, {facts.machine}. {facts.software}.",
        "Median (least to most); how it is measured and what a goal means stands in",
        "[How fast it is, and how that is measured](../explanation/performance.md).",
        "",
        "![The ratios as bars](../images/bench.svg)",
    ]
    for runs in found:
        lines += ["", f"## {title(runs)}", ""]
        if measured := rows(runs):
            lines += ["| measure | ours | beside | theirs | ratio | goal | |", "|---" * 7 + "|"]
        for row in measured:
            measure, ours, theirs, *rest = cells(row)
            lines.append("| " + " | ".join((measure, ours, row.other, theirs, *rest)) + " |")
    return "\n".join(lines) + "\n"


def against(rival: str, found: Sequence[Runs]) -> str:
    """Return the table of what was measured beside one rival, for a page that is about it."""
    lines = ["| | dask-hpc | " + rival + " | ratio |", "|---" * 4 + "|"]
    for runs in found:
        for row in rows(runs):
            if row.other.startswith(rival):
                measure, ours, theirs, ratio, *_ = cells(row)
                lines.append(f"| {runs.name}: {measure} | {ours} | {theirs} | {ratio} |")
    return "\n".join(lines) + "\n"
