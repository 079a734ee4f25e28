"""A batch system that hangs, lies, or has had enough: nothing is lost, and nothing done twice."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from distributed import Client

from dask_hpc import HPCCluster
from dask_hpc._clock import SystemClock, until
from tests.integration.own_beds import own_slurm
from tests.integration.places import place_at, wait_for
from tests.integration.shims import calls_in

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from dask_hpc.controller.report import Report
    from tests.beds.beds import SlurmBed
    from tests.integration.places import Place
    from tests.integration.shims import Calls

pytestmark = [pytest.mark.bed("slurm"), pytest.mark.timeout(300)]

OUTAGE = 30.0  # seconds
CLUSTERS = 20  # that submit a job each when it begins
MOST = 5  # jobs of the small QOS
TINY: dict[str, Any] = {"cores": 1, "processes": 1, "memory": "300MB"}
LATER = "--begin=now+1hour"
TWICE = 'script=$(cat); "$program" "$@" <<<"$script" >/dev/null; exec "$program" "$@" <<<"$script"'


@pytest.fixture(scope="module")
def bed(slurm: SlurmBed) -> Iterator[SlurmBed]:
    """A Slurm with limits that nobody else uses."""
    with own_slurm("--accounting", extra="AccountingStorageEnforce=limits,qos") as bed:
        limits = f"MaxSubmitJobsPerUser={MOST}"
        bed.run("sacctmgr", "-i", "add", "qos", "small", "set", limits)
        bed.run("sacctmgr", "-i", "modify", "user", "root", "set", "qos=normal,small")
        yield bed


@pytest.fixture(scope="module")
def place(request: pytest.FixtureRequest, bed: SlurmBed) -> Iterator[Place]:
    """That Slurm, with clusters in memory: there are many of them."""
    with place_at(request, "slurm", parent="/dev/shm") as found:
        yield found


@pytest.fixture
def calls(place: Place, tmp_path: Path) -> Iterator[Calls]:
    """What is asked of Slurm."""
    with calls_in(tmp_path) as calls:
        yield calls


def unhurried() -> Callable[[int], int]:
    # A function of a function travels whole: jobs cannot import this module.
    def work(number: int) -> int:
        time.sleep(0.2)
        return number

    return work


# it hangs -----------------------------------------------------------------------------------------


@dataclass(kw_only=True)
class Outage:
    """What was seen while Slurm hung, and afterwards.

    ``workers`` are samples of the number at work, ``said`` what ``dask-hpc status`` said of a
    cluster that had just submitted; ``recovered`` is after how many seconds all was well.
    """

    workers: list[int]
    results: list[int]
    said: str
    during: Report
    recovered: float
    submissions: int
    jobs: list[int]


@pytest.fixture(scope="module")
def outage(
    bed: SlurmBed, place: Place, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Outage]:
    """Let Slurm hang while a cluster works, and just when twenty others submit."""
    with calls_in(tmp_path_factory.mktemp("calls")) as calls:
        yield asyncio.run(live_through(bed, place, calls))


async def live_through(bed: SlurmBed, place: Place, calls: Calls) -> Outage:
    def cluster(**options: Any) -> HPCCluster:
        return HPCCluster(**place.small, **options, name=place.name(), asynchronous=True)

    working, *others = await asyncio.gather(
        cluster(), *(cluster(directives=LATER) for _ in range(CLUSTERS))
    )
    try:
        async with Client(working, asynchronous=True) as client:
            await working.scale(jobs=2)
            await client.wait_for_workers(4, timeout=60)
            return await suffer(bed, place, calls, client=client, others=others)
    finally:
        await asyncio.gather(*(each.close() for each in (working, *others)))


async def suffer(
    bed: SlurmBed, place: Place, calls: Calls, *, client: Client, others: list[HPCCluster]
) -> Outage:
    working, clock = client.cluster, SystemClock()
    before = len(calls.of("sbatch"))
    work = client.map(unhurried(), range(round(OUTAGE * 20)))
    scaled = [asyncio.ensure_future(other.scale(jobs=1)) for other in others]
    await until(lambda: len(calls.of("sbatch")) > before, 30, clock=clock, every=0.001)
    bed.control("pause")
    begin, seen = time.monotonic(), []
    while time.monotonic() - begin < OUTAGE:
        seen.append((await working.report()).workers)
        await clock.sleep(0.5)
    during = await others[-1].report()
    status = await asyncio.to_thread(place.dask_hpc, "status", others[-1].name)
    bed.control("resume")
    back = time.monotonic()
    await asyncio.gather(*scaled)
    await wait_until(lambda: all_pending(others))
    return Outage(
        recovered=time.monotonic() - back,
        workers=seen,
        results=await client.gather(work),
        said=status.stdout,
        during=during,
        submissions=len(calls.of("sbatch")) - before,
        jobs=[len(place.jobs(other.name)) for other in others],
    )


async def wait_until(condition: Callable[[], Awaitable[bool]], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, condition
        await SystemClock().sleep(0.2)


async def all_pending(clusters: list[HPCCluster]) -> bool:
    reports = [await cluster.report() for cluster in clusters]
    return all([job.phase for job in report.jobs] == ["pending"] for report in reports)


def test_submissions_without_an_answer_are_as_many_jobs(outage: Outage) -> None:
    assert outage.jobs == [1] * CLUSTERS
    assert outage.submissions == CLUSTERS


def test_workers_go_on_with_their_work(outage: Outage) -> None:
    assert len(outage.workers) > OUTAGE
    assert set(outage.workers) == {4}
    assert outage.results == list(range(len(outage.results)))


def test_status_says_since_when_there_is_no_answer(outage: Outage) -> None:
    assert "the batch system has not answered for " in outage.said
    assert outage.during.waits_for == "the batch system to answer"


def test_all_is_well_soon_after_it_answers_again(outage: Outage) -> None:
    assert outage.recovered < 15


# it lies ------------------------------------------------------------------------------------------


def test_a_queue_that_shows_nothing_for_a_moment_is_not_believed(
    place: Place, calls: Calls
) -> None:
    with HPCCluster(**place.small, name=place.name(), directives=LATER) as cluster:
        cluster.scale(jobs=2)
        wait_for(lambda: "earliest start" in cluster.report().waits_for)
        before = [job.job for job in live(cluster)]
        calls.lie(times=2)
        wait_for(lambda: not calls.lies_left)
        asked = len(calls.of("squeue"))
        wait_for(lambda: len(calls.of("squeue")) > asked)
        assert [job.job for job in live(cluster)] == before
        assert len(calls.of("sbatch")) == 1
        assert calls.of("scancel") == []


def test_what_a_long_lie_had_submitted_again_is_withdrawn(place: Place, calls: Calls) -> None:
    with HPCCluster(**place.small, name=place.name(), directives=LATER) as cluster:
        calls.lie(times=4)
        cluster.scale(jobs=2)
        wait_for(lambda: not calls.lies_left)
        wait_for(lambda: any("turned up again" in one.why for one in cluster.why()))
        wait_for(lambda: len(place.live_jobs(cluster.name)) == 2)
        wait_for(lambda: [job.phase for job in live(cluster)] == ["pending"] * 2)
        assert len(calls.of("sbatch")) <= 3
        assert cluster.report().halted == ""
    assert place.left(cluster.name) == []


def live(cluster: HPCCluster) -> list[Any]:
    return [job for job in cluster.jobs() if job.phase != "ended"]


# it mumbles ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", ["echo Welcome to Lonestar6; exit", "kill -9 $$"])
def test_a_job_whose_submission_was_not_confirmed_is_found_and_serves(
    place: Place, calls: Calls, words: str
) -> None:
    calls.twist("sbatch", f'"$program" "$@" >/dev/null; {words}')
    with HPCCluster(**place.small, name=place.name()) as cluster:
        cluster.scale(jobs=1)
        cluster.wait_for_workers(2, timeout=30)
        assert [job.id for job in place.jobs(cluster.name)] == [live(cluster)[0].job]
        assert len(calls.of("sbatch")) == 1
        assert cluster.report().trouble is None


def test_of_a_job_that_was_submitted_twice_one_serves_and_the_other_ends(
    place: Place, calls: Calls
) -> None:
    calls.twist("sbatch", TWICE)
    with HPCCluster(**place.small, name=place.name()) as cluster:
        cluster.scale(jobs=1)
        cluster.wait_for_workers(2, timeout=30)
        assert len(place.jobs(cluster.name)) == 2
        wait_for(lambda: len(place.live_jobs(cluster.name)) == 1, 30)
        (job,) = place.live_jobs(cluster.name)
        assert [(one.job, one.workers) for one in live(cluster)] == [(job.id, 2)]
        assert len(calls.of("sbatch")) == 1


# it has had enough --------------------------------------------------------------------------------


def test_as_many_jobs_run_as_a_limit_allows_and_the_rest_follows(
    place: Place, calls: Calls
) -> None:
    options = {**place.small, **TINY, "directives": "--qos=small"}
    with HPCCluster(**options, name=place.name()) as cluster:
        cluster.scale(jobs=MOST + 3)
        cluster.wait_for_workers(MOST, timeout=60)
        assert len(place.live_jobs(cluster.name)) == MOST
        report = cluster.report()
        assert "room below a limit: " in report.waits_for
        assert "QOSMaxSubmitJobPerUserLimit" in report.waits_for
        assert (report.wanted, report.halted, report.trouble) == (MOST + 3, "", None)
        attempts = len(calls.of("sbatch"))
        assert attempts <= 8  # 8 no, 4 yes, 2 no, 1 yes, 1 no
        place.cancel(live(cluster)[0].job)
        wait_for(lambda: len(calls.of("sbatch")) > attempts, 30)
        wait_for(lambda: len(place.live_jobs(cluster.name)) == MOST)
        cluster.scale(jobs=MOST - 1)
        wait_for(lambda: len(live(cluster)) == MOST - 1)
        assert cluster.report().waits_for == ""


# it loses a node ----------------------------------------------------------------------------------


def test_the_jobs_of_a_node_without_power_run_on_another(bed: SlurmBed, place: Place) -> None:
    options = {**place.small, "directives": "--exclusive"}
    with HPCCluster(**options, name=place.name()) as cluster, Client(cluster) as client:
        cluster.scale(jobs=2)
        client.wait_for_workers(4, timeout=60)
        work = client.map(unhurried(), range(60))
        victim = cluster.jobs()[0].job
        node = bed.run("squeue", "-h", "-j", victim, "-o", "%N").stdout.strip()
        bed.control("kill-node", node.removeprefix("node"), "--now")
        wait_for(lambda: victim not in {job.job for job in live(cluster)}, 40)
        assert client.gather(work) == list(range(60))
        wait_for(lambda: [job.phase for job in live(cluster)] == ["running"] * 2)
        (ended,) = [job for job in cluster.jobs() if job.phase == "ended"]
        assert ended.job == victim
