"""A client whose futures outlive its connection, if its scheduler keeps leases."""

from __future__ import annotations

import asyncio
import logging
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from distributed import Client, Future

from dask_hpc._clock import SystemClock, until
from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.cluster.record import ClusterState, read_cluster
from dask_hpc.engine.limits import connect_timeout, raise_open_file_limit
from dask_hpc.engine.outbox import Outbox
from dask_hpc.engine.releases import Call, Feature, fits
from dask_hpc.errors import ClusterNotFound, HPCError

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from distributed.deploy import Cluster

    from dask_hpc.cluster.spec import ClusterSpec

logger = logging.getLogger(__name__)

RECONNECTION = Feature(
    name="client that comes back",
    otherwise="its futures are cancelled when the connection drops",
    calls=(
        Call(owner=Client, name="_start"),
        Call(owner=Client, name="_close"),
        Call(owner=Client, name="_gather"),
        Call(owner=Client, name="_reconnect"),
        Call(owner=Client, name="_ensure_connected", parameters=("timeout",)),
        Call(owner=Client, name="_handle_cancelled_keys", parameters=("keys",)),
        Call(owner=Client, name="_send_to_scheduler", parameters=("msg",)),
        Call(owner=Client, name="_send_to_scheduler_safe", parameters=("msg",)),
    ),
    attributes=(
        (Client, "_refcount_lock"),
        (Client, "_scheduler_identity"),
        (Client, "_stream_handlers"),
        (Client, "futures"),
        (Client, "rpc"),
        (Client, "scheduler_comm"),
    ),
)
_REASONS = Feature(
    name="reason of a cancelled future",
    otherwise="none is given",
    calls=(Call(owner=Client, name="_handle_cancelled_keys", parameters=("reason", "msg")),),
)

# ValueError is Tornado's word for a connection that broke before it was encrypted.
_NOT_THERE = (OSError, ValueError, asyncio.TimeoutError)
_FIRST_PATIENCE = 1.0  # seconds for one attempt to connect; later ones take longer
_PAUSE = 0.1  # seconds between attempts
_UNNOTICED = 60.0  # seconds: twice what a connection takes to see that the other end is gone
_LOST = {"reason": "lease-lost", "msg": "It was not kept while the client was away."}


class HPCClient(Client):
    """A client that comes back: its futures stay what they are while it has no connection.

    Parameters
    ----------
    arguments, options
        As of `distributed.Client`. The default of ``timeout``, in seconds, fits large clusters.
    directory
        The cluster's, to be read by a client that seeks its scheduler: it stops when the cluster
        has ended. Without it, only the end of the lease stops it.
    """

    scheduler_comm: Any  # distributed's class has no types

    def __init__(
        self, *arguments: Any, directory: ClusterDirectory | None = None, **options: Any
    ) -> None:
        self.lease = 0.0
        self._directory = directory
        self._outbox = Outbox()
        self._clock = SystemClock()
        self._may_come_back = fits(RECONNECTION)
        raise_open_file_limit()
        options.setdefault("timeout", connect_timeout())
        super().__init__(*arguments, **options)

    @property
    def waits(self) -> bool:
        """Whether it has no connection, or the scheduler has not yet heard that it is back."""
        return self._outbox.holds

    def adopt(self, client: str) -> Any:
        """Return futures, by key, for what a client that dropped had asked for.

        Parameters
        ----------
        client
            The other client's ``id``; `kept` lists them.
        """
        return self.sync(self._adopt, client)

    def kept(self) -> Any:
        """Return the keys that are kept for clients that dropped, by their ``id``."""
        return self.sync(self._kept)

    async def _kept(self) -> dict[str, Sequence[Hashable]]:
        return await self.scheduler.lease_list() if self.lease else {}

    async def _adopt(self, client: str) -> dict[Hashable, Future]:
        keys = (await self._kept()).get(client, ())
        futures = {key: Future(key, client=self) for key in keys}
        if keys:
            self._send_to_scheduler({"op": "client-desires-keys", "keys": list(keys)})
            self._send_to_scheduler({"op": "lease-end", "owner": client})
        return futures

    async def _start(self, *arguments: Any, **options: Any) -> Any:
        if self._may_come_back:
            self._stream_handlers["lease-seen"] = self._outbox.saw
            self._stream_handlers["lease-lost"] = self._lose
        return await super()._start(*arguments, **options)

    async def _ensure_connected(self, timeout: float | None = None) -> None:
        await super()._ensure_connected(timeout)
        if self._may_come_back:
            self.lease = float(self._scheduler_identity.get("client_lease", 0.0))

    def _send_to_scheduler_safe(self, msg: dict[str, Any]) -> None:
        if not self.lease or self.status not in ("running", "connecting"):
            super()._send_to_scheduler_safe(msg)
        elif self._outbox.holds or self._is_cut:
            self._outbox.hold(msg)
        elif self.status == "running":
            self.scheduler_comm.send(*self._outbox.stamp(msg))
        else:
            super()._send_to_scheduler_safe(msg)

    @property
    def _is_cut(self) -> bool:
        """Whether there is a connection that has ended."""
        return bool(self.scheduler_comm and self.scheduler_comm.closed())

    async def _reconnect(self) -> None:
        if not self.lease:
            await super()._reconnect()
            return
        logger.warning("the scheduler is out of reach; futures are kept for %.0f s", self.lease)
        self._outbox.hold()
        self._leave()
        # After the end of the lease as long as distributed tries.
        deadline = self._clock.monotonic() + self.lease + self._timeout
        patience = _FIRST_PATIENCE
        while self.status == "connecting":
            with suppress(*_NOT_THERE):
                await self._come_back(patience)
                return
            if self._clock.monotonic() > deadline or await asyncio.to_thread(self._has_ended):
                break
            patience = min(2 * patience, self._timeout)
            await self._clock.sleep(_PAUSE)
        if self.status == "connecting":
            logger.error("the scheduler has ended, or is out of reach for too long: client closes")
            await self._close()

    def _leave(self) -> None:
        self.status = "connecting"
        self.scheduler_comm = None

    async def _come_back(self, seconds: float) -> None:
        # Idle connections of the pool may be dead without knowing it.
        self.rpc.remove(str(self.scheduler.address))
        await self._ensure_connected(seconds)
        if self.status != "running":
            return  # closed meanwhile
        try:
            seen = self.scheduler.lease_seen(client=self.id)
            self._outbox.saw(await asyncio.wait_for(seen, seconds))
        except _NOT_THERE:
            self.scheduler_comm.abort()
            self._leave()
            raise
        # Whoever makes futures holds this lock until their graph is on its way to `_resume`.
        with self._refcount_lock:
            self.loop.add_callback(self._resume, list(self.futures))

    def _resume(self, keys: list[Hashable]) -> None:
        """Send what could not be sent, and say which futures there are."""
        if self.status == "running" and not self._is_cut:
            resume = {"op": "lease-resume", "keys": keys}
            self.scheduler_comm.send(*self._outbox.release(), resume)
            logger.warning("the scheduler is reached again, with %d futures", len(keys))

    def _lose(self, keys: Sequence[Hashable]) -> None:
        self._handle_cancelled_keys(keys, **(_LOST if fits(_REASONS) else {}))

    def _has_ended(self) -> bool:
        if self._directory is None:
            return False
        try:
            return read_cluster(self._directory).state is ClusterState.ENDED
        except ClusterNotFound:
            return True
        except HPCError:
            return False

    async def _gather(self, *arguments: Any, **options: Any) -> Any:
        """Gather; if the connection is lost on the way, do it again when it is back."""
        deadline = math.inf
        while True:
            try:
                return await super()._gather(*arguments, **options)
            except OSError as error:
                # The stream that says whether there is a connection may not have noticed yet.
                deadline = min(deadline, self._clock.monotonic() + _UNNOTICED)
                if self._is_final(error) or self._clock.monotonic() > deadline:
                    raise
            await self._clock.sleep(_PAUSE)
            if self.waits:
                await until(lambda: not self.waits, self.lease, clock=self._clock, every=_PAUSE)
                deadline = math.inf

    def _is_final(self, error: OSError) -> bool:
        if not self.lease or self.status not in ("running", "connecting"):
            return True
        return any(each.exception is error for each in list(self.futures.values()))  # a task's own


def client_of(cluster: Cluster, spec: ClusterSpec | None) -> HPCClient:
    """Return the current client if it is one of this cluster, else a new one."""
    with suppress(ValueError):
        current = Client.current()
        if current.cluster is cluster and isinstance(current, HPCClient):
            return current
    directory = ClusterDirectory(spec.directory) if spec else None
    # On a laptop, say, it is not there; that the cluster is gone cannot be seen then.
    seen = directory if directory and directory.path.is_dir() else None
    return HPCClient(cluster, directory=seen, asynchronous=cluster.asynchronous)
