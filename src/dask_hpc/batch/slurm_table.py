"""How Slurm's listings are read: lines, times, sizes, job ids. Nothing here knows a command."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dask_hpc.batch.model import JobId, JobState
from dask_hpc.batch.slurm_words import STATES, UNAVAILABLE
from dask_hpc.errors import BatchError, BatchUnavailable, UnreadableOutput

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dask_hpc.process.runner import Result

# The unit separator: names and reasons hold blanks, commas and bars, but never this.
SEPARATOR = "\x1f"

_ID = re.compile(r"(\d{1,18})(?:\+\d+)?(?:_(\d{1,9}|\[[^\]]*\]))?", re.ASCII)
_CLOCK = re.compile(r"(?:(\d{1,9})-)?(?:(\d{1,9}):)?(\d{1,9}):(\d{1,9})", re.ASCII)
_PREFIX = re.compile(r"^\w+: (?:(?:error|fatal): )?(?:Batch job submission failed: )?")
_RANGE = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?(?::(\d{1,9}))?", re.ASCII)
_NUMBER = re.compile(r"\d{1,18}", re.ASCII)
_TASKS = 100_000  # more tasks of one array are a misread number, not jobs
_NO_CODE = 256
_REAL_SIGNALS = 32  # Slurm's own signals, as 53 for a log that cannot be opened, lie above


def words(result: Result) -> str:
    """Return what Slurm said about itself, without its prefixes, on one line."""
    lines = (_PREFIX.sub("", line.strip()) for line in result.words.splitlines()[-6:])
    return "; ".join(dict.fromkeys(line for line in lines if line))


def check_answer(result: Result) -> None:
    """Raise what a failed query means."""
    refused = [sign for sign in UNAVAILABLE if sign in result.stderr]
    if refused and (result.exit_code or "Invalid user:" in refused):
        raise BatchUnavailable(
            f"slurm did not answer: {words(result)}",
            result=result,
            hint="it is asked again; nothing is concluded from its silence",
        )
    if result.exit_code:
        program = result.command.argv[0]
        raise BatchError(
            f"{program} failed with exit code {result.exit_code}: {words(result)}", result=result
        )


def rows(result: Result, width: int) -> Iterator[list[str]]:
    """Yield the cells of each line below the header.

    The header is asked for because it tells an empty answer from none. Lines that are no rows,
    such as a site's banner or what follows a line break in a name, are passed over.

    Raises
    ------
    UnreadableOutput
        If there is no header, or a row is cut off.
    """
    lines = iter(result.stdout.split("\n"))
    if not any(_is_header(line, width) for line in lines):
        raise UnreadableOutput(
            f"{result.command.argv[0]} printed no table: {result.words[:200]!r}", result=result
        )
    for line in lines:
        cells = line.split(SEPARATOR, width - 1)
        if len(cells) == width:
            yield [*cells[:-1], cells[-1].removesuffix(SEPARATOR)]
        elif len(cells) > 1 and _ID.fullmatch(cells[0]):
            raise UnreadableOutput(
                f"{result.command.argv[0]} printed half a row: {line!r}", result=result
            )


def _is_header(line: str, width: int) -> bool:
    cells = line.split(SEPARATOR)
    return len(cells) >= width and re.fullmatch(r"[A-Za-z_]+", cells[0]) is not None


def job_ids(cell: str) -> tuple[JobId, ...]:
    """Return the jobs of a cell: ``36``, ``36_1``, or pending tasks as in ``36_[1-3,7%2]``."""
    match = _ID.fullmatch(cell)
    if match is None:
        return ()
    tasks = match[2] or ""
    if not tasks.startswith("["):
        return (JobId(cell),)
    return tuple(JobId(f"{match[1]}_{index}") for index in _indices(tasks.strip("[]")))


def _indices(text: str) -> Iterator[int]:
    for part in text.partition("%")[0].split(","):
        # A long list is cut short by "...": what is left out is simply not said.
        if match := _RANGE.fullmatch(part):
            first, last = int(match[1]), int(match[2] or match[1])
            yield from range(first, min(last, first + _TASKS) + 1, int(match[3] or 1) or 1)


def job_index(job_id: JobId) -> int:
    """Return the place in the array, 0 for a job of its own."""
    index = job_id.partition("_")[2]
    return int(index) if index.isdecimal() else 0


def collapse(ids: Iterable[JobId], *, longest: int) -> list[str]:
    """Return ids with the tasks of one array written together, as in ``36_[0-5,9]``."""
    arrays: dict[str, list[int]] = {}
    alone: dict[str, None] = {}
    for job_id in ids:
        parent, _, index = job_id.partition("_")
        if index.isdecimal():
            arrays.setdefault(parent, []).append(int(index))
        else:
            alone[job_id] = None
    found = list(alone)
    for parent, indices in arrays.items():
        parts = list(_ranges(sorted(set(indices))))
        starts = range(0, len(parts), longest)
        found += [f"{parent}_[{','.join(parts[start : start + longest])}]" for start in starts]
    return found


def _ranges(indices: list[int]) -> Iterator[str]:
    first = last = indices[0]
    for index in [*indices[1:], None]:
        if index is not None and index == last + 1:
            last = index
            continue
        yield str(first) if first == last else f"{first}-{last}"
        if index is not None:
            first = last = index


def state_of(cell: str) -> JobState:
    """Return the state of a word. One that is not in the table says nothing."""
    # sacct says "CANCELLED by 1001".
    return STATES.get(cell.partition(" ")[0], JobState.UNKNOWN)


def ending(cell: str) -> tuple[int, int]:
    """Return the exit code and the signal of ``7:0``, or of a number as wait(2) has it.

    sacct prints the pair, squeue of 22.05 the number (768 is exit code 3, 9 is signal 9), and
    squeue of 24.11 the pair.
    """
    code, colon, signal = cell.partition(":")
    if colon:
        return number(code), number(signal)
    return number(code) >> 8, number(code) & 127


def exit_code(code: int, *, signal: int, state: JobState) -> int | None:
    """Return the exit code of a shell, or nothing where Slurm's is not to be believed.

    Cancelled and timed-out jobs are ``0:0`` in sacct and ``0:15`` in scontrol: only the states
    of jobs that ended by themselves have codes with a meaning.
    """
    if state is JobState.DONE:
        return 0
    if state is not JobState.FAILED:
        return None
    if signal:
        return 128 + signal if signal < _REAL_SIGNALS else None
    return code if 0 < code < _NO_CODE else None


def moment(cell: str) -> float | None:
    """Return seconds since the epoch; nothing for ``N/A``, ``Unknown`` and the like."""
    return (float(cell) or None) if _NUMBER.fullmatch(cell) else None


def seconds(cell: str) -> float | None:
    """Return the seconds of ``1-00:00:00``, ``2:00`` or ``infinite``."""
    match = _CLOCK.fullmatch(cell)
    if match is None:
        return None
    days, hours, minutes, second = (int(part or 0) for part in match.groups())
    return float(days * 86400 + hours * 3600 + minutes * 60 + second)


def number(cell: str) -> int:
    """Return the number that a cell begins with: ``4096+`` stands for 4096 and more."""
    match = _NUMBER.match(cell)
    return int(match[0]) if match else 0


def gpus(cell: str) -> int:
    """Return the gpus of ``gpu:a100:4(S:0-1),gpu:2,nvme:1``."""
    found = re.findall(r"(?:^|,)gpu(?::[^:,()]+)??:(\d{1,9})", cell, re.ASCII)
    return sum(int(count) for count in found)
