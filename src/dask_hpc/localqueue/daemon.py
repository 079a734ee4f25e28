"""The daemon: carries out what `plan` decides, until no job is left for a while.

It keeps nothing in memory that it could not find again, so it may be killed at any point: a job's
leader waits until the store knows of it, and every order is written down before it is carried
out.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import sqlite3
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from dask_hpc._clock import until_now
from dask_hpc._files import write_record
from dask_hpc._hosts import own_mark
from dask_hpc.localqueue.jobs import Jobs
from dask_hpc.localqueue.machine import GRACE, HISTORY, IDLE, boot_id, size
from dask_hpc.localqueue.model import State
from dask_hpc.localqueue.place import DAEMON_RECORD, open_store
from dask_hpc.localqueue.plan import Finish, Kill, Start, Terminate, next_time, plan

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dask_hpc.localqueue.model import Task
    from dask_hpc.localqueue.plan import Action
    from dask_hpc.localqueue.store import Store

_SOON, _LOOK_SOON = 0.1, 0.005  # seconds after a round, and between two looks in that time
_LOOK = 0.05  # seconds between two looks later on
_REST = 5.0  # seconds between two rounds if nothing happens
_PURGE = 3600.0  # seconds between two times that old jobs are forgotten
_SIGNALS = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGCHLD,
    signal.SIGALRM,
)

# This machine or this user has no process, memory or file left: the job can wait for that.
_SHORTAGE = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE})

_log = logging.getLogger(__name__)


def run_daemon(directory: Path, lock: int) -> None:
    """Serve the queue of a directory as the holder of its lock."""
    os.set_inheritable(lock, False)
    _take_default_signals()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    write_record(directory / DAEMON_RECORD, own_mark())
    with open_store(directory) as store:
        jobs = Jobs(directory, store.adopt(boot_id()))
        _log.info("daemon %d begins", os.getpid())
        Daemon(store, jobs, directory=directory, lock=lock).run()


class Daemon:
    """The loop around `plan`."""

    def __init__(self, store: Store, jobs: Jobs, *, directory: Path, lock: int) -> None:
        self._store = store
        self._jobs = jobs
        self._directory = directory
        self._lock = lock
        self._tasks: Sequence[Task] = ()
        self._empty_since = time.monotonic()
        self._purge_at = 0.0

    def run(self) -> None:
        """Go on until the queue was empty for a while, or its directory was removed."""
        self._jobs.tidy(self._store.live())
        try:
            while self._go_on():
                pass
        except (sqlite3.Error, OSError):
            if not self._is_removed():
                raise
            _log.info("the queue was removed: its jobs end")
            self._jobs.signal(self._tasks, signal.SIGKILL)

    def _go_on(self) -> bool:
        """Do one round, and wait until there is something to do; return whether there may be."""
        changes = self._store.changes()
        self._tasks = self._store.live()
        if self._tasks:
            self._empty_since = time.monotonic()
        if time.time() >= self._purge_at:
            self._store.purge(before=time.time() - HISTORY)
            self._purge_at = time.time() + _PURGE
        due = self._round(time.time())
        left = (self._store.settings().idle or IDLE) - (time.monotonic() - self._empty_since)
        if left <= 0 and self._leave():
            return False
        has_news = partial(self._has_news, changes, due)
        # What has just happened often brings the next thing, as with many short jobs.
        if not until_now(has_news, min(max(left, 0), _SOON), every=_LOOK_SOON):
            until_now(has_news, min(max(left, 0), _REST), every=_LOOK)
        return True

    def _has_news(self, changes: int, due: float) -> bool:
        if self._is_removed():
            raise FileNotFoundError(self._directory)
        return self._store.changes() != changes or time.time() >= due or self._jobs.has_news()

    def _round(self, now: float) -> float:
        """Do once what is to do now, and return when there is something to do next."""
        settings = self._store.settings()
        seen = self._jobs.see(self._tasks)
        actions = plan(self._tasks, seen, machine=size(settings), now=now)
        updates = {
            task.key: task
            for action in actions
            if (task := self._prepare(action, now=now, grace=settings.grace or GRACE)) is not None
        }
        written = self._store.record(list(updates.values())) if updates else frozenset()
        self._jobs.release(written)
        self._jobs.signal(_of(actions, Terminate), signal.SIGTERM)
        self._jobs.signal(_of(actions, Kill), signal.SIGKILL)
        self._jobs.forget(_of(actions, Finish))
        self._tasks = [
            task
            for task in (updates.get(task.key, task) for task in self._tasks)
            if task.state.is_live
        ]
        ended = [task for task in updates.values() if not task.state.is_live]
        if ended:
            self._jobs.tidy(self._tasks)
        for task in updates.values():
            if task.key in written:
                _log.info("%s %s %s", task.id, task.state, task.reason)
        # A job that could not be started leaves its place to the next one.
        is_place_free = len(ended) > len(_of(actions, Finish))
        return now if is_place_free else next_time(self._tasks, now=now)

    def _prepare(self, action: Action, *, now: float, grace: float) -> Task | None:
        """Return what an action makes of its task, if it changes it."""
        match action:
            case Start(task=task):
                return self._start(replace(task, state=State.RUNNING, started=now))
            case Terminate(task=task, ending=ending, reason=reason):
                end = now + grace
                return replace(
                    task, state=State.COMPLETING, ending=ending, kill_at=end, reason=reason
                )
            case Finish(task=task, state=state, reason=reason, exit_code=code, ended=ended):
                return replace(task, state=state, reason=reason, exit_code=code, ended=ended)
        return None

    def _start(self, task: Task) -> Task | None:
        submission = self._store.submission(task.submission)
        if submission is None:  # the last of its tasks was cancelled a moment ago
            return None
        try:
            return replace(task, leader=self._jobs.start(task, submission))
        except OSError as error:
            if error.errno in _SHORTAGE:
                _log.info("%s does not start yet: %s", task.id, error)
                return None
            reason = f"{error.filename or 'job'}: {(error.strerror or str(error)).lower()}"
            return replace(task, state=State.FAILED, ended=task.started, reason=reason)

    def _leave(self) -> bool:
        """Let the next daemon begin, if no job came meanwhile."""
        return not self._store.close_if_empty(self._close)

    def _close(self) -> None:
        self._jobs.tidy(())
        _log.info("daemon %d ends", os.getpid())
        os.close(self._lock)

    def _is_removed(self) -> bool:
        return os.fstat(self._lock).st_nlink == 0


def _of(actions: Sequence[Action], kind: type[Action]) -> list[Task]:
    return [action.task for action in actions if isinstance(action, kind)]


def _take_default_signals() -> None:
    # The command that started this one may have ignored some, and so would every job.
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
