"""How a job ended, by its record in Grid Engine's accounting, whose codes need to be judged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dask_hpc.batch.model import JobState, JobStatus, Tag
from dask_hpc.batch.sge_table import job_index, moment, number, requested, seconds, size
from dask_hpc.batch.sge_words import (
    AFTERWARDS,
    FAILED,
    KILLED,
    LIMIT_ENFORCED,
    LOST,
    OUT_OF_MEMORY,
    OUT_OF_TIME,
    RESCHEDULED,
    SIGNALLED,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dask_hpc.batch.model import JobId

_KILL = 137
_NO_CODE = 256


def ended(record: Mapping[str, str], job_id: JobId) -> JobStatus | None:
    """Return how a job ended, or nothing if it was only put back into the queue."""
    failed, code = number(record["failed"]), number(record["exit_status"])
    if failed in RESCHEDULED:
        return None
    state = _state(record, failed, code=code)
    has_code = state is JobState.FAILED and (failed in AFTERWARDS or failed in SIGNALLED)
    nodes = record.get("hostname", "")
    return JobStatus(
        id=job_id,
        tag=Tag(record.get("jobname", "")),
        index=job_index(job_id),
        state=state,
        # Its code, blanks, and what the code means.
        reason=" ".join(record["failed"].split()) if failed else "",
        plain_reason=_plain(state, failed),
        end_time=moment(record.get("end_time", "")),
        nodes="" if nodes == "unknown" else nodes,
        exit_code=0 if state is JobState.DONE else _code(code) if has_code else None,
    )


def _state(record: Mapping[str, str], failed: int, *, code: int) -> JobState:
    if failed in AFTERWARDS:
        return JobState.FAILED if code else JobState.DONE
    if failed in LOST:
        return JobState.LOST
    if failed == LIMIT_ENFORCED:
        too_large = _is_too_large(record) and not _is_too_long(record)
        return JobState.OUT_OF_MEMORY if too_large else JobState.TIMED_OUT
    if failed not in SIGNALLED:
        return JobState.FAILED
    if code != _KILL:
        return JobState.FAILED
    # Other releases do not say who killed it: qdel, or the node because of a limit.
    if _is_too_long(record):
        return JobState.TIMED_OUT
    return JobState.OUT_OF_MEMORY if _is_too_large(record) else JobState.CANCELLED


def _is_too_long(record: Mapping[str, str]) -> bool:
    limit = seconds(requested(record.get("category", "")).get("h_rt", ""))
    return limit is not None and (seconds(record.get("ru_wallclock", "")) or 0) >= limit


def _is_too_large(record: Mapping[str, str]) -> bool:
    limit = size(requested(record.get("category", "")).get("h_vmem", ""))
    slots = max(number(record.get("slots", "")), 1)
    return limit > 0 and size(record.get("maxvmem", "")) >= limit * slots


def _code(code: int) -> int | None:
    return code if 0 < code < _NO_CODE else None


def _plain(state: JobState, failed: int) -> str:
    of_state = {
        JobState.TIMED_OUT: OUT_OF_TIME,
        JobState.OUT_OF_MEMORY: OUT_OF_MEMORY,
        JobState.CANCELLED: KILLED,
        JobState.FAILED: FAILED.get(failed, ""),
        JobState.LOST: FAILED.get(failed, ""),
    }
    return of_state.get(state, "")
