"""The contract on a real OAR, and what only a real one can show."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from dask_hpc.batch.model import JobState, Resources
from dask_hpc.batch.oar import OAR
from dask_hpc.batch.queue import Queue
from dask_hpc.errors import BatchUnavailable
from dask_hpc.process.local import LocalRunner
from dask_hpc.testing import conformance
from dask_hpc.testing.conformance import Bench
from tests.beds.beds import USER, OarBed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from dask_hpc.process.runner import Command, Result

# OAR starts a job two or three seconds after its submission, and takes as long to end one.
pytestmark = pytest.mark.timeout(240)


@dataclass(frozen=True, slots=True, kw_only=True)
class AsUser:
    """Runs commands as a user of OAR, in a directory that its jobs can enter."""

    bed: OarBed

    async def run(self, command: Command, *, timeout: float = 60) -> Result:
        argv = self.bed.argv(*command.argv, cwd=self.bed.shared)
        return await LocalRunner().run(replace(command, argv=tuple(argv)), timeout=timeout)


@pytest.fixture(autouse=True)
def _others_may_write() -> Iterator[None]:
    """Let jobs of the user write to what the checks make as root."""
    before = os.umask(0)
    yield
    os.umask(before)


def _bench(oar: OarBed, *, has_json: bool) -> Bench:
    system = OAR(has_json=has_json, memory_property="mem")
    return Bench(
        queue=Queue(system, AsUser(bed=oar), user=USER),
        directory=oar.directory("oar"),
        # For a node that is switched off.
        waiting=Resources(
            cores=1, memory=64 * 2**20, walltime=600, directives=("-p host = 'node3'",)
        ),
        patience=60.0,
    )


@pytest.fixture
def bench(oar: OarBed) -> Bench:
    return _bench(oar, has_json=True)


@pytest.mark.parametrize("check", conformance.CHECKS, ids=lambda check: check.__name__)
async def test_the_contract_is_kept(
    check: Callable[[Bench], Awaitable[None]], bench: Bench
) -> None:
    await check(bench)


@pytest.mark.parametrize(
    "check",
    [
        conformance.check_an_array_has_one_job_for_each_index,
        conformance.check_a_waiting_job_has_a_reason,
        conformance.check_a_job_ends_at_its_walltime,
        conformance.check_the_queues_are_listed,
    ],
    ids=lambda check: check.__name__,
)
async def test_the_contract_is_kept_without_json(
    check: Callable[[Bench], Awaitable[None]], oar: OarBed
) -> None:
    await check(_bench(oar, has_json=False))


async def test_a_listing_without_an_answer_is_an_error(bench: Bench, oar: OarBed) -> None:
    hasty = Queue(bench.queue.system, bench.queue.runner, user=USER, timeout=2)
    with oar.paused(), pytest.raises(BatchUnavailable):
        await hasty.status([bench.job().tag])


async def test_values_arrive_in_oar_as_they_were_given(bench: Bench) -> None:
    resources = Resources(
        cores=2,
        memory=100 * 10**6,
        walltime=5400,
        nodes=2,
        queue="default",
        account="climate",
        directives=("-p host LIKE 'node%'", "-t besteffort", "--hold"),
    )
    job = bench.job("sleep 60", resources=resources)
    async with bench.submitted(job) as ids:
        (command,) = OAR().history_commands(ids)
        shown = (await bench.queue.runner.run(command)).stdout
    for value in (
        f'"name" : "{job.tag}"', '"project" : "climate"', "/network_address=2/core=2,",
        "walltime=1:30:0", "(mem >= 96) AND (host LIKE 'node%')", '"besteffort"',
    ):  # fmt: skip
        assert value in shown, shown


async def test_a_job_has_a_home_and_takes_nothing_from_an_outer_one(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OAR_JOB_ID", "OAR_ARRAY_INDEX", "OAR_JOB_KEY_FILE"):
        monkeypatch.setenv(name, "/nowhere")
    known = bench.queue.system.variables
    job = bench.job(f'echo "$HOME $USER {known.job_id} {known.index}"; command -v ls >/dev/null')
    async with bench.submitted(job) as ids:
        await bench.expect_end(job, ids[0], state=JobState.DONE)
    assert bench.log(job).split() == [f"/home/{USER}", USER, ids[0], "0"]


async def test_a_held_array_can_be_cancelled(bench: Bench) -> None:
    job = bench.job("exit 0", resources=replace(bench.small, directives=("--hold",)))
    async with bench.submitted(job, 4) as ids:
        held = await bench.queue.status([job.tag])
        assert {one.state for one in held.values()} == {JobState.HELD}
        await bench.queue.cancel(ids)
        ended = await bench.ended(job, ids)
    assert {one.state for one in ended.values()} == {JobState.CANCELLED}


@pytest.mark.parametrize("has_json", [True, False])
async def test_nodes_are_listed_alike_in_both_forms(oar: OarBed, has_json: bool) -> None:
    (queue,) = await _bench(oar, has_json=has_json).queue.queues()
    assert (queue.nodes, queue.cores_per_node, queue.memory_per_node) == (3, 4, 4 * 2**30)
