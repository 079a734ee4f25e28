"""Workers that come and go by the thousand, at a cost that hardly grows with those that are here.

distributed compares the versions of all workers at every arrival, and tells all of them of every
departure, one by one. Here it compares the distinct installations, and tells of all departures
of a moment at once.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from distributed import Scheduler, versions

from dask_hpc.engine.releases import Call, Feature

if TYPE_CHECKING:
    from collections.abc import Mapping

    from distributed.batched import BatchedSend

REGISTRATION = Feature(
    name="quick registration",
    otherwise="thousands of workers come and go more slowly",
    calls=(
        Call(owner=Scheduler, name="add_worker", parameters=("comm", "address", "versions")),
        Call(owner=Scheduler, name="worker_send", parameters=("worker", "msg")),
        Call(
            owner=versions,
            name="error_message",
            parameters=("scheduler", "workers", "source", "source_name"),
        ),
    ),
    attributes=((Scheduler, "stream_comms"),),
)

Versions = dict[str, Any]

_TOGETHER = 0.2  # seconds in which departures are collected
_compare_all = versions.error_message


def quicken() -> None:
    """Let every check of versions in this process be the quick one."""
    versions.error_message = compare_versions


def compare_versions(
    scheduler: Versions, workers: Mapping[str, Versions], *source: Any, **names: Any
) -> Any:
    """Return what ``distributed.versions.error_message`` does, which names sets of versions only.

    It looks once at workers that have the very same object.
    """
    distinct = dict(zip(map(id, workers.values()), workers.values(), strict=True))
    return _compare_all(scheduler, distinct, *source, **names)


def list_quickly(workers: Any) -> None:
    """Let a scheduler's workers be listed as they came: sorted, each costs ten times as much.

    Every arrival lists all of them.
    """
    with suppress(AttributeError):  # if it is no SortedDict, it needs no haste
        workers.items = partial(dict.items, workers)


class Installations:
    """What is installed where workers run: one object for all workers with the same."""

    def __init__(self) -> None:
        self._known: dict[str, Versions] = {}

    def shared(self, versions: Versions) -> Versions:
        """Return the object for these versions."""
        return self._known.setdefault(repr(versions), versions)


class Departures:
    """News of workers that left, until it is told to those who stay.

    ``latest`` is the one that was added last: distributed says the same of it once for each that
    stays, and even to be heard costs something.
    """

    def __init__(self, streams: Mapping[str, BatchedSend]) -> None:
        self.latest = ""
        self._streams = streams
        self._news: dict[str, dict[str, Any]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __contains__(self, worker: str) -> bool:
        return worker in self._news

    def add(self, worker: str, message: dict[str, Any]) -> None:
        """Keep what all workers are to be told of one that left."""
        self.latest = worker
        self._news[worker] = message
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_TOGETHER, self.tell)

    def tell(self) -> None:
        """Tell all workers that are connected."""
        news = list(self._news.values())
        self.close()
        for stream in list(self._streams.values()):
            if not stream.closed():
                stream.send(*news)

    def close(self) -> None:
        """Tell nobody any more."""
        self._news, self.latest = {}, ""
        if self._timer:
            self._timer.cancel()
            self._timer = None
