"""The results as a picture: a bar for each measure, a mark for each goal; plain SVG."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from benchmarks.bars import panels

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.bars import Bar, Group, Panel
    from benchmarks.facts import Facts
    from benchmarks.harness import Runs

_WIDTH, _EDGE = 960, 28
_LEFT, _RIGHT = 236, 590  # where bars begin, and where they are as long as what they stand for
_MOST = 1.1  # bars are cut there
_ROW, _BAR, _HEAD, _GAP = 26, 14, 30, 14
_INK, _SOFT, _FAINT, _PAPER = "#1b1f24", "#57606a", "#d0d7de", "#ffffff"
# Of the palette of Okabe and Ito, which every kind of eye can tell apart; who sees none reads it.
_MET, _MISSED, _FREE = "#0072b2", "#d55e00", "#8a9099"
_FILLS = {True: _MET, False: "url(#missed)", None: _FREE}
_FONT = "system-ui, -apple-system, 'Segoe UI', 'Liberation Sans', 'DejaVu Sans', sans-serif"
_HATCH = (
    '<defs><pattern id="missed" width="6" height="6" patternUnits="userSpaceOnUse" '
    f'patternTransform="rotate(45)"><rect width="6" height="6" fill="{_MISSED}"/>'
    '<rect width="2" height="6" fill="#fff" opacity=".45"/></pattern></defs>'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pen:
    size: float
    fill: str = _INK
    bold: bool = False
    anchor: str = "start"


_TITLE, _PANEL = _Pen(size=22, bold=True), _Pen(size=15, bold=True)
_HEADING, _LABEL = _Pen(size=13, bold=True), _Pen(size=13, anchor="end")
_REMARK, _LEGEND = _Pen(size=13, fill=_SOFT), _Pen(size=12, fill=_SOFT)
_DETAIL, _FOOT = _Pen(size=12, fill=_SOFT, anchor="end"), _Pen(size=11.5, fill=_SOFT)
_AXIS = _Pen(size=11.5, fill=_SOFT, anchor="middle")


def draw(facts: Facts, found: Sequence[Runs]) -> str:
    """Return the picture as SVG."""
    body = [_text((_EDGE, 40), "dask-hpc beside other tools", _TITLE)]
    body += [_text((_EDGE, 60), "shorter is better", _REMARK), *_legend()]
    y = 76.0
    for panel in panels(found):
        body += _panel(panel, y)
        y += _height(panel)
    for line in (
        f"Medians; thin lines: least to most of all turns. {facts.date}, {facts.machine}.",
        f"{facts.software}. The contenders took turns in one run.",
    ):
        y += 17
        body.append(_text((_EDGE, y), line, _FOOT))
    return "\n".join([*_paper(y + _EDGE - 6), _HATCH, *body, "</svg>", ""])


def _paper(height: float) -> Iterator[str]:
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:.0f}" '
        f'width="{_WIDTH}" height="{height:.0f}" font-family="{_FONT}" role="img" '
        'aria-label="dask-hpc beside other tools">'
    )
    yield (
        f'<rect x=".5" y=".5" width="{_WIDTH - 1}" height="{height - 1:.0f}" rx="10" '
        f'fill="{_PAPER}" stroke="{_FAINT}"/>'
    )


def _legend() -> Iterator[str]:
    x = 576.0
    for met, words in ((True, "goal met"), (False, "not met"), (None, "no goal set")):
        yield f'<rect x="{x}" y="31" width="14" height="11" rx="2" fill="{_FILLS[met]}"/>'
        yield _text((x + 19, 41), words, _LEGEND)
        x += 38 + 7 * len(words)
    yield _mark(x + 4, 36.5, half=8)
    yield _text((x + 13, 41), "goal", _LEGEND)


def _height(panel: Panel) -> float:
    return 46 + sum(_HEAD + _ROW * len(group.bars) for group in panel.groups) + _GAP


def _panel(panel: Panel, y: float) -> Iterator[str]:
    yield _text((_EDGE, y + 22), panel.title, _PANEL)
    yield _text((_x(1), y + 41), f"1 = {panel.one}", _AXIS)
    y += 46
    for group in panel.groups:
        yield from _group(group, y)
        y += _HEAD + _ROW * len(group.bars)


def _group(group: Group, y: float) -> Iterator[str]:
    remark = f'<tspan font-weight="400" fill="{_SOFT}">  {escape(group.remark)}</tspan>'
    yield _text((_EDGE, y + 20), group.heading, _HEADING, more=remark)
    y += _HEAD
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        stroke = _SOFT if share in (0.0, 1.0) else _FAINT
        line = f"M{_x(share):.1f} {y:.1f}v{_ROW * len(group.bars)}"
        yield f'<path d="{line}" stroke="{stroke}" stroke-width="1"/>'
    for bar in group.bars:
        yield from _bar(bar, y + _ROW / 2)
        y += _ROW


def _bar(bar: Bar, middle: float) -> Iterator[str]:
    width = max(2.0, _x(bar.length) - _LEFT)
    yield _text((_LEFT - 12, middle + 4.5), bar.label, _LABEL)
    yield (
        f'<rect x="{_LEFT}" y="{middle - _BAR / 2:.1f}" width="{width:.1f}" height="{_BAR}" '
        f'rx="2" fill="{_FILLS[bar.met]}"/>'
    )
    yield (
        f'<path d="M{_x(bar.least):.1f} {middle:.1f}H{_x(bar.most):.1f}" stroke="{_INK}" '
        'stroke-width="1.6" opacity=".75"/>'
    )
    if bar.goal is not None:
        yield _mark(_x(bar.goal), middle, half=_ROW / 2 - 3)
    yield _text((_x(_MOST) + 14, middle + 4.5), bar.said, _HEADING)
    yield _text((_WIDTH - _EDGE, middle + 4.5), bar.detail, _DETAIL)


def _x(share: float) -> float:
    return _LEFT + (_RIGHT - _LEFT) * min(share, _MOST)


def _mark(x: float, y: float, *, half: float) -> str:
    """Draw a goal: a line that no bar hides."""
    line = f'd="M{x:.1f} {y - half:.1f}V{y + half:.1f}"'
    return (
        f'<path {line} stroke="{_PAPER}" stroke-width="6"/>'
        f'<path {line} stroke="{_INK}" stroke-width="2.5"/>'
    )


def _text(at: tuple[float, float], words: str, pen: _Pen, *, more: str = "") -> str:
    weight = ' font-weight="600"' if pen.bold else ""
    anchor = "" if pen.anchor == "start" else f' text-anchor="{pen.anchor}"'
    return (
        f'<text x="{at[0]:.1f}" y="{at[1]:.1f}" font-size="{pen.size}" fill="{pen.fill}"'
        f'{weight}{anchor} xml:space="preserve">{escape(words)}{more}</text>'
    )
