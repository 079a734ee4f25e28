"""The keeper of a scheduler's job: what it starts again, and what it lets be."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import psutil
import pytest

from dask_hpc._clock import until_now

if TYPE_CHECKING:
    from pathlib import Path

KEEP = "import sys; from dask_hpc.boot.keeper import Keeper; sys.exit(Keeper(sys.argv[1:]).run())"


def kept(tmp_path: Path, program: str) -> subprocess.Popen[str]:
    """Start a keeper of a program that writes a line into ``runs`` at each start."""
    lines = f"import os, signal, sys, time\nruns = {str(tmp_path / 'runs')!r}\n"
    lines += "print(os.getpid(), os.environ.get('DASK_HPC_CRASH_AT'), file=open(runs, 'a'))\n"
    lines += "count = len(open(runs).readlines())\n"
    return subprocess.Popen(
        [sys.executable, "-c", KEEP, sys.executable, "-c", lines + textwrap.dedent(program)],
        env={**os.environ, "DASK_HPC_CRASH_AT": "7"},
        stderr=subprocess.PIPE,
        text=True,
    )


def runs(tmp_path: Path) -> list[tuple[int, str]]:
    path = tmp_path / "runs"
    lines = path.read_text().splitlines() if path.exists() else []
    cells = (line.split() for line in lines)
    return [(int(pid), crash) for pid, crash in cells]


@pytest.mark.parametrize("code", [0, 1, 2])
def test_a_program_that_ends_as_it_means_to_is_not_started_again(tmp_path: Path, code: int) -> None:
    with kept(tmp_path, f"sys.exit({code})") as keeper:
        assert keeper.wait(10) == code
    assert len(runs(tmp_path)) == 1


def test_a_program_that_is_killed_is_started_again_and_a_crash_asked_for_happens_once(
    tmp_path: Path,
) -> None:
    program = "os.kill(os.getpid(), signal.SIGKILL) if count == 1 else sys.exit(86 * (count == 2))"
    with kept(tmp_path, program) as keeper:
        assert keeper.wait(10) == 0
        assert keeper.stderr
        said = keeper.stderr.read()
    assert [crash for _, crash in runs(tmp_path)] == ["7", "None", "None"]
    assert "ended with signal SIGKILL: it is started again" in said
    assert "ended with exit code 86: it is started again" in said


def test_a_program_that_crashes_again_and_again_is_given_up(tmp_path: Path) -> None:
    with kept(tmp_path, "sys.exit(70)") as keeper:
        assert keeper.wait(10) == 70
    assert len(runs(tmp_path)) == 4


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_signals_are_passed_on_and_the_end_that_follows_is_the_end(
    tmp_path: Path, number: signal.Signals
) -> None:
    program = """
    for each in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
        signal.signal(each, lambda number, _: sys.exit(40 + number))
    open(runs + ".ready", "w").close()
    time.sleep(60)
    """
    with kept(tmp_path, program) as keeper:
        assert until_now((tmp_path / "runs.ready").exists, 30)
        keeper.send_signal(number)
        assert keeper.wait(10) == 40 + number
    assert len(runs(tmp_path)) == 1


def test_the_program_dies_with_its_keeper(tmp_path: Path) -> None:
    with kept(tmp_path, "time.sleep(60)") as keeper:
        assert until_now(lambda: bool(runs(tmp_path)), 30)
        ((pid, _),) = runs(tmp_path)
        keeper.kill()
        assert until_now(lambda: not psutil.pid_exists(pid), 30)


def test_a_keeper_needs_little_memory() -> None:
    code = "import dask_hpc.boot.keeper, sys; print({'asyncio', 'distributed'} & {*sys.modules})"
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert said == "set()\n"
