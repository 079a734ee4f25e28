"""A scheduler that keeps leases, two workers, and clients on a line that can be cut."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from distributed import Worker

from dask_hpc.engine.lease_client import HPCClient
from dask_hpc.engine.scheduler import HPCScheduler
from tests.boot import tasks
from tests.boot.stage import entries, eventually
from tests.engine.proxy import Cut, Proxy, proxy_to

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from distributed import Client, Future

LEASE = 60.0  # seconds


@dataclass(slots=True, kw_only=True)
class Line:
    """What is at both ends of the line; ``traces`` holds one file for each run of a task."""

    scheduler: HPCScheduler
    proxy: Proxy
    traces: Path
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def address(self) -> str:
        """Where the scheduler is reached over the line."""
        return f"tcp://127.0.0.1:{self.proxy.port}"

    async def client(self, **options: Any) -> HPCClient:
        """Return a new client on the line."""
        client = HPCClient(self.address, asynchronous=True, set_as_default=False, **options)
        await self.stack.enter_async_context(client)
        return client

    def work(self, client: Client, *numbers: int, seconds: float = 0) -> list[Future]:
        """Submit tasks that leave traces and return their numbers, in one graph."""
        directory = str(self.traces)
        return client.map(
            tasks.leave_trace, numbers, directory=directory, seconds=seconds, pure=False
        )

    def runs(self) -> list[int]:
        """Return the number of every task that has run, as often as it has."""
        return sorted(int(path.name.partition("-")[0]) for path in entries(self.traces))

    async def lose(self, client: HPCClient, how: Cut = Cut.RESET) -> None:
        """Cut the line; return when a client has noticed."""
        self.proxy.cut(how)
        await eventually(lambda: bool(client.status == "connecting"))

    async def find(self, client: HPCClient) -> None:
        """Mend the line; return when a client has its futures again."""
        self.proxy.restore()
        await eventually(lambda: bool(client.status == "running" and not client.waits))


@asynccontextmanager
async def new_line(folder: Path, *, lease: float = LEASE) -> AsyncIterator[Line]:
    """Give a line, with nobody on it."""
    traces = folder / "traces"
    traces.mkdir()
    scheduler = HPCScheduler(
        dashboard_socket=folder / "s",
        client_lease=lease,
        host="127.0.0.1",
        port=0,
        dashboard=False,
        protocol="tcp",
    )
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(scheduler)
        for name in ("a", "b"):
            options = {"nthreads": 1, "host": "127.0.0.1", "dashboard": False}
            await stack.enter_async_context(Worker(scheduler.address, name=name, **options))
        proxy = await stack.enter_async_context(proxy_to(scheduler.port))
        clients = await stack.enter_async_context(AsyncExitStack())
        yield Line(scheduler=scheduler, proxy=proxy, traces=traces, stack=clients)
