"""How an agent runs what is asked for: a few at a time, and only the batch system's commands."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING

from dask_hpc.errors import BatchError, BatchUnavailable, ConfigError, SecurityError
from dask_hpc.process.requests import Answer

if TYPE_CHECKING:
    from dask_hpc.batch.programs import Programs
    from dask_hpc.process.requests import Request, Requests
    from dask_hpc.process.runner import Runner

logger = logging.getLogger(__name__)

_MOST = 4  # commands at a time: login nodes are shared


class Serving:
    """The commands that are under way."""

    def __init__(self, requests: Requests, programs: Programs, *, runner: Runner) -> None:
        self._requests = requests
        self._programs = programs
        self._runner = runner
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def take_over(self) -> None:
        """Answer what somebody else had begun, who is gone."""
        listing = self._requests.listing()
        for key in sorted(listing.begun - listing.answered):
            logger.warning("request %s was begun by an agent that is gone", key)
            error = BatchUnavailable(
                "the agent that ran the command ended: whether it had its effect is not known"
            )
            self._requests.answer(key, Answer.failure(error))

    def look(self, now: float) -> bool:
        """Begin what is asked for, and end what was taken back; return whether there was any.

        ``now`` is the time of the file system.
        """
        listing = self._requests.listing()
        for key in self._tasks.keys() - listing.begun:
            self._tasks[key].cancel()
        room = 0 if listing.closed else max(0, _MOST - len(self._tasks))
        for key in listing.waiting[:room]:
            self._begin(key, now)
        return bool(listing.waiting or self._tasks)

    def tidy(self, now: float) -> None:
        """Remove what nobody came for."""
        self._requests.tidy(now, running=self._tasks)

    async def close(self) -> None:
        """End what is under way."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _begin(self, key: str, now: float) -> None:
        try:
            request = self._requests.begin(key, now=now)
        except (ConfigError, SecurityError) as error:
            logger.warning("request %s was not run: %s", key, error)
            failure = BatchError(f"the agent did not run the command: {error}")
            self._requests.answer(key, Answer.failure(failure))
            return
        if request:
            task = asyncio.ensure_future(self._serve(key, request))
            task.add_done_callback(partial(self._forget, key))
            self._tasks[key] = task

    async def _serve(self, key: str, request: Request) -> None:
        try:
            command = self._programs.own(request.command)
            answer = Answer.of(await self._runner.run(command, timeout=request.timeout))
        except BatchError as error:
            logger.warning("request %s failed: %s", key, error)
            answer = Answer.failure(error)
        self._requests.answer(key, answer)

    def _forget(self, key: str, task: asyncio.Task[None]) -> None:
        del self._tasks[key]
        if not task.cancelled() and (error := task.exception()):
            logger.error("request %s was not answered", key, exc_info=error)
