"""What a person sees who uses the commands: answers, words, exit codes, files."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from dask_hpc.localqueue.store import Store
from tests.localqueue.program import PROGRAM

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import OtherUser
    from tests.localqueue.program import LocalQueue

pytestmark = pytest.mark.slow


def test_a_job_runs_and_its_output_is_written(queue: LocalQueue) -> None:
    job = queue.submit("echo out; echo err >&2", "--name=hello", "--output=log-%j")
    ended = queue.end(job)
    assert (ended["state"], ended["exit_code"], ended["tag"]) == ("done", 0, "hello")
    assert ended["submit_time"] <= ended["start_time"] <= ended["end_time"] <= time.time()
    assert (queue.work / f"log-{job}").read_text() == "out\nerr\n"


def test_a_script_may_be_of_any_language(queue: LocalQueue) -> None:
    python = "#!/usr/bin/env python3\n#LOCAL --output=log\nprint(6 * 7)\n"
    queue.end(queue.ask("submit", script=python)["id"])
    assert (queue.work / "log").read_text() == "42\n"


def test_a_job_gets_the_environment_and_the_directory_of_its_submitter(queue: LocalQueue) -> None:
    where = queue.work / "sub dir"
    where.mkdir()
    script = '#!/bin/sh\necho "$PWD $GREETING $(umask)"; read -r line || echo no input\n'
    done = queue.run("submit", "--output=log", script=script, cwd=where, more={"GREETING": "a\nb"})
    queue.end(json.loads(done.stdout)["id"])
    mask = os.umask(0o022)
    os.umask(mask)
    assert (where / "log").read_text() == f"{where} a\nb {mask:04o}\nno input\n"


def test_a_job_is_told_which_one_it_is(queue: LocalQueue) -> None:
    body = (
        'echo "$DASK_HPC_LOCAL_JOB_ID $DASK_HPC_LOCAL_ARRAY_INDEX $DASK_HPC_LOCAL_CORES'
        ' $DASK_HPC_LOCAL_MEMORY $DASK_HPC_LOCAL_END_TIME"'
    )
    job = queue.submit(body, "--walltime=60", "--memory=1kB", "--output=log")
    started = queue.end(job)["start_time"]
    assert (queue.work / "log").read_text() == f"{job} 0 1 1000 {int(started + 60)}\n"


def test_a_job_submitted_by_a_job_is_another_job(queue: LocalQueue) -> None:
    program = " ".join(PROGRAM)
    inner = "printf '#!/bin/sh\\necho $DASK_HPC_LOCAL_JOB_ID; sleep 0.3; echo end' >inner"
    outer = queue.submit(f"{inner}; {program} submit --output=inner.log <inner")
    assert queue.end(outer)["state"] == "done"
    assert queue.end("2")["state"] == "done"
    assert (queue.work / "inner.log").read_text() == "2\nend\n"


def test_an_array_of_two_hundred_is_one_command(queue: LocalQueue) -> None:
    answer = queue.ask(
        "submit",
        "--count=200",
        "--name=many",
        "--output=log",
        script="#!/bin/sh\necho $DASK_HPC_LOCAL_ARRAY_INDEX\n",
    )
    assert answer["jobs"] == [f"1_{index}" for index in range(200)]
    assert queue.reach("1_199", "done", seconds=60)
    jobs = queue.jobs("--tag=many")
    assert {job["state"] for job in jobs.values()} == {"done"}
    assert [job["index"] for job in jobs.values()] == list(range(200))
    numbers = [int(line) for line in (queue.work / "log").read_text().split()]
    assert sorted(numbers) == list(range(200))


def test_waiting_jobs_say_what_they_wait_for(queue: LocalQueue) -> None:
    queue.reach(queue.submit("sleep 60"), "running")
    reasons = {
        queue.submit("true", *options): reason
        for options, reason in (
            (["--cores=64"], "needs 64 cores, this machine has 2"),
            (["--memory=2GiB"], "needs 2 GiB of memory, this machine has 953.7 MiB"),
            (["--cores=2"], "waits for 2 free cores (1 free)"),
            ([], "waits for job 4"),
        )
    }
    jobs = queue.jobs()
    assert {job: jobs[job]["reason"] for job in reasons} == reasons
    assert {jobs[job]["state"] for job in reasons} == {"pending"}


def test_status_is_of_the_tags_that_are_asked_for(queue: LocalQueue) -> None:
    for name in ("a", "b", "c"):
        queue.end(queue.submit("true", f"--name={name}"))
    assert list(queue.jobs("--tag=a", "--tag=c")) == ["1", "3"]
    assert list(queue.jobs("--tag=d")) == []


def test_history_knows_jobs_that_left_the_status(queue: LocalQueue) -> None:
    job = queue.submit("exit 3", "--count=2")
    queue.end(f"{job}_1")
    queue.end(f"{job}_0")
    with Store(queue.directory / "queue.db") as store:
        hour_ago = time.time() - 3600
        store._connection.execute("UPDATE tasks SET ended = ? WHERE place = 1", (hour_ago,))
        store._connection.execute("UPDATE tasks SET ended = ? WHERE place = 0", (1.0,))
    assert queue.jobs() == {}
    found = queue.ask("history", job, f"{job}_1", "999")["jobs"]
    assert [(each["id"], each["state"], each["exit_code"]) for each in found] == [
        (f"{job}_1", "failed", 3)
    ]


def test_queues_tells_size_and_what_is_free(queue: LocalQueue) -> None:
    queue.reach(queue.submit("sleep 60", "--memory=400MB"), "running")
    queue.submit("true", "--cores=2")
    (facts,) = queue.ask("queues")["queues"]
    del facts["host"]
    assert facts == {
        "name": "local",
        "cores": 2,
        "memory": 10**9,
        "free_cores": 1,
        "free_memory": 6 * 10**8,
        "running": 1,
        "pending": 1,
    }


def test_a_larger_size_that_is_stated_later_lets_waiting_jobs_start(queue: LocalQueue) -> None:
    large = queue.submit("true", "--cores=3")
    assert queue.jobs()[large]["reason"] == "needs 3 cores, this machine has 2"
    queue.submit("true", DASK_HPC__LOCAL__CORES="4")
    assert queue.end(large)["state"] == "done"


def test_cancelling_a_waiting_job_needs_no_time(queue: LocalQueue) -> None:
    job = queue.submit("true", "--cores=64")
    assert queue.ask("cancel", job) == {"cancelled": [job]}
    assert queue.jobs()[job]["state"] == "cancelled"
    assert queue.ask("cancel", job, "777") == {"cancelled": []}


def test_cancel_takes_arrays_and_their_elements(queue: LocalQueue) -> None:
    job = queue.submit("sleep 60", "--count=4")
    queue.reach(f"{job}_1", "running")
    assert queue.ask("cancel", f"{job}_1", f"{job}_3")["cancelled"] == [f"{job}_1", f"{job}_3"]
    assert queue.end(f"{job}_1")["state"] == "cancelled"
    queue.reach(f"{job}_2", "running")
    states = [each["state"] for each in queue.jobs().values()]
    assert states == ["running", "cancelled", "running", "cancelled"]
    assert queue.ask("cancel", job) == {"cancelled": [f"{job}_0", f"{job}_2"]}
    assert {queue.end(f"{job}_{index}")["state"] for index in range(4)} == {"cancelled"}


def test_stop_is_refused_while_there_are_jobs(queue: LocalQueue) -> None:
    job = queue.submit("sleep 60")
    done = queue.run("stop")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "error: 1 job is left in the queue\nhint: wait for it, or cancel it first\n"
    )
    queue.ask("cancel", job)
    queue.end(job)
    assert queue.ask("stop") == {"stopped": True}
    assert queue.ends()
    assert queue.ask("stop") == {"stopped": False}


def test_a_refusal_is_two_lines_of_words_and_queues_nothing(queue: LocalQueue) -> None:
    done = queue.run("submit", "--queue=gpu", script="#!/bin/sh\n")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        'error: queue "gpu" is unknown to the local queue\nhint: queues you may use: local\n'
    )
    assert queue.jobs() == {}
    assert not queue.lives()


def test_a_bad_setting_is_refused(queue: LocalQueue) -> None:
    done = queue.run("submit", script="#!/bin/sh\n", more={"DASK_HPC__LOCAL__CORES": "many"})
    assert done.stderr.startswith("error: DASK_HPC__LOCAL__CORES 'many' is not a whole number")


def test_help_tells_the_commands(queue: LocalQueue) -> None:
    done = queue.run("--help")
    assert (done.returncode, done.stderr) == (0, "")
    for command in ("submit", "status", "history", "cancel", "queues", "stop"):
        assert f"\n  {command} " in done.stdout


def test_a_queue_that_cannot_be_asked_says_so_with_another_exit_code(queue: LocalQueue) -> None:
    queue.ask("queues")
    (queue.directory / "queue.db").write_bytes(b"no database at all" * 100)
    done = queue.run("status")
    assert done.returncode == os.EX_TEMPFAIL
    assert done.stderr.startswith("error: the local queue does not answer: file is not a database")
    (queue.directory / "queue.db").unlink()


def test_names_with_everything_in_them_work(queue: LocalQueue, weird_path: Path) -> None:
    name = 'it\'s "weird" $(touch x) & ünï;码 *'
    script = f"#!/bin/sh\n#LOCAL --name={name}\n#LOCAL --output={weird_path}/%%j 'x' %a.log\npwd\n"
    done = queue.run("submit", script=script, cwd=weird_path)
    ended = queue.end(json.loads(done.stdout)["id"])
    assert (ended["state"], ended["tag"]) == ("done", name)
    assert (weird_path / "%j 'x' 0.log").read_text() == f"{weird_path}\n"
    assert list(weird_path.iterdir()) == [weird_path / "%j 'x' 0.log"]


def test_a_home_with_everything_in_its_name_works(queue: LocalQueue, weird_path: Path) -> None:
    odd = type(queue)(home=weird_path / "home", work=weird_path)
    try:
        assert odd.end(odd.submit("true"))["state"] == "done"
    finally:
        odd.close()


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o777])
def test_every_file_is_private_whatever_the_umask(queue: LocalQueue, mask: int) -> None:
    subprocess.run(
        [*PROGRAM, "submit", "--output=log"],
        input=b"#!/bin/sh\numask; touch made; sleep 60\n",
        env=queue.environ,
        cwd=queue.work,
        umask=mask,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    queue.reach("1", "running")
    queue.wait_for_file("log")
    inside = [*queue.home.rglob("*")]
    assert len(inside) > 5
    for path in [queue.home, *inside, queue.work / "log"]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    # The job's own files are its user's affair.
    assert stat.S_IMODE((queue.work / "made").stat().st_mode) == 0o666 & ~mask


def test_another_user_can_read_nothing_and_ask_nothing(
    queue: LocalQueue, other_user: OtherUser
) -> None:
    queue.reach(queue.submit("sleep 60", TOKEN="sesame"), "running")
    queue.home.chmod(0o755)
    assert other_user("ls", queue.home).returncode == 0
    files = [path for path in (queue.home / "localqueue").rglob("*") if path.is_file()]
    assert files
    for path in files:
        assert "Permission denied" in other_user("cat", path).stderr
    assert "Permission denied" in other_user("ls", queue.directory).stderr
    leader = Store(queue.directory / "queue.db").live()[0].leader
    assert leader is not None
    assert "Permission denied" in other_user("cat", f"/proc/{leader.pid}/environ").stderr
    assert "sesame" not in other_user("ps", "-eo", "args").stdout


def test_a_directory_that_others_can_enter_is_refused(queue: LocalQueue) -> None:
    queue.ask("queues")
    queue.directory.chmod(0o755)
    done = queue.run("submit", script="#!/bin/sh\n")
    assert done.returncode == 1
    assert "is open to others (mode 0755)" in done.stderr
    queue.directory.chmod(0o700)


def test_modules_in_the_current_directory_or_on_pythonpath_are_not_taken(
    queue: LocalQueue,
) -> None:
    for name in ("json", "sqlite3", "dask_hpc", "subprocess"):
        (queue.work / f"{name}.py").write_text("raise SystemExit('taken')\n")
    job = queue.submit("echo $PYTHONPATH", "--output=log", PYTHONPATH=str(queue.work))
    assert queue.end(job)["state"] == "done"
    assert (queue.work / "log").read_text() == f"{queue.work}\n"


def test_the_module_is_a_program_too(queue: LocalQueue) -> None:
    argv = [PROGRAM[0], "-m", "dask_hpc.localqueue", "status"]
    done = subprocess.run(argv, env=queue.environ, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ('{"jobs": []}\n', "")


def test_commands_for_an_empty_queue_start_no_daemon(queue: LocalQueue) -> None:
    for words in (["status"], ["history", "1"], ["cancel", "1"], ["queues"]):
        queue.ask(*words)
    assert not queue.lives()
