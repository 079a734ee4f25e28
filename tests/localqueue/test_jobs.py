"""Processes of jobs, without a daemon around them."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from dask_hpc._clock import until_now
from dask_hpc._hosts import mark_of
from dask_hpc.localqueue.jobs import Jobs
from dask_hpc.localqueue.model import MARK, State, Submission, Task
from dask_hpc.localqueue.plan import Seen
from dask_hpc.localqueue.proc import scan

if TYPE_CHECKING:
    from pathlib import Path

TASK = Task(
    submission=7,
    index=0,
    count=1,
    tag="t",
    cores=1,
    memory=0,
    walltime=None,
    submitted=0,
    started=1,
    state=State.RUNNING,
)


def submission(work: Path, body: str, *, output: str = "log") -> Submission:
    return Submission(
        tag="t",
        count=1,
        cores=1,
        memory=0,
        walltime=None,
        output=output,
        comment="",
        script=f"#!/bin/sh\n{body}\n",
        environ={"PATH": os.environ["PATH"]},
        directory=str(work),
        umask=0o022,
    )


def test_a_job_that_the_store_does_not_know_does_not_begin(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path, "queue")
    mark = jobs.start(TASK, submission(tmp_path, "touch began"))
    assert mark_of(mark.pid) == mark
    jobs.release(())
    assert mark_of(mark.pid) is None
    assert not (tmp_path / "began").exists()


def test_a_job_that_the_store_knows_begins_and_ends(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path, "queue")
    jobs.start(TASK, submission(tmp_path, "touch began; exit 4"))
    assert jobs.see([TASK]) == {TASK.key: Seen()}
    jobs.release([TASK.key])
    assert until_now(jobs.has_news, 30)
    seen = jobs.see([TASK])[TASK.key]
    assert (seen.leader, seen.others, seen.exit_code) == (False, False, 4)
    assert (tmp_path / "began").exists()
    jobs.forget([TASK])
    jobs.tidy(())
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_directory_that_is_gone_is_an_error_with_its_name(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path, "queue")
    work = tmp_path / "work"
    work.mkdir()
    gone = submission(work, "true", output="/dev/null")
    work.rmdir()
    with pytest.raises(FileNotFoundError, match="work"):
        jobs.start(TASK, gone)


def test_output_is_added_to_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("before\n")
    jobs = Jobs(tmp_path, "queue")
    jobs.start(TASK, submission(tmp_path, "echo after"))
    jobs.release([TASK.key])
    assert until_now(jobs.has_news, 30)
    jobs.forget([TASK])
    assert (tmp_path / "log").read_text() == "before\nafter\n"


def test_scan_finds_the_living_processes_of_a_queue_by_their_environment() -> None:
    argv = ["sleep", "60"]
    mine = subprocess.Popen(argv, env={MARK: "scanned/12_3"}, start_new_session=True)
    other = subprocess.Popen(argv, env={MARK: "another/12_3"})
    ended = subprocess.Popen(["true"], env={MARK: "scanned/1"})
    try:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        found = {process.mark.pid: process for process in scan("scanned")}
        assert found[mine.pid].mark == mark_of(mine.pid)
        assert (found[mine.pid].job, found[other.pid].job) == ("12_3", "")
        assert found[mine.pid].session == found[mine.pid].group == mine.pid
        assert ended.pid not in found
    finally:
        for process in (mine, other, ended):
            process.kill()
            process.wait()
