"""How LSF's answers are read: JSON of LSF, text of OpenLava, histories. Nothing here asks."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from dask_hpc.batch.lsf_job import JOB_ID, Seen, moment, seconds_between
from dask_hpc.batch.lsf_words import EXITED, NO_CONFIGURATION, NOTHING, UNAVAILABLE
from dask_hpc.batch.model import JobId
from dask_hpc.errors import BatchError, BatchUnavailable, UnreadableOutput

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dask_hpc.process.runner import Result

_HEAD = re.compile(
    r"Job (?:Id )?<(\d{1,18}(?:\[\d{1,9}\])?)>(?:, Job Name <(.*?)>)?, User <", re.ASCII
)
_STATUS = re.compile(r", Status <(\w+)>")
_EVENT = re.compile(r"\w{3} (\w{3} +\d+ \d+:\d+:\d+(?: \d{4})?): (.*)", re.ASCII)
_STARTED = re.compile(r"(?:\[\d+\] )?(?:[Ss]tarted|[Dd]ispatched)\b.*?((?:<[^>]*> ?)+)", re.ASCII)
_CODE = re.compile(r"Exited with exit code (\d{1,9})", re.ASCII)
_KILL = re.compile(r"Signal <(?:KILL|TERM|INT)> requested by user")
_TERM = re.compile(r"TERM_\w+: [^.;]*")
_MINUTES = re.compile(r"(\d{1,9}(?:\.\d+)?) min", re.ASCII)
_FOLD = " " * 21  # what a folded line goes on with


def words(result: Result) -> str:
    """Return what LSF said about itself, on one line."""
    lines = (line.strip() for line in result.words.splitlines()[-6:])
    return "; ".join(dict.fromkeys(line for line in lines if line))


def is_silent_daemon(result: Result) -> bool:
    """Whether these are words of a client that found no daemon, but its configuration."""
    said = result.stderr + result.stdout
    return UNAVAILABLE.search(said) is not None and not NO_CONFIGURATION.search(said)


def check_answer(result: Result) -> None:
    """Raise what a failed query means."""
    if not result.exit_code:
        return
    if not result.words or result.exit_code < 0 or is_silent_daemon(result):
        raise BatchUnavailable(
            f"lsf did not answer: {words(result) or f'exit code {result.exit_code}'}",
            result=result,
            hint="it is asked again; nothing is concluded from its silence",
        )
    program = result.command.argv[0]
    raise BatchError(
        f"{program} failed with exit code {result.exit_code}: {words(result)}", result=result
    )


def says_nothing(result: Result) -> bool:
    """Whether all that was said is that there are no such jobs."""
    said = [text for text in (result.stdout, result.stderr) if text.strip()]
    return bool(said) and all(NOTHING.fullmatch(text) for text in said)


# jobs ---------------------------------------------------------------------------------------------


def json_jobs(result: Result) -> Iterator[Seen]:
    """Yield the jobs of ``bjobs -json``; records of jobs that are not found are no jobs.

    Raises
    ------
    UnreadableOutput
        If it is not in the form that the manual of LSF 10.1 shows.
    """
    for record in _records(result):
        if "ERROR" in record:
            if "not found" in record["ERROR"]:
                continue
            raise _unreadable(result, what=record["ERROR"])
        match = JOB_ID.fullmatch(record.get("JOBID", ""))
        if match is None or "STAT" not in record:
            raise _unreadable(result, what=f"a record without id or state: {record}")
        yield _json_job(match, record)


def _records(result: Result) -> Iterator[dict[str, str]]:
    start = max(result.stdout.find("{"), 0)  # sites print banners before the answer
    try:
        answer: Any = json.JSONDecoder(strict=False).raw_decode(result.stdout, start)[0]
        records = answer["RECORDS"]
        pairs = [list(record.items()) for record in records]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _unreadable(result, what=result.words[:200]) from error
    for each in pairs:
        yield {name: f"{'' if value is None else value}".strip() for name, value in each}


def _json_job(match: re.Match[str], record: dict[str, str]) -> Seen:
    name = record.get("JOB_NAME", "")
    index = match[2] or record.get("JOBINDEX", "")
    start = record.get("START_TIME", "").strip("- ")
    return Seen(
        id=JobId(f"{match[1]}[{index}]" if index.isdecimal() and int(index) else match[1]),
        name=name,
        word=record["STAT"],
        waits=record.get("PEND_REASON", ""),
        ended=record.get("EXIT_REASON", "").strip("- "),
        code=_integer(record.get("EXIT_CODE", "")),
        nodes=_hosts(re.split(r"[: ]+", record.get("EXEC_HOST", "").strip("- "))),
        has_started=bool(start),
        start_estimate=moment(record.get("ESTIMATED_START_TIME", "")),
        end_time=moment(record.get("FINISH_TIME", "")),
    )


def text_jobs(result: Result) -> Iterator[Seen]:
    """Yield the jobs of ``bjobs -UF``, which folds no lines.

    Raises
    ------
    UnreadableOutput
        If there is no job: a user without jobs is told in other words.
    """
    found = False
    for head, lines in _blocks(result.stdout.split("\n")):
        # Names and commands are free text: the first state is the one before the command.
        status = _STATUS.search(head.string, head.end())
        if status is None:
            raise _unreadable(result, what=head.string[:200])
        found = True
        yield _events(head, lines, word=status[1])
    if not found:
        raise _unreadable(result, what=result.words[:200])


def history_jobs(result: Result) -> Iterator[Seen]:
    """Yield the jobs of ``bhist -l``, whose lines are folded and which names no states."""
    found = False
    for head, lines in _blocks(_unfolded(result.stdout)):
        found = True
        last = _events(head, lines, word="")
        yield replace(last, word=last.word or ("RUN" if last.has_started else "PEND"))
    if not found:
        raise _unreadable(result, what=result.words[:200])


def _unfolded(text: str) -> list[str]:
    lines: list[str] = []
    for line in text.split("\n"):
        if lines and line.startswith(_FOLD) and lines[-1]:
            lines[-1] += line[len(_FOLD) :]
        else:
            lines.append(line)
    return lines


def _blocks(lines: Sequence[str]) -> Iterator[tuple[re.Match[str], list[str]]]:
    head: re.Match[str] | None = None
    block: list[str] = []
    for line in lines:
        if match := _HEAD.match(line):
            if head:
                yield head, block
            head, block = match, []
        else:
            block.append(line)
    if head:
        yield head, block


def _events(head: re.Match[str], lines: list[str], *, word: str) -> Seen:
    seen = Seen(id=JobId(head[1]), name=head[2] or "", word=word, waits=_reasons(lines))
    start = end = None
    for event in filter(None, map(_EVENT.fullmatch, lines)):
        text = event[2].strip()
        if started := _STARTED.match(text):
            nodes = _hosts(re.findall(r"<([^>]*)>", started[1]))
            # One that runs again has not ended.
            seen = replace(seen, has_started=True, nodes=nodes, word=word)
            start = event[1]
        elif text.startswith("Done successfully"):
            seen, end = replace(seen, word="DONE"), event[1]
        elif text.startswith(("Exited", "Completed <exit>")):
            seen, end = _exited(seen, text), event[1]
        elif text.startswith("Pending"):  # it was queued again
            seen, end = replace(seen, word=word or "PEND", has_started=False), None
        elif _KILL.match(text):
            seen = replace(seen, was_killed=True)
    limit = run_limit(lines)
    ran = seconds_between(start, end)
    is_over = limit is not None and ran is not None and ran >= limit
    final = moment(end or "")
    # The one word of bjobs is its state; events of an earlier run say nothing against it.
    return replace(seen, word=word or seen.word, is_over_limit=is_over, end_time=final)


def _exited(seen: Seen, text: str) -> Seen:
    code, term = _CODE.match(text), _TERM.search(text)
    said = term[0] if term else text.partition(". ")[0].rstrip(".;")
    return replace(
        seen,
        word=EXITED,
        code=int(code[1]) if code else seen.code,
        ended=said if term or not seen.ended.startswith("TERM_") else seen.ended,
    )


def _reasons(lines: list[str]) -> str:
    found: list[str] = []
    inside = False
    for line in lines:
        if line.rstrip() in (" PENDING REASONS:", " SUSPENDING REASONS:"):
            inside = True
        elif inside and line.startswith(" ") and line.strip():
            found.append(line.strip().rstrip(";"))
        else:
            inside = False
    return "; ".join(found)


def run_limit(lines: Sequence[str]) -> float | None:
    """Return the seconds below a ``RUNLIMIT`` of a job or a queue."""
    match = _MINUTES.match(column(lines, "RUNLIMIT"))
    return float(match[1]) * 60 if match else None


def column(lines: Sequence[str], title: str) -> str:
    """Return what stands below the last title of that name in a small table, or nothing."""
    found = ""
    for head, values in pairwise(lines):
        if not head.startswith(" ") or title not in head.split():
            continue
        place = head.index(title)
        rest = re.search(r"\s\S", head[place + len(title) :])
        end = place + len(title) + rest.start() + 1 if rest else None
        found = values[place:end].strip()
    return found


def _integer(text: str) -> int | None:
    return int(text) if re.fullmatch(r"\d{1,9}", text, re.ASCII) else None


def _hosts(names: Sequence[str]) -> str:
    hosts = (name.strip().rpartition("*")[2] for name in names)
    return ",".join(dict.fromkeys(host for host in hosts if host))


def _unreadable(result: Result, *, what: str) -> UnreadableOutput:
    program = result.command.argv[0]
    return UnreadableOutput(f"{program} printed no jobs: {what!r}", result=result)
