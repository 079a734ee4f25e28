"""What only the runner of this machine promises."""

from __future__ import annotations

import asyncio
import resource
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psutil
import pytest

from dask_hpc.errors import BatchError, BatchUnavailable, CommandMissing
from dask_hpc.process.local import LocalRunner
from dask_hpc.process.runner import Command
from tests.process.traces import new_trace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def _no_more_files() -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


async def test_a_signal_that_ended_a_program_is_its_negative_exit_code() -> None:
    result = await LocalRunner().run(Command(argv=("sh", "-c", "kill -TERM $$")))
    assert result.exit_code == -15


async def test_paths_may_have_any_name(weird_path: Path) -> None:
    program = weird_path / "prö gram"
    program.write_text('#!/bin/sh\nprintf %s "$0"\n', encoding="utf-8")
    program.chmod(0o700)
    result = await LocalRunner().run(Command(argv=(str(program),)))
    assert result.stdout == str(program)


async def test_a_script_whose_interpreter_is_missing_cannot_be_run(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/no/such/python\n", encoding="utf-8")
    program.chmod(0o700)
    with pytest.raises(CommandMissing, match="no such file"):
        await LocalRunner().run(Command(argv=(str(program),)))


async def test_a_file_that_is_no_program_cannot_be_run(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x00\x01")
    program.chmod(0o700)
    with pytest.raises(CommandMissing, match="exec format"):
        await LocalRunner().run(Command(argv=(str(program),)))


async def test_too_long_arguments_are_not_worth_another_try() -> None:
    with pytest.raises(BatchError, match="too long") as caught:
        await LocalRunner().run(Command(argv=("true", "x" * 10_000_000)))
    assert not caught.value.transient


async def test_a_lack_of_files_is_worth_another_try() -> None:
    with pytest.raises(BatchUnavailable, match="too many open files") as caught, _no_more_files():
        await LocalRunner().run(Command(argv=("true",)))
    assert "ulimit" in caught.value.hint


async def test_no_dead_child_and_no_open_file_is_left() -> None:
    runner = LocalRunner()
    await runner.run(Command(argv=("true",)))  # what asyncio opens once
    before = psutil.Process().num_fds()
    for _ in range(20):
        await runner.run(Command(argv=("cat",), stdin="x"))
    with pytest.raises(BatchUnavailable):
        await runner.run(Command(argv=("sleep", new_trace())), timeout=0.05)
    assert psutil.Process().num_fds() == before
    assert not [
        child for child in psutil.Process().children() if child.status() == psutil.STATUS_ZOMBIE
    ]


async def test_the_loop_goes_on_while_a_command_runs() -> None:
    begin = time.monotonic()
    await asyncio.gather(
        *(LocalRunner().run(Command(argv=("sleep", "1"))) for _ in range(10)),
    )
    assert time.monotonic() - begin < 8  # one after the other, they take ten seconds


async def test_a_command_is_its_own_session_without_a_terminal() -> None:
    result = await LocalRunner().run(Command(argv=("sh", "-c", "ps -o pid=,sid=,tty= -p $$")))
    pid, session, terminal = result.stdout.split()
    assert (pid, terminal) == (session, "?")


async def test_variables_of_this_process_are_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("MY_SLURM_JOB_ID", "8")
    monkeypatch.setenv("SBATCH_X", "9")
    result = await LocalRunner().run(Command(argv=("env",), drop=("SLURM_", "SBATCH_(?!X)")))
    lines = result.stdout.splitlines()
    assert "SLURM_JOB_ID=7" not in lines
    assert {"MY_SLURM_JOB_ID=8", "SBATCH_X=9"} <= set(lines)
