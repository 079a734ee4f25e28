"""The pulse of a run: a file that its first node writes again and again while it lives.

Not every batch system says that the first node of a job is lost: Slurm lets a job go on that may
lose nodes, Grid Engine has it run until the node is back.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from dask_hpc._files import read_private, write_private

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dask_hpc._clock import Clock

_BEAT = 3.0  # seconds
_LATE = 1.0  # seconds


def pulse_of(jobs: Path, slot: object) -> Path:
    """Return where a run's first node says that it lives."""
    return jobs / f"{slot}.pulse"


@contextmanager
def beating(path: Path, *, every: float = _BEAT) -> Iterator[None]:
    """Have a pulse while the block runs: in a thread, for an event loop may be busy for long."""
    over = threading.Event()
    words = {"over": over, "every": every}
    thread = threading.Thread(target=_beat, args=(path,), kwargs=words, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(every)  # a file system that hangs shall not hold us up


def _beat(path: Path, *, over: threading.Event, every: float) -> None:
    count = 1
    while True:
        with suppress(OSError):
            write_private(path, str(count))
        if over.wait(every):
            return
        count += 1


class Pulse:
    """A pulse as it is felt elsewhere."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._felt = ""
        self._looked = clock.monotonic()
        self._silence = 0.0

    def silence(self) -> float:
        """Look, and return for how many seconds there was no beat; 0 before the first one.

        A look that comes late counts little: the file system may have held it up, and the beats.
        """
        now = self._clock.monotonic()
        passed, self._looked = min(now - self._looked, _LATE), now
        felt = self._feel()
        has_beaten = felt != self._felt
        self._silence = 0.0 if has_beaten or not felt else self._silence + passed
        self._felt = felt
        return self._silence

    def forgive(self) -> None:
        """Count from now on: there was another sign of life."""
        self._silence = 0.0

    def _feel(self) -> str:
        try:
            return read_private(self._path)
        except (OSError, ValueError):
            return self._felt
