"""The trunk of a worker host: a single-threaded process that only forks and reaps.

It has no threads and no event loop, so that every fork is safe, and it needs nothing but the
standard library. The kernel kills its children when it dies: no process outlives the host.
"""

from __future__ import annotations

import ctypes
import functools
import gc
import json
import os
import select
import signal
import socket
import sys
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING

from dask_hpc.errors import LaunchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DRAIN_SIGNALS = frozenset({signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT})

_PR_SET_PDEATHSIG = 1  # prctl(2)
_LIBC = ctypes.CDLL(None)  # before any fork: loading takes locks


class Trunk:
    """Forks a supervisor, then workers on its request; reports exits and signals to it."""

    def __init__(self, work: Callable[[socket.socket, str], int]) -> None:
        self._work = work
        self._control, self._supervisor_end = socket.socketpair(
            socket.AF_UNIX, socket.SOCK_SEQPACKET
        )
        self._wakeup, self._wakeup_write = socket.socketpair()
        self._wakeup_write.setblocking(False)
        self._workers: dict[int, str] = {}

    def run(self, supervise: Callable[[socket.socket], int]) -> int:
        """Serve until the supervisor exits; return its exit status."""
        signal.set_wakeup_fd(self._wakeup_write.fileno())
        for number in (signal.SIGCHLD, *DRAIN_SIGNALS):
            signal.signal(number, _do_nothing)
        supervisor = self._fork(functools.partial(supervise, self._supervisor_end))
        self._supervisor_end.close()
        while True:
            ready, _, _ = select.select([self._control, self._wakeup], [], [])
            if self._wakeup in ready and DRAIN_SIGNALS & set(self._wakeup.recv(4096)):
                self._tell(drain=True)
            for pid, status in _reap():
                if pid == supervisor:
                    return status if status >= 0 else 128 - status
                self._tell(name=self._workers.pop(pid), status=status)
            if self._control in ready:
                self._serve()

    def _serve(self) -> None:
        """Fork the worker that the supervisor asks for."""
        name, descriptors, _, _ = socket.recv_fds(self._control, 256, 1)
        if not descriptors:  # the supervisor is dying
            return
        with socket.socket(fileno=descriptors[0]) as channel:
            pid = self._fork(functools.partial(self._work, channel, name.decode()))
        self._workers[pid] = name.decode()
        self._tell(name=name.decode(), pid=pid)

    def _fork(self, child: Callable[[], int]) -> int:
        """Run ``child`` in a new process that dies with this one; return its id."""
        if has_threads():
            raise LaunchError(
                "cannot fork workers: an import left a thread running",
                hint="take the module that starts threads out of the preloaded ones",
            )
        trunk = os.getpid()
        if pid := os.fork():
            return pid
        status = 1
        try:
            status = self._in_child(child, trunk)
        except BaseException:  # noqa: BLE001 - nothing may leave this frame twice
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            sys.stdout.flush()
            os._exit(status)

    def _in_child(self, child: Callable[[], int], trunk: int) -> int:
        die_with_parent()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for end in (self._control, self._wakeup, self._wakeup_write):
            end.close()
        gc.enable()
        # The trunk may have died before the kernel knew that we want to die with it.
        return child() if os.getppid() == trunk else 1

    def _tell(self, **message: object) -> None:
        """Send a message to the supervisor, if it still lives."""
        with suppress(OSError):
            self._control.send(json.dumps(message).encode())


def die_with_parent() -> None:
    """Have the kernel kill this process when the one that made it dies."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _do_nothing(number: int, frame: object) -> None:
    """Do nothing. Unlike SIG_IGN, programs that user code runs do not inherit this."""


def _reap() -> Iterator[tuple[int, int]]:
    """Yield process id and exit status (or minus the signal) of every child that has exited."""
    with suppress(ChildProcessError):
        while (result := os.waitpid(-1, os.WNOHANG))[0]:
            yield result[0], os.waitstatus_to_exitcode(result[1])


def has_threads() -> bool:
    """Whether this process has several threads: a lock that one holds stays locked in forks."""
    return len(os.listdir("/proc/self/task")) > 1  # noqa: PTH208 - before every fork, so cheap


def ignore_signals() -> None:
    """Be deaf to the signals to drain; processes that user code forks are not."""
    for number in DRAIN_SIGNALS:
        signal.signal(number, _do_nothing)
    # A pool of multiprocessing ends its processes by SIGTERM.
    os.register_at_fork(after_in_child=_default_signals)


def _default_signals() -> None:
    for number in DRAIN_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
