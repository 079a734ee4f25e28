"""The page of the jobs in plain HTML, for schedulers without bokeh. Pure."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from dask_hpc.engine.dashboard.words import JOB_COLUMNS, about, headline, job_words

if TYPE_CHECKING:
    from dask_hpc.engine.dashboard.watch import JobWatch

_FRAME = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="5">
<title>{title}</title><style>
body {{ font: 16px/1.4 sans-serif; margin: 2em; color: #222 }}
table {{ border-collapse: collapse }}
th, td {{ text-align: left; padding: .2em 1em .2em 0; border-bottom: 1px solid #ddd }}
.note {{ color: #555 }} .warning {{ color: #a33c00; font-weight: bold }}
</style></head><body>
<h1>{title}</h1>
<p>{headline}</p>
{warnings}
{table}
<p class="note">This is all that can be shown without bokeh: install it in the environment of the
scheduler to see Dask's own pages. <a href="info/main/workers.html">Workers and logs</a> are shown
without it.</p>
</body></html>
"""


def plain_page(jobs: JobWatch, *, now: float) -> str:
    """Return the page, which looks again every five seconds."""
    jobs.look()
    rows = [job_words(job, now) for job in jobs.history.jobs()]
    cells = ["".join(f"<td>{escape(word)}</td>" for word in row) for row in rows]
    head = "".join(f"<th>{column}</th>" for column in JOB_COLUMNS)
    table = f"<table><tr>{head}</tr>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>"
    said = about(jobs.history, now=now)
    return _FRAME.format(
        title=escape(f"Jobs of {jobs.name or 'this scheduler'}"),
        headline=escape(headline(jobs.history, now=now)),
        warnings="".join(f'<p class="warning">{escape(line)}</p>' for line in said),
        table=table if rows else "",
    )
