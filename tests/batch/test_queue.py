"""The front door of the batch layer."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from dask_hpc.batch.model import JobId, JobSpec, JobState, Resources, Tag
from dask_hpc.batch.queue import Queue
from dask_hpc.batch.slurm import Slurm
from dask_hpc.errors import (
    BatchError,
    BatchUnavailable,
    CommandMissing,
    LimitReached,
    SubmitRejected,
)
from dask_hpc.testing import FakeClock, FakeSystem, ScriptedRunner
from tests.batch.recorded import RECORDINGS

if TYPE_CHECKING:
    from pathlib import Path

SLURM = RECORDINGS / "slurm"
JOB = JobSpec(
    tag=Tag("a"), resources=Resources(cores=1, memory=2**30), body="true", log="/logs/{index}"
)


def slurm_queue(runner: ScriptedRunner) -> Queue:
    return Queue(Slurm(), runner, user="ada")


async def test_a_submission_hands_in_the_script_and_returns_the_ids() -> None:
    runner = ScriptedRunner()
    runner.play(SLURM / "array-submit-zero.txt")
    queue = slurm_queue(runner)
    assert await queue.submit(JOB, 2) == ("54_0", "54_1")
    (command,) = runner.commands
    assert command.stdin == queue.script(JOB, 2)


async def test_a_refused_submission_raises_and_the_next_one_works() -> None:
    runner = ScriptedRunner()
    runner.play(SLURM / "submit-bad-queue.txt", times=1)
    runner.play(SLURM / "submit-success-parsable.txt")
    queue = slurm_queue(runner)
    with pytest.raises(SubmitRejected, match="nosuchpart"):
        await queue.submit(JOB)
    assert await queue.submit(JOB) == ("2",)


async def test_only_jobs_with_the_tags_asked_for_are_returned() -> None:
    runner = ScriptedRunner()
    runner.play(SLURM / "squeue-all.txt")
    listed = await slurm_queue(runner).status([Tag("held"), Tag("failed")])
    assert {job.tag for job in listed.values()} == {"held", "failed"}
    assert runner.commands[0].argv[3] == "--user=ada"


async def test_an_unavailable_system_is_an_error_and_not_an_empty_listing() -> None:
    runner = ScriptedRunner()
    runner.play(SLURM / "server-down-squeue.txt")
    with pytest.raises(BatchUnavailable):
        await slurm_queue(runner).status([Tag("held")])


async def test_a_system_that_is_not_installed_says_so() -> None:
    with pytest.raises(CommandMissing):
        await slurm_queue(ScriptedRunner()).queues()


async def test_history_joins_the_answers_of_all_its_questions() -> None:
    runner = ScriptedRunner()
    runner.play(SLURM / "sacct-ended.txt", times=1)
    runner.play(SLURM / "sacct-none.txt", times=1)
    found = await slurm_queue(runner).history([JobId(str(number)) for number in range(150)])
    assert found[JobId("25")].state is JobState.TIMED_OUT
    assert len(runner.commands) == 2


async def test_a_failed_cancellation_does_not_spare_the_rest() -> None:
    runner = ScriptedRunner()
    runner.play(SLURM / "delete-not-mine.txt", times=1)
    runner.answer("scancel")
    with pytest.raises(BatchError, match="permission denied"):
        await slurm_queue(runner).cancel([JobId(str(number)) for number in range(150)])
    assert len(runner.commands) == 2


async def test_the_log_has_what_was_run_and_never_the_script(
    caplog: pytest.LogCaptureFixture,
) -> None:
    runner = ScriptedRunner()
    runner.play(SLURM / "submit-success-parsable.txt")
    with caplog.at_level(logging.DEBUG, logger="dask_hpc.batch.queue"):
        await slurm_queue(runner).submit(JOB)
    assert "sbatch --parsable" in caplog.text
    assert "#SBATCH" not in caplog.text


async def test_a_deadline_passes_through_to_the_runner() -> None:
    clock = FakeClock()
    fake = FakeSystem(clock)
    fake.be_silent("queues")
    queue = Queue(fake.queue().system, fake, user="ada", timeout=7)
    with pytest.raises(BatchUnavailable):
        await queue.queues()
    assert clock.monotonic() == 7


async def test_a_submission_without_an_answer_is_not_repeated(tmp_path: Path) -> None:
    fake = FakeSystem(FakeClock())
    fake.lose_answer("submit")
    job = JobSpec(tag=Tag("a"), resources=JOB.resources, body="serve", log=str(tmp_path / "log"))
    with pytest.raises(BatchUnavailable):
        await fake.queue().submit(job, 3)
    assert len([command for command in fake.commands if command.argv[1] == "submit"]) == 1
    assert len(await fake.queue().status([Tag("a")])) == 3


async def test_a_limit_on_the_number_of_jobs_has_its_own_error(tmp_path: Path) -> None:
    queue = FakeSystem(FakeClock(), most_jobs=3).queue()
    job = JobSpec(tag=Tag("a"), resources=JOB.resources, body="serve", log=str(tmp_path / "log"))
    with pytest.raises(LimitReached):
        await queue.submit(job, 4)
    assert len(await queue.submit(job, 3)) == 3
