"""When the scheduler's own job ends, and how long before that people are told. Pure."""

from __future__ import annotations

from dask_hpc._units import format_seconds

_NOTICE = 900.0  # seconds
_SHARE = 4  # of a walltime, no more than one part in so many


def notice(walltime: float | None) -> float:
    """Return for how long before its end a scheduler's job says so: 15 min, or a quarter of it."""
    return _NOTICE if walltime is None else min(_NOTICE, walltime / _SHARE)


def farewell(ends: float | None, *, walltime: float | None, now: float) -> str:
    """Return in words that the scheduler's job ends soon, or nothing while there is time.

    Parameters
    ----------
    ends
        The end of the job, in seconds since the epoch, if it is known.
    walltime
        For how many seconds it was asked for.
    now
        Seconds since the epoch.
    """
    if ends is None or now < ends - notice(walltime):
        return ""
    when = f"ends in {format_seconds(ends - now)}" if now < ends else "should have ended"
    return f"the scheduler's own job {when}: its workers end with it"
