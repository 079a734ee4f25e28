"""Commands as values, and the one interface that runs them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What to run. Never a shell line: quoting is the runner's business.

    ``env`` is added to the environment of the runner, after the variables whose names match one
    of the regular expressions in ``drop`` were taken out. A command that says ``stop_at`` on its
    standard error has been refused, and would try again by itself for minutes: it is ended.
    """

    argv: tuple[str, ...]
    stdin: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    drop: tuple[str, ...] = ()
    stop_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a finished command said."""

    command: Command
    exit_code: int
    stdout: str
    stderr: str

    @property
    def words(self) -> str:
        """What it printed about itself: standard error, or else standard output."""
        return self.stderr.strip() or self.stdout.strip()


class Runner(Protocol):
    """Runs commands: here, over ssh, or from a script in a test.

    Raises
    ------
    CommandMissing
        If the program does not exist there.
    BatchUnavailable
        If it did not end in time: its whole process group has been ended.
    """

    async def run(self, command: Command, *, timeout: float = 60) -> Result:
        """Run a command to its end, and return what it said."""
