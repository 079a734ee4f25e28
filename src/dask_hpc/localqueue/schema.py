"""The tables of the queue's database, and how a row becomes a task."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from dask_hpc._hosts import ProcessMark
from dask_hpc.localqueue.model import State, Task

VERSION = 1

# A task is live as long as nobody wrote when it ended.
TABLES = """\
CREATE TABLE submissions (
    id INTEGER PRIMARY KEY AUTOINCREMENT, tag TEXT NOT NULL, count INTEGER NOT NULL,
    cores INTEGER NOT NULL, memory INTEGER NOT NULL, walltime REAL, submitted REAL NOT NULL,
    details TEXT NOT NULL);
CREATE TABLE tasks (
    submission INTEGER NOT NULL, place INTEGER NOT NULL, state TEXT NOT NULL DEFAULT 'pending',
    cancel_asked INTEGER NOT NULL DEFAULT 0, started REAL, ending TEXT, kill_at REAL, ended REAL,
    exit_code INTEGER, reason TEXT NOT NULL DEFAULT '', leader TEXT,
    PRIMARY KEY (submission, place)) WITHOUT ROWID;
CREATE INDEX tasks_by_end ON tasks (ended);
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO facts VALUES ('queue', lower(hex(randomblob(8))));
"""
# Not in the tables of the version: who does not know of it has no use for it.
ADD_FOLLOWERS = """
CREATE TABLE IF NOT EXISTS followers (submission INTEGER PRIMARY KEY, after INTEGER NOT NULL)"""
SET_VERSION = f"PRAGMA user_version = {VERSION}"

ADD_SUBMISSION = """
INSERT INTO submissions (tag, count, cores, memory, walltime, submitted, details)
VALUES (?, ?, ?, ?, ?, ?, ?)"""

ADD_FOLLOWER = "INSERT INTO followers VALUES (?, ?)"

ADD_TASK = "INSERT INTO tasks (submission, place) VALUES (?, ?)"

SELECT_TASKS = """
SELECT submission, place, count, tag, cores, memory, walltime, submitted, state, cancel_asked,
       started, ending, kill_at, ended, exit_code, reason, leader,
       (SELECT after FROM followers WHERE submission = submissions.id)
FROM tasks JOIN submissions ON submissions.id = submission
WHERE {condition} ORDER BY submission, place"""

UPDATE_TASK = """
UPDATE tasks SET state = ?, started = ?, ending = ?, kill_at = ?, ended = ?, exit_code = ?,
                 reason = ?, leader = ?
WHERE submission = ? AND place = ? AND ended IS NULL"""

CANCEL_PENDING = """
UPDATE tasks SET state = 'cancelled', ended = ?, reason = 'was cancelled before it started'
WHERE submission = ? AND place = ? AND state = 'pending'"""

ASK_TO_CANCEL = """
UPDATE tasks SET cancel_asked = 1 WHERE submission = ? AND place = ? AND ended IS NULL"""

FORGET_DETAILS = """
UPDATE submissions SET details = '' WHERE id = ? AND NOT EXISTS
    (SELECT 1 FROM tasks WHERE submission = submissions.id AND ended IS NULL)"""

FORGET_LEADERS = "UPDATE tasks SET leader = NULL WHERE ended IS NULL"

PURGE_TASKS = "DELETE FROM tasks WHERE ended <= ?"
PURGE_SUBMISSIONS = "DELETE FROM submissions WHERE id NOT IN (SELECT submission FROM tasks)"
PURGE_FOLLOWERS = "DELETE FROM followers WHERE submission NOT IN (SELECT id FROM submissions)"


def task_of(row: tuple[Any, ...]) -> Task:
    """Return the task of a row of `SELECT_TASKS`."""
    return Task(
        submission=row[0],
        index=row[1],
        count=row[2],
        tag=row[3],
        cores=row[4],
        memory=row[5],
        walltime=row[6],
        submitted=row[7],
        state=State(row[8]),
        cancel_asked=bool(row[9]),
        started=row[10],
        ending=State(row[11]) if row[11] else None,
        kill_at=row[12],
        ended=row[13],
        exit_code=row[14],
        reason=row[15],
        leader=ProcessMark(**json.loads(row[16])) if row[16] else None,
        after=row[17],
    )


def values_of(task: Task) -> tuple[Any, ...]:
    """Return what `UPDATE_TASK` writes of a task."""
    how = (task.state, task.started, task.ending, task.kill_at, task.ended, task.exit_code)
    leader = json.dumps(asdict(task.leader)) if task.leader else None
    return *how, task.reason, leader, *task.key
