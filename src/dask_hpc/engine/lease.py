"""The client lease: what a client that dropped had asked for is kept until it comes back.

distributed forgets it at once. Here it is parked under a pseudo-client, as published data sets
are, until the client resumes, somebody adopts it, or the lease ends. A client that closes leaves
no lease.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from distributed import Scheduler, Status
from distributed.scheduler import ClientState

from dask_hpc.engine.releases import Call, Feature

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Hashable, Sequence

    from distributed.comm import Comm
    from distributed.scheduler import TaskState

logger = logging.getLogger(__name__)

LEASE = Feature(
    name="client lease",
    otherwise="what a dropped client had asked for is forgotten at once",
    calls=(
        Call(owner=Scheduler, name="identity"),
        Call(owner=Scheduler, name="add_client", parameters=("comm", "client", "versions")),
        Call(owner=Scheduler, name="remove_client", parameters=("client", "stimulus_id")),
        Call(owner=Scheduler, name="client_desires_keys", parameters=("keys", "client")),
        Call(owner=Scheduler, name="client_releases_keys", parameters=("keys", "client")),
        Call(owner=Scheduler, name="client_send", parameters=("client", "msg")),
        Call(owner=ClientState, name="wants_what"),
    ),
    attributes=(
        (Scheduler, "client_comms"),
        (Scheduler, "clients"),
        (Scheduler, "stream_handlers"),
        (Scheduler, "tasks"),
    ),
)

_OF_WORKERS = "Client-worker-"  # begins the names of clients that tasks have
_AT_THE_CLIENT = ("memory", "erred")  # states that a client is told of by itself


@dataclass(frozen=True, slots=True)
class _Connection:
    comm: Comm
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Leases:
    """What clients that dropped had asked for.

    Parameters
    ----------
    scheduler
        Whose clients they are.
    seconds
        How long a lease lasts; 0 for none.
    """

    def __init__(self, scheduler: Scheduler, *, seconds: float) -> None:
        self.seconds = seconds
        self._scheduler = scheduler
        self._ends: dict[str, asyncio.TimerHandle] = {}
        self._connections: dict[str, _Connection] = {}
        self._seen: dict[str, int] = {}
        if seconds:
            scheduler.handlers.update(lease_list=self.kept, lease_seen=self.seen)
            scheduler.stream_handlers.update(
                {"lease-mark": self.mark, "lease-resume": self.resume, "lease-end": self.end}
            )

    @property
    def keep_work(self) -> bool:
        """Whether something is kept for anybody."""
        return any(self._wanted(client) for client in self._ends)

    def is_user(self, client: str) -> bool:
        """Return whether this is somebody's client, and not one that a task has."""
        return not client.startswith(_OF_WORKERS)

    @asynccontextmanager
    async def alone(self, client: str, comm: Comm) -> AsyncIterator[None]:
        """Enter when no older connection of a client is left.

        A client may be back before it was seen that it had gone; the end of the old connection
        would then be taken for that of the new one.
        """
        if not self.seconds:
            yield
            return
        while old := self._connections.get(client):
            old.comm.abort()
            await old.ended.wait()
        mine = self._connections[client] = _Connection(comm)
        try:
            yield
        finally:
            del self._connections[client]
            mine.ended.set()

    def park(self, client: str) -> None:
        """Keep what a client wants, whose connection has ended."""
        state = self._scheduler.clients.get(client)
        if state is None or not self._may_return(client):
            return
        if not state.wants_what and client not in self._seen:
            return
        keeper = self._scheduler.clients.setdefault(_keeper(client), ClientState(_keeper(client)))
        # Not client_desires_keys, which tells the client of every key.
        keeper.wants_what |= state.wants_what
        for task in state.wants_what:
            task.who_wants.add(keeper)
        if earlier := self._ends.pop(client, None):
            earlier.cancel()
        loop = asyncio.get_running_loop()
        self._ends[client] = loop.call_later(self.seconds, self.end, client)
        if keeper.wants_what:
            logger.info("client %s dropped: %d keys are kept", client, len(keeper.wants_what))

    def mark(self, number: int, client: str) -> None:
        """Note which graph of a client has arrived, and tell it so."""
        self._seen[client] = number
        self._scheduler.client_send(client, {"op": "lease-seen", "number": number})

    def seen(self, client: str) -> int:
        """Return the number of the last graph of a client that has arrived, or 0."""
        return self._seen.get(client, 0)

    def resume(self, keys: Sequence[Hashable], client: str) -> None:
        """Let a client that is back want these keys and no others, and end its lease.

        Part of its stream, so that it comes after the graphs that were sent before it.
        """
        scheduler = self._scheduler
        known = [key for key in keys if key in scheduler.tasks]
        scheduler.client_desires_keys(known, client)  # which tells it of those that are done
        for key in known:
            if scheduler.tasks[key].state not in _AT_THE_CLIENT:
                scheduler.client_send(client, {"op": "task-retried", "key": key})
        if lost := [key for key in keys if key not in scheduler.tasks]:
            scheduler.client_send(client, {"op": "lease-lost", "keys": lost})
        wanted = set(keys)
        wants = [task.key for task in scheduler.clients[client].wants_what]
        self._release([key for key in wants if key not in wanted], client)
        self._end(client)

    def kept(self) -> dict[str, list[Hashable]]:
        """Return what is kept, by the name of the client that dropped."""
        return {client: [task.key for task in self._wanted(client)] for client in self._ends}

    def end(self, owner: str, **_: Any) -> None:
        """End the lease of a client that is gone: what nobody else wants is forgotten."""
        self._end(owner)
        self._seen.pop(owner, None)

    def close(self) -> None:
        """End every lease, without a word to anybody."""
        for timer in self._ends.values():
            timer.cancel()
        self._ends.clear()

    def _may_return(self, client: str) -> bool:
        return bool(
            self.seconds and self._scheduler.status == Status.running and self.is_user(client)
        )

    def _wanted(self, client: str) -> Collection[TaskState]:
        """Return the tasks that are kept for a client."""
        wanted: Collection[TaskState] = self._scheduler.clients[_keeper(client)].wants_what
        return wanted

    def _end(self, client: str) -> None:
        if timer := self._ends.pop(client, None):
            timer.cancel()
            self._release([task.key for task in self._wanted(client)], _keeper(client))
            del self._scheduler.clients[_keeper(client)]

    def _release(self, keys: Collection[Hashable], client: str) -> None:
        if keys:
            self._scheduler.client_releases_keys(list(keys), client)


def _keeper(client: str) -> str:
    """Return the name of the pseudo-client that wants what a client wanted."""
    return f"lease-{client}"
