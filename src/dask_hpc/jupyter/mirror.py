"""The records of a session at another site, as they are known here: news keep them fresh."""

from __future__ import annotations

import asyncio
import json
import tempfile
from asyncio.subprocess import DEVNULL, PIPE
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from dask_hpc._clock import SystemClock
from dask_hpc._files import from_json, make_private_directory, write_private
from dask_hpc.errors import HPCError, SessionError

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Callable

    from dask_hpc.cluster.directory import ClusterDirectory

_SILENCE = 30.0  # seconds without a sign of life: the connection is lost
_AGAIN = 2.0  # seconds until the next try
_LONGEST = 1 << 24  # bytes of a line


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What one side tells the other: files that changed, what is waited for, or the end."""

    files: dict[str, str] = field(default_factory=dict)
    words: str = ""
    over: str = ""
    hint: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return it for a line."""
        return asdict(self)


def files_of(directory: ClusterDirectory) -> dict[str, str]:
    """Return what is to be known elsewhere of a cluster with a session, by the files' names."""
    kept = (directory.record, directory.spec, directory.follow_on)
    paths = (*kept, directory.session, directory.session_token)
    found = {}
    for path in paths:
        with suppress(FileNotFoundError):
            found[path.name] = path.read_text(encoding="utf-8")
    return found


class Mirror:
    """A copy of the records of a session elsewhere; its ``token`` is on no disk here.

    Parameters
    ----------
    directory
        Where the copies are.
    argv
        Returns the command that tells the news; it may raise `HPCError`.
    """

    def __init__(self, directory: ClusterDirectory, argv: Callable[[], tuple[str, ...]]) -> None:
        self.directory = directory
        self.words = ""
        self.token = ""
        self._argv = argv
        self._arrived = asyncio.Event()
        self._over: SessionError | None = None
        self._is_lost = False

    async def follow(self) -> None:
        """Keep the copies fresh until the session is over; a lost connection is made again."""
        try:
            while self._over is None:
                await self._follow_once()
                await SystemClock().sleep(_AGAIN)
        finally:
            self._arrived.set()  # nobody waits for what does not come

    async def _follow_once(self) -> None:
        try:
            self._lose(f"the connection is lost and is tried again: {await self._listen()}")
        except HPCError as error:
            self._lose(f"the connection is lost: {error}; {error.hint}")
        if not self._arrived.is_set():
            self._over = self._over or SessionError(self.words, hint="see what the site said")
            self._arrived.set()

    async def arrived(self) -> None:
        """Wait for the first news.

        Raises
        ------
        SessionError
            If they do not come.
        """
        await self._arrived.wait()
        self.check()
        if not self.directory.session.exists():
            raise SessionError("nothing is known of the session", hint="see what the site said")

    def check(self) -> None:
        """Raise `SessionError` if there will never be a session."""
        if self._over is not None:
            raise self._over

    def _lose(self, words: str) -> None:
        if self._over is None:
            self._is_lost, self.words = True, words

    async def _listen(self) -> str:
        """Hear the news as long as they come; return what was said when they ended."""
        argv = await asyncio.to_thread(self._argv)
        with tempfile.TemporaryFile() as words:
            process = await asyncio.create_subprocess_exec(
                *argv, stdin=DEVNULL, stdout=PIPE, stderr=words, limit=_LONGEST
            )
            try:
                with suppress(asyncio.TimeoutError):
                    await self._hear_all(process)
            finally:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
            words.seek(0)
            return words.read().decode(errors="replace").strip() or "ssh has ended"

    async def _hear_all(self, process: Process) -> None:
        while process.stdout and (
            line := await asyncio.wait_for(process.stdout.readline(), _SILENCE)
        ):
            self._hear(line)

    def _hear(self, line: bytes) -> None:
        try:
            news: News = from_json(json.loads(line), News)
        except (ValueError, TypeError):  # what the login files there print
            return
        for name, text in news.files.items():
            self._keep(name, text)
        self.words = news.words or self.words
        if self._is_lost:
            self._is_lost, self.words = False, "the connection is there again"
        if news.over:
            self._over = SessionError(news.over, hint=news.hint)
        self._arrived.set()

    def _keep(self, name: str, text: str) -> None:
        own = self.directory
        if name == own.session_token.name:
            self.token = text
            return
        paths = {each.name: each for each in (own.record, own.spec, own.follow_on, own.session)}
        if name not in paths:
            return
        make_private_directory(own.path)
        write_private(paths[name], text)
