"""The contract on a real Grid Engine, and what only a real one can show."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from dask_hpc.batch.model import JobSpec, JobState, JobStatus, Resources
from dask_hpc.batch.queue import Queue
from dask_hpc.batch.sge import SGE
from dask_hpc.errors import BatchUnavailable, LimitReached, SubmitRejected
from dask_hpc.process.local import LocalRunner
from dask_hpc.testing import conformance
from dask_hpc.testing.conformance import Bench
from tests.beds.beds import USER, SgeBed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from dask_hpc.batch.model import JobId
    from dask_hpc.process.runner import Command, Result

# Grid Engine starts a job within two seconds, and ends one at its walltime within eight.
pytestmark = pytest.mark.timeout(240)

FACTS = {
    "pe": "smp",
    "memory_resource": "h_vmem",
    "memory_per_slot": "yes",
    "gpu_per_slot": "yes",
}
# Nothing is written down of a job that never began.
FORGOTTEN = conformance.check_a_waiting_job_can_be_cancelled


@dataclass(frozen=True, slots=True, kw_only=True)
class AsUser:
    """Runs commands as a user of the bed."""

    bed: SgeBed
    user: str

    async def run(self, command: Command, *, timeout: float = 60) -> Result:
        # What a command shall not inherit is taken out before another user runs it.
        argv = self.bed.argv(*command.argv, user=self.user)
        return await LocalRunner().run(replace(command, argv=tuple(argv)), timeout=timeout)


@pytest.fixture(autouse=True)
def _others_may_write() -> Iterator[None]:
    """Let jobs of the user write to what the checks make as root."""
    before = os.umask(0)
    yield
    os.umask(before)


def bench_of(sge: SgeBed, *, user: str, facts: Mapping[str, str]) -> Bench:
    return Bench(
        queue=Queue(SGE.from_facts(facts), AsUser(bed=sge, user=user), user=user),
        directory=sge.directory("sge", user=user),
        patience=30.0,
    )


@pytest.fixture
def bench(sge: SgeBed) -> Bench:
    return bench_of(sge, user="root", facts=FACTS)


@pytest.mark.parametrize("user", ["root", USER])
@pytest.mark.parametrize("check", conformance.CHECKS, ids=lambda check: check.__name__)
async def test_the_contract_is_kept(
    check: Callable[[Bench], Awaitable[None]], user: str, sge: SgeBed
) -> None:
    bench = bench_of(sge, user=user, facts=FACTS)
    await check(replace(bench, remembers=check is not FORGOTTEN))


async def test_reasons_are_not_asked_for_where_the_site_does_not_want_it(sge: SgeBed) -> None:
    bench = bench_of(sge, user=USER, facts={**FACTS, "reasons": "no"})
    await conformance.check_a_waiting_job_has_a_reason(bench)


async def test_a_submission_that_nobody_answers_is_no_refusal(bench: Bench, sge: SgeBed) -> None:
    job = bench.job("exit 0")
    queue = Queue(bench.queue.system, bench.queue.runner, user="root", timeout=3)
    with sge.paused(), pytest.raises(BatchUnavailable):
        await queue.submit(job, 2)
    with sge.paused(), pytest.raises(BatchUnavailable):
        await queue.status([job.tag])


async def test_an_array_beyond_the_limit_is_told_from_a_bad_job(bench: Bench) -> None:
    with pytest.raises(LimitReached, match="more than 75000 tasks"):
        await bench.queue.submit(bench.job("exit 0"), 80_000)
    unknown = replace(bench.small, directives=("-l no_such_thing=1",))
    with pytest.raises(SubmitRejected, match='unknown resource "no_such_thing"') as caught:
        await bench.queue.submit(bench.job("exit 0", resources=unknown))
    assert "qconf -sc" in caught.value.hint


async def test_values_arrive_as_they_were_given(bench: Bench, sge: SgeBed) -> None:
    resources = Resources(
        cores=2,
        memory=300 * 2**20,
        walltime=5400,
        gpus=2,
        queue="all.q",
        directives=("-p -7", "-l mem_free=1M"),
    )
    job = replace(bench.job("sleep 60", resources=resources), comment='it\'s "a" #1 of $HOME `id`')
    async with bench.submitted(job) as ids:
        shown = " ".join(sge.run("qstat", "-j", ids[0]).stdout.split())
    for value in (
        f"job_name: {job.tag} ", "h_rt=5400", "h_vmem=150M", "gpu=1", "mem_free=1M",
        "hard_queue_list: all.q ", "parallel environment: smp range: 2 ", "priority: -7 ",
        "shell_list: NONE:/bin/bash ", "context: comment=it_s _a_ _1 of _HOME _id_ ",
    ):  # fmt: skip
        assert value in shown, shown


@pytest.mark.parametrize("code", [99, 100])
async def test_an_exit_code_with_a_meaning_of_its_own_is_told(bench: Bench, code: int) -> None:
    job = bench.job(f"exit {code}")

    def back(listed: Mapping[JobId, JobStatus]) -> bool:
        return any(one.state in expected for one in listed.values())

    expected = {99: (JobState.PENDING,), 100: (JobState.FAILED,)}[code]
    async with bench.submitted(job) as ids:
        await bench.listing(job, lambda jobs: not jobs or back(jobs), what="its end")
        listed = await bench.listing(job, back, what="a job that is back in the queue")
        if code == 100:
            assert "exited with 100" in listed[ids[0]].plain_reason


async def test_a_job_that_cannot_be_started_says_why(bench: Bench) -> None:
    lost = replace(bench.small, directives=("-wd /no/such/directory",))
    job = bench.job("exit 0", resources=lost)
    async with bench.submitted(job):
        listed = await bench.listing(
            job, lambda jobs: {one.state for one in jobs.values()} == {JobState.FAILED}, what="Eqw"
        )
    (status,) = listed.values()
    assert "/no/such/directory" in status.reason
    assert status.plain_reason == "its working directory is not there on the node"


async def test_a_held_array_can_be_cancelled(bench: Bench) -> None:
    job = bench.job("exit 0", resources=replace(bench.small, directives=("-h",)))
    async with bench.submitted(job, 4) as ids:
        held = await bench.queue.status([job.tag])
        assert {one.state for one in held.values()} == {JobState.HELD}
        await bench.queue.cancel(ids[1:3])
        left = await bench.listing(job, lambda jobs: len(jobs) == 2, what="two jobs")
        assert {one.index for one in left.values()} == {0, 3}


async def test_a_job_submitted_from_a_job_takes_nothing_from_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    outer = {"JOB_ID": "7", "SGE_TASK_ID": "9", "SGE_DEBUG_LEVEL": "3 0 0 0 0 0 0 0", "PE": "mpi"}
    for name, value in outer.items():
        monkeypatch.setenv(name, value)
    known = bench.queue.system.variables
    with_all = replace(bench.small, directives=("-V",))
    job = bench.job(f'echo "{known.job_id} {known.index} ${{PE:-}}"', resources=with_all)
    async with bench.submitted(job) as ids:
        await bench.expect_end(job, ids[0], state=JobState.DONE)
    assert bench.log(job).split() == [ids[0], "0"]


async def test_a_prologue_runs_as_it_is_written(bench: Bench) -> None:
    said = 'it\'s "a" $HOME `id` & ünï #$ -t 1-3'
    job: JobSpec = bench.job(f"echo {shlex.quote(said)}")
    async with bench.submitted(job) as ids:
        await bench.expect_end(job, ids[0], state=JobState.DONE)
    assert bench.log(job) == f"{said}\n"
