"""What the picture shows: each measure as a bar, its goal and what is written beside it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.rows import rows
from benchmarks.table import number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.harness import Runs
    from benchmarks.rows import Row, Spread

_LABELS = {"wall": "wall time", "CPU": "CPU time", "PSS": "memory (PSS)"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A bar: its length, how it varied, and its goal, as shares of what stands at 1."""

    label: str
    length: float
    least: float
    most: float
    goal: float | None
    met: bool | None
    said: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Bars under one heading; ``remark`` says beside what."""

    heading: str
    remark: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Groups over one axis; ``one`` says what is at 1."""

    title: str
    one: str
    groups: tuple[Group, ...]


def panels(found: Sequence[Runs]) -> tuple[Panel, ...]:
    """Return what there is to show: shares of what others need, and of what is allowed."""
    shares = Panel(
        title="What dask-hpc needs, as a share of what the other needs",
        one="as much as the other",
        groups=tuple(_groups(found, _is_share, draw=_share)),
    )
    limits = Panel(
        title="What dask-hpc needs, as a share of what it may",
        one="the limit",
        groups=tuple(_groups(found, _is_limit, draw=_used)),
    )
    return tuple(panel for panel in (shares, limits) if panel.groups)


def _groups(
    found: Sequence[Runs], choose: Callable[[Row], bool], *, draw: Callable[[Row], Bar]
) -> Iterator[Group]:
    for runs in found:
        chosen = [row for row in rows(runs) if choose(row)]
        for remark in dict.fromkeys(map(_remark, chosen)):
            bars = tuple(draw(row) for row in chosen if _remark(row) == remark)
            yield Group(heading=runs.name, remark=remark, bars=bars)


def _remark(row: Row) -> str:
    if row.absolute or not row.other:
        return ""
    return f"in units of {row.other}" if row.yardstick else f"beside {row.other}"


def _is_share(row: Row) -> bool:
    if row.ratio is None or row.yardstick or row.absolute:
        return False
    return 0 < row.ratio.median < math.inf


def _is_limit(row: Row) -> bool:
    return row.goal is not None and (row.absolute or row.yardstick)


def _share(row: Row) -> Bar:
    ratio = row.ratio or row.ours
    theirs = number(row.theirs.median) if row.theirs else ""
    goal = "" if row.goal is None else f"  goal {number(row.goal)}"
    said = f"{ratio.median:#.3g}{goal}"  # 0.200, as exact as the 0.198 beside it
    detail = f"{number(row.ours.median)} : {theirs} {row.unit}"
    return _bar(row, ratio, scale=1.0, said=said, detail=detail)


def _used(row: Row) -> Bar:
    limit = row.goal or 1.0
    reached = row.ours if row.absolute else row.ratio or row.ours
    unit = row.unit if row.absolute else ""
    said = f"{number(reached.median, digits=2)} {unit}"
    return _bar(row, reached, scale=limit, said=said, detail=f"at most {number(limit)} {unit}")


def _bar(row: Row, reached: Spread, *, scale: float, said: str, detail: str) -> Bar:
    verdict = "  not met" if row.met is False else ""
    return Bar(
        label=_LABELS.get(row.quantity, row.quantity),
        length=reached.median / scale,
        least=reached.least / scale,
        most=reached.most / scale,
        goal=None if row.goal is None else row.goal / scale,
        met=row.met,
        said=said.strip() + verdict,
        detail=detail.strip(),
    )
