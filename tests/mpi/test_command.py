"""``dask-hpc mpi``: the options of dask-mpi, encrypted, and gone when it ends."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dask_hpc._clock import until_now
from tests.mpi.launch import PATIENCE, dask_hpc, tracebacks
from tests.mpi.programs import CLIENT

if TYPE_CHECKING:
    from tests.mpi.launch import Tasks

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).parents[2] / "examples" / "mpi.py"


def client(tasks: Tasks, file: Path, workers: int, *words: str) -> str:
    """Compute on a cluster that a file leads to; return what the program said."""
    assert until_now(file.exists, PATIENCE)
    done = subprocess.run(
        [sys.executable, "-c", CLIENT, file, str(workers), *words],
        env=tasks.environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_cluster_that_a_file_leads_to_ends_with_its_scheduler(tasks: Tasks) -> None:
    file = tasks.home / "s.json"
    with tasks.started(3, *dask_hpc("mpi", "--scheduler-file", file)) as launcher:
        said = client(tasks, file, 2, "shutdown")
        assert launcher.wait(PATIENCE) == 0
    assert "result 1024 tls://" in said
    assert "names ['dask_mpi-1', 'dask_mpi-2']" in said
    assert not file.exists()
    assert not file.with_name("s.json.private").exists()


def test_its_secrets_are_for_its_user_alone(plain_tasks: Tasks) -> None:
    file = plain_tasks.home / "s.json"
    with plain_tasks.started(2, *dask_hpc("mpi", "--scheduler-file", file)):
        assert until_now(file.exists, PATIENCE)
        private = file.with_name("s.json.private")
        assert json.loads(file.read_text())["security"]["tls_ca_file"].startswith(str(private))
        found = [file, private, *private.rglob("*")]
        assert not [path for path in found if stat.S_IMODE(path.lstat().st_mode) & 0o077]


def test_more_workers_join_it_without_a_scheduler_of_their_own(plain_tasks: Tasks) -> None:
    file = plain_tasks.home / "s.json"
    first = dask_hpc("mpi", "--scheduler-file", file, "--nthreads", "1")
    more = dask_hpc("mpi", "--scheduler-file", file, "--no-scheduler", "--name", "more")
    with plain_tasks.started(2, *first), plain_tasks.started(1, *more):
        assert "names ['dask_mpi-1', 'more-0']" in client(plain_tasks, file, 2)


def test_a_signal_ends_all_tasks_quietly(plain_tasks: Tasks) -> None:
    file = plain_tasks.home / "s.json"
    with plain_tasks.started(3, *dask_hpc("mpi", "--scheduler-file", file)) as launcher:
        client(plain_tasks, file, 2)
        launcher.send_signal(signal.SIGTERM)
        launcher.wait(PATIENCE)
    assert until_now(lambda: not file.exists(), 30)


def test_no_nanny_warns_and_works(plain_tasks: Tasks) -> None:
    file = plain_tasks.home / "s.json"
    words = ("mpi", "--scheduler-file", file, "--no-nanny", "--worker-options", '{"nthreads": 3}')
    with plain_tasks.started(2, *dask_hpc(*words)):
        assert "threads 3" in client(plain_tasks, file, 1)


def test_the_scheduler_may_work_too(plain_tasks: Tasks) -> None:
    file = plain_tasks.home / "s.json"
    words = ("mpi", "--scheduler-file", file, "--inclusive-workers", "--insecure")
    with plain_tasks.started(1, *dask_hpc(*words)):
        assert "result 1024 tcp://" in client(plain_tasks, file, 1)


@pytest.mark.parametrize(
    ("words", "trouble"),
    [
        (["--worker-options", "{"], "--worker-options '{' is not JSON"),
        (["--worker-options", "[]"], "--worker-options '[]' is no object"),
        (["--scheduler-rank", "5"], "2 tasks cannot be a cluster that needs 6"),
        (["--no-scheduler"], "nothing says where the scheduler is"),
        (["--dashboard-address", "x"], "dashboard address 'x' has no port"),
    ],
)
def test_what_cannot_be_is_told_without_a_traceback(
    plain_tasks: Tasks, words: list[str], trouble: str
) -> None:
    done = plain_tasks.run(2, *dask_hpc("mpi", *words))
    assert done.returncode not in (0, None)
    assert f"error: {trouble}" in done.stderr
    assert tracebacks(done.stderr) == 0


def test_outside_of_a_launch_it_says_how_to_start_it(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, *dask_hpc("mpi")],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 1
    assert "error: nothing says which of several tasks this is" in done.stderr
    assert "hint: start it with mpirun or srun" in done.stderr


def test_the_example_runs_without_any_library_of_mpi(tasks: Tasks) -> None:
    done = tasks.run(4, EXAMPLE, "--darts", "100000")
    assert done.returncode == 0, done.stderr
    assert "pi is about 3.1" in done.stdout
    assert tracebacks(done.stderr) == 0
