"""Take workers out of a cluster without losing a task or a result.

The order matters: no new tasks and results copied first, then the running tasks end, then the
workers leave. Whatever cannot be handed over is computed again and never counts as a failure.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import cloudpickle
from distributed import rpc

from dask_hpc._clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from dask.typing import Key
    from distributed import Worker

_LEAVE = 2.0  # seconds
_LOOK = 0.1  # seconds
_LOOK_FOR_OTHERS = 0.5  # seconds
_GONE = (OSError, asyncio.TimeoutError)
_ENDED = ("memory", "error")


@dataclass(frozen=True, slots=True)
class DrainRoute:
    """How to talk to a scheduler and its workers."""

    scheduler: str
    connection: Mapping[str, Any]

    def to(self, address: str) -> Any:
        """Return a connection to a server of the cluster."""
        return rpc(address, connection_args=dict(self.connection))


async def drain(route: DrainRoute, workers: Mapping[str, str], *, seconds: float) -> None:
    """Let running tasks end, move results elsewhere, and leave the cluster.

    Parameters
    ----------
    route
        The cluster.
    workers
        The address of each worker, by its name.
    seconds
        When to leave all the same. What they are still running is computed again elsewhere.
    """
    async with route.to(route.scheduler) as scheduler:
        with suppress(*_GONE):
            await asyncio.wait_for(
                _finish_tasks(route, list(workers), scheduler=scheduler), seconds
            )
        with suppress(*_GONE):
            await asyncio.wait_for(_leave(scheduler, workers), _LEAVE)


async def _finish_tasks(route: DrainRoute, names: Collection[str], *, scheduler: Any) -> None:
    clock = SystemClock()
    while await scheduler.hpc_leave(names=list(names)):  # meanwhile they go on to work
        await clock.sleep(_LOOK_FOR_OTHERS)
    # By name: an address may be that of a worker which is being restarted.
    await scheduler.retire_workers(names=list(names), remove=False, close_workers=False)
    # Not its answer: when a job is told to leave from two sides, one of them may hear of nobody.
    # Those that have nobody to take their results run again; they are not waited for.
    retiring = await scheduler.hpc_retiring(names=list(names))
    await asyncio.gather(
        *(_until_finished(route, address, scheduler=scheduler) for address in retiring)
    )


async def _until_finished(route: DrainRoute, address: str, *, scheduler: Any) -> None:
    # Not only Scheduler.processing: that includes tasks which wait on the worker, and a worker
    # that is closing gracefully does not begin them any more.
    clock = SystemClock()
    with suppress(OSError):
        async with route.to(address) as worker:
            while await _ask(worker, _is_executing) or await _ask(
                worker, _knows_more, expected=await scheduler.hpc_expected(address=address)
            ):
                await clock.sleep(_LOOK)


async def _ask(worker: Any, question: Callable[..., bool], **details: Any) -> bool:
    question = cloudpickle.dumps(partial(question, **details))
    return bool((await worker.run(function=question))["result"])


def _is_executing(dask_worker: Worker) -> bool:
    return bool(dask_worker.state.executing or dask_worker.state.long_running)


def _knows_more(dask_worker: Worker, expected: Collection[Key]) -> bool:
    """Tell whether the news of the end of a task is still on its way to the scheduler."""
    tasks = dask_worker.state.tasks
    return any(key in tasks and tasks[key].state in _ENDED for key in expected)


async def _leave(scheduler: Any, workers: Mapping[str, str]) -> None:
    retired = await scheduler.retire_workers(names=list(workers), remove=True, close_workers=True)
    # A worker that holds the only copy of something and has no peer is not retired; it leaves as
    # expected all the same, so that its tasks are not blamed.
    for address in set(workers.values()) - set(retired):
        await scheduler.unregister(address=address, stimulus_id="dask-hpc-drain", expected=True)
