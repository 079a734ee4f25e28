"""The other end of the controller's service, for whoever holds a cluster's certificates."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from distributed import rpc

from dask_hpc import errors
from dask_hpc._files import from_json
from dask_hpc.cluster.record import ClusterState, read_cluster, read_spec
from dask_hpc.cluster.spec import DEFAULT_POOL
from dask_hpc.controller.report import Decision, Report
from dask_hpc.engine.reach import address_from_here, knock
from dask_hpc.engine.tls import cluster_security
from dask_hpc.errors import ControllerUnreachable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from dask_hpc.cluster.directory import ClusterDirectory
    from dask_hpc.cluster.record import ClusterRecord
    from dask_hpc.controller.adaptive import Bounds

_KNOCK = 1.0  # seconds without an answer until it is seen whether anybody listens
_SLACK = 2.0  # seconds: connecting says more about what is wrong than giving up does


class ControllerClient:
    """What can be asked of a controller.

    Everything may raise `ControllerUnreachable`.
    """

    def __init__(self, scheduler: Any) -> None:
        self._scheduler = scheduler

    async def scale(self, jobs: int, *, pool: str = DEFAULT_POOL) -> Report:
        """Want this many jobs of a pool.

        Raises
        ------
        BatchError
            If the batch system refused them.
        """
        return _report(await self._ask("hpc_scale", jobs=jobs, pool=pool))

    async def adapt(self, bounds: Bounds, *, pool: str = DEFAULT_POOL) -> Report:
        """Want as many jobs of a pool as the work asks for, between bounds."""
        return _report(await self._ask("hpc_adapt", bounds=asdict(bounds), pool=pool))

    async def report(self) -> Report:
        """Return what is wanted and what is there."""
        return _report(await self._ask("hpc_status"))

    async def decisions(self) -> tuple[Decision, ...]:
        """Return the last decisions with their reasons, the oldest first."""
        answer = await self._ask("hpc_why")
        return tuple(from_json(entry, Decision) for entry in answer["decisions"])

    async def shutdown(self) -> tuple[str, ...]:
        """End jobs and scheduler; return the ids of jobs that had not ended in time."""
        answer = await self._ask("hpc_shutdown")
        return tuple(answer["left"])

    async def _ask(self, verb: str, **arguments: Any) -> Any:
        try:
            return await _answer(getattr(self._scheduler, verb)(**arguments))
        except OSError as error:
            raise ControllerUnreachable(
                f"the scheduler does not answer: {error}",
                hint="dask-hpc ls tells whether it has ended",
            ) from error


@asynccontextmanager
async def connected(
    directory: ClusterDirectory, *, seconds: float = 10.0
) -> AsyncIterator[ControllerClient]:
    """Give the controller of a cluster, reached by its record, or give it up after some seconds.

    Raises
    ------
    ClusterNotFound
        If there is no such cluster.
    ControllerUnreachable
        If its scheduler has not started, has ended, or does not answer.
    """
    record, spec = read_cluster(directory), read_spec(directory)
    check_running(record)
    name = record.name
    security = cluster_security(directory.tls, secure=spec.secure)
    arguments = security.get_connection_args("client")
    address = await address_from_here(record, security)
    async with rpc(address, timeout=seconds, connection_args=arguments) as scheduler:
        try:
            await asyncio.wait_for(_reach(scheduler, address), seconds + _SLACK)
        except (TimeoutError, OSError) as error:
            raise ControllerUnreachable(
                f"the scheduler of {name!r} does not answer at {address}: {error}",
                hint=f"dask-hpc down {name} ends what is left of it",
            ) from error
        yield ControllerClient(scheduler)


def check_running(record: ClusterRecord) -> None:
    """Refuse to ask a scheduler that has not started, or has ended.

    Raises
    ------
    ControllerUnreachable
        With which of the two it is.
    """
    name = record.name
    if record.state is ClusterState.STARTING:
        raise ControllerUnreachable(
            f"the scheduler of {name!r} has not started yet", hint=f"dask-hpc status {name}"
        )
    if record.state is ClusterState.ENDED or record.is_stale:
        raise ControllerUnreachable(
            f"the scheduler of {name!r} has ended: {record.reason or 'its process is gone'}",
            hint=f"dask-hpc down {name} removes what is left",
        )


async def _reach(scheduler: Any, address: str) -> None:
    """Return when a scheduler answers; raise `OSError` if nobody does, or nobody is there."""
    answer = asyncio.ensure_future(_answer(scheduler.hpc_status()))
    try:
        await asyncio.wait({answer}, timeout=_KNOCK)
        if not answer.done():
            # distributed tries again for all of its time, also where no process listens.
            await knock(address)
        await answer
    finally:
        answer.cancel()


async def _answer(question: Coroutine[Any, Any, Any]) -> Any:
    try:
        return await question
    except ValueError as error:
        # Tornado's word for a connection that broke before it was encrypted.
        if "IOStream" in str(error):
            raise OSError(str(error)) from error
        raise


def _report(answer: dict[str, Any]) -> Report:
    if refusal := answer.get("refused"):
        kind = getattr(errors, refusal["kind"], errors.HPCError)
        raise kind(refusal["message"], hint=refusal["hint"])
    report: Report = from_json(answer["report"], Report)
    return report
