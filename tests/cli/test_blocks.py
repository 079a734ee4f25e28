"""``dask-hpc scheduler`` and ``dask-hpc worker``: what a site's own job scripts are made of."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from dask_hpc._clock import until_now
from dask_hpc._files import write_private
from tests.mpi.programs import CLIENT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

_PROGRAM = "from dask_hpc.cli.main import main; main()"
_PATIENCE = 60


@dataclass(slots=True, kw_only=True)
class Yard:
    """A directory with a scheduler file, and the programs that were started for it."""

    file: Path
    stack: ExitStack = field(default_factory=ExitStack)

    def start(self, word: str, *words: str, log: str = "") -> subprocess.Popen[bytes]:
        """Start a command in the background."""
        with self.log(log or word).open("wb") as stream:
            process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, word, "--scheduler-file", str(self.file), *words],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                cwd=self.file.parent,
                env={**os.environ, "TMPDIR": str(self.file.parent)},
            )
        self.stack.callback(_end, process)
        return process

    def log(self, name: str) -> Path:
        """Return where a command writes to."""
        return self.file.with_name(f"{name}.log")

    def said(self, name: str) -> str:
        """Return what a command said."""
        return self.log(name).read_text(encoding="utf-8")

    def client(self, workers: int, *words: str) -> str:
        """Compute there; return what the program said."""
        assert until_now(self.file.exists, _PATIENCE)
        done = subprocess.run(
            [sys.executable, "-c", CLIENT, str(self.file), str(workers), *words],
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    finally:
        process.kill()


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    with ExitStack() as stack:
        yield Yard(file=tmp_path / "s.json", stack=stack)


def test_workers_wait_for_the_file_compute_and_end_with_the_scheduler(yard: Yard) -> None:
    worker = yard.start("worker", "--processes", "2", "--cores", "2", "--name", "array-7")
    scheduler = yard.start("scheduler")
    said = yard.client(2, "shutdown")
    assert "result 1024 tls://" in said
    assert "names ['array-7.0-0', 'array-7.0-1']" in said
    assert "threads 2" in said
    assert scheduler.wait(_PATIENCE) == 0
    assert worker.wait(_PATIENCE) == 0
    assert "Traceback" not in yard.said("scheduler") + yard.said("worker")
    assert {path.suffix for path in yard.file.parent.iterdir()} == {".log"}


def test_nobody_else_can_read_what_lets_in(yard: Yard) -> None:
    yard.start("scheduler")
    assert until_now(yard.file.exists, _PATIENCE)
    private = yard.file.with_name("s.json.private")
    found = [yard.file, private, *private.rglob("*")]
    assert not [path for path in found if stat.S_IMODE(path.lstat().st_mode) & 0o077]


def test_a_worker_without_a_scheduler_gives_up_and_says_why(yard: Yard) -> None:
    write_private(yard.file, '{"address": "tcp://127.0.0.1:1"}')
    worker = yard.start("worker", "--death-timeout", "1s")
    assert worker.wait(_PATIENCE) == 1
    assert "error: no scheduler within 1 s: nobody answers at tcp" in yard.said("worker")


def test_a_second_scheduler_is_refused_and_a_dead_one_is_followed(yard: Yard) -> None:
    first = yard.start("scheduler")
    assert until_now(yard.file.exists, _PATIENCE)
    second = yard.start("scheduler", log="second")
    assert second.wait(_PATIENCE) == 1
    assert "error: a scheduler is at tls://" in yard.said("second")
    yard.start("worker", "--cores", "1")
    assert "threads 1" in yard.client(1)
    first.send_signal(signal.SIGKILL)
    first.wait(_PATIENCE)
    yard.start("scheduler", log="third")
    assert until_now(lambda: "Scheduler at" in yard.said("third"), _PATIENCE)
    assert "threads 1" in yard.client(1)


def test_a_signal_ends_a_scheduler_and_takes_its_file_away(yard: Yard) -> None:
    scheduler = yard.start("scheduler")
    assert until_now(yard.file.exists, _PATIENCE)
    scheduler.terminate()
    assert scheduler.wait(_PATIENCE) == 0
    assert not yard.file.exists()
    assert not yard.file.with_name("s.json.private").exists()


def test_a_file_that_cannot_be_is_told(yard: Yard) -> None:
    elsewhere = yard.file.parent / "deeper" / "s.json"
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, "scheduler", "--scheduler-file", str(elsewhere)],
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=False,
    )
    assert done.returncode == 1
    assert "error: the scheduler file " in done.stderr
