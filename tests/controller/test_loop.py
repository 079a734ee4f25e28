from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dask_hpc.batch.model import JobSpec, JobState, Tag
from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.cluster.slot import Slot
from dask_hpc.controller.adaptive import Bounds
from dask_hpc.controller.journal import Entry, Event, read_journal
from dask_hpc.controller.sweep import open_tags
from dask_hpc.errors import CommandMissing, ConfigError, SubmitRejected
from dask_hpc.testing import ScriptedRunner
from tests.controller.world import A_JOB, World, a_neighbour, a_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from dask_hpc.process.runner import Command, Result
    from dask_hpc.testing import FakeJob, FakeSystem


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(tmp_path) as world:
        yield world


def events(world: World) -> list[Event]:
    return [entry.event for entry in entries(world)]


def entries(world: World) -> tuple[Entry, ...]:
    return read_journal(ClusterDirectory(world.spec.directory).journal)


# up -----------------------------------------------------------------------------------------------


async def test_jobs_are_submitted_in_one_array_and_serve(world: World) -> None:
    await world.controller.scale(3)
    assert world.submitted == [3]
    assert await world.serving(3)
    report = world.controller.report()
    assert (report.wanted, report.workers, report.workers_per_job) == (3, 6, 2)
    assert [job.job for job in report.jobs] == ["1.0", "1.1", "1.2"]
    assert {job.host for job in report.jobs} == {"node1"}
    assert report.trouble is None


async def test_one_job_is_no_array(world: World) -> None:
    await world.controller.scale(1)
    assert await world.serving(1)
    assert [job.job for job in world.jobs()] == ["1"]


async def test_more_jobs_are_one_more_submission(world: World) -> None:
    await world.controller.scale(2)
    assert await world.serving(2)
    await world.controller.scale(5)
    assert world.submitted == [2, 3]
    assert await world.serving(5)


async def test_an_intent_is_on_disk_before_its_submission(world: World) -> None:
    seen: list[list[Event]] = []
    world.system.on_start(lambda _: seen.append(events(world)))
    await world.controller.scale(1)
    assert seen == [[Event.SCALE, Event.INTENT]]
    intent, submitted = entries(world)[1:3]
    assert intent.tag == submitted.tag
    assert (intent.count, submitted.jobs) == (1, ("1",))


async def test_without_a_journal_nothing_is_submitted(world: World) -> None:
    ClusterDirectory(world.spec.directory).journal.mkdir()
    with pytest.raises(OSError, match="directory"):
        await world.controller.scale(1)
    assert world.submitted == []


async def test_jobs_of_which_nobody_sees_records_serve_all_the_same(world: World) -> None:
    world.crew.habits.records = False
    await world.controller.scale(3)
    assert await world.serving(3)


async def test_a_pending_job_has_the_reason_of_the_queue(tmp_path: Path) -> None:
    async with a_world(tmp_path, cores=4) as world:
        await world.controller.scale(2)
        assert await world.until(lambda: len(world.jobs("running")) == 1)
        assert await world.until(lambda: bool(world.jobs("pending")[0].reason))
        assert world.jobs("pending")[0].reason == "other jobs are ahead of it"
        assert world.controller.report().waits_for == "the queue: other jobs are ahead of it"


async def test_a_job_that_runs_is_no_matter_for_the_queue(world: World) -> None:
    await world.controller.scale(2)
    assert await world.serving(2)
    await world.later(2)
    listings = world.asked("status")
    await world.later(3600)
    assert world.asked("status") == listings


# replacement --------------------------------------------------------------------------------------


@pytest.mark.parametrize("records", [True, False])
async def test_a_killed_job_is_replaced_and_the_reason_kept(world: World, records: bool) -> None:
    world.crew.habits.records = records
    await world.controller.scale(3)
    assert await world.serving(3)
    killed = world.live[1]
    world.system.end(killed.id, JobState.CANCELLED)
    assert await world.until(lambda: len(world.submitted) == 2, 5)
    assert await world.serving(3)
    assert world.submitted == [3, 1]
    assert "submitted 2: 2 of 3 wanted jobs: job 1.1 ended (it was cancelled)" in world.why()
    assert world.controller.report().trouble is None


async def test_a_job_whose_script_ended_is_replaced_by_its_record_alone(world: World) -> None:
    await world.controller.scale(1)
    assert await world.serving(1)
    world.system.be_silent("status", times=1000)
    world.system.end(world.live[0].id, JobState.FAILED, exit_code=9)
    assert await world.until(lambda: len(world.submitted) == 2, 2)
    assert "it ended with exit code 9" in world.why()


async def test_a_job_that_vanished_is_replaced(world: World) -> None:
    await world.controller.scale(2)
    assert await world.serving(2)
    lost = world.live[0]
    world.system.forget(lost.id)
    world.crew.disconnect(slot_of(lost))
    assert await world.serving(2)
    assert "the queue forgot it" in world.why()


async def test_history_tells_how_a_job_ended_that_the_queue_forgot(tmp_path: Path) -> None:
    async with a_world(tmp_path, listed_for=0) as world:
        world.crew.habits.records = False
        await world.controller.scale(1)
        assert await world.serving(1)
        world.system.end(world.live[0].id, JobState.OUT_OF_MEMORY)
        assert await world.until(lambda: len(world.submitted) == 2)
        assert world.asked("history") == 1
        assert "job 1 ended (it needed more memory than it asked for" in world.why()


async def test_history_is_asked_also_for_jobs_that_vanish_while_it_answers(tmp_path: Path) -> None:
    async with a_world(tmp_path, listed_for=0) as world:
        world.crew.habits.records = False
        await world.controller.scale(2)
        assert await world.serving(2)
        first, second = world.live
        world.system.slow_down("history", seconds=8)
        world.system.end(first.id, JobState.FAILED, exit_code=1)
        assert await world.until(lambda: world.asked("history") == 1)
        world.system.end(second.id, JobState.OUT_OF_MEMORY)
        assert await world.until(lambda: sum(world.submitted) == 4, 60)
        assert world.asked("history") == 2
        assert "the queue forgot it" not in world.why()


async def test_without_history_a_job_that_two_listings_do_not_show_is_lost(
    tmp_path: Path,
) -> None:
    async with a_world(tmp_path, listed_for=0) as world:
        world.crew.habits.records = False
        await world.controller.scale(1)
        assert await world.serving(1)
        world.system.be_silent("history", times=100)
        world.system.end(world.live[0].id, JobState.OUT_OF_MEMORY)
        assert await world.until(lambda: len(world.submitted) == 2)
        assert "the queue forgot it" in world.why()


async def test_workers_that_come_back_in_time_cost_no_job(world: World) -> None:
    await world.controller.scale(1)
    assert await world.serving(1)
    slot = slot_of(world.live[0])
    world.crew.disconnect(slot)
    assert await world.until(lambda: len(world.jobs("missing")) == 1, 2)
    await world.later(10)
    world.crew.connect(slot)
    assert await world.until(lambda: len(world.jobs("running")) == 1, 2)
    await world.later(60)
    assert world.submitted == [1]


async def test_a_job_whose_workers_do_not_come_back_is_replaced(world: World) -> None:
    await world.controller.scale(1)
    assert await world.serving(1)
    silent = world.live[0]
    world.crew.disconnect(slot_of(silent))
    assert await world.until(lambda: len(world.submitted) == 2, 20)
    assert await world.serving(1)
    assert silent.state is JobState.CANCELLED
    assert "cancel 1: its workers are gone for 15 s" in world.why()


async def test_a_job_is_replaced_before_its_walltime_ends(tmp_path: Path) -> None:
    short = replace(A_JOB, walltime=400.0)
    async with a_world(tmp_path, settings={"worker": short}) as world:
        await world.controller.scale(1)
        assert await world.serving(1)
        first = world.live[0]
        await world.later(300)
        assert world.submitted == [1]
        assert await world.until(lambda: len(world.submitted) == 2, 20)
        assert await world.until(lambda: slot_of(first) in world.crew.drained, 20)
        assert len(world.jobs("running")) == 1, "its successor serves before it leaves"
        assert await world.serving(1)
        assert first.state is JobState.DONE
        assert "0 of 1 wanted jobs: job 1 leaves (its walltime ends soon)" in world.why()
        assert "retire 1: its walltime ends soon, and another has taken its place" in world.why()


async def test_a_successor_is_asked_for_as_long_before_as_the_queue_lately_took(
    tmp_path: Path,
) -> None:
    short = replace(A_JOB, walltime=4000.0)
    async with a_world(tmp_path, settings={"worker": short}) as world:
        world.crew.habits.boots = 200.0
        await world.controller.scale(1)
        assert await world.serving(1, 300)
        leaves = world.clock.time() - 200 + 4000 - 90
        assert await world.until(lambda: len(world.submitted) == 2, 4000)
        assert 240 < leaves - world.clock.time() < 270
        assert await world.serving(1, 300)
        assert world.submitted == [1, 1]


async def test_a_queue_that_takes_longer_than_a_job_lives_gets_no_flood(tmp_path: Path) -> None:
    short = replace(A_JOB, walltime=400.0)
    async with a_world(tmp_path, settings={"worker": short, "start_timeout": 1e4}) as world:
        world.crew.habits.boots = 300.0
        await world.controller.scale(1)
        await world.later(4000)
        assert len(world.submitted) < 25
        assert len(world.live) <= 3


async def test_a_short_job_is_not_retired_before_three_quarters_of_its_walltime(
    tmp_path: Path,
) -> None:
    short = replace(A_JOB, walltime=60.0)
    async with a_world(tmp_path, settings={"worker": short}) as world:
        await world.controller.scale(1)
        assert await world.serving(1)
        await world.later(40)
        assert world.submitted == [1]


# refusals -----------------------------------------------------------------------------------------


async def test_a_refused_submission_raises_its_words_and_leaves_no_job(world: World) -> None:
    world.system.refuse("Invalid account")
    with pytest.raises(SubmitRejected, match="Invalid account") as refused:
        await world.controller.scale(3)
    assert refused.value.hint
    report = world.controller.report()
    assert (report.jobs, report.halted) == ((), "Invalid account")
    assert report.waits_for == "somebody to call scale: Invalid account"
    assert report.trouble
    assert (report.trouble.kind, report.trouble.hint) == ("SubmitRejected", refused.value.hint)
    assert "refused: Invalid account" in world.why()
    assert open_tags(entries(world)) == ()


async def test_after_a_refusal_nothing_is_submitted_until_somebody_scales(world: World) -> None:
    world.system.refuse()
    with pytest.raises(SubmitRejected):
        await world.controller.scale(3)
    await world.later(600)
    assert world.submitted == [3]
    await world.controller.scale(3)
    assert await world.serving(3)
    assert world.controller.report().trouble is None
    assert world.controller.report().halted == ""


async def test_a_refusal_costs_no_job_that_is_there(world: World) -> None:
    await world.controller.scale(2)
    assert await world.serving(2)
    world.system.refuse()
    with pytest.raises(SubmitRejected):
        await world.controller.scale(4)
    assert await world.serving(2)


async def test_an_array_that_a_limit_refuses_is_halved_until_it_fits(tmp_path: Path) -> None:
    async with a_world(tmp_path, most_jobs=11) as world:
        await world.controller.scale(16)
        assert world.submitted == [16, 8, 4, 2, 1]
        assert await world.serving(11)
        assert "room below a limit" in world.controller.report().waits_for
        assert world.controller.report().halted == ""


async def test_below_a_limit_it_tries_again_less_and_less_often(tmp_path: Path) -> None:
    async with a_world(tmp_path, most_jobs=2) as world:
        await world.controller.scale(3)
        assert world.submitted == [3, 1, 1]
        assert await world.serving(2)
        tries = len(world.submitted)
        await world.later(3600)
        assert 5 <= len(world.submitted) - tries <= 12


async def test_a_limit_that_is_no_matter_any_more_keeps_nobody_awake(tmp_path: Path) -> None:
    async with a_world(tmp_path, most_jobs=2) as world:
        world.crew.work = 8
        await world.controller.adapt(Bounds(minimum=0, maximum=10, interval=60.0))
        assert await world.until(lambda: len(world.jobs("running")) == 2)
        world.crew.work = 4
        await world.later(600)
        looks = world.crew.looks
        await world.later(3600)
        assert world.crew.looks - looks < 400
        assert world.controller.report().waits_for == ""


async def test_a_job_that_ends_makes_room_below_a_limit_at_once(tmp_path: Path) -> None:
    async with a_world(tmp_path, most_jobs=2) as world:
        await world.controller.scale(3)
        await world.later(300)
        world.system.end(world.live[0].id, JobState.CANCELLED)
        assert await world.until(lambda: len(world.live) == 2, 5)


async def test_what_a_queue_is_known_to_allow_is_not_exceeded(tmp_path: Path) -> None:
    async with a_world(tmp_path, settings={"max_jobs": 2}) as world:
        await world.controller.scale(5)
        assert await world.serving(2)
        assert world.submitted == [2]
        waits_for = world.controller.report().waits_for
        assert waits_for == "nothing: its queue allows 2 jobs of a user"
        await world.controller.scale(1)
        assert await world.serving(1)


async def test_a_job_whose_workers_never_connect_is_cancelled_and_counts_as_failed(
    tmp_path: Path,
) -> None:
    async with a_world(tmp_path, settings={"start_timeout": 60.0}) as world:
        world.crew.habits.boots = 1e9
        await world.controller.scale(1)
        assert await world.until(lambda: world.asked("cancel") == 1, 70)
        assert "cancel 1: no worker of it connected in 60 s" in world.why()
        await world.later(600)
        report = world.controller.report()
        assert world.submitted == [1, 1, 1]
        assert report.halted == "3 jobs in a row ended before a worker started"
        assert report.trouble
        assert "no worker of it connected" in report.trouble.message
        assert world.live == []


@pytest.mark.parametrize("wanted", [2, 4, 40])
async def test_jobs_that_hang_together_stay_within_the_bound(tmp_path: Path, wanted: int) -> None:
    async with a_world(tmp_path, settings={"start_timeout": 60.0}) as world:
        world.crew.habits.boots = 1e9
        await world.controller.scale(wanted)
        await world.later(600)
        assert sum(world.submitted) <= wanted + 3
        assert "jobs in a row ended before a worker started" in world.controller.report().halted
        assert world.live == []


async def test_who_scales_while_jobs_that_hang_still_leave_gets_others(tmp_path: Path) -> None:
    async with a_world(tmp_path, settings={"start_timeout": 60.0}) as world:
        world.crew.habits.boots = 1e9
        world.crew.habits.records = False  # their end is seen in the next listing,
        world.system.slow_down("status", seconds=9)  # which takes its time
        await world.controller.scale(4)
        assert await world.until(lambda: bool(world.controller.report().halted), 100)
        assert len(world.jobs("draining")) == 4
        world.crew.habits.boots = 1.0
        await world.controller.scale(4)
        assert await world.serving(4)
        assert world.submitted == [4, 4]


async def test_a_job_that_cannot_be_written_is_a_refusal(tmp_path: Path) -> None:
    odd = replace(A_JOB, directives=("--one\n--two",))
    async with a_world(tmp_path, settings={"worker": odd}) as world:
        with pytest.raises(ConfigError):
            await world.controller.scale(1)
        await world.later(600)
        report = world.controller.report()
        assert (report.jobs, world.submitted) == ((), [])
        assert "'--one\\n--two'" in report.halted


async def test_a_batch_system_that_is_not_installed_is_a_refusal(tmp_path: Path) -> None:
    async with a_world(tmp_path, runner=lambda _: ScriptedRunner()) as world:
        with pytest.raises(CommandMissing):
            await world.controller.scale(1)
        assert world.controller.report().jobs == ()


# submissions without an answer --------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 3, 40])
async def test_a_submission_that_was_accepted_without_an_answer_is_adopted(
    world: World, count: int
) -> None:
    world.system.lose_answer("submit")
    await world.controller.scale(count)
    assert len(world.jobs("submitting")) == count
    assert await world.serving(count)
    await world.later(600)
    assert world.submitted == [count]
    assert all(job.job for job in world.jobs())


async def test_a_submission_that_is_adopted_has_its_ids_from_records_too(world: World) -> None:
    world.system.lose_answer("submit")
    world.system.be_silent("status", times=1000)
    await world.controller.scale(2)
    assert await world.serving(2)
    assert {job.job for job in world.jobs()} == {"1.0", "1.1"}


@pytest.mark.parametrize("count", [1, 3, 40])
async def test_a_submission_that_never_arrived_is_made_again_after_two_listings(
    world: World, count: int
) -> None:
    world.system.be_silent("submit")
    await world.controller.scale(count)
    assert await world.until(lambda: len(world.submitted) == 2)
    assert world.asked("status") >= 2
    assert await world.serving(count)
    await world.later(600)
    assert world.submitted == [count, count]
    assert "the queue never took it" in world.why()


async def test_while_no_listing_succeeds_nothing_is_submitted_again(world: World) -> None:
    world.system.be_silent("submit")
    world.system.be_silent("status", times=5)
    await world.controller.scale(2)
    await world.later(50)
    assert world.submitted == [2]
    assert await world.until(lambda: len(world.submitted) == 2, 600)
    assert await world.serving(2)


async def test_a_batch_system_that_never_takes_anything_is_asked_three_times(world: World) -> None:
    world.system.be_silent("submit", times=1000)
    await world.controller.scale(5)
    await world.later(3600)
    assert world.submitted == [5, 5, 5]
    assert world.controller.report().halted
    assert world.live == []


class Banner:
    """Lets a site's words take the place of the first ids."""

    def __init__(self, system: FakeSystem) -> None:
        self._system = system
        self._left = 1

    async def run(self, command: Command, *, timeout: float = 60) -> Result:
        result = await self._system.run(command, timeout=timeout)
        if command.argv[1] != "submit" or not self._left:
            return result
        self._left -= 1
        return replace(result, stdout="Welcome to the machine")


async def test_a_submission_whose_answer_cannot_be_read_is_looked_for_as_well(
    tmp_path: Path,
) -> None:
    async with a_world(tmp_path, runner=Banner) as world:
        await world.controller.scale(3)
        assert await world.serving(3)
        await world.later(600)
        assert world.submitted == [3]
        assert await world.controller.stop() == ()
        assert world.live == []


async def test_listings_that_were_begun_before_the_answer_are_no_evidence(world: World) -> None:
    await world.controller.scale(1)
    world.system.slow_down("submit", seconds=9.0)
    world.system.slow_down("status", seconds=3.0)
    await world.controller.scale(2)
    assert await world.serving(2)
    await world.later(60)
    assert world.submitted == [1, 1]


# down ---------------------------------------------------------------------------------------------


async def test_scale_down_takes_pending_jobs_first(tmp_path: Path) -> None:
    async with a_world(tmp_path, cores=8) as world:
        await world.controller.scale(5)
        assert await world.until(lambda: len(world.jobs("running")) == 2)
        await world.controller.scale(2)
        assert await world.serving(2)
        assert world.crew.drained == []
        assert world.asked("cancel") == 1
        assert ": 5 jobs, 2 wanted" in world.why()


async def test_a_job_that_serves_is_drained_and_ends_by_itself(world: World) -> None:
    await world.controller.scale(3)
    assert await world.serving(3)
    world.crew.busy.update(slot_of(job) for job in world.live[:2])
    idle = world.live[2]
    await world.controller.scale(2)
    assert world.jobs("draining")[0].job == idle.id
    assert await world.serving(2)
    assert world.crew.drained == [slot_of(idle)]
    assert idle.state is JobState.DONE
    assert world.asked("cancel") == 0


async def test_a_drained_job_that_stays_is_ended(world: World) -> None:
    world.crew.habits.stays = True
    await world.controller.scale(2)
    assert await world.serving(2)
    await world.controller.scale(0)
    assert await world.serving(0)
    assert {job.state for job in world.system.jobs.values()} == {JobState.CANCELLED}


async def test_a_drain_that_fails_ends_the_job_all_the_same(world: World) -> None:
    await world.controller.scale(1)
    assert await world.serving(1)
    world.crew.drain_error = OSError("connection reset")
    await world.controller.scale(0)
    assert await world.serving(0)


async def test_a_cancellation_without_an_answer_is_said_again(tmp_path: Path) -> None:
    async with a_world(tmp_path, cores=4) as world:
        await world.controller.scale(2)
        assert await world.until(lambda: len(world.jobs("running")) == 1)
        world.system.be_silent("cancel", times=2)
        await world.controller.scale(1)
        assert await world.serving(1)
        assert world.asked("cancel") == 3


async def test_a_job_without_an_id_is_ended_as_soon_as_it_has_one(world: World) -> None:
    world.crew.habits.records = False
    world.crew.habits.stays = True
    await world.controller.scale(1)
    assert await world.serving(1)
    world.system.lose_answer("submit")
    world.system.be_silent("status", times=5)
    await world.controller.scale(2)
    assert await world.until(lambda: len(world.jobs("running")) == 2)
    assert [job.job for job in world.jobs()] == ["1", None]
    await world.controller.scale(0)
    assert await world.serving(0, 300)


async def test_a_job_that_was_cancelled_is_soon_known_to_be_gone(tmp_path: Path) -> None:
    async with a_world(tmp_path, cores=1) as world:
        await world.controller.scale(1)
        await world.later(600)  # the queue is asked once a minute by now
        await world.controller.scale(0)
        assert await world.until(lambda: not world.jobs(), 3)


async def test_hundreds_of_jobs_leave_at_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    await world.controller.scale(130)
    assert await world.serving(130)
    await world.controller.scale(0)
    assert await world.serving(0)
    assert world.asked("cancel") == 0
    await world.later(60)
    assert caplog.records == []
    assert len(world.controller.report().jobs) == 100


async def test_a_storm_of_changes_ends_where_it_was_told_to(world: World) -> None:
    for _ in range(8):
        await world.controller.scale(12)
        await world.controller.scale(0)
    assert await world.serving(0, 120)
    await world.controller.scale(2)
    assert await world.serving(2)


async def test_a_full_disk_does_not_keep_jobs_from_leaving(world: World) -> None:
    await world.controller.scale(2)
    assert await world.serving(2)
    journal = ClusterDirectory(world.spec.directory).journal
    journal.unlink()
    journal.mkdir()
    await world.controller.scale(0)
    assert await world.serving(0)
    assert await world.controller.stop() == ()


# jobs that do not start ---------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", [1, 2, 3, 10])
async def test_jobs_that_do_not_start_halt_it_with_the_tail_of_the_first_log(
    world: World, wanted: int
) -> None:
    world.crew.habits.fails = 7
    await world.controller.scale(wanted)
    begun = world.clock.monotonic()
    assert await world.until(lambda: world.controller.report().trouble is not None, 5)
    assert world.clock.monotonic() - begun <= 5
    trouble = world.controller.report().trouble
    assert trouble
    assert trouble.kind == "JobFailed"
    assert trouble.job in ("1", "1.0")
    assert trouble.log_tail == "prologue: exit 7"
    assert "exit code 7" in trouble.message
    assert trouble.job in trouble.message
    assert await world.until(lambda: bool(world.controller.report().halted))
    await world.later(3600)
    assert world.controller.report().trouble == trouble
    assert sum(world.submitted) <= wanted + 3
    assert "halt: " in world.why()
    assert world.live == []


async def test_jobs_that_fail_one_by_one_stay_within_the_bound(tmp_path: Path) -> None:
    async with a_world(tmp_path, cores=4) as world:
        world.crew.habits.fails = 7
        await world.controller.scale(10)
        await world.later(3600)
        assert sum(world.submitted) <= 13
        assert world.controller.report().halted


async def test_who_scales_again_is_forgiven(world: World) -> None:
    world.crew.habits.fails = 7
    await world.controller.scale(3)
    assert await world.until(lambda: bool(world.controller.report().halted))
    world.crew.habits.fails = None
    await world.controller.scale(3)
    report = world.controller.report()
    assert (report.halted, report.trouble) == ("", None)
    assert await world.serving(3)


async def test_failures_count_in_a_row_only(world: World) -> None:
    await world.controller.scale(1)
    for _ in range(3):
        assert await world.serving(1)
        world.crew.habits.fails, world.crew.habits.failures = 7, 2
        world.system.end(world.live[0].id, JobState.CANCELLED)
        assert await world.until(lambda: world.crew.habits.failures == 0)
    assert await world.serving(1)
    assert len(world.submitted) == 10
    assert world.controller.report().halted == ""


# a batch system in trouble ------------------------------------------------------------------------


async def test_an_outage_of_the_batch_system_changes_nothing(tmp_path: Path) -> None:
    async with a_world(tmp_path, cores=8) as world:
        await world.controller.scale(4)
        assert await world.until(lambda: len(world.jobs("running")) == 2)
        before = {(job.slot, job.phase) for job in world.jobs()}
        world.system.be_silent("status", times=25)
        began = world.clock.time()
        await world.later(300)
        assert {(job.slot, job.phase) for job in world.jobs()} == before
        report = world.controller.report()
        assert report.waits_for == "the batch system to answer"
        assert report.unanswered_since is not None
        assert 0 <= report.unanswered_since - began <= 60
        await world.later(600)
        assert world.controller.report().unanswered_since is None
        assert {(job.slot, job.phase) for job in world.jobs()} == before
        assert world.submitted == [4]


async def test_an_empty_listing_changes_nothing(tmp_path: Path) -> None:
    async with a_world(tmp_path, cores=8) as world:
        await world.controller.scale(4)
        assert await world.until(lambda: len(world.jobs("running")) == 2)
        for _ in range(5):
            world.system.list_nothing()
            await world.later(70)
        assert len(world.jobs("pending")) == 2
        assert world.submitted == [4]


async def test_a_queue_that_shows_nothing_for_long_is_forgiven_and_costs_no_job(
    tmp_path: Path,
) -> None:
    async with a_world(tmp_path, cores=3) as world:  # they wait for ever
        world.system.list_nothing(times=6)
        await world.controller.scale(2)
        assert await world.until(lambda: bool(world.controller.report().halted))
        assert world.controller.report().trouble
        assert await world.until(lambda: len(world.live) == 2)
        assert len(world.jobs("pending")) == 2
        assert "turned up again" in world.why()
        report = world.controller.report()
        assert (report.halted, report.trouble) == ("", None)
        # And a job that ends then is replaced as ever.
        world.system.end(world.live[0].id, JobState.CANCELLED)
        assert await world.until(lambda: len(world.submitted) == 3, 100)


async def test_the_end_of_another_job_in_its_place_is_not_the_end_of_a_job(world: World) -> None:
    await world.controller.scale(1)
    assert await world.serving(1)
    (job,) = world.live
    slot = Slot(job.tag, job.index)
    record = {"slot": str(slot), "job": "another", "host": "node1", "time": 1.0, "code": 0}
    path = ClusterDirectory(world.spec.directory).jobs / f"{slot}.end"
    path.write_text(json.dumps(record), encoding="utf-8")
    world.controller.wake()
    await world.later(5)
    assert await world.serving(1)
    assert world.submitted == [1]


async def test_two_clusters_ask_the_batch_system_as_one(tmp_path: Path) -> None:
    async with a_world(tmp_path, cores=4) as world, a_neighbour(world) as neighbour:
        await world.controller.scale(2)
        await neighbour.scale(2)
        await world.later(30)
        tags = {job.tag for job in world.system.jobs.values()}
        assert len(tags) == 2
        listings = [one for one in world.system.commands if one.argv[1] == "status"]
        assert set(listings[-1].argv[3:]) == tags
        assert len(listings) < 15
        assert await neighbour.stop() == ()
        await world.later(70)
        assert len(world.live) == 2
        last = [one for one in world.system.commands if one.argv[1] == "status"][-1]
        assert len(last.argv[3:]) == 1


async def test_what_happens_together_is_looked_at_once(world: World) -> None:
    await world.controller.scale(2)
    assert await world.serving(2)
    await world.later(5)
    before = world.crew.looks
    for _ in range(100):
        world.controller.wake()
        await world.later(0.01)
    assert world.crew.looks - before <= 12


async def test_one_look_that_fails_is_not_the_last(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    await world.controller.scale(2)
    assert await world.serving(2)
    world.crew.error = RuntimeError("one bad look")
    world.controller.wake()
    assert await world.until(lambda: "one bad look" in caplog.text)
    world.system.end(world.live[0].id, JobState.CANCELLED)
    assert await world.serving(2)
    assert world.submitted == [2, 1]


# adaptive -----------------------------------------------------------------------------------------


async def test_it_grows_with_the_work_and_shrinks_when_three_looks_found_less(
    world: World,
) -> None:
    await world.controller.adapt(Bounds(minimum=0, maximum=10, interval=5))
    assert world.submitted == []
    world.crew.work = 6
    assert await world.until(lambda: len(world.live) == 3, 6)
    assert await world.serving(3)
    world.crew.work = 0
    for _ in range(20):
        world.controller.wake()
        await world.later(0.25)
    assert len(world.jobs("running")) == 3
    assert await world.serving(0)
    report = world.controller.report()
    assert (report.wanted, report.minimum, report.maximum) == (0, 0, 10)


async def test_an_adaptive_cluster_keeps_its_minimum_and_its_maximum(world: World) -> None:
    await world.controller.adapt(Bounds(minimum=2, maximum=4))
    assert await world.serving(2)
    world.crew.work = 1000
    assert await world.serving(4)


async def test_a_fixed_size_ends_the_adapting(world: World) -> None:
    await world.controller.adapt(Bounds(minimum=2, maximum=4))
    assert await world.serving(2)
    await world.controller.scale(1)
    world.crew.work = 1000
    await world.later(60)
    assert await world.serving(1)
    assert world.controller.report().maximum is None


# the end ------------------------------------------------------------------------------------------


async def test_stopping_leaves_nothing_in_the_batch_system(tmp_path: Path) -> None:
    async with a_world(tmp_path, cores=8) as world:
        await world.controller.scale(4)
        assert await world.until(lambda: len(world.jobs("running")) == 2)
        assert await world.controller.stop() == ()
        assert world.live == []
        assert world.clock.monotonic() < 30


async def test_stopping_leaves_no_submission_that_had_no_answer(world: World) -> None:
    world.system.lose_answer("submit")
    await world.controller.scale(3)
    assert await world.controller.stop() == ()
    assert world.live == []


async def test_stopping_ends_a_submission_that_turned_up_too_late(world: World) -> None:
    world.crew.habits.records, world.crew.habits.boots = False, 1000
    world.system.lose_answer("submit")
    world.system.list_nothing(times=3)
    await world.controller.scale(1)
    assert await world.until(lambda: len(world.submitted) == 2)
    assert len(world.live) == 2
    assert await world.controller.stop() == ()
    assert world.live == []


async def test_stopping_ends_jobs_that_two_listings_in_a_row_concealed(tmp_path: Path) -> None:
    async with a_world(tmp_path, cores=1) as world:
        world.system.list_nothing(times=2)
        await world.controller.scale(2)
        assert await world.until(lambda: len(world.submitted) == 2)
        assert len(world.live) == 4
        assert open_tags(entries(world)) == tuple({job.tag: None for job in world.live})
        assert await world.controller.stop() == ()
        assert world.live == []


async def test_stopping_does_not_wait_for_those_who_leave(world: World) -> None:
    await world.controller.scale(2)
    assert await world.serving(2)
    await world.controller.scale(0)
    await world.later(1)
    assert len(world.crew.draining) == 2
    assert await world.controller.stop() == ()
    assert world.crew.draining == set()
    assert world.live == []


async def test_stopping_waits_for_a_submission_that_is_under_way(world: World) -> None:
    world.system.slow_down("submit", seconds=5)
    scaling = asyncio.ensure_future(world.controller.scale(3))
    await world.later(1)
    assert await world.controller.stop() == ()
    await scaling
    assert world.live == []


async def test_after_the_end_nothing_is_submitted_and_nobody_is_asked(world: World) -> None:
    await world.controller.scale(2)
    await world.controller.stop()
    await world.controller.scale(5)
    await world.until(world.tasks[1].done)
    asked = len(world.system.commands)
    await world.later(600)
    assert world.live == []
    assert len(world.system.commands) == asked


async def test_jobs_of_which_the_batch_system_says_nothing_are_not_called_ended(
    world: World,
) -> None:
    await world.controller.scale(2)
    assert await world.serving(2)
    world.system.be_silent("status", times=100)
    assert await world.controller.stop() == ("1.0", "1.1")


async def test_jobs_of_others_are_never_touched(world: World) -> None:
    theirs = JobSpec(tag=Tag("climate-2-theirs"), resources=A_JOB, body="run", log="/{index}")
    await world.system.queue().submit(theirs, 2)
    await world.controller.scale(2)
    assert await world.until(lambda: len(world.jobs("running")) == 2)
    assert len(world.jobs()) == 2
    await world.controller.stop()
    assert [job.tag for job in world.live] == [theirs.tag] * 2


def slot_of(job: FakeJob) -> Slot:
    return Slot(job.tag, job.index)
