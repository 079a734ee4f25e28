"""The checks themselves: a batch system that does not keep the contract does not pass."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dask_hpc.batch.model import JobId, JobState, JobStatus, Tag
from dask_hpc.batch.queue import Queue
from dask_hpc.testing import FakeClock, FakeSystem, conformance
from dask_hpc.testing.conformance import CHECKS, Bench, Nonconformance
from dask_hpc.testing.dialect import FakeDialect

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from dask_hpc.batch.model import BatchQueue
    from dask_hpc.process.runner import Command, Result


class ForgetsIndices(FakeDialect):
    def read_status(self, result: Result) -> Mapping[JobId, JobStatus]:
        return {key: replace(job, index=0) for key, job in super().read_status(result).items()}


class CallsEverythingDone(FakeDialect):
    def read_status(self, result: Result) -> Mapping[JobId, JobStatus]:
        jobs = super().read_status(result)
        ended = {key for key, job in jobs.items() if job.state.is_final}
        return {
            key: replace(job, state=JobState.DONE, exit_code=0) if key in ended else job
            for key, job in jobs.items()
        }


class ListsNothing(FakeDialect):
    def read_status(self, result: Result) -> Mapping[JobId, JobStatus]:
        return {}


class CancelsOnlyTheFirst(FakeDialect):
    def cancel_commands(self, ids: Sequence[JobId]) -> tuple[Command, ...]:
        return super().cancel_commands(ids[:1])


class GivesNoReasons(FakeDialect):
    def read_status(self, result: Result) -> Mapping[JobId, JobStatus]:
        jobs = super().read_status(result)
        return {key: replace(job, plain_reason="", reason="") for key, job in jobs.items()}


class NumbersFromOne(FakeDialect):
    variables = replace(FakeDialect.variables, index="1")


class AcceptsEveryQueue(FakeDialect):
    def submit_command(self, job: object, count: int = 1) -> Command:
        asked = super().submit_command(job, count)  # type: ignore[arg-type]  # a wider parameter
        return replace(asked, stdin=(asked.stdin or "").replace("no-such-queue", "long"))


class ListsQueuesTwice(FakeDialect):
    def read_queues(self, result: Result) -> tuple[BatchQueue, ...]:
        return super().read_queues(result) * 2


class ListsWhatItLikes(FakeDialect):
    def status_command(self, user: str, tags: Collection[Tag]) -> Command:
        return super().status_command(user, sorted(tags)[:1])


class ForgetsTheEnd(FakeDialect):
    def read_status(self, result: Result) -> Mapping[JobId, JobStatus]:
        jobs = super().read_status(result)
        return {key: job for key, job in jobs.items() if not job.state.is_final}


def bench(system: FakeDialect, directory: Path) -> Bench:
    clock = FakeClock()
    fake = FakeSystem(clock, start_delay=1.0)
    return Bench(queue=Queue(system, fake, user="me"), directory=directory, clock=clock)


@pytest.mark.parametrize(
    ("system", "check"),
    [
        (ForgetsIndices(), conformance.check_an_array_has_one_job_for_each_index),
        (CallsEverythingDone(), conformance.check_a_failed_job_has_its_exit_code),
        (CallsEverythingDone(), conformance.check_a_running_job_can_be_cancelled),
        (CallsEverythingDone(), conformance.check_a_waiting_job_can_be_cancelled),
        (CallsEverythingDone(), conformance.check_a_job_ends_at_its_walltime),
        (ListsNothing(), conformance.check_a_job_runs_and_is_done),
        (ListsNothing(), conformance.check_a_submission_is_listed_at_once),
        (CancelsOnlyTheFirst(), conformance.check_many_jobs_can_be_cancelled_together),
        (CancelsOnlyTheFirst(), conformance.check_cancelling_what_is_gone_is_no_error),
        (GivesNoReasons(), conformance.check_a_waiting_job_has_a_reason),
        (NumbersFromOne(), conformance.check_a_job_knows_which_one_it_is),
        (AcceptsEveryQueue(), conformance.check_an_unknown_queue_is_refused),
        (ListsQueuesTwice(), conformance.check_the_queues_are_listed),
        (ListsWhatItLikes(), conformance.check_only_the_tags_asked_for_are_listed),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
async def test_a_system_that_breaks_the_contract_is_found_out(
    system: FakeDialect, check: Callable[[Bench], Awaitable[None]], tmp_path: Path
) -> None:
    with pytest.raises(Nonconformance):
        await check(bench(system, tmp_path))


async def test_a_system_that_forgets_how_jobs_ended_passes_only_if_that_is_said(
    tmp_path: Path,
) -> None:
    class HasNoHistory(ForgetsTheEnd):
        def history_commands(self, ids: Sequence[JobId]) -> tuple[Command, ...]:
            return ()

    forgetful = bench(HasNoHistory(), tmp_path)
    with pytest.raises(Nonconformance, match="nothing is said of the end"):
        await conformance.check_a_failed_job_has_its_exit_code(forgetful)
    await conformance.check_a_failed_job_has_its_exit_code(replace(forgetful, remembers=False))


def test_every_check_is_in_the_list() -> None:
    written = {name for name in vars(conformance) if name.startswith("check_")}
    assert {check.__name__ for check in CHECKS} == written
