"""Where the queue of this machine keeps its state, and the daemon that lives there."""

from __future__ import annotations

import fcntl
import os
import sys
from contextlib import suppress
from pathlib import Path

from dask_hpc._envvars import home
from dask_hpc._files import make_private_directory
from dask_hpc._hosts import host_name
from dask_hpc.localqueue.store import Store

DAEMON_RECORD = "daemon.json"
DAEMON_LOG = "daemon.log"
_MAX_LOG = 2**20

# What a daemon needs of the environment of the command that happened to start it.
_KEPT = frozenset({"PATH", "HOME", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH"})


def queue_directory() -> Path:
    """Return the private directory of this machine's queue: home directories may be shared."""
    return make_private_directory(make_private_directory(home() / "localqueue") / host_name())


def open_store(directory: Path) -> Store:
    """Return the store of a queue."""
    return Store(directory / "queue.db")


def take_lock(directory: Path) -> int | None:
    """Return the descriptor of the daemon's lock, or nothing if a daemon has it.

    The lock belongs to whoever holds the descriptor: it is handed on to the daemon, and the
    kernel lets it go when that ends in any way.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(directory / "daemon.lock", flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def ensure_daemon(directory: Path) -> None:
    """Start a daemon if none lives; it outlives this process, its session and its terminal."""
    lock = take_lock(directory)
    if lock is None:
        return
    import subprocess  # not needed by most commands, and it takes a tenth of their time

    log = _open_log(directory / DAEMON_LOG)
    try:
        subprocess.Popen(
            [*program(), "daemon", str(directory), str(lock)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env={name: os.environ[name] for name in _KEPT & os.environ.keys()},
            pass_fds=[lock],
            start_new_session=True,
        )
    finally:
        os.close(lock)
        os.close(log)


def program() -> tuple[str, ...]:
    """Return the command line of this program: the same interpreter, and nobody's settings."""
    return (sys.executable, "-I", "-S", "-X", "utf8", str(Path(__file__).with_name("__main__.py")))


def _open_log(path: Path) -> int:
    with suppress(FileNotFoundError):
        if path.stat().st_size > _MAX_LOG:
            path.unlink()
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(path, flags, 0o600)
