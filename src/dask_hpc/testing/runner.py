"""A machine that consists of the answers that a test gives it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dask_hpc.errors import CommandMissing
from dask_hpc.process.runner import Command, Result
from dask_hpc.testing.recording import read_recording

if TYPE_CHECKING:
    from pathlib import Path

    from dask_hpc.errors import HPCError


@dataclass(slots=True, kw_only=True)
class _Answer:
    prefix: tuple[str, ...]
    said: Result | HPCError
    left: int | None


class ScriptedRunner:
    r"""A `Runner` that answers from a script, and remembers what it was asked.

    Of the answers that fit the beginning of a command line, the first one that is not used up
    is given. A program without any answer is missing, as on a machine that has it not.

    Examples
    --------
    >>> runner = ScriptedRunner()
    >>> runner.answer("sbatch", stderr="sbatch: error: no\n", exit_code=1, times=1)
    >>> runner.answer("sbatch", stdout="36\n")
    """

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self._answers: list[_Answer] = []

    def answer(
        self,
        *prefix: str,
        stdout: str = "",
        stderr: str = "",
        exit_code: int = 0,
        times: int | None = None,
    ) -> None:
        """Say what commands that begin so say; ``times`` is how often, for ever without it."""
        said = Result(
            command=Command(argv=prefix), exit_code=exit_code, stdout=stdout, stderr=stderr
        )
        self._answers.append(_Answer(prefix=prefix, said=said, left=times))

    def fail(self, *prefix: str, error: HPCError, times: int | None = None) -> None:
        """Say that commands that begin so raise this."""
        self._answers.append(_Answer(prefix=prefix, said=error, left=times))

    def play(self, path: Path, *prefix: str, times: int | None = None) -> None:
        """Answer as a recording does: to its own program, unless a prefix is given."""
        recording = read_recording(path)
        self._answers.append(
            _Answer(prefix=prefix or recording.argv[:1], said=recording.result, left=times)
        )

    async def run(self, command: Command, *, timeout: float = 60) -> Result:  # noqa: ARG002 # nothing here takes time
        """Return the answer.

        Raises
        ------
        CommandMissing
            If no answer was ever given for this program.
        AssertionError
            If there was one, but none that fits is left.
        """
        self.commands.append(command)
        for answer in self._answers:
            if answer.left != 0 and command.argv[: len(answer.prefix)] == answer.prefix:
                if answer.left is not None:
                    answer.left -= 1
                return _said(answer.said, command)
        if any(answer.prefix[:1] == command.argv[:1] for answer in self._answers):
            raise AssertionError(f"the script has no answer for {command.argv}")
        raise CommandMissing(f"{command.argv[0]} is not installed", hint="the script has no answer")


def _said(said: Result | HPCError, command: Command) -> Result:
    if not isinstance(said, Result):
        raise said
    return Result(command=command, exit_code=said.exit_code, stdout=said.stdout, stderr=said.stderr)
