"""Which processes of this machine belong to which job, as the kernel tells it. Linux only."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, replace
from io import FileIO

from dask_hpc._hosts import ProcessMark, own_mark
from dask_hpc.localqueue.model import MARK


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A living process of ours: its group, its session, and the job it says it is part of."""

    mark: ProcessMark
    group: int
    session: int
    job: str


def scan(queue: str) -> list[Process]:
    """Return every living process of this user; ``job`` is empty for those of no job."""
    own, prefix = own_mark(), f"{MARK}={queue}/".encode()
    with os.scandir("/proc") as entries:
        found = [_read(entry, prefix, own=own) for entry in entries if entry.name.isdigit()]
    return [process for process in found if process is not None]


def _read(entry: os.DirEntry[str], prefix: bytes, *, own: ProcessMark) -> Process | None:
    # It may end at any point; one that changed user is not ours any more.
    with suppress(OSError):
        if entry.stat().st_uid != os.getuid():
            return None
        # proc(5): after the name, which may hold anything, come the fields from the third on.
        fields = _content(f"{entry.path}/stat").rpartition(b")")[2].split()
        if fields[0] in (b"Z", b"X"):
            return None
        mark = replace(own, pid=int(entry.name), started=int(fields[19]))
        job = ""
        with suppress(PermissionError):
            job = _job(_content(f"{entry.path}/environ"), prefix)
        return Process(mark=mark, group=int(fields[2]), session=int(fields[3]), job=job)
    return None


def _job(environ: bytes, prefix: bytes) -> str:
    start = environ.find(prefix)
    # It must be a variable, not a part of another one's value.
    if start < 0 or environ[max(0, start - 1) : start] not in (b"", b"\0"):
        return ""
    return environ[start + len(prefix) :].partition(b"\0")[0].decode(errors="replace")


def _content(path: str) -> bytes:
    # Not by Path, which takes longer than the reading.
    with FileIO(path) as stream:
        return stream.readall()
