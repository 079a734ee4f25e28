"""One child process: started in a session of its own, listened to, and ended as a whole."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import signal
from asyncio.subprocess import DEVNULL, PIPE
from contextlib import suppress
from typing import TYPE_CHECKING

from dask_hpc._clock import until, wait_for
from dask_hpc.errors import BatchError, BatchUnavailable, CommandMissing
from dask_hpc.process.runner import Result

if TYPE_CHECKING:
    from dask_hpc._clock import Clock
    from dask_hpc.process.runner import Command

# Between SIGTERM and SIGKILL, and again for the kernel to act on SIGKILL.
GRACE = 1.0
# A program that has ended may have left its ends of the pipes to others, as ssh before 8.7 does
# with stderr when ControlPersist is on: its answer is complete all the same.
LINGER = 2.0
_MISSING = frozenset({errno.ENOENT, errno.EACCES, errno.ENOTDIR, errno.ENOEXEC, errno.EISDIR})
_SHORTAGE = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE})


class Child:
    """A process that leads its own process group. Whoever starts it must `end` it."""

    def __init__(
        self, transport: asyncio.SubprocessTransport, listener: Listener, *, clock: Clock
    ) -> None:
        self._transport = transport
        self._listener = listener
        self._clock = clock

    async def wait(self, seconds: float) -> bool:
        """Wait for its end, but not longer; return whether it came."""
        if not await wait_for(self._listener.ended, seconds, clock=self._clock):
            return False
        await wait_for(self._listener.closed, LINGER, clock=self._clock)
        return True

    async def end(self) -> None:
        """End what is left of its group: SIGTERM, and SIGKILL after a second."""
        try:
            await self._end_group(self._transport.get_pid())
            # Bounded: a process that waits for a dead file system outlives even SIGKILL.
            await wait_for(self._listener.reaped, GRACE, clock=self._clock)
        finally:
            # It kills what still runs, also what it may not: a command that belongs to root.
            with suppress(PermissionError):
                self._transport.close()

    async def _end_group(self, group: int) -> None:
        try:
            _signal(group, signal.SIGTERM)
            await until(lambda: _is_gone(group), GRACE, clock=self._clock, every=0.02)
        finally:
            # Also if this wait is cancelled in its turn: nothing may be left behind.
            _signal(group, signal.SIGKILL)

    def result(self, command: Command) -> Result:
        """Return what it said so far."""
        code = self._transport.get_returncode()
        return Result(
            command=command,
            exit_code=-signal.SIGKILL if code is None else code,
            stdout=self._listener.said[1].decode(errors="replace"),
            stderr=self._listener.said[2].decode(errors="replace"),
        )


class Listener(asyncio.SubprocessProtocol):
    """Keeps what a process says.

    Not `asyncio.create_subprocess_exec`: its ``wait`` hangs until the pipes are closed too in
    Python before 3.12.4 (cpython#119710).
    """

    def __init__(self, *end_marks: bytes) -> None:
        self.ended = asyncio.Event()
        self.reaped = asyncio.Event()
        self.closed = asyncio.Event()
        self.said = {1: bytearray(), 2: bytearray()}
        self._open = {1, 2}
        self._end_marks = end_marks

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Keep it."""
        self.said[fd] += data
        for mark in self._end_marks if fd == 2 else ():
            if mark in self.said[fd][-len(data) - len(mark) :]:
                self.ended.set()

    def pipe_connection_lost(self, fd: int, _error: Exception | None) -> None:
        """Note that nobody can say more on this pipe."""
        self._open.discard(fd)
        if not self._open:
            self.closed.set()

    def process_exited(self) -> None:
        """Note that the process itself has ended."""
        self.ended.set()
        self.reaped.set()


async def start_child(
    command: Command, *, clock: Clock, hold_stdin: bool = False, end_mark: str = ""
) -> Child:
    """Start a command on this machine.

    Parameters
    ----------
    command
        What to run; without ``stdin`` it reads the end of file at once.
    clock
        For the waits until it ends.
    hold_stdin
        Whether its input stays open after ``stdin`` until it is ended: for a program that takes
        the end of its input as the order to end.
    end_mark
        Words on its standard error that count as its end, as those of ``command.stop_at`` do.

    Raises
    ------
    CommandMissing
        If the program does not exist, or is not executable.
    BatchUnavailable
        If this machine cannot start one more process now.
    BatchError
        If it cannot be started at all, as with too long arguments.
    """
    listener = Listener(*(mark.encode() for mark in (end_mark, command.stop_at) if mark))
    starting = asyncio.ensure_future(
        asyncio.get_running_loop().subprocess_exec(
            lambda: listener,
            *command.argv,
            stdin=DEVNULL if command.stdin is None else PIPE,
            env=environment(command),
            start_new_session=True,
        )
    )
    try:
        transport, _ = await asyncio.shield(starting)
    except asyncio.CancelledError:
        # Left alone, asyncio would end the process without its children.
        with suppress(OSError):
            transport, _ = await starting
            await Child(transport, listener, clock=clock).end()
        raise
    except OSError as error:
        raise _start_error(command, error) from None
    _feed(transport, command.stdin or "", hold=hold_stdin)
    return Child(transport, listener, clock=clock)


def environment(command: Command) -> dict[str, str]:
    """Return the environment that a command runs in here."""
    drop = [re.compile(pattern) for pattern in command.drop]
    kept = {
        name: value
        for name, value in os.environ.items()
        if not any(pattern.match(name) for pattern in drop)
    }
    return kept | dict(command.env)


def _feed(transport: asyncio.SubprocessTransport, text: str, *, hold: bool) -> None:
    pipe = transport.get_pipe_transport(0)
    if isinstance(pipe, asyncio.WriteTransport):
        pipe.write(text.encode(errors="surrogateescape"))
        if not hold:
            pipe.close()


def _start_error(command: Command, error: OSError) -> BatchError:
    program, words = command.argv[0], (error.strerror or str(error)).lower()
    if error.errno in _MISSING:
        return CommandMissing(
            f"{program} cannot be run here: {words}",
            hint="load the module that brings it, or add its directory to PATH",
        )
    if error.errno in _SHORTAGE:
        return BatchUnavailable(
            f"{program} cannot be started now: {words}",
            hint="this machine is short of memory, or you are of processes or files (ulimit -a)",
        )
    return BatchError(f"{program} cannot be started: {words}")


def _signal(group: int, number: signal.Signals) -> None:
    # PermissionError: only a member of another user is left, such as a setuid program's.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _is_gone(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except OSError as error:
        return error.errno == errno.ESRCH
    return False
