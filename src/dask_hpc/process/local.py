"""Runs commands on this machine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dask_hpc._clock import Clock, SystemClock
from dask_hpc.errors import BatchUnavailable
from dask_hpc.process.child import start_child

if TYPE_CHECKING:
    from dask_hpc.process.runner import Command, Result


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalRunner:
    """Runs commands on this machine, from any running event loop, in any thread."""

    clock: Clock = field(default_factory=SystemClock, compare=False)

    async def run(self, command: Command, *, timeout: float = 60) -> Result:
        """Run a command to its end, and return what it said.

        Whatever is left of its process group then is ended, also at the deadline and if the
        awaiting task is cancelled; a process that made itself another session is out of reach.

        Parameters
        ----------
        command
            What to run; without ``stdin`` it reads the end of file at once.
        timeout
            Seconds after which its process group gets SIGTERM, and a second later SIGKILL.

        Returns
        -------
        Result
            With the exit code, or minus the number of the signal that ended it.

        Raises
        ------
        CommandMissing
            If the program does not exist, or is not executable.
        BatchUnavailable
            If it did not end in time, or this machine could not start one more process.
        BatchError
            If its arguments are longer than this machine allows.
        """
        child = await start_child(command, clock=self.clock)
        try:
            ended = await child.wait(timeout)
        finally:
            await child.end()
        result = child.result(command)
        if ended:
            return result
        raise deadline_error(result, f"{command.argv[0]} did not end within {timeout:g} s")


def deadline_error(result: Result, message: str) -> BatchUnavailable:
    """Return the error of a command that was ended at its deadline, with its words so far."""
    return BatchUnavailable(
        f"{message}: {result.words}" if result.words else message,
        result=result,
        hint="try again; if it stays so, the system behind the command is overloaded or down",
    )
