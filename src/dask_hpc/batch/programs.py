"""Which command lines are a batch system's own: found by asking its dialect for one of each."""

from __future__ import annotations

import os
import re
import shutil
import sys
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import TYPE_CHECKING

from dask_hpc.batch.model import JobId, JobSpec, Resources, Tag
from dask_hpc.errors import BatchError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dask_hpc.batch.system import BatchSystem
    from dask_hpc.process.runner import Command

_JOB = JobSpec(
    tag=Tag("x"), resources=Resources(cores=1, memory=2**20), body="true", log="/dev/null"
)
_VARIABLE = re.compile(r"\$\{?([A-Za-z_]\w+)", re.ASCII)
_SHELLS = ("sh", "bash")  # they run whatever they read


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A script of a dialect's own: the words before its arguments, and its text."""

    start: tuple[str, ...]
    text: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """The programs that a batch system's commands run.

    ``names`` are what they are called; ``start`` are the words that all commands begin with that
    are run by the Python of ours, if there are any; ``variables`` are set for some of them;
    ``scripts`` are what the dialect has a shell read.
    """

    system: str
    names: frozenset[str]
    scripts: frozenset[Script]
    start: tuple[str, ...]
    variables: frozenset[str]

    def own(self, command: Command) -> Command:
        """Return a command as it runs here, if it is one of the batch system's.

        The Python of whoever asks may not be installed here: it is replaced by ours.

        Raises
        ------
        BatchError
            If it is not: nothing else is run for anybody.
        """
        foreign = set(command.env) - self.variables
        if not foreign and (set(command.argv[:1]) & self.names or self._is_script(command)):
            return command
        count = len(self.start)
        if not foreign and count > 1 and command.argv[1:count] == self.start[1:]:
            return replace(command, argv=(*self.start, *command.argv[count:]))
        what = f"with {', '.join(sorted(foreign))} set" if foreign else ""
        words = " ".join(filter(None, (*command.argv[:1], what)))
        raise BatchError(
            f"{words or 'nothing'} is no command of {self.system}, and was not run",
            hint=f"the commands of {self.system} are {', '.join(sorted(self.names)) or 'its own'}",
        )

    def _is_script(self, command: Command) -> bool:
        return command.argv[:1] != () and _script(command) in self.scripts

    @property
    def missing(self) -> tuple[str, ...]:
        """Those that this host does not have."""
        needed = {*self.names, *(script.start[0] for script in self.scripts)}
        return tuple(name for name in sorted(needed) if shutil.which(name) is None)


def programs_of(system: BatchSystem) -> Programs:
    """Return the programs of a dialect's commands."""
    ids = [JobId("1")]
    commands = (
        system.submit_command(_JOB),
        system.submit_command(_JOB, 2),
        system.status_command("x", [_JOB.tag]),
        *system.history_commands(ids),
        *system.cancel_commands(ids),
        system.queues_command(),
    )
    ours = [command.argv for command in commands if command.argv[0] == sys.executable]
    return Programs(
        system=system.name,
        names=frozenset(command.argv[0] for command in commands) - {sys.executable, *_SHELLS},
        scripts=frozenset(_script(each) for each in commands if each.argv[0] in _SHELLS),
        start=_common(ours),
        variables=frozenset(name for command in commands for name in command.env),
    )


def _script(command: Command) -> Script:
    """Return what a shell reads from its standard input; what follows are arguments to it."""
    # Without the mark in front of them, all words count.
    end = command.argv.index("--") + 1 if "--" in command.argv else len(command.argv)
    return Script(start=command.argv[:end], text=command.stdin)


def _common(lines: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """Return the words that all lines begin with."""
    columns = takewhile(lambda words: len(set(words)) == 1, zip(*lines, strict=False))
    return tuple(words[0] for words in columns)


def is_in_job(system: BatchSystem, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether this is a process of a job, by the variables that name the job there."""
    return any(name in environ for name in _VARIABLE.findall(system.variables.job_id))
