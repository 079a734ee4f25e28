"""Runs commands through somebody on another host: an agent, who finds them in a directory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dask_hpc._clock import Clock, SystemClock
from dask_hpc._files import check_private
from dask_hpc.errors import (
    BatchError,
    BatchUnavailable,
    ConfigError,
    HPCError,
    SecurityError,
    UnreadableOutput,
)
from dask_hpc.process.requests import Answer, Request, Requests, read_agent

if TYPE_CHECKING:
    from pathlib import Path

    from dask_hpc.process.requests import AgentSeen
    from dask_hpc.process.runner import Command, Result

_FIRST_LOOK, _LAST_LOOK, _GROWTH = 0.1, 1.0, 1.3  # seconds between looks for the answer
_SIGN_OF_LIFE = 15.0  # seconds in which an agent that lives, or is being started, has shown it
_CLOSED = Answer.failure(BatchError("the cluster is being ended: its agent runs nothing any more"))


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolRunner:
    """Leaves commands in a directory for the agent of a login node, and waits for the answers.

    Whoever asks waits as long as the command may take, and then takes it back: one that nobody
    has begun never runs, one that runs is ended. See `dask_hpc.process.requests` for the rules.

    Parameters
    ----------
    directory
        Where the requests go: private, on a file system that the agent's host sees too.
    """

    directory: Path
    clock: Clock = field(default_factory=SystemClock, compare=False)

    async def run(self, command: Command, *, timeout: float = 60) -> Result:
        """Let a command be run to its end, and return what it said.

        Parameters
        ----------
        command
            What to run; the variables of the agent's environment hold there.
        timeout
            Seconds until the answer must be there.

        Raises
        ------
        CommandMissing
            If the program does not exist on the agent's host.
        BatchUnavailable
            If no answer came in time, or nobody knows whether the command had its effect: an
            agent that shows no sign of life for 15 s is not waited for.
        BatchError
            If the agent refused to run it, or was asked to run nothing any more.
        """
        try:
            check_private(self.directory)
            answer = await self._ask(Request.of(command, timeout))
        except SecurityError as error:
            raise BatchError(str(error), hint=error.hint) from None
        except OSError as error:
            raise BatchUnavailable(
                f"{command.argv[0]} cannot be asked for in {self.directory}: {error}"
            ) from None
        if answer:
            return answer.result(command)
        raise BatchUnavailable(
            f"{command.argv[0]} has no answer: {silence(self.agent())}",
            hint="dask-hpc status NAME, on a login node, starts an agent that has ended",
        )

    def agent(self) -> AgentSeen | None:
        """Return the agent as it was last seen, as far as that can be read."""
        try:
            return read_agent(self.directory)
        except (HPCError, OSError):
            return None

    async def _ask(self, request: Request) -> Answer | None:
        """Return the answer, or nothing if none came."""
        requests = Requests(self.directory)
        key = requests.put(request)
        try:
            return await self._wait(requests, key, seconds=request.timeout)
        finally:
            requests.take_back(key)

    async def _wait(self, requests: Requests, key: str, *, seconds: float) -> Answer | None:
        begin, before = self.clock.monotonic(), self.agent()
        pause = _FIRST_LOOK
        while True:
            waited = self.clock.monotonic() - begin
            listing = requests.listing()
            if key in listing.answered:
                return _read(requests, key)
            if listing.closed:
                return _CLOSED
            if waited >= seconds:
                return None
            if key in listing.waiting and waited >= _SIGN_OF_LIFE and self.agent() == before:
                return None
            await self.clock.sleep(min(pause, seconds - waited))
            pause = min(_LAST_LOOK, pause * _GROWTH)


def _read(requests: Requests, key: str) -> Answer:
    try:
        return requests.answer_to(key)
    except (ConfigError, OSError) as error:
        raise UnreadableOutput(f"the agent's answer cannot be read: {error}") from None


def silence(agent: AgentSeen | None) -> str:
    """Return in words that an agent does not answer."""
    if agent is None:
        return "there is no agent"
    return f"the agent on {agent.process.host} has not answered since {agent.last_beat}"
