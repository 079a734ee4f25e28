"""The contract of a batch system as checks that run on any queue, simulated or real.

A plugin's test is a few lines::

    @pytest.mark.parametrize("check", conformance.CHECKS, ids=lambda check: check.__name__)
    async def test_the_contract_is_kept(check, tmp_path):
        queue = Queue(MySystem(), LocalRunner(), user=getpass.getuser())
        await check(Bench(queue=queue, directory=tmp_path))

Scripts of the checks are made of ``echo``, ``sleep`` and ``exit`` alone.
"""

from __future__ import annotations

import secrets
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from dask_hpc._clock import Clock, SystemClock
from dask_hpc.batch.model import JobId, JobSpec, JobState, JobStatus, Resources, Tag
from dask_hpc.errors import SubmitRejected

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from dask_hpc.batch.queue import Queue

_SMALL = Resources(cores=1, memory=64 * 2**20, walltime=600.0)
_TOO_LARGE = replace(_SMALL, cores=1000)


class Nonconformance(AssertionError):
    """A batch system does not do what its users build on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What a check works with.

    Parameters
    ----------
    queue
        The batch system under test.
    directory
        Where logs go: seen at the same path here and by the jobs.
    small
        What a job asks for that can start at once, several at a time.
    waiting
        What a job asks for that is accepted and then waits with a reason; it need never start.
    nowhere
        A queue's name that the system refuses.
    walltime
        The shortest walltime in seconds that the system keeps.
    unknown
        An id in the form of the system, of a job that never was.
    remembers
        Whether the system tells how a job ended, in its listings or its history; some forget it
        at once.
    patience
        Seconds that a job may take to start, to end, or to be ended after its walltime.
    """

    queue: Queue
    directory: Path
    small: Resources = _SMALL
    waiting: Resources = _TOO_LARGE
    nowhere: str = "no-such-queue"
    walltime: float = 2.0
    unknown: JobId = JobId("999999")
    remembers: bool = True
    patience: float = 30.0
    clock: Clock = field(default_factory=SystemClock)

    def job(self, *body: str, resources: Resources | None = None) -> JobSpec:
        """Return a new job of these lines."""
        tag = Tag(f"conf-{secrets.token_hex(4)}")
        return JobSpec(
            tag=tag,
            resources=resources or self.small,
            body="\n".join(body),
            log=str(self.directory / f"{tag}.{{index}}.log"),
            comment="a check of dask-hpc",
        )

    def log(self, job: JobSpec, index: int = 0) -> str:
        """Return what a job printed so far."""
        path = Path(job.log.replace("{index}", str(index)))
        return path.read_text(encoding="utf-8") if path.exists() else ""

    @asynccontextmanager
    async def submitted(self, job: JobSpec, count: int = 1) -> AsyncIterator[tuple[JobId, ...]]:
        """Enter with a job submitted, and leave with it cancelled."""
        ids = await self.queue.submit(job, count)
        try:
            yield ids
        finally:
            await self.queue.cancel(ids)

    async def listing(
        self,
        job: JobSpec,
        until: Callable[[Mapping[JobId, JobStatus]], bool],
        *,
        what: str,
        seconds: float | None = None,
    ) -> Mapping[JobId, JobStatus]:
        """Return the first listing of a submission that is as it should become."""
        deadline = self.clock.monotonic() + (self.patience if seconds is None else seconds)
        while True:
            listed = await self.queue.status((job.tag,))
            if until(listed):
                return listed
            if self.clock.monotonic() >= deadline:
                raise Nonconformance(f"waited for {what}, last seen: {dict(listed)}")
            await self.clock.sleep(0.2)

    async def ended(
        self, job: JobSpec, ids: tuple[JobId, ...], *, seconds: float | None = None
    ) -> Mapping[JobId, JobStatus]:
        """Return how jobs ended, as far as the queue or its history says."""
        seen: dict[JobId, JobStatus] = {}

        def over(listed: Mapping[JobId, JobStatus]) -> bool:
            seen.update(listed)
            return all(one not in listed or listed[one].state.is_final for one in ids)

        await self.listing(job, over, what=f"the end of {ids}", seconds=seconds)
        final = {one: status for one, status in seen.items() if status.state.is_final}
        unsaid = [one for one in ids if one not in final]
        return final | (dict(await self.queue.history(unsaid)) if unsaid else {})

    async def expect_end(
        self,
        job: JobSpec,
        job_id: JobId,
        *,
        state: JobState,
        exit_code: int | None = None,
        seconds: float | None = None,
    ) -> None:
        """Wait for the end of one job, and check what is said of it."""
        status = (await self.ended(job, (job_id,), seconds=seconds)).get(job_id)
        expect(status or not self.remembers, f"nothing is said of the end of {job_id}")
        if status:
            expect(status.state is state, f"{job_id} should be {state}, but it is {status}")
            right = exit_code is None or status.exit_code == exit_code
            expect(right, f"{job_id} should end with exit code {exit_code}, but it is {status}")


def expect(holds: object, otherwise: str) -> None:
    """Raise unless something holds."""
    if not holds:
        raise Nonconformance(otherwise)


def _all(state: JobState, count: int) -> Callable[[Mapping[JobId, JobStatus]], bool]:
    def become(listed: Mapping[JobId, JobStatus]) -> bool:
        return [job.state for job in listed.values()] == [state] * count

    return become


async def check_a_job_runs_and_is_done(bench: Bench) -> None:
    """A job is pending or running after its submission, then running, then done with code 0."""
    job = bench.job("echo begun", "sleep 3", "echo over", "exit 0")
    async with bench.submitted(job) as ids:
        expect(len(ids) == 1, f"one job has the ids {ids}")
        running = await bench.listing(job, _all(JobState.RUNNING, 1), what="running")
        status = running[ids[0]]
        expect(status.id == ids[0], f"submitted as {ids[0]}, listed as {status.id}")
        expect(status.tag == job.tag, f"submitted as {job.tag}, listed as {status.tag}")
        expect(status.index == 0, f"a job alone has the index {status.index}")
        expect(status.exit_code is None, f"a running job has the exit code {status.exit_code}")
        await bench.expect_end(job, ids[0], state=JobState.DONE, exit_code=0)
    expect(bench.log(job) == "begun\nover\n", f"its log is {bench.log(job)!r}")


async def check_a_submission_is_listed_at_once(bench: Bench) -> None:
    """What submit returned is in the next listing: else a controller would submit again."""
    job = bench.job("sleep 60")
    async with bench.submitted(job, 2) as ids:
        listed = await bench.queue.status((job.tag,))
        expect(set(listed) == set(ids), f"submitted {ids}, listed {dict(listed)}")
        live = (JobState.PENDING, JobState.RUNNING)
        expect(all(one.state in live for one in listed.values()), f"new jobs are {dict(listed)}")


async def check_a_failed_job_has_its_exit_code(bench: Bench) -> None:
    """A script that exits with 7 failed, and with 7."""
    job = bench.job("echo alas", "exit 7")
    async with bench.submitted(job) as ids:
        await bench.expect_end(job, ids[0], state=JobState.FAILED, exit_code=7)
    expect(bench.log(job) == "alas\n", f"its log is {bench.log(job)!r}")


async def check_an_array_has_one_job_for_each_index(bench: Bench) -> None:
    """Ids come in the order of indices, and each index has its own log."""
    job = bench.job("sleep 2", "exit 0")
    async with bench.submitted(job, 3) as ids:
        expect(len(set(ids)) == 3, f"three jobs have the ids {ids}")
        listed = await bench.listing(job, lambda jobs: len(jobs) == 3, what="three jobs")
        expect([listed[one].index for one in ids] == [0, 1, 2], f"{ids} are {dict(listed)}")
        for one in ids:
            await bench.expect_end(job, one, state=JobState.DONE, exit_code=0)


async def check_a_job_knows_which_one_it_is(bench: Bench) -> None:
    """The variables of the dialect say, inside a job, what submit returned."""
    known = bench.queue.system.variables
    for count in (1, 3):
        job = bench.job(f'echo "{known.job_id} {known.index}"', "exit 0")
        async with bench.submitted(job, count) as ids:
            await bench.ended(job, ids)
            for index, one in enumerate(ids):
                said = await _said(bench, job, index=index)
                expect(said == f"{one} {index}\n", f"job {one} of {count} says {said!r}")


async def check_the_log_is_where_it_was_asked_for(bench: Bench) -> None:
    """A path is taken by the letter, whatever it holds."""
    directory = bench.directory / "it's 100% a #1 place & ünï"
    directory.mkdir()
    job = bench.job("echo here", "exit 0")
    job = replace(job, log=str(directory / "the log.{index}"))
    async with bench.submitted(job) as ids:
        await bench.ended(job, ids)
        expect(await _said(bench, job) == "here\n", f"{directory} holds {[*directory.iterdir()]}")


async def check_a_waiting_job_has_a_reason(bench: Bench) -> None:
    """A job that cannot start is pending, and the system says why."""
    job = bench.job("exit 0", resources=bench.waiting)
    async with bench.submitted(job) as ids:
        listed = await bench.listing(
            job, lambda jobs: bool(jobs[ids[0]].plain_reason), what="a reason in plain words"
        )
        status = listed[ids[0]]
        expect(status.state.is_waiting, f"a job that cannot start is {status}")
        expect(status.reason, f"a job that cannot start gives no reason of the system: {status}")


async def check_a_waiting_job_can_be_cancelled(bench: Bench) -> None:
    """It is cancelled, or forgotten, and never runs."""
    job = bench.job("echo never", "exit 0", resources=bench.waiting)
    async with bench.submitted(job) as ids:
        await bench.queue.cancel(ids)
        await bench.expect_end(job, ids[0], state=JobState.CANCELLED)
    expect(not bench.log(job), f"it ran: {bench.log(job)!r}")


async def check_a_running_job_can_be_cancelled(bench: Bench) -> None:
    """It ends long before it would, as cancelled."""
    job = bench.job("echo begun", "sleep 300", "echo over")
    async with bench.submitted(job) as ids:
        await bench.listing(job, _all(JobState.RUNNING, 1), what="running")
        await bench.queue.cancel(ids)
        await bench.expect_end(job, ids[0], state=JobState.CANCELLED)
    expect("over" not in bench.log(job), "it ran to its end")


async def check_many_jobs_can_be_cancelled_together(bench: Bench) -> None:
    """Arrays in part and whole, single jobs and such as ended, in one call."""
    one, array = bench.job("sleep 300"), bench.job("sleep 300")
    async with bench.submitted(one) as single, bench.submitted(array, 4) as four:
        await bench.queue.cancel((*single, *four[1:]))
        await bench.ended(one, single)
        await bench.ended(array, four[1:])
        left = (await bench.queue.status((array.tag,))).get(four[0])
        expect(left and not left.state.is_final, f"{four[0]} was not to be cancelled: {left}")
        await bench.queue.cancel((*four, *single))
        await bench.ended(array, four)


async def check_cancelling_what_is_gone_is_no_error(bench: Bench) -> None:
    """Neither a job that ended nor one that never was is in the way of the rest."""
    over, living = bench.job("exit 0"), bench.job("sleep 300")
    async with bench.submitted(over) as ended, bench.submitted(living) as alive:
        await bench.ended(over, ended)
        await bench.queue.cancel(ended)
        await bench.queue.cancel((bench.unknown,))
        await bench.queue.cancel((bench.unknown, *ended, *alive))
        await bench.ended(living, alive)


async def check_a_job_ends_at_its_walltime(bench: Bench) -> None:
    """It is timed-out, and not merely cancelled or failed."""
    resources = replace(bench.small, walltime=bench.walltime)
    job = bench.job("echo begun", "sleep 3000", "echo over", resources=resources)
    async with bench.submitted(job) as ids:
        running = await bench.listing(job, _all(JobState.RUNNING, 1), what="running")
        end_time = running[ids[0]].end_time
        seconds = bench.walltime + bench.patience
        await bench.expect_end(job, ids[0], state=JobState.TIMED_OUT, seconds=seconds)
        if end_time is not None:
            late = bench.clock.time() - end_time
            expect(-2 < late < bench.patience, f"its end was said to be {late:.0f} s ago")
    expect("over" not in bench.log(job), "it ran to its end")


async def check_only_the_tags_asked_for_are_listed(bench: Bench) -> None:
    """One question serves several submissions, and shows no other."""
    jobs = [bench.job("sleep 60") for _ in range(3)]
    async with (
        bench.submitted(jobs[0]) as first,
        bench.submitted(jobs[1]) as second,
        bench.submitted(jobs[2]),
    ):
        listed = await bench.queue.status((jobs[0].tag, jobs[1].tag))
        expect(set(listed) == {*first, *second}, f"{first} and {second} are {dict(listed)}")
        none = await bench.queue.status((Tag("conf-nobody"),))
        expect(not none, f"nobody's jobs are {dict(none)}")


async def check_an_unknown_queue_is_refused(bench: Bench) -> None:
    """The submission fails in the system's words, with a hint, and nothing is queued."""
    job = bench.job("exit 0", resources=replace(bench.small, queue=bench.nowhere))
    try:
        ids = await bench.queue.submit(job)
    except SubmitRejected as error:
        expect(error.hint, f"{error} has no hint")
        expect(error.result and error.result.words, f"{error} lacks the words of the system")
    else:
        await bench.queue.cancel(ids)
        raise Nonconformance(f"a job for the queue {bench.nowhere} was accepted as {ids}")
    listed = await bench.queue.status((job.tag,))
    expect(not listed, f"it was refused, and is listed: {dict(listed)}")


async def check_the_queues_are_listed(bench: Bench) -> None:
    """There is a queue, each has a name of its own, and the default one comes first."""
    queues = await bench.queue.queues()
    expect(queues, "there is no queue")
    names = [queue.name for queue in queues]
    expect(len(set(names)) == len(names), f"a queue is listed twice: {names}")
    defaults = [queue.is_default for queue in queues]
    expect(not any(defaults[1:]), f"the default queue is not the first: {queues}")
    expect(bench.nowhere not in names, f"{bench.nowhere} exists")


async def check_history_knows_only_ended_jobs(bench: Bench) -> None:
    """Where there is a history, it does not call a running job ended, nor invent one."""
    job = bench.job("sleep 60")
    async with bench.submitted(job) as ids:
        known = await bench.queue.history((*ids, bench.unknown))
        expect(bench.unknown not in known, f"{bench.unknown} never was: {dict(known)}")
        ended = [one for one in known.values() if one.state.is_final]
        expect(not ended, f"a running job is {ended}")


async def _said(bench: Bench, job: JobSpec, *, index: int = 0) -> str:
    # A shared file system may show a log a moment after the queue says that its job has ended.
    for _ in range(25):
        if said := bench.log(job, index):
            return said
        await bench.clock.sleep(0.2)
    return ""


CHECKS: tuple[Callable[[Bench], Awaitable[None]], ...] = (
    check_a_job_runs_and_is_done,
    check_a_submission_is_listed_at_once,
    check_a_failed_job_has_its_exit_code,
    check_an_array_has_one_job_for_each_index,
    check_a_job_knows_which_one_it_is,
    check_the_log_is_where_it_was_asked_for,
    check_a_waiting_job_has_a_reason,
    check_a_waiting_job_can_be_cancelled,
    check_a_running_job_can_be_cancelled,
    check_many_jobs_can_be_cancelled_together,
    check_cancelling_what_is_gone_is_no_error,
    check_a_job_ends_at_its_walltime,
    check_only_the_tags_asked_for_are_listed,
    check_an_unknown_queue_is_refused,
    check_the_queues_are_listed,
    check_history_knows_only_ended_jobs,
)
