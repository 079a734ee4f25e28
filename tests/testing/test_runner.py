"""A machine that consists of the answers that a test gives it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dask_hpc.errors import BatchUnavailable, CommandMissing
from dask_hpc.process.runner import Command
from dask_hpc.testing import ScriptedRunner

if TYPE_CHECKING:
    from pathlib import Path

LIST = Command(argv=("squeue", "--me"), stdin="x")


async def test_a_command_gets_the_answer_that_fits_its_beginning() -> None:
    runner = ScriptedRunner()
    runner.answer("squeue", "--all", stdout="all\n")
    runner.answer("squeue", stdout="mine\n", stderr="late\n", exit_code=3)
    result = await runner.run(LIST)
    assert (result.stdout, result.stderr, result.exit_code) == ("mine\n", "late\n", 3)
    assert result.command is LIST


async def test_answers_are_used_up_in_their_order() -> None:
    runner = ScriptedRunner()
    runner.answer("squeue", stdout="first", times=2)
    runner.answer("squeue", stdout="then")
    said = [(await runner.run(LIST)).stdout for _ in range(4)]
    assert said == ["first", "first", "then", "then"]


async def test_what_was_asked_is_remembered() -> None:
    runner = ScriptedRunner()
    runner.answer("squeue")
    await runner.run(LIST)
    assert runner.commands == [LIST]


async def test_an_answer_may_be_an_error() -> None:
    runner = ScriptedRunner()
    runner.fail("squeue", error=BatchUnavailable("no answer"), times=1)
    runner.answer("squeue")
    with pytest.raises(BatchUnavailable):
        await runner.run(LIST)
    assert (await runner.run(LIST)).exit_code == 0


async def test_a_program_without_any_answer_is_not_installed() -> None:
    runner = ScriptedRunner()
    runner.answer("sbatch")
    with pytest.raises(CommandMissing, match="squeue"):
        await runner.run(LIST)


async def test_a_question_that_the_script_did_not_expect_fails_the_test() -> None:
    runner = ScriptedRunner()
    runner.answer("squeue", "--all")
    with pytest.raises(AssertionError, match="--me"):
        await runner.run(LIST)


async def test_a_recording_answers_its_own_program_or_a_prefix(tmp_path: Path) -> None:
    path = tmp_path / "recording.txt"
    path.write_text(
        "--- command ---\nLC_ALL=C squeue -h\n--- stdout ---\nrow\n--- stderr ---\n"
        "--- exit code ---\n0\n"
    )
    runner = ScriptedRunner()
    runner.play(path)
    runner.play(path, "qstat", "-f")
    assert (await runner.run(LIST)).stdout == "row\n"
    assert (await runner.run(Command(argv=("qstat", "-f", "7")))).stdout == "row\n"
