"""How the queues of LSF are read, and how ids are written together. Nothing here asks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dask_hpc.batch.lsf_job import JOB_ID
from dask_hpc.batch.lsf_table import column, run_limit
from dask_hpc.batch.model import BatchQueue
from dask_hpc.errors import UnreadableOutput

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from dask_hpc.batch.model import JobId
    from dask_hpc.process.runner import Result

_QUEUE = re.compile(r"QUEUE: (\S+)\s*")
_STATUS = re.compile(r"\s*-?\d+\s+\S+\s+(\w+:\w+)\s")
_SIZE = re.compile(r"(\d{1,18}) ?([KMGTPE])", re.ASCII)
_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50, "E": 2**60}
_DEFAULT = "This is the default queue"


def queues(result: Result) -> Iterator[BatchQueue]:
    """Yield the queues of ``bqueues -l``.

    Raises
    ------
    UnreadableOutput
        If there is none.
    """
    lines = result.stdout.split("\n")
    starts = [(place, match) for place, match in enumerate(map(_QUEUE.fullmatch, lines)) if match]
    if not starts:
        raise UnreadableOutput(f"bqueues printed no queues: {result.words[:200]!r}", result=result)
    ends = [*(place for place, _ in starts[1:]), len(lines)]
    for (start, match), end in zip(starts, ends, strict=True):
        yield _queue(match[1], lines[start + 1 : end])


def _queue(name: str, lines: Sequence[str]) -> BatchQueue:
    default, most = _limits(lines)
    status = next((match[1] for match in map(_STATUS.match, lines) if match), "")
    slots = [column(most, title).split() for title in ("TASKLIMIT", "PROCLIMIT")]
    counts = [int(last[-1]) for last in slots if last and re.fullmatch(r"\d{1,9}", last[-1], re.A)]
    return BatchQueue(
        name=name,
        is_default=any(_DEFAULT in line for line in lines),
        is_open=status == "Open:Active",
        max_walltime=run_limit(most),
        default_walltime=run_limit(default),
        cores_per_node=counts[0] if counts else 0,
        memory_per_node=_size(column(most, "MEMLIMIT")),
    )


def _limits(lines: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Return the lines of default limits, and the others."""
    titles = [line.strip() for line in lines]
    if "DEFAULT LIMITS:" not in titles:
        return (), lines
    start = titles.index("DEFAULT LIMITS:")
    end = titles.index("MAXIMUM LIMITS:") if "MAXIMUM LIMITS:" in titles else start
    if end <= start:
        return lines[start:], lines[:start]
    return lines[start:end], lines[end:]


def _size(text: str) -> int:
    match = _SIZE.match(text)
    return int(match[1]) * _UNITS[match[2]] if match else 0


def collapse(ids: Iterable[JobId], *, longest: int) -> list[str]:
    """Return ids with the elements of one array written together, as in ``219[1-5,9]``."""
    arrays: dict[str, list[int]] = {}
    alone: dict[str, None] = {}
    for job_id in ids:
        match = JOB_ID.fullmatch(job_id)
        if match and match[2]:
            arrays.setdefault(match[1], []).append(int(match[2]))
        else:
            alone[job_id] = None
    found = list(alone)
    for parent, indices in arrays.items():
        parts = list(_ranges(sorted(set(indices))))
        starts = range(0, len(parts), longest)
        found += [f"{parent}[{','.join(parts[start : start + longest])}]" for start in starts]
    return found


def _ranges(indices: Sequence[int]) -> Iterator[str]:
    first = last = indices[0]
    for index in [*indices[1:], None]:
        if index is not None and index == last + 1:
            last = index
            continue
        yield str(first) if first == last else f"{first}-{last}"
        if index is not None:
            first = last = index
