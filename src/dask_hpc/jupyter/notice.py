"""What JupyterLab says before its job ends. Pure.

It shows 140 characters of a notification, no more.
"""

from __future__ import annotations

from dataclasses import dataclass

from dask_hpc._units import format_seconds

_TIMES = (300.0, 1800.0)  # seconds before the end
_MINUTE = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What is said, once for each ``id``; ``kind`` is one of JupyterLab's: warning or error."""

    id: str
    kind: str
    words: str


def notice_of(
    name: str, *, ends: float | None, begun: float, now: float, next_job: str = ""
) -> Notice | None:
    """Return what is to be said now, or nothing while there is time.

    Parameters
    ----------
    name
        The cluster's.
    ends
        The end of its job, in seconds since the epoch, if it is known.
    begun
        The begin of JupyterLab: a job so short that it is near its end from the start is told
        of that later.
    now
        Seconds since the epoch.
    next_job
        The job that goes on after it, if somebody queued one.
    """
    if ends is None or now >= ends:
        return None
    due = [seconds for seconds in _TIMES if ends - seconds <= now and begun < ends - seconds]
    if not due:
        return None
    left = format_seconds(_rounded(ends - now))
    then = (
        f"Job {next_job} follows: JupyterLab comes back at this address."
        if next_job
        else f"To go on in a new job: dask-hpc extend {name}"
    )
    return Notice(
        id=f"{ends:.0f}-{due[0]:.0f}",
        kind="error" if due[0] == _TIMES[0] else "warning",
        words=f"Ends in {left}, kernels with it: save what you need. {then}",
    )


def _rounded(seconds: float) -> float:
    return seconds if seconds < _MINUTE else round(seconds / _MINUTE) * _MINUTE
