"""The page of the jobs: a timeline with a bar for each, and how many were wanted and there.

The colours are those of Okabe and Ito, which people with any kind of colour vision tell apart;
what waits is hatched, too.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from bokeh.layouts import column
from bokeh.models import (
    ColumnDataSource,
    CustomJSTickFormatter,
    Div,
    FixedTicker,
    HoverTool,
    LegendItem,
    Range1d,
)
from bokeh.plotting import figure
from distributed.dashboard.components.scheduler import BOKEH_THEME, env

from dask_hpc._clock import SystemClock
from dask_hpc.engine.dashboard.timeline import COLOURS, LABELLED, ends, pieces, stairs
from dask_hpc.engine.dashboard.words import about, headline, reason_words, waiting_words

if TYPE_CHECKING:
    from bokeh.document import Document

    from dask_hpc.controller.report import JobReport
    from dask_hpc.engine.dashboard.timeline import Piece
    from dask_hpc.engine.dashboard.watch import JobWatch

_KINDS = ("pending", "starting", "running", "missing", "draining")  # in the order of the legend
_END_WORDS = {True: "failed", False: "ended"}
_BAD, _GOOD, _INK = "#D55E00", "#666666", "#222222"
_FONT = "Helvetica, Arial, sans-serif"
_TEXT = "15px"

_LOOK, _LOOK_AT_MANY = 1000, 5000  # milliseconds
_MANY = 200  # jobs
_LEAST = 60.0  # seconds that a timeline shows at least
_MARGIN, _THIN_MARGIN = 0.35, 0.03  # of what is shown, right of now, with and without words there
_ROW, _FRAME, _MOST = 26, 90, 900  # pixels
_SIZE = 200  # pixels

_HOVER = """<div style="font: 14px sans-serif; max-width: 32em; padding: 2px">
<b>job @name</b> @pool<br>@kind for @lasted<br>@where<br>@reason</div>"""

# The time of the clock where the page is read; bokeh would show Greenwich's.
_CLOCK = """
const time = new Date(tick)
const span = ticks[ticks.length - 1] - ticks[0]
const parts = {hour: '2-digit', minute: '2-digit', hour12: false}
if (span < 6e5) parts.second = '2-digit'
if (span > 864e5) Object.assign(parts, {month: 'short', day: 'numeric'})
return time.toLocaleString([], parts)
"""


def fill(doc: Document, jobs: JobWatch, *, among: dict[str, Any] | None = None) -> None:
    """Put the jobs into a document; ``among`` is what the frame of Dask's pages shows."""
    page = JobsPage(jobs)
    page.update()
    doc.add_root(page.root)
    doc.title = "Dask: Jobs"
    doc.theme = BOKEH_THEME
    if among is not None:
        doc.template = env.get_template("simple.html")
        doc.template_variables.update(among)
    many = len(jobs.history.jobs()) > _MANY
    doc.add_periodic_callback(page.update, _LOOK_AT_MANY if many else _LOOK)


class JobsPage:
    """What is drawn, and how it is kept up to date."""

    def __init__(self, jobs: JobWatch) -> None:
        self._jobs = jobs
        self._shown: tuple[float, float] = (0.0, 0.0)
        self._rows = 0
        self._times = Range1d(0, 1)
        self._words = Div(sizing_mode="stretch_width")
        self._bars = {kind: ColumnDataSource(_columns(_BAR)) for kind in _KINDS}
        self._marks = {bad: ColumnDataSource(_columns(_MARK)) for bad in (True, False)}
        self._texts = ColumnDataSource(_columns(_MARK))
        self._counts = ColumnDataSource(_columns(_COUNT))
        self._legend: dict[str, LegendItem] = {}
        self._timeline = self._draw_timeline()
        self._size = self._draw_size()
        self.root = column(self._words, self._size, self._timeline, sizing_mode="stretch_width")

    def update(self) -> None:
        """Show how things are now."""
        self._jobs.look()
        now = SystemClock().time()
        history = self._jobs.history
        jobs = history.jobs()
        self._say(now)
        self._timeline.visible = self._size.visible = bool(jobs)
        if not jobs:
            return
        self._move(jobs, now)
        self._timeline.yaxis[0].major_label_overrides = _names(jobs)
        drawn = pieces(jobs, now=now)
        for kind, source in self._bars.items():
            rows = [each for each in drawn if each.kind == kind]
            source.data = _columns(_BAR, [(*_place(each), *_facts(each.job, now)) for each in rows])
            self._legend[kind].visible = bool(rows)
        self._mark(jobs, now)
        self._counts.data = _columns(
            _COUNT,
            [
                (each.time * 1000, each.wanted, each.up, each.waiting)
                for each in stairs(history.samples, now=now)
            ],
        )

    def _mark(self, jobs: list[JobReport], now: float) -> None:
        found = ends(jobs, now=now)
        over = [each for each in found if each.job.phase == "ended"]
        for bad, source in self._marks.items():
            rows = [(each.row, each.time * 1000, "") for each in over if each.is_bad is bad]
            if len(jobs) > LABELLED and not bad:
                rows = []  # they would hide the bars
            source.data = _columns(_MARK, rows)
            self._legend[_END_WORDS[bad]].visible = bool(rows)
        self._texts.data = _columns(
            _MARK, [(each.row, each.time * 1000, each.words) for each in found]
        )

    def _say(self, now: float) -> None:
        history = self._jobs.history
        lines = [f'<b style="font-size: 18px">{escape(headline(history, now=now))}</b>']
        lines += [
            f'<b style="color: {_BAD}">{escape(line)}</b>' for line in about(history, now=now)
        ]
        if history.report and (waits := waiting_words(history.report)):
            lines.append(f"Waiting for: {escape(waits)}")
        text = "<br>".join(lines)
        self._words.text = f'<div style="font: {_TEXT}/1.6 {_FONT}; color: {_INK}">{text}</div>'

    def _move(self, jobs: list[JobReport], now: float) -> None:
        """Show all the time there is, unless somebody looks closer at a part of it."""
        many = len(jobs) > LABELLED
        if self._shown in ((0.0, 0.0), (self._times.start, self._times.end)):
            begin = min(job.steps[0].time for job in jobs)
            span = max(_LEAST, now - begin)
            margin = span * (_THIN_MARGIN if many else _MARGIN)
            self._shown = ((now - span * 1.02) * 1000, (now + margin) * 1000)
            self._times.update(start=self._shown[0], end=self._shown[1])
        if len(jobs) == self._rows:
            return
        self._rows = len(jobs)
        self._timeline.height = min(_MOST, _FRAME + _ROW * len(jobs))
        self._timeline.y_range.update(start=-0.7, end=len(jobs) - 0.3)
        axis = self._timeline.yaxis[0]
        axis.axis_label = f"{len(jobs)} jobs, the newest at the top" if many else None
        axis.ticker = FixedTicker(ticks=[] if many else list(range(len(jobs))))

    def _draw_timeline(self) -> figure:
        plot = _figure(self._times, height=_FRAME + _ROW, y_range=Range1d(0, 1))
        bars = []
        for kind, source in self._bars.items():
            hatch = {"hatch_pattern": "right_diagonal_line", "hatch_color": "white"}
            bars.append(
                plot.hbar(
                    y="row", left="left", right="right", height=0.72, source=source,
                    fill_color=COLOURS[kind], line_color=None, legend_label=kind,
                    **(hatch if kind == "pending" else {}),
                )
            )  # fmt: skip
        for bad, source in self._marks.items():
            plot.scatter(
                x="time", y="row", source=source, size=11 if bad else 7, line_width=3 if bad else 1,
                marker="x" if bad else "square", color=_BAD if bad else _GOOD,
                legend_label=_END_WORDS[bad],
            )  # fmt: skip
        plot.text(
            x="time", y="row", text="words", source=self._texts, x_offset=10, text_font_size="14px",
            text_baseline="middle", text_color=_INK, text_font={"value": _FONT},
        )  # fmt: skip
        plot.add_tools(HoverTool(renderers=bars, tooltips=_HOVER))
        plot.ygrid.visible = False
        self._legend = {item.label.value: item for item in plot.legend[0].items}
        return _with_legend_above(plot)

    def _draw_size(self) -> figure:
        plot = _figure(self._times, height=_SIZE)
        plot.y_range.start = 0
        plot.y_range.min_interval = 1
        plot.yaxis[0].ticker.min_interval = 1
        lines = (("wanted", _INK, "dashed"), ("up", COLOURS["running"], "solid"),
                 ("waiting", COLOURS["pending"], "dotted"))  # fmt: skip
        for name, colour, dash in lines:
            plot.step(
                x="time", y=name, source=self._counts, mode="after", color=colour, line_dash=dash,
                line_width=3, legend_label=f"jobs {name}",
            )  # fmt: skip
        return _with_legend_above(plot)


_BAR = ("row", "left", "right", "lasted", "kind", "name", "pool", "where", "reason")
_MARK = ("row", "time", "words")
_COUNT = ("time", "wanted", "up", "waiting")


def _columns(
    names: tuple[str, ...], rows: list[tuple[Any, ...]] | None = None
) -> dict[str, list[Any]]:
    return {name: [row[place] for row in rows or []] for place, name in enumerate(names)}


def _place(piece: Piece) -> tuple[Any, ...]:
    return (piece.row, piece.left * 1000, piece.right * 1000, piece.lasted, piece.kind)


def _facts(job: JobReport, now: float) -> tuple[str, ...]:
    """Return what is told of a job where somebody points at it."""
    pool = "" if job.pool == "default" else f"of pool {job.pool}"
    workers = f"{job.workers} workers" if job.workers else ""
    where = ", ".join(part for part in (job.host, workers) if part)
    return (job.job or job.slot, pool, where, reason_words(job, now))


def _names(jobs: list[JobReport]) -> dict[float | str, str]:
    # In the order of the rows; where there are many, none is named.
    named = list(reversed(jobs)) if len(jobs) <= LABELLED else []
    return {row: job.job or job.slot for row, job in enumerate(named)}


def _figure(times: Range1d, **options: Any) -> figure:
    plot = figure(
        x_axis_type="datetime", x_range=times, sizing_mode="stretch_width",
        tools="pan,xwheel_zoom,ywheel_zoom,reset", toolbar_location="right", min_border_left=110,
        **options,
    )  # fmt: skip
    for axis in (*plot.xaxis, *plot.yaxis):
        axis.major_label_text_font_size = "14px"
        axis.major_label_text_font = _FONT
        axis.minor_tick_line_color = None
    plot.xaxis.formatter = CustomJSTickFormatter(code=_CLOCK)
    plot.toolbar.logo = None
    return plot


def _with_legend_above(plot: figure) -> figure:
    (legend,) = plot.legend
    plot.add_layout(legend, "above")
    legend.update(
        orientation="horizontal", location="top_left", border_line_color=None, padding=0, margin=4,
        background_fill_alpha=0, label_text_font_size="14px", label_text_font=_FONT, spacing=18,
    )  # fmt: skip
    return plot
