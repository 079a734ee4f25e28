"""One job as LSF tells of it, and what that means. Nothing here reads an answer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from dask_hpc.batch.lsf_words import (
    CODES,
    ENDINGS,
    EXITED,
    FAILED,
    KILLED,
    OVER_LIMIT,
    STATES,
    Ending,
    plain_waiting,
)
from dask_hpc.batch.model import JobId, JobState, JobStatus, Tag

JOB_ID = re.compile(r"(\d{1,18})(?:\[(\d{1,9})\])?", re.ASCII)

_ELEMENT = re.compile(r"\[[^\]]*\]$")
_MOMENT = re.compile(
    r"(?:[A-Z][a-z]{2} )?([A-Z][a-z]{2}) +(\d{1,2}) (\d\d):(\d\d)(?::(\d\d))?"
    r"(?: (\d{4}))?(?: ?[ELX])?",
    re.ASCII,
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_SOME_LEAP_YEAR = 2000
_YEAR = timedelta(days=366)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One job of an answer, in LSF's words."""

    id: JobId
    name: str
    word: str
    waits: str = ""
    ended: str = ""
    code: int | None = None
    nodes: str = ""
    has_started: bool = False
    is_over_limit: bool = False
    was_killed: bool = False
    start_estimate: float | None = None
    end_time: float | None = None


def status_of(seen: Seen) -> JobStatus:
    """Return a job in words that every batch system shares."""
    ending = _how_it_ended(seen) if seen.word == EXITED else None
    state = ending.state if ending else STATES.get(seen.word, JobState.UNKNOWN)
    index = JOB_ID.fullmatch(seen.id)
    pauses = state.is_waiting or state is JobState.SUSPENDED
    waits = _one_line(seen.waits) if pauses else ""
    unknown = seen.word if state is JobState.UNKNOWN else ""
    return JobStatus(
        id=seen.id,
        tag=Tag(_ELEMENT.sub("", seen.name)),
        state=state,
        index=max(int((index and index[2]) or 1) - 1, 0),
        reason=waits or unknown or (_one_line(seen.ended) if ending else ""),
        plain_reason=ending.plain if ending else plain_waiting(waits),
        start_estimate=seen.start_estimate if state.is_waiting else None,
        end_time=None if state.is_waiting else seen.end_time,
        nodes=seen.nodes,
        exit_code=_exit_code(seen.code, state),
    )


def _how_it_ended(seen: Seen) -> Ending:
    known = ENDINGS.get(seen.ended.partition(":")[0].strip())
    if known:
        return known
    if seen.is_over_limit:
        return OVER_LIMIT
    if seen.was_killed or (not seen.has_started and not seen.code):
        return KILLED
    return CODES.get(seen.code or 0, FAILED)


def _exit_code(code: int | None, state: JobState) -> int | None:
    if state is JobState.DONE:
        return 0
    is_told = state is JobState.FAILED and code is not None and 0 < code < 256
    return code if is_told else None


def _one_line(text: str) -> str:
    parts = (part.strip() for part in re.split(r"[;\n]", text))
    return "; ".join(part for part in parts if part)


def moment(text: str) -> float | None:
    """Return seconds since the epoch of a time in UTC; nothing if it does not name its year."""
    match = _MOMENT.fullmatch(text.strip())
    if match is None or match[6] is None:
        return None
    read = _read_time(text, year=int(match[6]))
    return read.timestamp() if read else None


def _read_time(text: str, *, year: int) -> datetime | None:
    match = _MOMENT.fullmatch(text.strip())
    if match is None or match[1] not in _MONTHS:
        return None
    month = _MONTHS.index(match[1]) + 1
    hour, minute, second = (int(part or 0) for part in match.group(3, 4, 5))
    try:
        return datetime(year, month, int(match[2]), hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None


def seconds_between(start: str | None, end: str | None) -> float | None:
    """Return how long something took between two times that may not name their year."""
    if start is None or end is None:
        return None
    # Times of OpenLava have no year: a job that ran over New Year ended in the next one.
    first, last = (_read_time(text, year=_SOME_LEAP_YEAR) for text in (start, end))
    if first is None or last is None:
        return None
    ran = last - first
    return (ran if ran >= timedelta(0) else ran + _YEAR).total_seconds()
