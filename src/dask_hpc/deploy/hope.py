"""Whether waiting makes sense."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dask_hpc.errors import JobFailed

if TYPE_CHECKING:
    from dask_hpc.controller.report import Report


def check_hope(report: Report) -> None:
    """Return if more workers may come by themselves.

    Raises
    ------
    JobFailed
        If the controller has given up, with the end of the log of the first job that failed.
    """
    if not report.halted:
        return
    trouble = report.trouble
    message = trouble.message if trouble else report.halted
    tail = trouble.log_tail if trouble else ""
    raise JobFailed(
        f"{message}\n{tail}" if tail else message,
        job=trouble.job if trouble else "",
        log_tail=tail,
        hint=(trouble.hint if trouble else "") or "scale starts afresh",
    )
