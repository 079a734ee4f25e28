"""How the listings of PBS and Torque are read: ids, times, sizes, jobs. Knows no command."""

from __future__ import annotations

import calendar
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dask_hpc.batch.model import JobId, JobState, JobStatus, Tag
from dask_hpc.batch.pbs_words import (
    CANCELLED,
    ENDED,
    EXCEEDED,
    FAILED,
    FINISHED,
    FORGOTTEN,
    NOT_SET_UP,
    STATES,
    UNAVAILABLE,
    plain_reason,
)
from dask_hpc.errors import BatchError, BatchUnavailable, UnreadableOutput

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from dask_hpc.process.runner import Result

# 42.server, an element 42[1].server, an array 42[].server
ID = re.compile(r"(\d{1,18})(?:\[(\d{0,9})\])?(\.[\w.:-]+)?", re.ASCII)
_PREFIX = re.compile(r"^\[?\w+: (?:submit error )?")
_CLOCK = re.compile(r"(?:(?:(\d{1,9}):)?(\d{1,9}):)?(\d{1,9})(?:\.\d+)?", re.ASCII)
_DATE = re.compile(r"\w{3} (\w{3}) +(\d{1,2}) (\d\d):(\d\d):(\d\d) (\d{4})", re.ASCII)
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_NUMBER = re.compile(r"-?\d{1,15}", re.ASCII)
_NOT_RUNNING = "Not Running: "
_END_OF_COMMENT = re.compile(r" and (exceeded resource (\w+)|terminated.*|failed)\s*$")
_KILLED = 256  # an exit status above it is the signal with which the system killed the job
_OPENS = re.compile(r'"([^"]+)":\s*\{')
_VALUE = re.compile(r'"(\w+)":\s*"?(.*?)"?,?')


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a listing says of a job: attributes by name, parts as in ``Resource_List.mem``."""

    id: JobId
    fields: Mapping[str, str]

    def first(self, *names: str) -> str:
        """Return the first of these attributes that is there, or nothing."""
        return next((self.fields[name] for name in names if self.fields.get(name)), "")


def words(result: Result) -> str:
    """Return what a command said about itself, without prefixes and usage, on one line."""
    said = result.words.partition("usage:")[0] or result.words
    lines = (_PREFIX.sub("", line.strip()) for line in said.splitlines()[-6:])
    return "; ".join(dict.fromkeys(line for line in lines if line))


def is_unavailable(result: Result) -> bool:
    """Whether nobody answered, rather than that something was refused."""
    return NOT_SET_UP not in result.stderr and any(sign in result.stderr for sign in UNAVAILABLE)


def check_answer(result: Result) -> None:
    """Raise what a failed query means; a job that it does not know is none."""
    if not result.exit_code:
        return
    program = result.command.argv[0]
    if is_unavailable(result):
        raise BatchUnavailable(
            f"{program} did not answer: {words(result)}",
            result=result,
            hint="it is asked again; nothing is concluded from its silence",
        )
    complaints = [line for line in result.stderr.splitlines() if line.strip()]
    if complaints and all(any(sign in line for sign in FORGOTTEN) for line in complaints):
        return
    raise BatchError(
        f"{program} failed with exit code {result.exit_code}: {words(result)}", result=result
    )


def answer(result: Result) -> Mapping[str, Any]:
    """Return the object that a command printed, after whatever a site prints before it.

    Raises
    ------
    UnreadableOutput
        If there is none.
    """
    text = result.stdout[result.stdout.find("{") :].rstrip()
    try:
        found = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        found = _repaired(text)
    if not isinstance(found, dict) or "pbs_server" not in found:
        raise UnreadableOutput(
            f"{result.command.argv[0]} printed no listing: {result.words[:200]!r}", result=result
        )
    return found


def _repaired(text: str) -> dict[str, Any] | None:
    """Return what can be read, line by line, of an object that is no JSON.

    Some releases do not escape the values of variables: openpbs/openpbs#2541.
    """
    root: dict[str, Any] = {}
    path = [root]
    for line in map(str.strip, text.splitlines()[1:]):
        if line in ("}", "},"):
            path.pop()
        elif opens := _OPENS.fullmatch(line):
            inner = path[-1].get(opens[1])
            path.append(inner if isinstance(inner, dict) else {})
            path[-2][opens[1]] = path[-1]
        elif value := _VALUE.fullmatch(line):
            path[-1].setdefault(value[1], value[2])
        if not path:
            return root
    return None


def records(found: Mapping[str, Any]) -> Iterator[Record]:
    """Yield the jobs of an answer, and the arrays."""
    jobs = found.get("Jobs", {})
    for name, attributes in jobs.items() if isinstance(jobs, dict) else ():
        if ID.fullmatch(name) and isinstance(attributes, dict):
            yield Record(id=JobId(name), fields=dict(flat(attributes)))


def flat(attributes: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield attributes as text, those with parts as ``Resource_List.mem``."""
    for name, value in attributes.items():
        if not isinstance(value, dict):
            yield name, str(value)
        elif name != "Variable_List":
            yield from ((f"{name}.{part}", str(each)) for part, each in value.items())


def statuses(listed: Iterable[Record], codes: Mapping[int, JobState]) -> dict[JobId, JobStatus]:
    """Return the jobs; what codes below 0 mean depends on the system."""
    all_of_them = list(listed)
    arrays = {record.id: record for record in all_of_them if "[]" in record.id}
    jobs = [record for record in all_of_them if record.id not in arrays]
    return {
        record.id: _status(record, arrays.get(array_of(record.id)), codes=codes) for record in jobs
    }


def _status(record: Record, array: Record | None, *, codes: Mapping[int, JobState]) -> JobStatus:
    letter = record.first("job_state")
    state, code = STATES.get(letter, JobState.UNKNOWN), None
    if letter in ENDED:
        state, code = _end(record, codes)
    told = record
    if state is JobState.PENDING and array and not record.first("comment"):
        # An element that waits says nothing: its array says why, and whether it is held.
        told = array
        state = STATES.get(array.first("job_state"), state)
        state = state if state.is_waiting else JobState.PENDING
    reason = _reason(told, state)
    index = job_index(record.id)
    tag = record.first("Job_Name")
    return JobStatus(
        id=record.id,
        # Torque calls the elements of an array name-0, name-1.
        tag=Tag(tag.removesuffix(f"-{index}") if record.first("job_array_id") else tag),
        state=state,
        index=index,
        reason=reason,
        plain_reason=plain_reason(reason, state, holds=told.first("Hold_Types")),
        start_estimate=_start(told) if state.is_waiting else None,
        end_time=_end_time(record, state),
        nodes=_nodes(record.first("exec_host")),
        exit_code=code,
    )


def _end(record: Record, codes: Mapping[int, JobState]) -> tuple[JobState, int | None]:
    """Return how a job ended, and its exit code where that was its own."""
    code = number(record.first("Exit_status", "exit_status"))
    substate = record.first("substate")
    comment = _END_OF_COMMENT.search(record.first("comment"))
    if comment and comment[2] in EXCEEDED:
        return EXCEEDED[comment[2]], None
    # An element of an array that was cancelled may well have exit status 0.
    if substate == CANCELLED:
        return JobState.CANCELLED, None
    if code is None:
        told = {FINISHED: JobState.DONE, FAILED: JobState.FAILED}
        return told.get(substate, JobState.CANCELLED), None
    if code > _KILLED:
        return (JobState.TIMED_OUT if _is_overdue(record) else JobState.CANCELLED), None
    if code < 0:
        return codes.get(code, JobState.FAILED), None
    return (JobState.FAILED if code else JobState.DONE), code


def _is_overdue(record: Record) -> bool:
    asked, used = (
        seconds(record.first(f"{part}.walltime")) for part in ("Resource_List", "resources_used")
    )
    return asked is not None and used is not None and used >= asked


def _reason(record: Record, state: JobState) -> str:
    comment = record.first("comment").strip()
    if state is JobState.UNKNOWN:
        return f"job_state {record.first('job_state')}".strip()
    if state.is_final:
        if (end := _END_OF_COMMENT.search(comment)) and end[1] != "failed":
            return end[1]
        code = number(record.first("Exit_status", "exit_status")) or 0
        return "" if 0 <= code <= _KILLED else f"Exit_status {code}"
    if not state.is_waiting:
        return ""
    if state is JobState.HELD and not comment:
        return f"Hold_Types {record.first('Hold_Types')}".strip()
    if record.first("job_state") == "W" and not comment:
        return "Execution_Time"
    # What runs, or once ran, says so: "Job run at", "Job Array Began at", "Job started on".
    return "" if comment.startswith("Job ") else comment.removeprefix(_NOT_RUNNING)


def _start(record: Record) -> float | None:
    waits = record.first("job_state") == "W"
    return moment(record.first("estimated.start_time", *(["Execution_Time"] if waits else [])))


def _end_time(record: Record, state: JobState) -> float | None:
    if state.is_final:
        return moment(record.first("obittime", "comp_time", "history_timestamp", "mtime"))
    start = moment(record.first("stime", "start_time"))
    walltime = seconds(record.first("Resource_List.walltime"))
    if state.is_waiting or start is None or walltime is None:
        return None
    return start + walltime


def _nodes(hosts: str) -> str:
    """Return ``node2,node1`` for ``node2/0*7+node1/0*7``."""
    return ",".join(dict.fromkeys(host.partition("/")[0] for host in hosts.split("+") if host))


def array_of(job_id: JobId) -> JobId:
    """Return the array of an element, or the job itself."""
    return JobId(re.sub(r"\[\d+\]", "[]", job_id, count=1))


def job_index(job_id: JobId) -> int:
    """Return the place in the array, 0 for a job of its own."""
    match = ID.fullmatch(job_id)
    return int(match[2] or 0) if match else 0


def job_number(job_id: JobId) -> int:
    """Return the number that the server counts on with."""
    match = ID.fullmatch(job_id)
    return int(match[1]) if match else 0


def collapse(ids: Iterable[JobId]) -> list[str]:
    """Return ids with neighbours in one array written together, as in ``19[4-6].server``."""
    arrays: dict[JobId, set[int]] = {}
    for job_id in ids:
        arrays.setdefault(array_of(job_id), set()).add(job_index(job_id))
    found: list[str] = []
    for array, indices in arrays.items():
        spans = _spans(sorted(indices)) if "[]" in array else [""]
        found += [array.replace("[]", f"[{span}]") for span in spans]
    return found


def _spans(indices: list[int]) -> Iterator[str]:
    first = last = indices[0]
    for index in [*indices[1:], None]:
        if index == last + 1:
            last = index
            continue
        yield f"{first}" if first == last else f"{first}-{last}"
        if index is not None:
            first = last = index


def moment(text: str) -> float | None:
    """Return seconds since the epoch: of a number, or of ``Fri Nov 20 08:06:04 2026`` in UTC."""
    if match := _DATE.fullmatch(text.strip()):
        month, day, hour, minute, second, year = match.groups()
        if month in _MONTHS:
            clock = (int(hour), int(minute), int(second))
            return float(calendar.timegm((int(year), _MONTHS.index(month) + 1, int(day), *clock)))
    return float(number(text) or 0) or None


def seconds(text: str) -> float | None:
    """Return the seconds of ``24:00:00``, ``30:00`` or ``90``."""
    match = _CLOCK.fullmatch(text)
    if match is None:
        return None
    hours, minutes, rest = (int(part or 0) for part in match.groups())
    return float(hours * 3600 + minutes * 60 + rest)


def number(text: str) -> int | None:
    """Return a whole number, or nothing."""
    return int(text) if _NUMBER.fullmatch(text) else None
