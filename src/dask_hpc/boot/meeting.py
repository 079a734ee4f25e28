"""How the tasks of a launch tell each other things: by MPI, or by files that all of them see."""

from __future__ import annotations

import importlib
import logging
import math
from contextlib import nullcontext, suppress
from dataclasses import replace
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, Protocol

from dask_hpc import _envvars
from dask_hpc._clock import SystemClock, until, until_now
from dask_hpc._files import make_private_directory, read_private, remove_tree, write_private
from dask_hpc._hosts import host_name
from dask_hpc.boot.legacy import removed_if_killed
from dask_hpc.boot.ranks import Ranks, find_ranks
from dask_hpc.boot.servers import LATE
from dask_hpc.errors import LaunchError, StartTimeout

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

logger = logging.getLogger(__name__)

_LOOK = 0.05  # seconds
FIRST = "scheduler"  # the first subject that is talked of
FAREWELL = 5.0  # seconds that the last one waits for the others to leave
_PAUSES = (5.0, 10.0, 20.0)  # seconds between looks whether the scheduler answers; then the last


class Over(LaunchError):
    """The cluster has ended before this task was a part of it."""


class Meeting(Protocol):
    """All tasks of a launch."""

    ranks: Ranks

    def tell(self, subject: str, words: str) -> None:
        """Say something to all the others, who hear it; the task of the scheduler is the first."""

    def hear(self, subject: str, *, of: int, accept: Callable[[str], bool], seconds: float) -> str:
        """Return what one of the others says about a subject, once it is acceptable.

        Raises
        ------
        Over
            If what was said first is true no more: there is nothing left to do.
        """

    async def over(self, is_alive: Callable[[], Awaitable[bool]]) -> None:
        """Return once the cluster has ended; ``is_alive`` asks its scheduler."""

    def leave(self, *, last: bool, patience: float = FAREWELL) -> None:
        """Need the others no more; the last one tidies up, after it has waited for them."""

    def abort(self, code: int) -> None:
        """End all tasks at once, if the library can; else whoever launched them will."""

    def attended(self, *, last: bool) -> AbstractContextManager[None]:
        """Be there; if the last one is killed in the block, what was for all goes with it."""


class MPIMeeting:
    """The tasks of a communicator of mpi4py. What one tells, all others must hear."""

    def __init__(self, communicator: Any) -> None:
        self._communicator = communicator
        hosts = communicator.allgather(host_name())
        self.ranks = Ranks(
            rank=communicator.Get_rank(),
            size=communicator.Get_size(),
            local_size=hosts.count(host_name()),
            told_by="mpi4py",
        )
        # All have the same word: that of the first.
        known = find_ranks()
        launch = communicator.bcast(known.launch if known else "", root=0)
        self.ranks = replace(self.ranks, launch=launch)

    def tell(self, subject: str, words: str) -> None:  # noqa: ARG002 - in order, so without names
        """Say something to all the others."""
        self._communicator.bcast(words, root=self.ranks.rank)

    def hear(
        self,
        subject: str,  # noqa: ARG002 - likewise
        *,
        of: int,
        accept: Callable[[str], bool],
        seconds: float,  # noqa: ARG002 - who launched all ends all when one is gone
    ) -> str:
        """Return what one of the others says."""
        words = str(self._communicator.bcast(None, root=of))
        if until_now(lambda: accept(words), FAREWELL, every=1.0):
            return words
        raise _late(self.ranks)

    async def over(self, is_alive: Callable[[], Awaitable[bool]]) -> None:
        """Ask the scheduler now and then: it has ended if it does not answer twice."""
        clock = SystemClock()
        for pause in chain(_PAUSES, repeat(_PAUSES[-1])):
            await clock.sleep(pause)
            if not await is_alive() and not await is_alive():
                return

    def leave(self, *, last: bool, patience: float = FAREWELL) -> None:
        """Do nothing: there is nothing that the others could miss."""

    def abort(self, code: int) -> None:
        """End all tasks at once."""
        self._communicator.Abort(code)

    def attended(self, *, last: bool) -> AbstractContextManager[None]:  # noqa: ARG002 - nothing to remove
        """Be there."""
        return nullcontext()


class FileMeeting:
    """The tasks of a launch, without MPI: a directory that all of them see."""

    def __init__(self, ranks: Ranks, directory: Path) -> None:
        self.ranks = ranks
        self.directory = directory
        self._came, self._left = directory / "came", directory / "left"
        self._over = directory / "over"

    def tell(self, subject: str, words: str) -> None:
        """Say something to all the others."""
        if subject == FIRST:
            remove_tree(self.directory)  # of a launch of this name that was cut off
            for marks in (self._came, self._left):
                make_private_directory(marks)
        with suppress(FileNotFoundError):  # the task of the scheduler was told to end
            write_private(self.directory / subject, words)

    def hear(self, subject: str, *, of: int, accept: Callable[[str], bool], seconds: float) -> str:
        """Return what one of the others says, within a time."""
        path = self.directory / subject
        heard: list[str] = []

        def look() -> bool:
            try:
                heard[:] = [read_private(path)]
            except (FileNotFoundError, NotADirectoryError):
                return False
            if accept(heard[0]):
                return True
            if subject == FIRST and self._over.exists():
                self._mark(self._came)
                raise _late(self.ranks)
            return False

        if not until_now(look, seconds, every=_LOOK):
            raise StartTimeout(
                f"task {of} said nothing about its {subject} within {seconds:g} s in {path}",
                hint="all tasks must see this directory: DASK_HPC_HOME names one that is shared",
            )
        if subject == FIRST:
            self._mark(self._came)
        return heard[0]

    async def over(self, is_alive: Callable[[], Awaitable[bool]]) -> None:  # noqa: ARG002 - it is told
        """Wait for the word of the last one."""
        await until(self._over.exists, math.inf, clock=SystemClock(), every=0.5)

    def leave(self, *, last: bool, patience: float = FAREWELL) -> None:
        """Need the directory no more; the last one removes it when nobody needs it."""
        late = LATE if patience else 0.0
        if not last:
            self._mark(self._left)
            # The end of one task may be that of all, at once: the last one tidies up before.
            until_now(lambda: not self.directory.exists(), late + patience, every=_LOOK)
            return
        with suppress(FileNotFoundError):  # it could not even begin
            write_private(self._over, "")
        # Those that come now must learn that there is nothing left to do.
        others = self.ranks.size - 1
        until_now(lambda: len(_names(self._came)) >= others, late, every=_LOOK)
        until_now(lambda: _names(self._came) <= _names(self._left), patience, every=_LOOK)
        remove_tree(self.directory)

    def _mark(self, marks: Path) -> None:
        with suppress(OSError):  # it is gone: the last one did not wait for us
            write_private(marks / str(self.ranks.rank), "")

    def abort(self, code: int) -> None:
        """Do nothing: the end of this task is for whoever launched it."""

    def attended(self, *, last: bool) -> AbstractContextManager[None]:
        """Be there; if the last one is killed in the block, the directory goes with it."""
        return removed_if_killed(self.directory) if last else nullcontext()


def _names(marks: Path) -> set[str]:
    return {path.name for path in marks.glob("[0-9]*")}


def _late(ranks: Ranks) -> Over:
    return Over(
        f"task {ranks.rank} came when the cluster had ended", hint="it is not needed any more"
    )


def find_meeting(communicator: Any = None) -> Meeting:
    """Return the tasks that were launched with this one.

    Those that mpi4py knows, where it can be imported and was built for this launcher; else those
    that the environment knows.

    Raises
    ------
    LaunchError
        If nothing says who they are.
    """
    if communicator is not None:
        return MPIMeeting(communicator)
    known = find_ranks()
    world = _world()
    if world is not None:
        if known is None or world.Get_size() == known.size:
            return MPIMeeting(world)
        logger.warning(
            "%s says that there are %s tasks, mpi4py says %s, and is of another MPI: not used",
            *(known.told_by, known.size, world.Get_size()),
        )
    if known is None:
        raise LaunchError(
            "nothing says which of several tasks this is",
            hint="start it with mpirun or srun; other launchers need mpi4py",
        )
    return FileMeeting(known, _directory(known))


def _directory(ranks: Ranks) -> Path:
    if not ranks.launch:
        raise LaunchError(
            f"{ranks.told_by} gives tasks on several nodes no word in common",
            hint="install mpi4py, or start them in a job of a batch system",
        )
    return _envvars.home() / "mpi" / ranks.launch


def _world() -> Any:
    """Return mpi4py's communicator of all tasks, if there is one."""
    try:
        return importlib.import_module("mpi4py.MPI").COMM_WORLD
    except (ImportError, RuntimeError):  # not there, or without a library of MPI
        return None
