"""The records that jobs write: the second truth, after worker connections.

They begin, they end, and meanwhile some cannot reach their scheduler.
"""

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

_UNREACHABLE = ".unreachable"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """An address that was tried, and why nobody answers there."""

    address: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreachable:
    """What a worker host writes that cannot reach its scheduler, for as long as it tries.

    ``time`` is in seconds since the epoch, ``tried`` begins with the address that should answer.
    """

    slot: str
    job: JobId
    host: str
    time: float
    tried: tuple[Attempt, ...]
    hint: str = ""

    @property
    def message(self) -> str:
        """Say it in words."""
        first, *others = [f"{one.address} ({one.error})" for one in self.tried]
        nor = f", nor at {' or '.join(others)}" if others else ""
        return f"worker host {self.host} cannot reach the scheduler at {first}{nor}"


def unreachable_of(jobs: Path, slot: Slot) -> Path:
    """Return where a job's host says that it cannot reach its scheduler, until it can."""
    return jobs / f"{slot}{_UNREACHABLE}"


def read_end(path: Path, slot: Slot) -> JobRecord | None:
    """Return the record of one job's end from a directory, if there is one that can be read."""
    with suppress(FileNotFoundError, ValueError, TypeError):
        text = (path / f"{slot}.end").read_text(encoding="utf-8")
        record: JobRecord = from_json(json.loads(text), JobRecord)
        return record
    return None


class JobRecords:
    """The records of a directory, each read once: they are never changed after their rename.

    Those of hosts that cannot reach their scheduler are removed again when they can.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._starts: dict[Slot, JobRecord] = {}
        self._ends: dict[Slot, JobRecord] = {}
        self._unreachable: dict[str, tuple[Slot, Unreachable]] = {}
        self._seen: set[str] = set()

    def refresh(self) -> None:
        """Read what is new; what cannot be read now may be another time."""
        with suppress(OSError):
            entries = {entry.name: entry for entry in self._path.iterdir()}
            for name in self._unreachable.keys() - entries.keys():
                del self._unreachable[name]
            for name, entry in entries.items():
                if entry.suffix == _UNREACHABLE and name not in self._unreachable:
                    self._read_unreachable(entry)
                elif entry.suffix in (".start", ".end") and name not in self._seen:
                    self._read(entry)

    @property
    def starts(self) -> Mapping[Slot, JobRecord]:
        """The jobs that began."""
        return self._starts

    @property
    def ends(self) -> Mapping[Slot, JobRecord]:
        """The jobs that ended."""
        return self._ends

    @property
    def unreachable(self) -> Mapping[Slot, Unreachable]:
        """The jobs whose hosts cannot reach their scheduler, also those that ended over it."""
        return dict(self._unreachable.values())

    def _read_unreachable(self, entry: Path) -> None:
        with suppress(OSError, ValueError, TypeError, AttributeError):
            values = json.loads(entry.read_text(encoding="utf-8"))
            record = from_json(values, Unreachable)
            self._unreachable[entry.name] = (Slot.parse(entry.stem), record)

    def _read(self, entry: Path) -> None:
        # A job that was killed while it wrote leaves nothing, or nothing that can be read.
        with suppress(OSError, ValueError, TypeError, AttributeError):
            record = from_json(json.loads(entry.read_text(encoding="utf-8")), JobRecord)
            table = self._starts if entry.suffix == ".start" else self._ends
            table[Slot.parse(entry.stem)] = record
            self._seen.add(entry.name)
