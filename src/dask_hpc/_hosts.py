"""Which machine this is, and whether a process of a record still lives here."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


def host_name() -> str:
    """Return this machine's short name."""
    return socket.gethostname().partition(".")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessMark:
    """A process that cannot be taken for another: a process id alone is given out again.

    ``started`` is in clock ticks since the boot; ``space`` is the namespace that counts the ids:
    in a container, or on a node that gives each job its own, the same number is another process
    (a mark without one was made where it is read).
    """

    host: str
    pid: int
    started: int
    space: str = ""


def mark_of(pid: int) -> ProcessMark | None:
    """Return the mark of a living process of this machine, or nothing."""
    started = _start_ticks(pid)
    return None if started is None else _mark(pid, started)


def own_mark() -> ProcessMark:
    """Return the mark of this process."""
    mark = mark_of(os.getpid())
    return mark or _mark(os.getpid(), 0)


def is_alive(mark: ProcessMark) -> bool | None:
    """Return whether a marked process lives, or nothing if that cannot be seen from here."""
    if mark.host != host_name() or mark.space not in ("", _space()):
        return None
    return _start_ticks(mark.pid) == mark.started


def _mark(pid: int, started: int) -> ProcessMark:
    return ProcessMark(host=host_name(), pid=pid, started=started, space=_space())


def _space() -> str:
    with suppress(OSError):  # no such thing on this system, or it is not ours to see
        return str(Path("/proc/self/ns/pid").readlink())
    return ""


def _start_ticks(pid: int) -> int | None:
    # proc(5): field 22 is the start time; the name before it may hold blanks and brackets, and
    # bytes that are no text.
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in (b"Z", b"X") else int(fields[19])
