"""How OAR's listings are read: JSON or text, times, events. Nothing here knows a command."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dask_hpc.batch.oar_words import NO_JSON, STATEMENT_FAILED, UNAVAILABLE
from dask_hpc.errors import BatchError, BatchUnavailable, UnreadableOutput

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dask_hpc.process.runner import Result

_NUMBER = re.compile(r"\d{1,18}", re.ASCII)
_CLOCK = re.compile(r"(\d{1,9}):(\d{1,9}):(\d{1,9})", re.ASCII)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", re.ASCII)
_JOB = re.compile(r"Job_Id: (\d{1,18})", re.ASCII)
_FIELD = re.compile(r" {4}(\w+) = ?(.*)")
_EVENT = re.compile(
    r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)> ([A-Z_]+): ?(.*)", re.ASCII
)  # with a space since 2.6
_RESOURCE = re.compile(r"(network_address|state|jobs|properties) ?: ?(.*)")  # 2.5 has spaces before
_PREFIX = re.compile(r"^(?:(?:\[ERROR\]|\[ADMISSION RULE\]|/!\\|ERROR :|Error:)\s*)+")
# Neither is what went wrong.
_NOISE = ("Simple array job submission is used", "Oarsub failed, please verify your request syntax")

# The same thing has two names: in JSON, and in text or in OAR 3.
_ALIASES = {
    "Job_Id": "id",
    "job_id": "id",
    "job_name": "name",
    "job_array_index": "array_index",
    "start_time": "startTime",
    "stop_time": "stopTime",
    "scheduled_start": "scheduledStart",
    "assigned_hostnames": "assigned_network_address",
}


def words(result: Result) -> str:
    """Return what OAR said about itself, without its prefixes, on one line."""
    lines = [line.strip() for line in result.words.splitlines()]
    telling = [line for line in lines if line and not any(sign in line for sign in _NOISE)]
    return "; ".join(dict.fromkeys(_PREFIX.sub("", line) for line in (telling or lines)[-6:]))


def check_answer(result: Result) -> None:
    """Raise what a failed query means. The exit code is 0 if a statement failed in the database."""
    unavailable = any(sign in result.stderr for sign in UNAVAILABLE)
    if unavailable or (not result.exit_code and STATEMENT_FAILED in result.stderr):
        raise BatchUnavailable(
            f"oar did not answer: {words(result)}",
            result=result,
            hint="it is asked again; nothing is concluded from its silence",
        )
    if result.exit_code:
        program = result.command.argv[0]
        raise BatchError(
            f"{program} failed with exit code {result.exit_code}: {words(result)}",
            result=result,
            hint="set the fact json=no of the site" if NO_JSON in result.stderr else "",
        )


def jobs(result: Result) -> Iterator[Mapping[str, object]]:
    """Yield the fields of each job of ``oarstat -f``, in JSON or as text.

    Nothing at all is what oarstat prints if there is no job.

    Raises
    ------
    UnreadableOutput
        If it is neither.
    """
    if (text := _json_text(result)) is not None:
        yield from (_renamed(fields) for fields in _decoded(text, result))
        return
    found = [_renamed(fields) for fields in _text_jobs(result.stdout)]
    if not found and result.stdout.strip():
        raise _unreadable(result)
    yield from found


def resources(result: Result) -> Iterator[Mapping[str, object]]:
    """Yield the fields of each resource of ``oarnodes``, in JSON or as text."""
    if (text := _json_text(result)) is not None:
        yield from _decoded(text, result)
        return
    found = list(_text_resources(result.stdout))
    if not found:
        raise _unreadable(result)
    yield from found


def _unreadable(result: Result) -> UnreadableOutput:
    return UnreadableOutput(
        f"{result.command.argv[0]} printed no table: {result.words[:200]!r}", result=result
    )


def _json_text(result: Result) -> str | None:
    # Sites print banners before the answer.
    match = re.search(r"^[{\[]", result.stdout, re.MULTILINE)
    return result.stdout[match.start() :] if match else None


def _decoded(text: str, result: Result) -> list[dict[str, object]]:
    try:
        answer, _ = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError) as error:
        raise _unreadable(result) from error
    found = list(answer.values()) if isinstance(answer, dict) else answer
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise _unreadable(result)
    return found


def _renamed(fields: Mapping[str, object]) -> dict[str, object]:
    return {_ALIASES.get(name, name): value for name, value in fields.items()}


def _text_jobs(text: str) -> Iterator[dict[str, object]]:
    current: dict[str, object] = {}
    events: list[dict[str, object]] = []
    for line in text.split("\n"):
        if job := _JOB.fullmatch(line):
            if current:
                yield current
            events = []
            current = {"id": job[1], "events": events}
        elif event := _EVENT.fullmatch(line):
            events.append({"date": event[1], "type": event[2], "description": event[3]})
        elif (field := _FIELD.fullmatch(line)) and current:
            # The first of a name: a command of several lines may hold what looks like a field.
            current.setdefault(_ALIASES.get(field[1], field[1]), field[2])
    if current:
        yield current


def _text_resources(text: str) -> Iterator[dict[str, object]]:
    for block in text.split("\n\n"):
        fields: dict[str, object] = {}
        for match in filter(None, map(_RESOURCE.fullmatch, block.splitlines())):
            if match[1] == "properties":
                pairs = (pair.partition("=") for pair in match[2].split(", "))
                fields = {name: value for name, _, value in pairs} | fields
            else:
                fields[match[1]] = match[2]
        if "network_address" in fields:
            yield fields


def text_of(fields: Mapping[str, object], name: str) -> str:
    """Return a field as text, empty if it is absent."""
    value = fields.get(name)
    if isinstance(value, list):
        return ",".join(str(each) for each in value)
    return "" if value is None else str(value)


def number(fields: Mapping[str, object], name: str) -> int | None:
    """Return the number that a field begins with: the exit code of text is ``1792 (7,0,0)``."""
    match = _NUMBER.match(text_of(fields, name))
    return int(match[0]) if match else None


def moment(fields: Mapping[str, object], name: str) -> float | None:
    """Return seconds since the epoch, from a number or from text in UTC."""
    text = text_of(fields, name)
    if _MOMENT.fullmatch(text):
        try:
            return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
        except ValueError:
            return None
    return (float(text) or None) if _NUMBER.fullmatch(text) else None


def seconds(fields: Mapping[str, object], name: str) -> float | None:
    """Return a duration in seconds, from a number or from ``1:30:0``."""
    text = text_of(fields, name)
    if match := _CLOCK.fullmatch(text):
        hours, minutes, second = (int(part) for part in match.groups())
        return float(hours * 3600 + minutes * 60 + second)
    return float(text) if _NUMBER.fullmatch(text) else None


def events(fields: Mapping[str, object]) -> Mapping[str, str]:
    """Return the types of what befell a job until its end, with a description of each."""
    listed = fields.get("events")
    stop = moment(fields, "stopTime")
    found: dict[str, str] = {}
    for event in listed if isinstance(listed, list) else []:
        if isinstance(event, dict):
            date = moment(event, "date")
            # oardel writes its request to a job that ended long ago, too.
            if stop is None or date is None or date <= stop + 1:
                found.setdefault(text_of(event, "type"), text_of(event, "description"))
    return found
