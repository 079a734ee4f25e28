"""Clusters that no job can follow."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dask_hpc._files import write_record
from dask_hpc._hosts import own_mark
from dask_hpc.batch.model import JobId, Tag
from dask_hpc.cluster.directory import directory_of
from dask_hpc.cluster.followon import FollowOn, find_follow_on, write_follow_on
from dask_hpc.cluster.plan import Plan, write_plan
from dask_hpc.cluster.record import ClusterRecord, ClusterState, write_cluster
from dask_hpc.cluster.spec import Home
from dask_hpc.deploy.extending import extend
from dask_hpc.errors import ConfigError, ControllerUnreachable
from tests.cluster.specs import a_spec

if TYPE_CHECKING:
    from pathlib import Path

    from dask_hpc.cluster.directory import ClusterDirectory

TAG = Tag("climate-abcd2345")


@pytest.fixture
def directory(home: Path) -> ClusterDirectory:
    """A cluster of HTCondor whose scheduler seems to be this process."""
    found = directory_of("climate")
    found.path.mkdir(mode=0o700, parents=True)
    record = ClusterRecord(
        name="climate",
        site="htcondor",
        home=Home.JOB,
        state=ClusterState.RUNNING,
        created=0.0,
        tag=TAG,
        job=JobId("36"),
        address="tls://10.0.0.1:8786",
        process=own_mark(),
    )
    write_cluster(found, record)
    write_record(found.spec, replace(a_spec(), system="htcondor", directory=found.path))
    return found


async def refused(directory: ClusterDirectory, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        await extend(directory)


async def test_where_no_job_begins_after_another(directory: ClusterDirectory) -> None:
    await refused(directory, "htcondor starts no job after the end of another one")
    assert find_follow_on(directory, after=TAG) is None


async def test_one_that_runs_a_script(directory: ClusterDirectory) -> None:
    write_plan(directory, Plan(argv=("true",), directory="/"))
    await refused(directory, "'climate' runs a script")


async def test_one_that_a_job_follows_already(directory: ClusterDirectory) -> None:
    follow_on = FollowOn(after=TAG, tag=Tag("climate-efgh6789"), job=JobId("37"))
    write_follow_on(directory, follow_on)
    await refused(directory, "job 37 already follows job 36 of 'climate'")


async def test_one_whose_scheduler_is_in_a_program(directory: ClusterDirectory) -> None:
    record = ClusterRecord(
        name="climate",
        site="htcondor",
        home=Home.HERE,
        state=ClusterState.RUNNING,
        created=0.0,
        process=own_mark(),
    )
    write_cluster(directory, record)
    await refused(directory, "the scheduler of 'climate' is in a program")


async def test_one_that_has_ended(directory: ClusterDirectory) -> None:
    record = ClusterRecord(
        name="climate",
        site="htcondor",
        home=Home.HERE,
        state=ClusterState.ENDED,
        created=0.0,
        reason="it was shut down",
    )
    write_cluster(directory, record)
    with pytest.raises(ControllerUnreachable, match="has ended: it was shut down"):
        await extend(directory)
