"""The contract on a stand-in of LSF, which answers as OpenLava did and as the manual says."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dask_hpc.batch.lsf import LSF
from dask_hpc.batch.model import JobState
from dask_hpc.batch.queue import Queue
from dask_hpc.errors import LimitReached
from dask_hpc.process.local import LocalRunner
from dask_hpc.sites.specs import user_name
from dask_hpc.testing import conformance
from dask_hpc.testing.conformance import Bench
from tests.standins import lsf
from tests.standins.jobs import VARIABLE, Jobs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

pytestmark = pytest.mark.slow

_SYSTEMS = {"json": LSF(), "openlava": LSF.from_facts({"json": "no"})}


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Jobs]:
    directory = tmp_path / "lsf"
    directory.mkdir()
    jobs = Jobs(directory)
    places = [str(Path(lsf.__file__).parent), str(Path(sys.executable).parent), os.environ["PATH"]]
    monkeypatch.setenv("PATH", os.pathsep.join(places))
    monkeypatch.setenv(VARIABLE, str(directory))
    jobs.set(minute="3")
    yield jobs
    jobs.end_all()


@pytest.fixture(params=_SYSTEMS)
def bench(request: pytest.FixtureRequest, jobs: Jobs, tmp_path: Path) -> Bench:
    jobs.set(form=request.param)
    queue = Queue(_SYSTEMS[request.param], LocalRunner(), user=user_name())
    bench = Bench(queue=queue, directory=tmp_path, walltime=60.0)
    # More slots than are free at any time, and fewer than there are.
    return replace(bench, waiting=replace(bench.small, cores=32))


@pytest.mark.parametrize("check", conformance.CHECKS, ids=lambda check: check.__name__)
async def test_the_contract_is_kept(
    check: Callable[[Bench], Awaitable[None]], bench: Bench
) -> None:
    await check(bench)


@pytest.mark.parametrize(
    "check",
    [
        conformance.check_a_job_runs_and_is_done,
        conformance.check_a_failed_job_has_its_exit_code,
        conformance.check_a_waiting_job_can_be_cancelled,
        conformance.check_a_running_job_can_be_cancelled,
        conformance.check_a_job_ends_at_its_walltime,
    ],
    ids=lambda check: check.__name__,
)
async def test_history_remembers_what_listings_forget(
    check: Callable[[Bench], Awaitable[None]], bench: Bench, jobs: Jobs
) -> None:
    jobs.set(keep="0")
    await check(bench)


async def test_an_array_beyond_the_limit_is_told_from_a_bad_job(bench: Bench) -> None:
    with pytest.raises(LimitReached, match="array index too large"):
        await bench.queue.submit(bench.job("exit 0"), 1001)


async def test_a_held_job_can_be_cancelled(bench: Bench) -> None:
    job = bench.job("exit 0", resources=replace(bench.small, directives=("-H",)))
    async with bench.submitted(job, 4) as ids:
        held = await bench.queue.status([job.tag])
        assert {one.state for one in held.values()} == {JobState.HELD}
        await bench.queue.cancel(ids)
        left = await bench.queue.status([job.tag])
        assert not [one for one in left.values() if not one.state.is_final]


async def test_a_log_can_be_read_while_its_job_runs(bench: Bench) -> None:
    job = bench.job("echo begun", "sleep 300")
    async with bench.submitted(job):
        await bench.listing(job, lambda _: bench.log(job) == "begun\n", what="its first line")


async def test_a_job_submitted_from_a_job_takes_nothing_from_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"LSB_JOBID": "7", "LSB_JOBINDEX": "9", "BSUB_QUIET": "1"}.items():
        monkeypatch.setenv(name, value)
    known = bench.queue.system.variables
    job = bench.job(f'echo "{known.job_id} {known.index} ${{BSUB_QUIET:-}} ${{TZ:-}}"')
    async with bench.submitted(job) as ids:
        await bench.expect_end(job, ids[0], state=JobState.DONE)
    assert bench.log(job).split() == [ids[0], "0", *os.environ.get("TZ", "").split()]
