"""What the database promises to commands and daemon."""

from __future__ import annotations

import sqlite3
import stat
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from dask_hpc._hosts import mark_of, own_mark
from dask_hpc.errors import ConfigError, SecurityError
from dask_hpc.localqueue.machine import Settings
from dask_hpc.localqueue.model import State, Submission
from dask_hpc.localqueue.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "queue.db") as store:
        yield store


def submission(**values: Any) -> Submission:
    asked = {"tag": "t", "count": 1, "cores": 1, "memory": 0, "walltime": None, "comment": ""}
    there = {"output": "o", "script": "#!/bin/sh\n", "environ": {}, "directory": "/", "umask": 18}
    return Submission(**{**asked, **there, **values})


def test_tasks_come_back_as_they_were_submitted(store: Store) -> None:
    tasks = store.submit(submission(count=2, walltime=60.0), Settings(), now=5)
    assert [task.id for task in tasks] == ["1_0", "1_1"]
    assert store.live() == tasks
    assert tasks[1].state is State.PENDING
    assert (tasks[1].walltime, tasks[1].submitted) == (60.0, 5)


def test_a_task_knows_the_job_that_it_follows_also_in_a_file_of_before(
    store: Store, tmp_path: Path
) -> None:
    connection = sqlite3.connect(tmp_path / "queue.db")
    connection.execute("DROP TABLE followers")
    connection.close()
    with Store(tmp_path / "queue.db") as later:
        tasks = [later.submit(submission(after=after), Settings(), now=0)[0] for after in (None, 1)]
        assert [task.after for task in tasks] == [None, 1]
        assert later.live() == tasks
        later.record([replace(task, state=State.DONE, ended=1.0) for task in tasks])
        later.purge(before=2)
        assert later.submit(submission(), Settings(), now=0)[0].after is None


def test_a_single_task_has_the_id_of_its_submission(store: Store) -> None:
    assert store.submit(submission(), Settings(), now=0)[0].id == "1"


def test_details_survive_with_every_byte_of_the_environment(store: Store) -> None:
    wanted = submission(environ={"A": "ü \udcff\n", "B": ""}, directory="/a \udcfe 'b'")
    number = store.submit(wanted, Settings(), now=0)[0].submission
    assert store.submission(number) == wanted


def test_how_far_a_task_is_comes_back(store: Store) -> None:
    task = store.submit(submission(), Settings(), now=0)[0]
    later = replace(
        task,
        state=State.COMPLETING,
        started=1.5,
        leader=own_mark(),
        ending=State.CANCELLED,
        kill_at=7.5,
        reason="was cancelled",
    )
    assert store.record([later]) == {task.key}
    assert store.live() == [later]


def test_a_task_that_ended_does_not_begin_again(store: Store) -> None:
    task = store.submit(submission(), Settings(), now=0)[0]
    store.cancel([task.key], now=1)
    assert store.record([replace(task, state=State.RUNNING)]) == frozenset()
    assert store.find(1, None)[0].state is State.CANCELLED


def test_waiting_tasks_are_cancelled_at_once_and_running_ones_by_the_daemon(store: Store) -> None:
    waiting, running, ended = store.submit(submission(count=3), Settings(), now=0)
    store.record([replace(running, state=State.RUNNING)])
    store.record([replace(ended, state=State.DONE, ended=1.0)])
    store.cancel([waiting.key, running.key, ended.key], now=2)
    found = store.find(1, None)
    assert [task.state for task in found] == [State.CANCELLED, State.RUNNING, State.DONE]
    assert [task.cancel_asked for task in found] == [False, True, False]


def test_script_and_environment_are_forgotten_with_the_last_task(
    store: Store, tmp_path: Path
) -> None:
    secret = {"TOKEN": "sesame-sesame"}
    first, second = store.submit(submission(count=2, environ=secret), Settings(), now=0)
    store.record([replace(first, state=State.DONE, ended=1.0)])
    assert store.submission(1) is not None
    assert b"sesame" in (tmp_path / "queue.db").read_bytes()
    store.cancel([second.key], now=2)
    assert store.submission(1) is None
    assert b"sesame" not in (tmp_path / "queue.db").read_bytes()


def test_changes_tells_of_other_processes_only(store: Store, tmp_path: Path) -> None:
    before = store.changes()
    store.submit(submission(), Settings(), now=0)
    assert store.changes() == before
    with Store(tmp_path / "queue.db") as other:
        other.cancel([(1, 0)], now=1)
    assert store.changes() != before


def test_settings_are_kept_until_the_queue_is_closed(store: Store) -> None:
    store.submit(submission(), Settings(cores=8), now=0)
    task = store.submit(submission(), Settings(memory=5), now=0)[0]
    assert store.settings() == Settings(cores=8, memory=5)
    store.cancel([(1, 0), task.key], now=1)
    assert store.close_if_empty(lambda: None) == 0
    assert store.settings() == Settings()


def test_a_queue_with_tasks_is_not_closed(store: Store) -> None:
    store.submit(submission(), Settings(), now=0)
    closed: list[bool] = []
    assert store.close_if_empty(lambda: closed.append(True)) == 1
    assert closed == []


def test_process_ids_are_forgotten_when_the_machine_was_restarted(store: Store) -> None:
    task = store.submit(submission(), Settings(), now=0)[0]
    assert mark_of(1) is not None
    queue = store.adopt("boot-1")
    store.record([replace(task, state=State.RUNNING, leader=mark_of(1))])
    assert store.adopt("boot-1") == queue
    assert store.live()[0].leader == mark_of(1)
    assert store.adopt("boot-2") == queue
    assert store.live()[0].leader is None


def test_every_queue_has_an_id_of_its_own(store: Store, tmp_path: Path) -> None:
    with Store(tmp_path / "other.db") as other:
        assert len({store.adopt(""), other.adopt(""), ""}) == 3


def test_what_ended_long_ago_is_purged_and_ids_are_not_used_again(store: Store) -> None:
    for number in (1, 2):
        task = store.submit(submission(), Settings(), now=0)[0]
        store.record([replace(task, state=State.DONE, ended=number * 10.0)])
    store.purge(before=20)
    assert store.find(1, None) == store.find(2, None) == []
    assert store.submit(submission(), Settings(), now=0)[0].id == "3"


def test_recent_ends_are_found_by_time(store: Store) -> None:
    task = store.submit(submission(), Settings(), now=0)[0]
    store.record([replace(task, state=State.DONE, ended=10.0)])
    assert [task.id for task in store.ended_since(9)] == ["1"]
    assert store.ended_since(10) == []


def test_the_file_is_private_whatever_the_umask(store: Store, tmp_path: Path) -> None:
    assert stat.S_IMODE((tmp_path / "queue.db").stat().st_mode) == 0o600


def test_a_file_that_others_can_read_is_refused(store: Store, tmp_path: Path) -> None:
    (tmp_path / "queue.db").chmod(0o644)
    with pytest.raises(SecurityError, match=r"queue\.db is open to others"):
        Store(tmp_path / "queue.db")


def test_a_planted_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "elsewhere.db")
    with pytest.raises(SecurityError, match="symbolic link"):
        Store(tmp_path / "link.db")
    assert not (tmp_path / "elsewhere.db").exists()


def test_another_version_of_the_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    with Store(path):
        pass
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 7")
    connection.close()
    with pytest.raises(ConfigError, match="has version 7, this is version 1"):
        Store(path)


def test_a_failed_submission_leaves_nothing(store: Store) -> None:
    with pytest.raises(OverflowError):
        store.submit(submission(cores=2**80), Settings(), now=0)
    assert store.live() == []
    assert store.submit(submission(), Settings(), now=0)[0].id == "1"
