"""The contract on a real Slurm, and what only a real one can show."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dask_hpc.batch.model import JobState, Resources
from dask_hpc.batch.queue import Queue
from dask_hpc.batch.slurm import Slurm
from dask_hpc.errors import BatchUnavailable, LimitReached
from dask_hpc.process.local import LocalRunner
from dask_hpc.sites.specs import user_name
from dask_hpc.testing import conformance
from dask_hpc.testing.conformance import Bench

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.beds.beds import SlurmBed


@pytest.mark.timeout(240)
@pytest.mark.parametrize("check", conformance.CHECKS, ids=lambda check: check.__name__)
async def test_the_contract_is_kept(
    check: Callable[[Bench], Awaitable[None]], slurm: SlurmBed
) -> None:
    queue = Queue(Slurm(), LocalRunner(), user=user_name())
    bench = Bench(
        queue=queue,
        directory=slurm.directory("conformance"),
        # The shortest that Slurm knows; it looks for jobs that are over twice a minute.
        walltime=60.0,
        patience=60.0,
    )
    # Not more cores than a node has: newer releases refuse such a job.
    await check(replace(bench, waiting=replace(bench.small, directives=("--begin=now+1hour",))))


@pytest.fixture
def bench(slurm: SlurmBed) -> Bench:
    queue = Queue(Slurm(), LocalRunner(), user=user_name())
    return Bench(queue=queue, directory=slurm.directory("dialect"))


async def test_a_submission_that_slurm_does_not_confirm_is_found_by_its_tag(
    bench: Bench, slurm: SlurmBed
) -> None:
    job = bench.job("exit 0")
    with slurm.paused(), pytest.raises(BatchUnavailable, match="Socket timed out"):
        await bench.queue.submit(job, 2)
    listed = await bench.listing(job, lambda jobs: len(jobs) == 2, what="two jobs")
    assert sorted(job.index for job in listed.values()) == [0, 1]


async def test_a_listing_without_an_answer_is_an_error(bench: Bench, slurm: SlurmBed) -> None:
    with slurm.paused(), pytest.raises(BatchUnavailable):
        await bench.queue.status([bench.job().tag])


async def test_an_array_beyond_the_limit_is_told_from_a_bad_job(bench: Bench) -> None:
    with pytest.raises(LimitReached, match="Invalid job array specification"):
        await bench.queue.submit(bench.job("exit 0"), 20_000)


async def test_a_job_submitted_from_a_job_takes_nothing_from_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    outer = {
        "SLURM_JOB_ID": "7", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "9",
        "SLURM_MEM_PER_NODE": "100000", "SBATCH_PARTITION": "nowhere", "SQUEUE_FORMAT": "%i",
        "XDG_RUNTIME_DIR": "/run/user/0",
    }  # fmt: skip
    for name, value in outer.items():
        monkeypatch.setenv(name, value)
    known = bench.queue.system.variables
    job = bench.job(f'echo "{known.job_id} {known.index} ${{XDG_RUNTIME_DIR:-}} ${{LC_ALL:-}}"')
    async with bench.submitted(job) as ids:
        await bench.expect_end(job, ids[0], state=JobState.DONE)
    assert bench.log(job).split() == [ids[0], "0", *os.environ.get("LC_ALL", "").split()]


async def test_values_arrive_in_slurm_as_they_were_given(bench: Bench, slurm: SlurmBed) -> None:
    comment = 'it\'s "a" \\ comment #1 of $HOME `id`'
    resources = Resources(
        cores=2,
        memory=100 * 10**6,
        walltime=5400,
        nodes=2,
        gpus=0,
        queue="batch",
        directives=("--mem=77M", "--nice=5"),
    )
    job = replace(bench.job("sleep 60", resources=resources), comment=comment)
    async with bench.submitted(job) as ids:
        shown = slurm.run("scontrol", "show", "job", ids[0]).stdout
    for value in (
        f"JobName={job.tag}", f"Comment={comment}", "TimeLimit=01:30:00",
        "TRES=cpu=4,mem=154M,node=2,billing=4",
        "CPUs/Task=2", "MinMemoryNode=77M", "Nice=5", "Requeue=0", "Partition=batch",
    ):  # fmt: skip
        assert f"{value} " in shown.replace("\n", " "), shown


async def test_a_held_array_can_be_cancelled(
    bench: Bench,
) -> None:
    job = bench.job("exit 0", resources=replace(bench.small, directives=("--hold",)))
    async with bench.submitted(job, 4) as ids:
        held = await bench.queue.status([job.tag])
        assert {one.state for one in held.values()} == {JobState.HELD}
        await bench.queue.cancel(ids)
        left = await bench.queue.status([job.tag])
        assert not [one for one in left.values() if not one.state.is_final]
