"""What the daemon promises: jobs end as a whole, and outlive everything but themselves."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from dask_hpc._clock import until_now
from dask_hpc._files import write_private
from dask_hpc._hosts import is_alive
from dask_hpc.localqueue.store import Store
from tests.localqueue.program import ENDED, PROGRAM
from tests.process.traces import living, new_trace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dask_hpc._hosts import ProcessMark
    from tests.localqueue.program import LocalQueue

pytestmark = pytest.mark.slow

HURRY = {"DASK_HPC__LOCAL__GRACE": "1"}
STUBBORN = "trap '' TERM; while :; do sleep {trace}; done"


def leader(queue: LocalQueue, job: str) -> ProcessMark:
    """Return the mark of a job's leader."""
    with Store(queue.directory / "queue.db") as store:
        mark = store.find(int(job), None)[0].leader
    assert mark is not None
    return mark


@pytest.fixture
def innocent() -> Iterator[subprocess.Popen[bytes]]:
    """Two processes, in a session of their own, that are part of no job and end together."""
    process = subprocess.Popen(["sh", "-c", "sleep 600 & wait"], start_new_session=True)
    yield process
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def quoted(script: str) -> str:
    return f"sh -c {shlex.quote(script)}"


# how jobs end ------------------------------------------------------------------------------------


def test_a_job_at_its_walltime_has_time_to_leave(queue: LocalQueue) -> None:
    body = "trap 'echo bye; exit 0' TERM; sleep 60 & wait"
    job = queue.submit(body, "--walltime=0.5", "--output=log")
    ended = queue.end(job)
    assert (ended["state"], ended["reason"]) == ("timed-out", "reached its walltime of 0s")
    assert ended["exit_code"] == 0
    assert (queue.work / "log").read_text() == "bye\n"
    assert ended["end_time"] - ended["start_time"] >= 0.5


def test_a_job_that_ignores_sigterm_is_killed_with_its_children(queue: LocalQueue) -> None:
    trace = new_trace()
    child = quoted(STUBBORN.format(trace=trace))
    job = queue.submit(f"trap '' TERM\n{child} &\n{child}", "--walltime=0.5", **HURRY)
    assert queue.reach(job, "completing")["reason"] == "reached its walltime of 0s"
    assert living(trace)
    ended = queue.end(job)
    assert ended["state"] == "timed-out"
    assert ended["end_time"] - ended["start_time"] >= 1.5
    assert not living(trace)


def test_a_cancelled_job_gets_sigterm_once_in_every_process(queue: LocalQueue) -> None:
    child = "trap 'echo TERM $1 >>terms; exit 0' TERM; : >up.$1; sleep 60 & wait"
    body = f"for n in 1 2; do sh -c {shlex.quote(child)} child $n & done; wait"
    job = queue.submit(body)
    assert until_now(lambda: len(list(queue.work.glob("up.*"))) == 2, 30)
    queue.ask("cancel", job)
    ended = queue.end(job)
    assert (ended["state"], ended["reason"]) == ("cancelled", "was cancelled")
    assert sorted((queue.work / "terms").read_text().splitlines()) == ["TERM 1", "TERM 2"]


def test_the_rest_of_a_cancelled_job_has_its_time_although_the_script_ended(
    queue: LocalQueue,
) -> None:
    child = (
        "trap 'sleep 0.4; echo drained >drained; exit 0' TERM; : >up; while :; do sleep 0.1; done"
    )
    job = queue.submit(f"{quoted(child)} & wait")
    assert until_now((queue.work / "up").exists, 30)
    queue.ask("cancel", job)
    assert queue.end(job)["state"] == "cancelled"
    assert (queue.work / "drained").read_text() == "drained\n"


def test_a_stopped_job_can_be_cancelled(queue: LocalQueue) -> None:
    job = queue.submit(
        "trap 'echo bye; exit 0' TERM; echo $$; kill -STOP $$; sleep 60", "--output=log"
    )
    shell = psutil.Process(int(queue.wait_for_file("log")))
    assert until_now(lambda: shell.status() == psutil.STATUS_STOPPED, 30)
    queue.ask("cancel", job)
    assert queue.end(job)["state"] == "cancelled"
    assert (queue.work / "log").read_text().endswith("bye\n")


@pytest.mark.parametrize("how", ["", "setsid", "setsid setsid --fork"])
def test_nothing_that_a_job_started_outlives_it(queue: LocalQueue, how: str) -> None:
    trace = new_trace()
    job = queue.submit(f"{how} sleep {trace} & sleep 0.2; exit 3")
    assert until_now(lambda: bool(living(trace)), 30)
    ended = queue.end(job)
    assert (ended["state"], ended["exit_code"]) == ("failed", 3)
    assert not living(trace)


def test_a_process_without_its_environment_is_found_by_its_session(queue: LocalQueue) -> None:
    trace = new_trace()
    queue.end(queue.submit(f"env -i sleep {trace} & sleep 0.2"))
    assert not living(trace)


def test_what_ignores_the_end_of_its_job_is_killed_too(queue: LocalQueue) -> None:
    trace = new_trace()
    child = quoted(STUBBORN.format(trace=trace))
    job = queue.submit(f"setsid {child} & sleep 0.2; exit 0", **HURRY)
    assert queue.reach(job, "completing")["reason"] == "ends what its script left running"
    assert queue.end(job)["state"] == "done"
    assert not living(trace)


def test_a_job_whose_leader_is_killed_has_failed_and_leaves_nothing(queue: LocalQueue) -> None:
    trace = new_trace()
    job = queue.submit(f"sleep {trace}")
    assert until_now(lambda: bool(living(trace)), 30)
    os.kill(leader(queue, job).pid, signal.SIGKILL)
    ended = queue.end(job)
    assert (ended["state"], ended["reason"]) == ("failed", "signal 9 ended it")
    assert not living(trace)


def test_jobs_of_another_queue_are_left_alone(queue: LocalQueue, tmp_path: Path) -> None:
    trace = new_trace()
    other = type(queue)(home=tmp_path / "other", work=tmp_path)
    try:
        mine, theirs = queue.submit("sleep 60"), other.submit(f"setsid sleep {trace}")
        assert mine == theirs == "1"
        assert until_now(lambda: bool(living(trace)), 30)
        queue.reach(mine, "running")
        queue.ask("cancel", mine)
        queue.end(mine)
        assert other.jobs()[theirs]["state"] == "running"
        assert living(trace)
    finally:
        other.close()
    assert not living(trace)


@pytest.mark.parametrize(
    ("word", "reason"),
    [("--output=gone/log", "gone/log: no such file"), ("--output=pipe", "pipe: no such device")],
)
def test_a_job_that_cannot_start_fails_with_the_reason(
    queue: LocalQueue, word: str, reason: str
) -> None:
    (queue.work / "gone").mkdir()
    os.mkfifo(queue.work / "pipe")
    blocker = queue.submit("while ! test -e go; do sleep 0.05; done", "--cores=2")
    job = queue.submit("true", word)
    (queue.work / "gone").rmdir()
    (queue.work / "go").touch()
    queue.end(blocker)
    ended = queue.end(job)
    assert (ended["state"], ended["exit_code"]) == ("failed", None)
    assert reason in ended["reason"]


def test_an_interpreter_that_is_missing_is_the_failure_of_the_job(queue: LocalQueue) -> None:
    job = queue.ask("submit", "--output=log", script="#!/no/such/python -u\n")["id"]
    assert queue.end(job)["exit_code"] == 127
    assert "/no/such/python: not found" in (queue.work / "log").read_text()


# what jobs outlive -------------------------------------------------------------------------------


def test_jobs_outlive_the_process_group_that_submitted_them(queue: LocalQueue) -> None:
    # A submitter with a terminal of its own, which is taken away as when a window is closed.
    submit = shlex.join([*PROGRAM, "submit", "--output=log"])
    script = f"printf '#!/bin/sh\\nsleep 0.5; echo survived\\n' | {submit}; echo; sleep 60"
    argv = [sys.executable, "-c", f"import pty; pty.spawn(['sh', '-c', {script!r}])"]
    submitter = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env=queue.environ,
        cwd=queue.work,
        start_new_session=True,
    )
    assert submitter.stdout is not None
    assert json.loads(submitter.stdout.readline())["id"] == "1"
    for process in psutil.Process(submitter.pid).children(recursive=True):
        process.kill()
    os.killpg(submitter.pid, signal.SIGKILL)
    submitter.communicate()
    assert queue.end("1")["state"] == "done"
    assert (queue.work / "log").read_text() == "survived\n"


def test_the_daemon_holds_nothing_of_who_started_it(queue: LocalQueue) -> None:
    # A pipe that the daemon held would never end, and `run` would wait for ever.
    queue.reach(queue.submit("sleep 60"), "running")
    daemon = psutil.Process(queue.daemon().pid)
    assert os.getsid(daemon.pid) == daemon.pid
    assert daemon.cwd() == "/"
    assert "DASK_HPC_HOME" not in daemon.environ()
    names = {str(fd.readlink()) for fd in Path(f"/proc/{daemon.pid}/fd").iterdir()}
    mine = {f"{queue.directory}/{name}" for name in ("queue.db", "daemon.lock", "daemon.log")}
    assert names == {"/dev/null", *mine}


def test_a_new_daemon_goes_on_with_the_jobs_of_a_killed_one(queue: LocalQueue) -> None:
    body = "while ! test -e go; do sleep 0.05; done; exit 7"
    job, waiting = queue.submit(body, "--cores=2"), queue.submit("true")
    queue.reach(job, "running")
    first = queue.daemon()
    queue.kill_daemon()
    assert queue.jobs()[job]["state"] == "running"
    assert until_now(lambda: queue.lives() and queue.daemon() != first, 30)
    (queue.work / "go").touch()
    ended = queue.end(job)
    assert (ended["state"], ended["exit_code"]) == ("failed", 7)
    assert queue.end(waiting)["state"] == "done"


def test_a_job_that_ended_without_a_daemon_keeps_its_exit_code_and_its_end(
    queue: LocalQueue,
) -> None:
    job = queue.submit("while ! test -e go; do sleep 0.05; done; exit 7")
    queue.reach(job, "running")
    mark = leader(queue, job)
    queue.kill_daemon()
    (queue.work / "go").touch()
    assert until_now(lambda: not is_alive(mark), 30)
    over = time.time()
    ended = queue.end(job)
    assert (ended["state"], ended["exit_code"]) == ("failed", 7)
    assert ended["end_time"] <= over


def test_a_job_whose_end_nobody_saw_is_lost_and_its_rest_is_ended(queue: LocalQueue) -> None:
    trace = new_trace()
    job = queue.submit(f"sleep {trace}")
    assert until_now(lambda: bool(living(trace)), 30)
    mark = leader(queue, job)
    queue.kill_daemon()
    os.kill(mark.pid, signal.SIGKILL)
    assert until_now(lambda: not is_alive(mark), 30)
    ended = queue.end(job)
    assert (ended["state"], ended["exit_code"]) == ("lost", None)
    assert ended["reason"].startswith("nobody saw it end")
    assert not living(trace)


def test_an_adopted_job_ends_as_a_whole_at_its_walltime(queue: LocalQueue) -> None:
    trace = new_trace()
    child = quoted(STUBBORN.format(trace=trace))
    job = queue.submit(f"setsid {child} & env -i {child}", "--walltime=3", **HURRY)
    assert until_now(lambda: len(living(trace)) >= 4, 30)
    queue.kill_daemon()
    assert queue.end(job)["state"] == "timed-out"
    assert not living(trace)


def test_a_daemon_killed_between_sigterm_and_sigkill_is_no_reprieve(queue: LocalQueue) -> None:
    trace = new_trace()
    job = queue.submit(STUBBORN.format(trace=trace), **HURRY)
    assert until_now(lambda: bool(living(trace)), 30)
    queue.ask("cancel", job)
    queue.reach(job, "completing")
    queue.kill_daemon()
    assert queue.end(job)["state"] == "cancelled"
    assert not living(trace)


def test_a_number_that_another_process_got_is_not_signalled(
    queue: LocalQueue, innocent: subprocess.Popen[bytes]
) -> None:
    job = queue.submit("sleep 60")
    queue.reach(job, "running")
    mark = leader(queue, job)
    queue.kill_daemon()
    os.killpg(mark.pid, signal.SIGKILL)
    with Store(queue.directory / "queue.db") as store:
        # As if the number of the leader had been given to it.
        number = json.dumps(dataclasses.asdict(dataclasses.replace(mark, pid=innocent.pid)))
        store._connection.execute("UPDATE tasks SET leader = ?", (number,))
    assert queue.end(job)["state"] == "lost"
    assert innocent.poll() is None


def test_no_job_runs_twice_however_often_the_daemon_is_killed(queue: LocalQueue) -> None:
    body = "echo $DASK_HPC_LOCAL_JOB_ID"
    job = queue.submit(body, "--count=60", "--output=log", DASK_HPC__LOCAL__CORES="4")
    killed = 0
    while any(each["state"] not in ENDED for each in queue.jobs().values()):
        if killed < 8 and queue.lives():
            queue.kill_daemon()
            killed += 1
    ran = (queue.work / "log").read_text().split()
    assert killed == 8
    assert len(ran) == len(set(ran))
    jobs = queue.jobs()
    assert {key for key, each in jobs.items() if each["state"] == "done"} == set(ran)
    assert {each["state"] for each in jobs.values()} <= {"done", "lost"}
    assert len(jobs) == 60
    assert len(ran) > 50, job


# its own beginning and end -----------------------------------------------------------------------


def test_the_daemon_ends_when_it_is_idle_and_the_next_job_starts_another(
    queue: LocalQueue,
) -> None:
    short = {"DASK_HPC__LOCAL__IDLE": "0.2"}
    queue.end(queue.submit("true", **short))
    first = queue.daemon()
    assert queue.ends()
    assert list((queue.directory / "spool").iterdir()) == []
    assert queue.end(queue.submit("true"))["state"] == "done"
    assert queue.daemon() != first


def test_a_daemon_with_a_job_is_not_idle(queue: LocalQueue) -> None:
    job = queue.submit("sleep 0.6", DASK_HPC__LOCAL__IDLE="0.1")
    assert queue.end(job)["state"] == "done"


def test_many_commands_at_once_start_one_daemon_and_every_job_runs_once(
    queue: LocalQueue,
) -> None:
    script = b"#!/bin/sh\necho $DASK_HPC_LOCAL_JOB_ID\n"
    submitters = [
        subprocess.Popen(
            [*PROGRAM, "submit", "--output=log"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**queue.environ, "DASK_HPC__LOCAL__IDLE": "0.05"},
            cwd=queue.work,
        )
        for _ in range(12)
    ]
    ids = {json.loads(each.communicate(script, timeout=30)[0])["id"] for each in submitters}
    assert len(ids) == 12
    for job in ids:
        assert queue.end(job)["state"] == "done"
    assert sorted((queue.work / "log").read_text().split()) == sorted(ids)
    lines = (queue.directory / "daemon.log").read_text().splitlines()
    begun = [line.split("daemon ")[1] for line in lines if "daemon " in line]
    # One after the other, never two at a time.
    words = [line.split()[1] for line in begun]
    assert words[::2] == ["begins"] * len(words[::2])
    assert words[1::2] == ["ends"] * len(words[1::2])


def test_a_second_daemon_cannot_begin(queue: LocalQueue) -> None:
    queue.reach(queue.submit("sleep 60"), "running")
    first = queue.daemon()
    for _ in range(3):
        queue.jobs()
    assert queue.daemon() == first
    assert is_alive(first)


def test_a_stale_record_is_nobody(queue: LocalQueue, innocent: subprocess.Popen[bytes]) -> None:
    queue.ask("queues")
    facts = {"version": 1, "host": queue.directory.name, "pid": innocent.pid, "started": 1}
    write_private(queue.directory / "daemon.json", json.dumps(facts))
    assert queue.ask("stop") == {"stopped": False}
    assert queue.end(queue.submit("true"))["state"] == "done"
    assert innocent.poll() is None


def test_jobs_end_when_their_queue_is_removed(queue: LocalQueue) -> None:
    trace = new_trace()
    queue.submit(f"setsid sleep {trace} & sleep {trace}")
    assert until_now(lambda: len(living(trace)) >= 2, 30)
    daemon = queue.daemon()
    shutil.rmtree(queue.directory)
    assert until_now(lambda: not is_alive(daemon), 30)
    assert until_now(lambda: not living(trace), 30)


def test_signals_that_the_submitter_ignored_reach_its_jobs(queue: LocalQueue) -> None:
    submit = shlex.join([*PROGRAM, "submit", "--output=log"])
    script = "#!/bin/sh\\nkill -INT $$; kill -TERM $$; echo deaf\\n"
    subprocess.run(
        ["sh", "-c", f"trap '' INT TERM HUP CHLD; printf '{script}' | {submit}"],
        env=queue.environ,
        cwd=queue.work,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    assert queue.end("1")["reason"] == "signal 2 ended it"
    assert (queue.work / "log").read_text() == ""


def test_the_daemon_costs_next_to_nothing_while_a_job_runs(queue: LocalQueue) -> None:
    queue.reach(queue.submit("sleep 60"), "running")
    daemon = psutil.Process(queue.daemon().pid)
    before = sum(daemon.cpu_times()[:2])
    until_now(lambda: False, 1)
    assert sum(daemon.cpu_times()[:2]) - before < 0.1
