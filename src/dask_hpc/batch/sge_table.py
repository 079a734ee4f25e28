"""How Grid Engine's answers are read: XML, times, sizes, job ids. Nothing here knows a command."""

from __future__ import annotations

import calendar
import re
from html import unescape
from typing import TYPE_CHECKING

from dask_hpc.batch.model import JobId, JobState
from dask_hpc.batch.sge_words import KNOWN_LETTERS, LETTERS, PLAIN, UNAVAILABLE
from dask_hpc.errors import BatchError, BatchUnavailable, CommandMissing, UnreadableOutput

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from dask_hpc.process.runner import Result

_ELEMENT = re.compile(r"<(\w+)(?:\s[^<>]*)?>([^<]*)</\1>")
_REQUEST = re.compile(r'<(?:hard_request|resource) name="([^"]*)"[^<>]*>([^<]*)<')
_RULE = re.compile(r"^={20,}\s*$", re.MULTILINE)
_FIELD = re.compile(r"(\w+)\s+(.*?)\s*", re.ASCII)
_DETAIL = re.compile(r"(job_number|error reason +\d+|scheduling info):\s+(.*)")
_STAMP = re.compile(r"\d\d/\d\d/\d{4} [\d:.]+ \[\d+:\d+\]: (?:error: )?")
_PREFIX = re.compile(r"^(?:qsub: |error: |Unable to run job: (?:job rejected: )?|denied: )+")
_ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.\d]*)Z?", re.ASCII)
_CTIME = re.compile(r"\w{3} (\w{3}) +(\d{1,2}) (\d\d):(\d\d):(\d\d) (\d{4})", re.ASCII)
_MONTHS = {name: number for number, name in enumerate(calendar.month_abbr) if name}
_CLOCK = re.compile(r"(?:(?:(\d{1,9}):)?(\d{1,9}):)?(\d{1,9})(?:\.\d*)?s?", re.ASCII)
_SIZE = re.compile(r"(\d{1,18}(?:\.\d{1,9})?)([kKmMgGtT]?)B?", re.ASCII)
# sge_types(1): a capital is a power of 1024.
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12,
          "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}  # fmt: skip
_TASKS = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?(?::(\d{1,9}))?", re.ASCII)
_MANY = 100_000  # more tasks of one array are a misread number, not jobs
_ID = re.compile(r"(\d{1,18})(?:\.(\d{1,9}))?", re.ASCII)
_NUMBER = re.compile(r"\d{1,18}", re.ASCII)


def words(result: Result) -> str:
    """Return what Grid Engine said about itself, without its prefixes, on one line."""
    lines = (_PREFIX.sub("", line.strip()) for line in result.words.splitlines()[-6:])
    return "; ".join(dict.fromkeys(line for line in lines if line and line != "Exiting."))


def is_unavailable(result: Result) -> bool:
    """Whether a failed command failed because nobody answered it."""
    said = result.stderr + result.stdout
    return result.exit_code < 0 or any(sign in said for sign in UNAVAILABLE)


def check_answer(result: Result) -> None:
    """Raise what a failed query means."""
    if not result.exit_code:
        return
    if is_unavailable(result):
        raise BatchUnavailable(
            f"grid engine did not answer: {words(result)}",
            result=result,
            hint="it is asked again; nothing is concluded from its silence",
        )
    if result.exit_code == 127:
        raise CommandMissing(
            f"qstat cannot be run there: {words(result)}",
            result=result,
            hint="load the module that brings it, or add its directory to PATH",
        )
    program = result.command.argv[0]
    raise BatchError(
        f"{program} failed with exit code {result.exit_code}: {words(result)}", result=result
    )


def document(result: Result) -> tuple[str, str]:
    """Return the XML of a listing, and the text that follows it.

    Read without a parser: some releases leave parts of names that others gave to their jobs
    unescaped, which must not hide ours.

    Raises
    ------
    UnreadableOutput
        If there is no listing, or its end is missing.
    """
    _, begin, after = result.stdout.partition("<job_info")
    head, _, rest = after.partition("\n====")
    text = begin + head[: head.rfind("</job_info>") + len("</job_info>")]
    if "</job_info>" not in head or text.count("<job_info") != text.count("</job_info>"):
        raise UnreadableOutput(
            f"{result.command.argv[0]} printed no whole listing: {result.words[:200]!r}",
            result=result,
        )
    return text, f"===={rest}"


def elements(text: str, name: str) -> Iterator[str]:
    """Yield what is inside of each element of this name, which holds none of its own kind."""
    return (match[1] for match in re.finditer(f"<{name}(?: [^<>]*)?>(.*?)</{name}>", text, re.S))


def cells(block: str) -> dict[str, str]:
    """Return the texts of an element's children."""
    return {name: unescape(text).strip() for name, text in _ELEMENT.findall(block)}


def requests(block: str) -> dict[str, str]:
    """Return the resources that an element names, and their values."""
    return {unescape(name): unescape(text).strip() for name, text in _REQUEST.findall(block)}


def details(text: str) -> dict[str, str]:
    """Return the most telling reason of each job in the text of ``qstat -j``."""
    return {number: reason for number, reason in map(_detail, _RULE.split(text)) if reason}


def _detail(record: str) -> tuple[str, str]:
    number, last, errors, messages = "", "", [], []
    for line in record.splitlines():
        if match := _DETAIL.match(line):
            last = match[1].partition(" ")[0]
        elif not line.startswith(" "):
            last = ""
        said = (match[2] if match else line).strip()
        if last == "job_number":
            number = said
        elif last == "error":
            errors.append(_STAMP.sub("", said))
        elif last == "scheduling":
            messages.append(said)
    return number, next(iter(errors), "") or _telling(messages)


def _telling(messages: list[str]) -> str:
    # Every queue that is full is told to everybody: what is said of this job alone tells more.
    known = [said for said in messages if any(pattern.search(said) for pattern, _ in PLAIN)]
    own = [said for said in known if not said.startswith("queue instance")]
    return next(iter([*own, *known]), "")


def records(result: Result) -> Iterator[dict[str, str]]:
    """Yield the records of qacct.

    Raises
    ------
    UnreadableOutput
        If there is none, or the last one is cut off.
    """
    parts = _RULE.split(result.stdout)[1:]
    found = [dict(_fields(part)) for part in parts]
    if not found or not all({"jobnumber", "failed", "exit_status"} <= one.keys() for one in found):
        raise UnreadableOutput(
            f"{result.command.argv[0]} printed no whole record: {result.words[:200]!r}",
            result=result,
        )
    yield from found


def _fields(part: str) -> Iterator[tuple[str, str]]:
    for line in part.splitlines():
        if match := _FIELD.fullmatch(line):
            yield match[1], match[2]


def requested(category: str) -> Mapping[str, str]:
    """Return the resources of a job's category: ``-l h_rt=5,h_vmem=100M -pe smp 2``."""
    lists = re.findall(r"-l (\S+)", category)
    pairs = (pair.partition("=") for text in lists for pair in text.split(","))
    return {name: value for name, _, value in pairs}


def state_of(letters: str) -> JobState:
    """Return the state of a word of letters. A letter that is not known says nothing."""
    if not letters or not KNOWN_LETTERS.issuperset(letters):
        return JobState.UNKNOWN
    return next(state for letter, state in LETTERS if letter in letters)


def task_ids(job: str, tasks: str) -> tuple[JobId, ...]:
    """Return the jobs of a row: one alone, or the tasks of ``3``, ``1-9:4`` or ``1,3-5:1``."""
    if _NUMBER.fullmatch(job) is None:
        return ()
    if not tasks or tasks == "undefined":
        return (JobId(job),)
    return tuple(JobId(f"{job}.{task}") for task in _tasks(tasks))


def _tasks(text: str) -> Iterator[int]:
    for part in text.split(","):
        if match := _TASKS.fullmatch(part.strip()):
            first, last = int(match[1]), int(match[2] or match[1])
            yield from range(first, min(last, first + _MANY) + 1, int(match[3] or 1) or 1)


def job_index(job_id: JobId) -> int:
    """Return the place in the array, whose first task is 1; 0 for a job of its own."""
    task = job_id.partition(".")[2]
    return max(int(task) - 1, 0) if _NUMBER.fullmatch(task) else 0


def collapse(ids: Iterable[JobId]) -> list[str]:
    """Return ids with neighbours in one array written together, as in ``36.1-5``."""
    arrays: dict[str, list[int]] = {}
    found: dict[str, None] = {}
    for job_id in ids:
        match = _ID.fullmatch(job_id)
        if match and match[2]:
            arrays.setdefault(match[1], []).append(int(match[2]))
        else:
            found[job_id] = None
    for parent, tasks in arrays.items():
        found |= dict.fromkeys(f"{parent}.{part}" for part in _ranges(sorted(set(tasks))))
    return list(found)


def _ranges(tasks: list[int]) -> Iterator[str]:
    first = last = tasks[0]
    for task in [*tasks[1:], None]:
        if task is not None and task == last + 1:
            last = task
            continue
        yield str(first) if first == last else f"{first}-{last}"
        if task is not None:
            first = last = task


def moment(cell: str) -> float | None:
    """Return seconds since the epoch of ``2026-11-20T08:27:04`` or ``Fri Nov 20 08:27:28 2026``.

    The commands are asked in UTC.
    """
    if match := _ISO.fullmatch(cell):
        return _epoch(*(int(part) for part in match.groups()))
    if (match := _CTIME.fullmatch(cell)) and match[1] in _MONTHS:
        month, day, hour, minute, second, year = match.groups()
        return _epoch(int(year), _MONTHS[month], int(day), int(hour), int(minute), int(second))
    return None


def _epoch(*parts: int) -> float | None:
    year, month, day = parts[:3]
    if not (year >= 1970 and 1 <= month <= 12 and 1 <= day <= 31):
        return None
    return float(calendar.timegm((*parts, 0, 0, 0)))


def seconds(cell: str) -> float | None:
    """Return the seconds of ``600``, ``00:02:00`` or ``3s``; nothing for ``INFINITY``."""
    match = _CLOCK.fullmatch(cell)
    if match is None:
        return None
    hours, minutes, second = (int(part or 0) for part in match.groups())
    return float(hours * 3600 + minutes * 60 + second)


def size(cell: str) -> int:
    """Return the bytes of ``23.541G`` or ``10.191MB``; 0 for anything else."""
    match = _SIZE.fullmatch(cell)
    return int(float(match[1]) * _UNITS[match[2]]) if match else 0


def number(cell: str) -> int:
    """Return the number that a cell begins with: ``137                  (Killed)``."""
    match = _NUMBER.match(cell)
    return int(match[0]) if match else 0
