"""How a cluster looks in a notebook: one piece of HTML from values. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from dask_hpc._units import counted, format_bytes
from dask_hpc.controller.states import Phase
from dask_hpc.engine.dashboard.timeline import COLOURS
from dask_hpc.engine.dashboard.words import (
    JOB_COLUMNS,
    WAITING,
    is_up,
    job_words,
    reason_words,
    waiting_words,
    warnings,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dask_hpc.controller.report import JobReport, PoolReport, Report

_ROWS = 25  # jobs that are listed

_WARNING = "border-left: 4px solid #D55E00; padding: 2px 0 2px 10px; margin: 6px 0"
_CELL = "text-align: left; padding: 2px 16px 2px 0; vertical-align: top"
_NOTE = "opacity: 0.75"
_LINK = "color: #1976d2; text-decoration: underline"


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFacts:
    """What a card shows. ``memory`` is in bytes, ``now`` in seconds since the epoch.

    ``report`` is missing while the controller has not said anything, ``link`` while there is no
    dashboard to see; ``walltime`` is that of the scheduler's own job, in seconds.
    """

    kind: str
    name: str
    place: str
    now: float
    address: str = ""
    link: str = ""
    workers: int = 0
    threads: int = 0
    memory: int = 0
    report: Report | None = None
    walltime: float | None = None


def card(facts: CardFacts) -> str:
    """Return the HTML of a card, with a list of the jobs to unfold."""
    jobs = facts.report.jobs if facts.report else ()
    return card_body(facts) + _folded(jobs, now=facts.now)


def card_body(facts: CardFacts) -> str:
    """Return the HTML of a card without the list."""
    report = facts.report
    kind = f'<span style="{_NOTE}">{escape(facts.kind)}, {escape(facts.place)}</span>'
    head = f'<div style="font-size: 1.15em"><b>{escape(facts.name)}</b> {kind}</div>'
    parts = [head, _facts(facts)]
    if report:
        parts += [
            _bar(report.jobs, missing=_missing(report)),
            _pools(report),
            _waiting(report.jobs, report, now=facts.now),
            *(_warning(line) for line in warnings(report, facts.walltime, now=facts.now)),
            _log(report),
        ]
    return f'<div style="line-height: 1.5; max-width: 60em">{"".join(parts)}</div>'


def _facts(facts: CardFacts) -> str:
    link = escape(facts.link)
    shown = escape(facts.link.partition("?")[0])
    anchor = f'<a href="{link}" target="_blank" rel="noreferrer" style="{_LINK}">{shown}</a>'
    cells = {
        "dashboard": anchor if link else "",
        "scheduler": escape(facts.address),
        "workers": _workers(facts),
    }
    rows = [
        f'<tr><td style="{_CELL}; {_NOTE}">{name}</td><td style="{_CELL}">{cell}</td></tr>'
        for name, cell in cells.items()
        if cell
    ]
    return f"<table>{''.join(rows)}</table>"


def _workers(facts: CardFacts) -> str:
    report = facts.report
    wanted = f" of {report.workers_wanted}" if report else ""
    words = f"{facts.workers}{wanted}"
    if facts.workers:
        words += f" · {counted(facts.threads, 'thread')} · {format_bytes(facts.memory)}"
    return words


def _missing(report: Report) -> int:
    there = sum(is_up(job) for job in report.jobs) + report.count(*WAITING, Phase.STARTING)
    return max(0, report.wanted - there)


def _bar(jobs: Iterable[JobReport], *, missing: int) -> str:
    """Return a bar with a piece for each state, and the numbers in words below."""
    counts = dict.fromkeys(COLOURS, 0)
    for job in jobs:
        state = "pending" if job.phase == Phase.SUBMITTING else job.phase
        if state in counts:
            counts[state] += 1
    pieces = [
        f'<div style="flex: {count}; background: {COLOURS[state]}" title="{count} {state}"></div>'
        for state, count in counts.items()
        if count
    ]
    if missing:
        pieces.append(f'<div style="flex: {missing}" title="{missing} not submitted"></div>')
    words = [
        f'<span style="color: {COLOURS[state]}">■</span> {count} {state}'
        for state, count in counts.items()
        if count
    ]
    words += [f"{missing} not submitted"] if missing else []
    frame = "display: flex; height: 12px; border: 1px solid rgba(128, 128, 128, 0.5); gap: 1px"
    told = " &nbsp; ".join(words) or "no jobs: scale or adapt asks for some"
    drawn = f'<div style="{frame}">{"".join(pieces)}</div>' if pieces else ""
    return f'<div style="margin: 6px 0">{drawn}<div>jobs: {told}</div></div>'


def _pools(report: Report) -> str:
    if len(report.pools) < 2 and report.maximum is None:
        return ""
    rows = [_pool_row(name, pool, jobs=report.jobs) for name, pool in report.pools.items()]
    return _table(("pool", "jobs up", "jobs wanted", "workers", "size"), rows)


def _pool_row(name: str, pool: PoolReport, *, jobs: Sequence[JobReport]) -> tuple[str, ...]:
    up = sum(job.pool == name and is_up(job) for job in jobs)
    size = f"adapts between {pool.minimum} and {pool.maximum} jobs"
    return (
        name,
        str(up),
        str(pool.wanted),
        f"{pool.workers} of {pool.wanted * pool.workers_per_job}",
        "fixed" if pool.maximum is None else size,
    )


def _waiting(jobs: Iterable[JobReport], report: Report, *, now: float) -> str:
    waiting = [job for job in jobs if job.phase in WAITING]
    if not waiting:
        return ""
    known = [job for job in waiting if job.start_estimate is not None]
    first = min(known, key=lambda job: job.start_estimate or 0.0, default=None)
    words = waiting_words(report)
    if first:
        words += f"; the first is {reason_words(first, now).rpartition('; ')[2]}"
    return f"<div>{counted(len(waiting), 'job')} pending: {escape(words)}</div>"


def _warning(line: str) -> str:
    return f'<div style="{_WARNING}">{escape(line)}</div>'


def _log(report: Report) -> str:
    tail = report.trouble.log_tail if report.trouble else ""
    if not tail:
        return ""
    frame = "max-height: 16em; overflow: auto; font-size: 0.9em"
    head = "<summary>the end of its log</summary>"
    return f'<details open>{head}<pre style="{frame}">{escape(tail)}</pre></details>'


def _folded(jobs: Sequence[JobReport], *, now: float) -> str:
    if not jobs:
        return ""
    head = f"<summary>{counted(len(jobs), 'job')}</summary>"
    return f"<details>{head}{jobs_table(jobs, now=now)}</details>"


def jobs_table(jobs: Sequence[JobReport], *, now: float) -> str:
    """Return the jobs as a table in HTML: live ones first, and no more than can be read."""
    ordered = sorted(jobs, key=lambda job: (job.phase == Phase.ENDED, -job.since))
    rows = [job_words(job, now) for job in ordered[:_ROWS]]
    more = len(jobs) - _ROWS
    rest = f"<div>and {more} more: cluster.jobs()</div>" if more > 0 else ""
    return f"{_table(JOB_COLUMNS, rows)}{rest}" if jobs else "none yet"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    kept = [place for place in range(len(columns)) if any(row[place] for row in rows)]
    head = "".join(f'<th style="{_CELL}">{columns[place]}</th>' for place in kept)
    body = "".join(
        "<tr>"
        + "".join(f'<td style="{_CELL}">{escape(row[place])}</td>' for place in kept)
        + "</tr>"
        for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"
