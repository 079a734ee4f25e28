"""The controller's memory: every intent before it is submitted, every action with its reason."""

from __future__ import annotations

import json
import logging
from collections import deque
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from dask_hpc._files import append_private, from_json, read_private
from dask_hpc.batch.model import JobId, Tag
from dask_hpc.cluster.spec import DEFAULT_POOL
from dask_hpc.controller.adaptive import Bounds
from dask_hpc.controller.crash import side_effect
from dask_hpc.errors import SecurityError

if TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger(__name__)

_REMEMBERED = 200  # entries that `dask-hpc why` can show


class Event(StrEnum):
    """What an entry is about."""

    INTENT = "intent"
    SUBMITTED = "submitted"
    REFUSED = "refused"
    CANCEL = "cancel"
    RETIRE = "retire"
    ENDED = "ended"
    LOST = "lost"
    FOUND = "found"
    SCALE = "scale"
    ADAPT = "adapt"
    HALT = "halt"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the journal. ``time`` is in seconds since the epoch.

    ``tag`` and ``count`` name a submission, ``jobs`` its ids in the order of their places;
    ``wanted`` and ``bounds`` are what somebody asked for, in jobs of the ``pool``.
    """

    time: float
    event: Event
    why: str
    tag: Tag = Tag("")
    count: int = 0
    jobs: tuple[JobId, ...] = ()
    slot: str = ""
    pool: str = DEFAULT_POOL
    wanted: int | None = None
    bounds: Bounds | None = None


class Journal:
    """An append-only file of entries."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._recent: deque[Entry] = deque(maxlen=_REMEMBERED)

    def write(self, entry: Entry) -> None:
        """Add an entry; it is on disk when this returns."""
        append_private(self._path, json.dumps(asdict(entry)))
        side_effect()
        self._recent.append(entry)

    def note(self, *entries: Entry) -> None:
        """Add entries that nothing rests on: a full disk must not keep jobs from being ended."""
        self._recent.extend(entries)
        if not entries:
            return
        try:
            append_private(self._path, "\n".join(json.dumps(asdict(entry)) for entry in entries))
            side_effect()
        except (OSError, SecurityError) as error:
            logger.warning("the journal cannot be written: %s", error)

    def earlier(self) -> tuple[Entry, ...]:
        """Return all entries on disk, of this controller and of those before it."""
        return read_journal(self._path)

    @property
    def recent(self) -> tuple[Entry, ...]:
        """The last entries of this controller, the oldest first."""
        return tuple(self._recent)


def read_journal(path: Path) -> tuple[Entry, ...]:
    """Return every entry of a journal; a line that a crash cut off is left out."""
    entries = []
    with suppress(FileNotFoundError):
        for line in read_private(path).splitlines():
            with suppress(ValueError, TypeError, KeyError):
                entries.append(from_json(json.loads(line), Entry))
    return tuple(entries)


def tags_of(entries: tuple[Entry, ...]) -> tuple[Tag, ...]:
    """Return the tag of every submission that was intended."""
    return tuple(entry.tag for entry in entries if entry.event is Event.INTENT)
