"""The database of the queue: what was submitted, and how far each task is.

Commands add tasks, and turn waiting ones to cancelled; every other change is the daemon's.
"""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import TYPE_CHECKING

from dask_hpc._files import check_private
from dask_hpc.errors import ConfigError
from dask_hpc.localqueue import schema
from dask_hpc.localqueue.machine import Settings, updated
from dask_hpc.localqueue.model import Submission

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from dask_hpc.localqueue.model import Key, Task

BUSY_TIMEOUT = 20.0


class Store:
    """One connection to the database; every process of the queue has its own.

    Raises
    ------
    SecurityError
        If others may read or write it.
    ConfigError
        If another version of this project made it.
    """

    def __init__(self, path: Path) -> None:
        # Not left to sqlite, which would let the umask decide who can read it.
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
        check_private(path)
        self._connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None)
        try:
            self._prepare(path)
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_error: object) -> None:
        self._connection.close()

    def submit(self, submission: Submission, settings: Settings, *, now: float) -> list[Task]:
        """Add the tasks of a submission, and keep the settings that came with it."""
        asked = (submission.cores, submission.memory, submission.walltime)
        details = json.dumps(asdict(submission))
        with self._writing():
            number = self._connection.execute(
                schema.ADD_SUBMISSION, (submission.tag, submission.count, *asked, now, details)
            ).lastrowid
            if submission.after is not None:
                self._connection.execute(schema.ADD_FOLLOWER, (number, submission.after))
            self._connection.executemany(
                schema.ADD_TASK, [(number, index) for index in range(submission.count)]
            )
            if settings != Settings():
                later = updated(self.settings(), settings)
                self._keep("settings", json.dumps(asdict(later)))
            return self._select("submission = ?", number)

    def live(self) -> list[Task]:
        """Return the tasks that wait, run or complete, in the order of their submission."""
        return self._select("ended IS NULL")

    def ended_since(self, time: float) -> list[Task]:
        """Return the tasks that ended after a time."""
        return self._select("ended > ?", time)

    def find(self, submission: int, index: int | None) -> list[Task]:
        """Return a task, or all of a submission; nothing if there is none."""
        if index is None:
            return self._select("submission = ?", submission)
        return self._select("submission = ? AND place = ?", submission, index)

    def submission(self, number: int) -> Submission | None:
        """Return what was submitted, or nothing if the last of its tasks has ended."""
        query = "SELECT details FROM submissions WHERE id = ? AND details != ''"
        row = self._connection.execute(query, (number,)).fetchone()
        return Submission(**json.loads(row[0])) if row else None

    def cancel(self, keys: Iterable[Key], *, now: float) -> None:
        """Cancel waiting tasks at once, and ask the daemon to end the others."""
        keys = list(keys)
        with self._writing():
            self._connection.executemany(schema.CANCEL_PENDING, [(now, *key) for key in keys])
            self._connection.executemany(schema.ASK_TO_CANCEL, keys)
            self._forget_details(submission for submission, _ in keys)

    def record(self, tasks: Sequence[Task]) -> frozenset[Key]:
        """Write how far these tasks are, unless they ended; return those that had not."""
        with self._writing():
            written = [
                task
                for task in tasks
                if self._connection.execute(schema.UPDATE_TASK, schema.values_of(task)).rowcount
            ]
            self._forget_details(task.submission for task in written if not task.state.is_live)
        return frozenset(task.key for task in written)

    def settings(self) -> Settings:
        """Return what was stated since the queue was last empty."""
        text = self._fact("settings")
        return Settings(**json.loads(text)) if text else Settings()

    def adopt(self, boot: str) -> str:
        """Prepare for a daemon that has just begun; return the id of the queue.

        Process ids of before the last start of the machine mean nothing any more.
        """
        with self._writing():
            if self._fact("boot") != boot:
                self._connection.execute(schema.FORGET_LEADERS)
                self._keep("boot", boot)
        return self._fact("queue")

    def changes(self) -> int:
        """Return a number that changes when another process has written."""
        return int(self._connection.execute("PRAGMA data_version").fetchone()[0])

    def purge(self, *, before: float) -> None:
        """Forget what ended before a time."""
        with self._writing():
            self._connection.execute(schema.PURGE_TASKS, (before,))
            self._connection.execute(schema.PURGE_SUBMISSIONS)
            self._connection.execute(schema.PURGE_FOLLOWERS)

    def close_if_empty(self, close: Callable[[], None]) -> int:
        """Do something while nobody can submit, if no task is live; return how many are."""
        with self._writing():
            live = len(self.live())
            if not live:
                self._connection.execute("DELETE FROM facts WHERE name = 'settings'")
                close()
        return live

    def _prepare(self, path: Path) -> None:
        # What a job's environment held does not stay in pages that are free again.
        self._connection.execute("PRAGMA secure_delete = ON")
        if self._version() == 0:
            with self._writing():
                if self._version() == 0:
                    self._make_tables()
        if self._version() != schema.VERSION:
            raise ConfigError(
                f"{path} has version {self._version()}, this is version {schema.VERSION}",
                hint="use the version of dask-hpc that wrote it, or remove it",
            )
        self._connection.execute(schema.ADD_FOLLOWERS)

    def _make_tables(self) -> None:
        # One by one: `executescript` would end the transaction.
        for statement in (*schema.TABLES.split(";"), schema.SET_VERSION):
            self._connection.execute(statement)

    def _version(self) -> int:
        return int(self._connection.execute("PRAGMA user_version").fetchone()[0])

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if self._connection.in_transaction:  # sqlite ends it by itself if the disk is full
                self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def _select(self, condition: str, *values: float | None) -> list[Task]:
        query = schema.SELECT_TASKS.format(condition=condition)
        return [schema.task_of(row) for row in self._connection.execute(query, values)]

    def _fact(self, name: str) -> str:
        query = "SELECT value FROM facts WHERE name = ?"
        row = self._connection.execute(query, (name,)).fetchone()
        return str(row[0]) if row else ""

    def _keep(self, name: str, value: str) -> None:
        self._connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def _forget_details(self, submissions: Iterable[int]) -> None:
        # The script and the environment may hold secrets: they go with the last task.
        values = [(number,) for number in set(submissions)]
        self._connection.executemany(schema.FORGET_DETAILS, values)
