"""What the batch system says of a scheduler that says nothing itself."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dask_hpc.batch.model import JobId, JobSpec, JobState, JobStatus, Resources, Tag
from dask_hpc.cluster.directory import ClusterDirectory, directory_of
from dask_hpc.cluster.fate import bury, ending, scheduler_status
from dask_hpc.cluster.followon import FollowOn, write_follow_on
from dask_hpc.cluster.record import ClusterRecord, ClusterState, read_cluster, write_cluster
from dask_hpc.cluster.spec import Home
from dask_hpc.errors import BatchUnavailable
from dask_hpc.testing import FakeClock, FakeSystem

if TYPE_CHECKING:
    from pathlib import Path

RECORD = ClusterRecord(
    name="climate",
    site="fake",
    home=Home.JOB,
    state=ClusterState.RUNNING,
    created=0.0,
    tag=Tag("climate-abcd2345"),
    nonce="00ff",
)
JOB = JobSpec(tag=RECORD.tag, resources=Resources(cores=1, memory=1), body="run", log="/log")


def status(state: JobState, *, reason: str = "", plain: str = "") -> JobStatus:
    return JobStatus(id=JobId("36"), tag=RECORD.tag, state=state, reason=reason, plain_reason=plain)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (status(JobState.RUNNING), ""),
        (status(JobState.PENDING, reason="Priority"), ""),
        (status(JobState.UNKNOWN), ""),
        (status(JobState.CANCELLED), "its job 36 ended: cancelled"),
        (status(JobState.TIMED_OUT, reason="timed-out"), "its job 36 ended: timed-out"),
        (status(JobState.FAILED, reason="NonZero"), "its job 36 ended: failed (NonZero)"),
        (status(JobState.LOST, reason="X", plain="no node"), "its job 36 ended: lost (no node)"),
    ],
)
def test_an_end_is_told_in_words(said: JobStatus, words: str) -> None:
    assert ending(said) == words


async def test_the_job_is_found_by_its_tag_and_later_by_its_id() -> None:
    clock = FakeClock()
    system = FakeSystem(clock, listed_for=60.0)
    queue = system.queue()
    assert await scheduler_status(queue, RECORD) is None
    (job,) = await queue.submit(JOB)
    found = await scheduler_status(queue, RECORD)
    assert found
    assert (found.id, found.state) == (job, JobState.RUNNING)
    system.end(job, JobState.CANCELLED)
    await clock.sleep(100)
    assert await scheduler_status(queue, RECORD) is None
    found = await scheduler_status(queue, replace(RECORD, job=job))
    assert found
    assert found.state is JobState.CANCELLED


async def test_a_batch_system_that_does_not_answer_says_nothing_about_it() -> None:
    system = FakeSystem(FakeClock())
    system.be_silent("status")
    with pytest.raises(BatchUnavailable):
        await scheduler_status(system.queue(), RECORD)


@pytest.fixture
def directory(home: Path) -> ClusterDirectory:
    directory = directory_of("climate")
    directory.path.mkdir(mode=0o700, parents=True)
    write_cluster(directory, RECORD)
    return directory


def test_an_end_is_written_down(directory: ClusterDirectory) -> None:
    buried = bury(directory, RECORD, reason="its job 36 ended: cancelled")
    assert (buried.state, buried.reason) == (ClusterState.ENDED, "its job 36 ended: cancelled")
    assert read_cluster(directory) == buried


def test_after_the_end_of_a_job_that_another_follows_the_cluster_waits(
    directory: ClusterDirectory,
) -> None:
    write_follow_on(directory, FollowOn(after=RECORD.tag, tag=Tag("climate-efgh6789")))
    assert bury(directory, RECORD, reason="its job 36 ended").state is ClusterState.STARTING


@pytest.mark.parametrize(
    "since", [{"nonce": "1234"}, {"state": ClusterState.ENDED, "reason": "it was idle"}]
)
def test_who_has_started_again_or_said_more_is_not_buried(
    directory: ClusterDirectory, since: dict[str, str]
) -> None:
    now = replace(RECORD, **since)  # type: ignore[arg-type]  # of fields by name
    write_cluster(directory, now)
    assert bury(directory, RECORD, reason="its job 36 ended: cancelled") == now
    assert read_cluster(directory) == now


def test_of_a_cluster_that_is_gone_nothing_is_written(directory: ClusterDirectory) -> None:
    directory.remove()
    assert bury(directory, RECORD, reason="x") == RECORD
    assert not directory.path.exists()
