"""A worker host's way to its scheduler: which address of either is taken, and what if none is."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from dask_hpc._clock import SystemClock
from dask_hpc._files import write_record
from dask_hpc.boot.succession import is_followed
from dask_hpc.cluster import network
from dask_hpc.cluster.jobrecords import Unreachable, unreachable_of
from dask_hpc.cluster.record import ClusterState, read_cluster
from dask_hpc.cluster.spec import Home
from dask_hpc.engine.admission import JobRun
from dask_hpc.engine.reach import Search
from dask_hpc.errors import ClusterError

if TYPE_CHECKING:
    from distributed import Security

    from dask_hpc.boot.assignment import Assignment
    from dask_hpc.cluster.record import ClusterRecord
    from dask_hpc.cluster.spec import ClusterSpec

logger = logging.getLogger("distributed.worker_host")

_PATIENCE = 9.0  # seconds until it is said that nobody answers
_REFUSALS = 3.0  # seconds: a scheduler that starts again refuses for a moment
_PAUSE = 0.5  # seconds
_ROUND = 5.0  # seconds of each later try


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The address of the scheduler, and the own one that workers listen at."""

    scheduler: str
    host: str


class Approach(Protocol):
    """What a worker host needs to know of the way to its scheduler."""

    @property
    def run(self) -> JobRun:
        """Which run of its job this is."""

    async def place(self, security: Security) -> Place:
        """Return where to work."""

    async def is_followed(self) -> bool:
        """Whether the scheduler that was found is gone, and another one follows it."""


class Arrival:
    """The search of a job's host for the scheduler of its cluster."""

    def __init__(self, spec: ClusterSpec, assignment: Assignment) -> None:
        self._spec = spec
        self._directory = assignment.directory
        self._slot = assignment.slot
        self._job = assignment.job
        self._sign = unreachable_of(self._directory.jobs, assignment.slot)
        self._clock = SystemClock()
        self._found: ClusterRecord | None = None
        self.run = JobRun(job=assignment.job, began=assignment.began)

    async def is_followed(self) -> bool:
        """Whether the scheduler that was found is gone, and another one follows it."""
        return self._found is not None and await is_followed(self._directory, self._found)

    async def place(self, security: Security) -> Place:
        """Return where to work.

        Raises
        ------
        ConfigError
            If this host does not have the network interface.
        ClusterError
            If the scheduler cannot be reached, or has ended.
        """
        here = network.look()
        scheduler = await self._scheduler(security, here)
        if self._spec.loopback:
            return Place(scheduler=scheduler, host="127.0.0.1")
        if self._spec.interface:
            chosen = network.named(here, self._spec.interface)
        else:
            chosen = await network.of_worker(here, scheduler)
        logger.info("workers listen at %s", chosen)
        return Place(scheduler=scheduler, host=chosen.ip)

    async def _scheduler(self, security: Security, here: network.Network) -> str:
        deadline = self._clock.monotonic() + self._spec.death_timeout
        record = self._record()
        search = Search(_addresses(record), security)
        found = await self._first_look(search)
        while not found:
            word = self._word(search, record, here=here)
            self._tell(word)
            # A scheduler in a program does not start again: the program was killed.
            is_gone = record.home is Home.HERE and search.is_refused
            if is_gone or self._clock.monotonic() >= deadline:
                raise ClusterError(word.message, hint=word.hint)
            await self._clock.sleep(_PAUSE)
            record = self._record()  # it may have started again elsewhere
            search = Search(_addresses(record), security)
            found = await search.once(min(_ROUND, max(_PAUSE, deadline - self._clock.monotonic())))
        self._sign.unlink(missing_ok=True)
        self._found = record
        if found != record.address:
            _tell_detour(found, record, search=search)
        return found

    async def _first_look(self, search: Search) -> str | None:
        patience = min(_PATIENCE, self._spec.death_timeout)
        enough = self._clock.monotonic() + min(_REFUSALS, patience)
        found = await search.once(patience)
        while not found and self._clock.monotonic() < enough:
            await self._clock.sleep(_PAUSE)
            found = await search.once(_PAUSE)
        return found

    def _record(self) -> ClusterRecord:
        record = read_cluster(self._directory)
        if record.state is ClusterState.ENDED:
            raise ClusterError(
                f"cluster {record.name!r} has ended: {record.reason}",
                hint=f"dask-hpc down {record.name} removes what is left",
            )
        return record

    def _tell(self, word: Unreachable) -> None:
        """Leave a sign for the controller, which may be told by nobody else."""
        if self._sign.exists():
            return
        logger.warning("%s; hint: %s", word.message, word.hint)
        with suppress(OSError):  # the cluster may be going
            write_record(self._sign, word)

    def _word(self, search: Search, record: ClusterRecord, *, here: network.Network) -> Unreachable:
        tried = search.tried
        return Unreachable(
            slot=str(self._slot),
            job=self._job,
            host=here.host,
            time=self._clock.time(),
            tried=tried,
            hint=network.advice(record.interfaces, here, tried=[one.address for one in tried]),
        )


def _addresses(record: ClusterRecord) -> tuple[str, ...]:
    return record.addresses or (record.address,)


def _tell_detour(found: str, record: ClusterRecord, *, search: Search) -> None:
    ip = network.host_of(found)
    names = [name for name, own in record.interfaces.items() if own.partition("/")[0] == ip]
    logger.warning(
        "the scheduler is reached at %s, and not at %s (%s); hint: %s",
        found,
        record.address,
        ", ".join(one.error for one in search.tried if one.address == record.address),
        f"scheduler_interface={names[0]} spares the search" if names else "see its log",
    )
