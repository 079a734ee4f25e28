"""The files by which a command is asked for on one host, and run and answered on another.

They lie in one private directory of a file system that both hosts see. A request goes through
the names ``ID.request``, ``ID.begun`` and ``ID.answer``:

Rule 1: whoever asks writes ``ID.request`` whole, and takes it back by removing it.
Rule 2: whoever answers renames it to ``ID.begun`` before anything runs. Of that renaming and the
removal only one can succeed: what was taken back in time never runs.
Rule 3: what was begun and is taken back then is ended, as at a deadline. Whether it had its effect
nobody knows: a submission is looked for by its tag, as after every answer that was lost.
Rule 4: what was begun is never begun again. If whoever began it is gone, its successor answers
that nobody knows, and the same holds.
Rule 5: what nobody can be waiting for any more is not begun.
Rule 6: clocks of hosts differ, so times are those that the file system gives to files.
Rule 7: where ``closed`` lies nothing is begun any more: whoever asks and whoever answers leave.
Rule 8: names are found by listing the directory, which asks the server; a name that is looked up
may be answered from a cache, a minute old (nfs(5), directory entry caching).
"""

from __future__ import annotations

import os
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dask_hpc._files import read_record, write_private, write_record
from dask_hpc._hosts import ProcessMark
from dask_hpc.errors import BatchError, BatchUnavailable, CommandMissing, UnreadableOutput
from dask_hpc.process.runner import Command, Result

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from dask_hpc.errors import HPCError

AGENT = "agent.json"
CLOSED = "closed"

_ERRORS = {kind.__name__: kind for kind in (BatchUnavailable, CommandMissing, UnreadableOutput)}
_ORPHANED = 600.0  # seconds after which nobody comes for an answer
_SLACK = 5.0  # seconds: the file system's time is read now and then


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A command that somebody asks for, and how long (seconds) it may take to run."""

    argv: tuple[str, ...]
    timeout: float
    stdin: str | None = None
    env: dict[str, str] = field(default_factory=dict)
    drop: tuple[str, ...] = ()
    stop_at: str = ""

    @classmethod
    def of(cls, command: Command, timeout: float) -> Request:
        """Return the request for a command."""
        return cls(
            argv=command.argv,
            timeout=timeout,
            stdin=command.stdin,
            env=dict(command.env),
            drop=command.drop,
            stop_at=command.stop_at,
        )

    @property
    def command(self) -> Command:
        """What is to be run."""
        return Command(
            argv=self.argv,
            stdin=self.stdin,
            env=self.env,
            drop=self.drop,
            stop_at=self.stop_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a command said, or the ``error`` (the name of its class) that came instead."""

    exit_code: int = 0
    stdout: str = ""
    stderr: str = ""
    error: str = ""
    message: str = ""
    hint: str = ""

    @classmethod
    def of(cls, result: Result) -> Answer:
        """Return the answer that says what a command said."""
        return cls(exit_code=result.exit_code, stdout=result.stdout, stderr=result.stderr)

    @classmethod
    def failure(cls, error: HPCError) -> Answer:
        """Return the answer that raises an error where it is read."""
        return cls(error=type(error).__name__, message=str(error), hint=error.hint)

    def result(self, command: Command) -> Result:
        """Return the result of the command; raise the error, if there was one."""
        if self.error:
            raise _ERRORS.get(self.error, BatchError)(self.message, hint=self.hint)
        return Result(
            command=command, exit_code=self.exit_code, stdout=self.stdout, stderr=self.stderr
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The requests of a directory by their state, those that wait in the order of their times."""

    waiting: tuple[str, ...] = ()
    begun: frozenset[str] = frozenset()
    answered: frozenset[str] = frozenset()
    closed: bool = False


def sort(names: Iterable[str]) -> Listing:
    """Return what the names in a directory say."""
    present = sorted(names)
    found: dict[str, list[str]] = {}
    for name in present:
        key, _, state = name.rpartition(".")
        if key and not name.startswith("."):
            found.setdefault(state, []).append(key)
    return Listing(
        waiting=tuple(found.get("request", ())),
        begun=frozenset(found.get("begun", ())),
        answered=frozenset(found.get("answer", ())),
        closed=CLOSED in present,
    )


class Requests:
    """A directory of requests, for both sides."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def listing(self) -> Listing:
        """Return what is there."""
        return sort(os.listdir(self._path))  # noqa: PTH208 # opens the directory, reads no more

    def now(self) -> float:
        """Return the time of the file system, by which its files are dated."""
        probe = self._path / f".now.{secrets.token_hex(6)}"
        try:
            write_private(probe, "")
            return probe.stat().st_mtime
        finally:
            probe.unlink(missing_ok=True)

    def close(self) -> None:
        """Let nothing be begun any more."""
        write_private(self._path / CLOSED, "")

    def reopen(self) -> None:
        """Take that back."""
        (self._path / CLOSED).unlink(missing_ok=True)

    # whoever asks ---------------------------------------------------------------------------------

    def put(self, request: Request) -> str:
        """Leave a request, and return its key."""
        key = f"{time.time_ns():020d}-{secrets.token_hex(4)}"
        write_record(self._file(key, "request"), request)
        return key

    def answer_to(self, key: str) -> Answer:
        """Return the answer to a request.

        Raises
        ------
        ConfigError
            If it is damaged.
        """
        return read_record(self._file(key, "answer"), Answer)

    def take_back(self, key: str) -> None:
        """Remove a request, whatever became of it."""
        for state in ("request", "begun", "answer"):
            self._file(key, state).unlink(missing_ok=True)

    # whoever answers ------------------------------------------------------------------------------

    def begin(self, key: str, *, now: float) -> Request | None:
        """Take a request up, and return it; nothing if nobody waits for it any more.

        ``now`` is the time of the file system.

        Raises
        ------
        ConfigError, SecurityError
            If it is damaged, or others could have written it. It counts as begun all the same.
        """
        begun = self._file(key, "begun")
        try:
            self._file(key, "request").rename(begun)
            request = read_record(begun, Request)
            if now - begun.stat().st_mtime <= request.timeout + _SLACK:
                return request
        except FileNotFoundError:
            return None
        self.take_back(key)
        return None

    def answer(self, key: str, answer: Answer) -> None:
        """Answer a request, unless the directory is gone."""
        with suppress(FileNotFoundError):
            write_record(self._file(key, "answer"), answer)

    def tidy(self, now: float, *, running: Iterable[str] = ()) -> None:
        """Remove what was left behind long ago; ``now`` is the time of the file system."""
        kept = {AGENT, CLOSED, *(f"{key}.begun" for key in running)}
        for path in self._path.iterdir():
            if path.name not in kept and path.suffix != ".request":
                _remove_old(path, before=now - _ORPHANED)

    def _file(self, key: str, state: str) -> Path:
        return self._path / f"{key}.{state}"


def _remove_old(path: Path, *, before: float) -> None:
    with suppress(FileNotFoundError):
        if path.stat().st_mtime < before:
            path.unlink()


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRecord:
    """Who answers the requests of a directory."""

    process: ProcessMark


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSeen:
    """An agent as it was last seen: ``beat`` is when it showed that it lives (rule 6)."""

    process: ProcessMark
    beat: float

    @property
    def last_beat(self) -> str:
        """The time of day of that."""
        return time.strftime("%H:%M:%S", time.localtime(self.beat))


def read_agent(path: Path) -> AgentSeen | None:
    """Return who answers the requests of a directory, or did so last; nothing if nobody ever did.

    Raises
    ------
    ConfigError, SecurityError
        If its record is damaged, or others could have written it.
    """
    record = path / AGENT
    try:
        # Opened first: the server is asked for the times of what is opened (nfs(5), close-to-open).
        process = read_record(record, AgentRecord).process
        return AgentSeen(process=process, beat=record.stat().st_mtime)
    except FileNotFoundError:
        return None
