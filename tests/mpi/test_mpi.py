"""dask-mpi's functions in every kind of launch: the result, the exit code, and what is left."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import psutil
import pytest

from dask_hpc._clock import until_now
from tests.mpi.launch import PATIENCE, tracebacks
from tests.mpi.programs import AT_ONCE, EXECUTE, INITIALIZE, NO_EXIT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.mpi.launch import Tasks

pytestmark = pytest.mark.slow


def lines(output: str, word: str) -> list[str]:
    return [line for line in output.splitlines() if line.startswith(word)]


def test_a_script_goes_on_in_one_task_and_the_others_work_for_it(tasks: Tasks) -> None:
    done = tasks.run(4, "-c", INITIALIZE, "{}", "2", "")
    assert done.returncode == 0, done.stderr
    (said,) = lines(done.stdout, "result")
    assert said.startswith("result 1024 [2, 3] tls://")
    assert tracebacks(done.stderr) == 0
    assert not tasks.left()


def test_a_script_that_fails_ends_all_tasks_and_says_why_once(tasks: Tasks) -> None:
    done = tasks.run(3, "-c", INITIALIZE, "{}", "1", "raise ValueError('on purpose')")
    assert done.returncode not in (0, None)
    assert tracebacks(done.stderr) == 1
    assert done.stderr.count("ValueError: on purpose") == 1
    assert not tasks.left()


def test_a_function_that_fails_ends_all_tasks_and_says_why_once(tasks: Tasks) -> None:
    done = tasks.run(3, "-c", EXECUTE, "raise ValueError('on purpose')", "{}")
    assert done.returncode not in (0, None)
    assert tracebacks(done.stderr) == 1
    assert done.stderr.count("ValueError: on purpose") == 1
    assert "after" not in done.stdout
    assert not tasks.left()


def test_all_tasks_go_on_after_a_function(tasks: Tasks) -> None:
    done = tasks.run(3, "-c", EXECUTE, "", "{}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("result 1024") == 1
    assert done.stdout.count("after") == 3
    assert tracebacks(done.stderr) == 0
    assert not tasks.left()


def test_a_function_may_end_before_the_workers_have_begun(tasks: Tasks) -> None:
    done = tasks.run(4, "-c", AT_ONCE, "print('result')")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("result") == 1
    assert done.stdout.count("after") == 4
    assert tracebacks(done.stderr) == 0
    assert "ERROR" not in done.stderr
    assert not tasks.left()


@pytest.mark.parametrize(
    ("size", "options"),
    [
        (1, "dict(client_rank=0, exclusive_workers=False)"),
        (2, "dict(client_rank=0, exclusive_workers=False)"),
        (3, "dict(client_rank=2, scheduler_rank=2)"),
    ],
)
def test_roles_may_share_a_task(plain_tasks: Tasks, size: int, options: str) -> None:
    done = plain_tasks.run(size, "-c", EXECUTE, "", options)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("result 1024") == 1
    assert tracebacks(done.stderr) == 0


def test_a_function_beside_the_scheduler_that_fails_says_why_once(plain_tasks: Tasks) -> None:
    done = plain_tasks.run(
        2, "-c", EXECUTE, "1 / 0", "dict(client_rank=0, exclusive_workers=False)"
    )
    assert done.returncode == 1
    assert tracebacks(done.stderr) == 1
    assert not plain_tasks.left()


def test_an_exit_code_of_the_script_is_that_of_the_run(plain_tasks: Tasks) -> None:
    done = plain_tasks.run(3, "-c", INITIALIZE, "{}", "1", "sys.exit(7)")
    assert done.returncode == 7
    assert tracebacks(done.stderr) == 0


def test_without_exit_all_tasks_go_on_after_the_signal_to_close(plain_tasks: Tasks) -> None:
    done = plain_tasks.run(3, "-c", NO_EXIT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("after") == 3


def test_too_few_tasks_are_told_how_many_it_takes(plain_tasks: Tasks) -> None:
    done = plain_tasks.run(2, "-c", INITIALIZE, "{}", "1", "")
    assert done.returncode != 0
    assert "2 tasks cannot be a cluster that needs 3" in done.stderr


def test_tasks_of_one_node_share_its_memory(plain_tasks: Tasks) -> None:
    done = plain_tasks.run(4, "-c", INITIALIZE, "{}", "2", "")
    (said,) = lines(done.stdout, "memory")
    assert int(said.split()[1]) <= psutil.virtual_memory().total / 2


def test_a_script_is_not_run_again_in_the_process_of_a_nanny(
    plain_tasks: Tasks, tmp_path: Path
) -> None:
    script = tmp_path / "script.py"
    script.write_text(INITIALIZE, encoding="utf-8")
    done = plain_tasks.run(3, script, "dict(worker_class='distributed.Nanny')", "1", "")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("result 1024") == 1
    assert tracebacks(done.stderr) == 0


def test_a_scheduler_that_cannot_start_ends_all_tasks(tasks: Tasks) -> None:
    done = tasks.run(3, "-c", INITIALIZE, "dict(interface='nonsense0')", "1", "")
    assert done.returncode not in (0, None)
    assert done.stderr.count("has no network interface 'nonsense0'") == 1
    assert tracebacks(done.stderr) == 0
    assert not tasks.left()


def test_a_worker_that_cannot_start_ends_all_tasks(plain_tasks: Tasks) -> None:
    done = plain_tasks.run(3, "-c", INITIALIZE, "dict(worker_class='nonsense.Worker')", "1", "")
    assert done.returncode not in (0, None)
    assert "worker class 'nonsense.Worker' cannot be imported" in done.stderr
    assert not plain_tasks.left()


def test_what_was_launched_ends_when_the_launcher_is_killed(plain_tasks: Tasks) -> None:
    wait = "import pathlib, time; pathlib.Path('here').touch()\nwhile True: time.sleep(1)"
    with plain_tasks.started(3, "-c", EXECUTE, wait, "{}") as launcher:
        assert until_now((plain_tasks.home / "here").exists, PATIENCE)
        launcher.send_signal(signal.SIGTERM)
        assert launcher.wait(PATIENCE) != 0
    assert not plain_tasks.left()


def test_tasks_that_are_killed_at_once_leave_nothing(tasks: Tasks) -> None:
    wait = "import pathlib, time; pathlib.Path('here').touch()\nwhile True: time.sleep(1)"
    scratch = tasks.home / "scratch"
    scratch.mkdir()
    options = f"dict(local_directory={str(scratch)!r})"
    with tasks.started(3, "-c", EXECUTE, wait, options) as launcher:
        assert until_now((tasks.home / "here").exists, PATIENCE)
        assert list(scratch.iterdir())
        for process in reversed(psutil.Process(launcher.pid).children(recursive=True)):
            if process.name().startswith("python"):
                process.kill()
        assert launcher.wait(PATIENCE) != 0
    assert not tasks.left()
    assert until_now(lambda: not list(scratch.iterdir()), PATIENCE)
