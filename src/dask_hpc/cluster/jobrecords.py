"""The start and end records that jobs write: the second truth, after worker connections."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dask_hpc._files import from_json
from dask_hpc.batch.model import JobId
from dask_hpc.cluster.slot import Slot

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """What a job wrote when it began or ended. Times are seconds since the epoch.

    ``code`` is the exit code, and nothing in the record of the beginning.
    """

    slot: str
    job: JobId
    host: str
    time: float
    end_time: float | None = None
    code: int | None = None


def read_end(path: Path, slot: Slot) -> JobRecord | None:
    """Return the record of one job's end from a directory, if there is one that can be read."""
    with suppress(FileNotFoundError, ValueError, TypeError):
        text = (path / f"{slot}.end").read_text(encoding="utf-8")
        record: JobRecord = from_json(json.loads(text), JobRecord)
        return record
    return None


class JobRecords:
    """The records of a directory, each read once: they are never changed after their rename."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._starts: dict[Slot, JobRecord] = {}
        self._ends: dict[Slot, JobRecord] = {}
        self._seen: set[str] = set()

    def refresh(self) -> None:
        """Read what is new; what cannot be read now may be another time."""
        with suppress(OSError):
            for entry in self._path.iterdir():
                if entry.name not in self._seen and entry.suffix in (".start", ".end"):
                    self._read(entry)

    @property
    def starts(self) -> Mapping[Slot, JobRecord]:
        """The jobs that began."""
        return self._starts

    @property
    def ends(self) -> Mapping[Slot, JobRecord]:
        """The jobs that ended."""
        return self._ends

    def _read(self, entry: Path) -> None:
        # A job that was killed while it wrote leaves nothing, or nothing that can be read.
        with suppress(OSError, ValueError, TypeError, AttributeError):
            record = from_json(json.loads(entry.read_text(encoding="utf-8")), JobRecord)
            table = self._starts if entry.suffix == ".start" else self._ends
            table[Slot.parse(entry.stem)] = record
            self._seen.add(entry.name)
