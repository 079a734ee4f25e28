"""How the cluster of a launch ends: with its client, by a signal, or with whoever launched it."""

from __future__ import annotations

import asyncio
import sys
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from distributed import default_client
from distributed.core import rpc

from dask_hpc.boot.orders import Told, orphaned
from dask_hpc.boot.servers import HASTEN, LATE
from dask_hpc.errors import HPCError

if TYPE_CHECKING:
    from collections.abc import Callable

    from distributed import Security

    from dask_hpc.boot.whereabouts import Whereabouts

_ENDING = LATE + 10.0  # seconds for the scheduler to end


def end(address: str, security: Security, *, at_once: bool = False) -> None:
    """Have a scheduler end, and all workers with it; close the clients of this process first.

    Unless ``at_once``, it waits for workers that are starting.
    """
    with suppress(ValueError):
        while True:
            default_client().close(timeout=2)
    asyncio.run(_end(address, security, at_once=at_once))


async def _end(address: str, security: Security, *, at_once: bool) -> None:
    with suppress(OSError, asyncio.TimeoutError):
        async with rpc(
            address, connection_args=security.get_connection_args("client")
        ) as scheduler:
            if at_once:
                await getattr(scheduler, HASTEN)()
            await asyncio.wait_for(scheduler.terminate(), _ENDING)


async def until_ended(
    finished: Any,
    client: Callable[[], object] | None,
    *,
    place: Whereabouts,
    told: asyncio.Future[int],
) -> BaseException | None:
    """Wait for the end: of the server, of the client, or because somebody wants it."""
    gone = asyncio.ensure_future(orphaned())
    # If the client is in this task, its end is what counts.
    ending: asyncio.Future[Any] = asyncio.ensure_future(
        _call(client, place) if client else finished
    )
    ends: set[asyncio.Future[Any]] = {told, gone, ending}
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    gone.cancel()
    if ending.done():
        return ending.result() if client else None
    ending.cancel()
    raise Told(128 + told.result() if told.done() else 1)


async def _call(client: Callable[[], object], place: Whereabouts) -> BaseException | None:
    """Call the client in a thread, so that the servers of this task go on; then end all."""
    failure = await asyncio.to_thread(outcome, client)
    await asyncio.to_thread(end, place.address, place.security)
    return failure


def outcome(client: Callable[[], object]) -> BaseException | None:
    """Call the client; return how it failed, if it did."""
    try:
        client()
    except SystemExit as error:
        return error if error.code else None
    except BaseException as error:  # noqa: BLE001 - whatever it is, the others must end, too
        complain(error)
        return error
    return None


def complain(error: BaseException) -> None:
    """Say what went wrong, now: whoever launched the tasks may kill this one with the others."""
    if isinstance(error, HPCError):
        sys.stderr.write(f"error: {error}\nhint: {error.hint}\n")
    else:
        traceback.print_exception(error)
    sys.stderr.flush()
