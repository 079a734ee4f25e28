"""The contract on a real HTCondor, and what only a real one can show."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from dask_hpc.batch.htcondor import HTCondor
from dask_hpc.batch.model import JobState, Resources
from dask_hpc.batch.queue import Queue
from dask_hpc.errors import BatchUnavailable, ConfigError, LimitReached, SubmitRejected
from dask_hpc.process.local import LocalRunner
from dask_hpc.process.runner import Command
from dask_hpc.testing import conformance
from dask_hpc.testing.conformance import Bench
from tests.beds.beds import USER, HTCondorBed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from dask_hpc.process.runner import Result

pytestmark = pytest.mark.timeout(240)

# There are no queues: what names one is refused before HTCondor is asked.
CHECKS = [
    check
    for check in conformance.CHECKS
    if check is not conformance.check_an_unknown_queue_is_refused
]


@dataclass(frozen=True, slots=True, kw_only=True)
class AsUser:
    """Runs commands as a user of HTCondor, in its root, where its jobs can go on."""

    bed: HTCondorBed

    async def run(self, command: Command, *, timeout: float = 60) -> Result:
        argv = self.bed.argv(*command.argv, cwd=self.bed.shared)
        return await LocalRunner().run(replace(command, argv=tuple(argv)), timeout=timeout)


@pytest.fixture(autouse=True)
def _others_may_write() -> Iterator[None]:
    """Let jobs of the user write to what the checks make as root."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def bench(htcondor: HTCondorBed) -> Bench:
    return Bench(
        queue=Queue(HTCondor(), AsUser(bed=htcondor), user=USER),
        directory=htcondor.directory("htcondor"),
        patience=60.0,
    )


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_the_contract_is_kept(
    check: Callable[[Bench], Awaitable[None]], bench: Bench
) -> None:
    await check(bench)


async def test_a_queue_is_refused_before_htcondor_is_asked(bench: Bench) -> None:
    job = bench.job("exit 0", resources=replace(bench.small, queue=bench.nowhere))
    with pytest.raises(ConfigError, match="no queues"):
        await bench.queue.submit(job)
    assert not await bench.queue.status([job.tag])


async def test_a_question_that_nobody_answers_is_an_error(
    bench: Bench, htcondor: HTCondorBed
) -> None:
    hasty = Queue(bench.queue.system, bench.queue.runner, user=USER, timeout=3)
    job = bench.job("exit 0")
    with htcondor.paused():
        with pytest.raises(BatchUnavailable):
            await hasty.status([job.tag])
        with pytest.raises(BatchUnavailable):
            await hasty.submit(job, 2)


async def test_what_htcondor_refuses_is_told_apart(bench: Bench) -> None:
    with pytest.raises(LimitReached, match="MAX_JOBS_PER_SUBMISSION"):
        await bench.queue.submit(bench.job("exit 0"), 501)
    wrong = replace(bench.small, directives=("requirements = (((",))
    with pytest.raises(SubmitRejected, match="Parse error") as caught:
        await bench.queue.submit(bench.job("exit 0", resources=wrong))
    assert "directives" in caught.value.hint


async def test_values_arrive_in_htcondor_as_they_were_given(
    bench: Bench, htcondor: HTCondorBed
) -> None:
    resources = Resources(
        cores=2,
        memory=100 * 10**6,
        walltime=5400,
        gpus=1,
        account="physics.climate",
        directives=('+ProjectName = "climate"', "priority = 7", "hold = True"),
    )
    said = 'it\'s "a" \\ comment $HOME `id` ünï'
    job = replace(bench.job("sleep 60", resources=resources), comment=said)
    names = (
        "JobBatchName RequestCpus RequestMemory RequestGpus AllowedJobDuration AcctGroup JobPrio"
    )
    async with bench.submitted(job) as ids:
        asked = htcondor.argv("condor_q", ids[0], "-af", *names.split(), "ProjectName")
        shown = (await LocalRunner().run(Command(argv=tuple(asked)))).stdout
        asked = htcondor.argv("condor_q", ids[0], "-af", "JobDescription")
        described = (await LocalRunner().run(Command(argv=tuple(asked)))).stdout
    assert shown.split() == [job.tag, "2", "96", "1", "5400", "physics.climate", "7", "climate"]
    assert described.strip() == said


async def test_a_job_finds_its_home_its_name_and_the_gpus(bench: Bench) -> None:
    ask = replace(bench.small, gpus=2)
    job = bench.job(
        'echo "$HOME $USER $CUDA_VISIBLE_DEVICES"; command -v ls >/dev/null', resources=ask
    )
    async with bench.submitted(job) as ids:
        await bench.expect_end(job, ids[0], state=JobState.DONE)
    home, user, gpus = bench.log(job).split()
    assert (home, user, len(gpus.split(","))) == (f"/home/{USER}", USER, 2)


async def test_a_job_that_its_owner_holds_waits_and_can_be_cancelled(bench: Bench) -> None:
    job = bench.job("exit 0", resources=replace(bench.small, directives=("hold = True",)))
    async with bench.submitted(job, 4) as ids:
        held = await bench.queue.status([job.tag])
        assert {one.state for one in held.values()} == {JobState.HELD}
        assert {one.plain_reason for one in held.values()} == {
            "submitted on hold: condor_release lets it go"
        }
        await bench.queue.cancel(ids)
        ended = await bench.ended(job, ids)
    assert {one.state for one in ended.values()} == {JobState.CANCELLED}


async def test_a_job_without_a_place_for_its_log_fails_and_is_not_left_held(bench: Bench) -> None:
    job = replace(bench.job("exit 0"), log=str(bench.directory / "nowhere" / "{index}.log"))
    async with bench.submitted(job) as ids:
        held = (await bench.ended(job, ids))[ids[0]]
        await bench.listing(job, lambda jobs: not jobs, what="its removal")
        removed = (await bench.queue.history(ids))[ids[0]]
    for one in (held, removed):
        assert one.state is JobState.FAILED
        assert one.plain_reason == "its log could not be opened: is its directory there"


async def test_a_job_that_a_signal_ends_says_which(bench: Bench) -> None:
    job = bench.job("kill -KILL $$")
    async with bench.submitted(job) as ids:
        await bench.expect_end(job, ids[0], state=JobState.FAILED, exit_code=137)


async def test_machines_are_one_queue(bench: Bench) -> None:
    (queue,) = await bench.queue.queues()
    assert (queue.nodes, queue.cores_per_node, queue.memory_per_node) == (1, 8, 16 * 2**30)
    assert queue.gpus_per_node == 2
