"""What is asked for a job that waits, besides its state, and what is made of the answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dask_hpc.batch.lsf import LSF
from dask_hpc.batch.model import BatchQueue, JobId, JobState, JobStatus, Resources, Tag
from dask_hpc.batch.outlook import Place
from dask_hpc.batch.queue import Queue
from dask_hpc.batch.slurm import Slurm
from dask_hpc.cluster.spec import ClusterSpec, Home
from dask_hpc.deploy.prospects import Prospector, Prospects, Sooner, own_queue, rivals
from dask_hpc.testing import FakeClock, ScriptedRunner
from tests.batch.recorded import RECORDINGS

if TYPE_CHECKING:
    from dask_hpc.batch.system import BatchSystem

SAID = RECORDINGS / "slurm"
NOW = 1795219779.0  # of the recordings
WISH = Resources(cores=1, memory=500 * 2**20, walltime=600.0, queue="narrow")
SPEC = ClusterSpec(
    name="rain",
    site="slurm",
    system="slurm",
    user="me",
    home=Home.JOB,
    directory=Path("/home/me/clusters/rain"),
    worker=WISH,
    scheduler=WISH,
    processes=1,
    python="/usr/bin/python3",
)
PENDING = JobStatus(id=JobId("30"), tag=Tag("rain-x"), state=JobState.PENDING)
MOVE = "scontrol update jobid=30 partition=batch"


def prospector(runner: ScriptedRunner, system: BatchSystem | None = None) -> Prospector:
    queue = Queue(system or Slurm(), runner, user="me")
    return Prospector(SPEC, queue, clock=FakeClock(start=NOW, autojump=False))


def slurm(config: str = "scontrol-config") -> ScriptedRunner:
    runner = ScriptedRunner()
    runner.play(SAID / f"{config}.txt")
    runner.play(SAID / "squeue-waiting.txt")
    runner.play(SAID / "sinfo-narrow.txt")
    return runner


async def test_each_call_is_one_question_and_nothing_is_submitted() -> None:
    runner = slurm()
    runner.play(SAID / "trial-now.txt")
    asked = prospector(runner)
    for count in range(1, 8):
        await asked.ask(PENDING)
        assert len(runner.commands) == count
    programs = [command.argv[0] for command in runner.commands]
    # It may not fit into debug, and in preempt and scavenge it would not be safe.
    assert programs == ["scontrol", "squeue", "sinfo", "sbatch", "squeue", "sinfo", "sbatch"]
    assert runner.commands[3].argv == ("sbatch", "--test-only", "--partition=batch")
    assert "#SBATCH --job-name=rain-x" in (runner.commands[3].stdin or "")


async def test_the_place_and_a_queue_that_starts_now_are_found() -> None:
    runner = slurm()
    runner.play(SAID / "trial-now.txt")
    asked = prospector(runner)
    for _ in range(4):
        await asked.ask(PENDING)
    assert asked.found == Prospects(
        place=Place(number=5, of=5, queue="narrow"),
        sooner=Sooner(queue="batch", start=NOW, free=3, move=MOVE),
    )


@pytest.mark.parametrize(
    ("estimate", "is_offered"), [(None, False), (NOW + 7200, True), (NOW + 3900, False)]
)
async def test_a_later_start_is_offered_only_if_it_is_known_to_be_sooner(
    estimate: float | None, is_offered: bool
) -> None:
    runner = slurm()
    runner.play(SAID / "trial-later.txt")  # in 65 minutes
    asked = prospector(runner)
    status = JobStatus(
        id=JobId("30"), tag=Tag("rain-x"), state=JobState.PENDING, start_estimate=estimate
    )
    for _ in range(4):
        await asked.ask(status)
    assert (asked.found.sooner is not None) is is_offered


async def test_who_sees_only_own_jobs_is_told_no_place() -> None:
    runner = slurm("scontrol-config-private")
    runner.play(SAID / "trial-now.txt")
    asked = prospector(runner)
    for _ in range(5):
        await asked.ask(PENDING)
    assert asked.found.place is None
    assert asked.found.sooner
    assert "squeue" not in [command.argv[0] for command in runner.commands]


async def test_what_is_refused_or_does_not_answer_is_left_out() -> None:
    runner = ScriptedRunner()
    runner.play(SAID / "scontrol-config.txt")
    runner.play(SAID / "server-down-squeue.txt", "squeue")
    runner.play(SAID / "sinfo-narrow.txt")
    runner.play(SAID / "trial-unknown-queue.txt")
    asked = prospector(runner)
    for _ in range(8):
        await asked.ask(PENDING)
    assert asked.found == Prospects()


async def test_a_queue_is_named_that_has_free_nodes_where_none_says_when_it_starts() -> None:
    class Other(LSF):
        """One with queues of our own."""

        def read_queues(self, result: object) -> tuple[BatchQueue, ...]:
            return QUEUES

    runner = ScriptedRunner()
    runner.answer("bqueues")
    runner.answer("bhosts")
    runner.answer("sh")
    asked = prospector(runner, Other())
    await asked.ask(PENDING)
    assert asked.found == Prospects()
    await asked.ask(PENDING)  # all queues are known by then
    assert asked.found.sooner == Sooner(queue="broad", free=3, move="bswitch broad 30")


QUEUES = (
    BatchQueue(name="narrow", is_default=True, nodes=1, cores_per_node=4),
    BatchQueue(name="short", nodes=9, free_nodes=9, cores_per_node=4, max_walltime=300.0),
    BatchQueue(name="closed", nodes=9, free_nodes=9, cores_per_node=4, is_open=False),
    BatchQueue(name="full", nodes=9, cores_per_node=4),
    BatchQueue(name="cheap", nodes=9, free_nodes=9, cores_per_node=4, is_preemptible=True),
    BatchQueue(name="broad", nodes=9, free_nodes=3, cores_per_node=4),
)


def test_a_job_waits_in_the_queue_that_it_asked_for_or_was_moved_to() -> None:
    def own(wish: Resources, said: str = "") -> str:
        found = own_queue(QUEUES, wish, said=said)
        return found.name if found else ""

    assert own(Resources(cores=1, memory=0)) == "narrow"
    assert own(Resources(cores=1, memory=0, queue="full")) == "full"
    assert own(Resources(cores=1, memory=0, queue="full"), "broad") == "broad"
    assert own(Resources(cores=1, memory=0, queue="gone")) == ""


def test_rivals_take_the_job_and_those_with_room_come_first() -> None:
    names = [queue.name for queue in rivals(QUEUES, WISH, own=QUEUES[0])]
    assert names == ["broad", "full"]
    cheap = next(queue for queue in QUEUES if queue.name == "cheap")
    assert [queue.name for queue in rivals(QUEUES, WISH, own=cheap)] == ["broad", "narrow", "full"]


def test_a_job_without_a_walltime_stays_where_it_is() -> None:
    assert rivals(QUEUES, Resources(cores=1, memory=0), own=QUEUES[0]) == ()
