"""A record is not believed where its scheduler could not say that it ended."""

from __future__ import annotations

import asyncio
import socket
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from dask_hpc import HPCCluster
from dask_hpc._files import write_record
from dask_hpc._hosts import ProcessMark, own_mark
from dask_hpc.batch.local import Local
from dask_hpc.batch.model import JobId, JobSpec, Resources
from dask_hpc.batch.queue import Queue
from dask_hpc.cluster.directory import ClusterDirectory, directory_of
from dask_hpc.cluster.record import ClusterRecord, ClusterState, read_cluster, write_cluster
from dask_hpc.cluster.slot import new_tag
from dask_hpc.cluster.spec import Home
from dask_hpc.deploy.reaching import settled
from dask_hpc.errors import ControllerUnreachable
from dask_hpc.process.local import LocalRunner
from tests.cluster.specs import a_spec
from tests.integration.places import place_at, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.places import Place

pytestmark = pytest.mark.slow

ELSEWHERE = ProcessMark(host="node17", pid=1, started=1)


@pytest.fixture(scope="module")
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    with place_at(request, "local") as place:
        yield place


@dataclass(slots=True, kw_only=True)
class Lost:
    """A cluster whose scheduler's job is in the queue; nobody listens at its address."""

    place: Place
    directory: ClusterDirectory
    record: ClusterRecord

    def write(self, **changes: object) -> None:
        self.record = replace(self.record, **changes)  # type: ignore[arg-type]  # of fields by name
        write_cluster(self.directory, self.record)

    def cancel(self) -> None:
        self.place.cancel(self.record.job)
        wait_for(lambda: not self.place.live_jobs(self.record.name))

    def settled(self) -> ClusterRecord:
        return asyncio.run(settled(self.directory))

    @property
    def written(self) -> ClusterState:
        return read_cluster(self.directory).state


@pytest.fixture
def lost(place: Place) -> Iterator[Lost]:
    name = place.name()
    directory = directory_of(name)
    directory.create()
    record = ClusterRecord(
        name=name,
        site="local",
        home=Home.JOB,
        state=ClusterState.RUNNING,
        created=0.0,
        tag=new_tag(name),
        address="tls://127.0.0.1:9",
        nonce="00ff",
        process=ELSEWHERE,
    )
    job = JobSpec(
        tag=record.tag,
        resources=Resources(cores=1, memory=2**20, walltime=600.0),
        body="exec sleep 300",
        log="/dev/null",
    )
    (job_id,) = asyncio.run(Queue(Local(), LocalRunner(), user="me").submit(job))
    write_record(directory.spec, a_spec(name=name, system="local", directory=directory.path))
    lost = Lost(place=place, directory=directory, record=record)
    lost.write(job=job_id)
    yield lost
    place.cancel(job_id)
    directory.remove()


def test_a_job_that_runs_is_no_end(lost: Lost) -> None:
    assert lost.settled() == lost.record


def test_a_job_that_ended_is_the_end_and_is_written_down(lost: Lost) -> None:
    lost.cancel()
    record = lost.settled()
    assert record.state is ClusterState.ENDED
    assert record.reason.startswith(f"its job {lost.record.job} ended: cancelled")
    assert read_cluster(lost.directory) == record


def test_a_job_that_the_queue_does_not_know_is_the_end_for_who_asks(lost: Lost) -> None:
    lost.write(tag=new_tag("other"), job=JobId("1000"))
    record = lost.settled()
    assert record.state is ClusterState.ENDED
    assert record.reason == (
        "nobody listens at its address, and its job 1000 is not in the queue any more"
    )
    assert lost.written is ClusterState.RUNNING


def test_a_scheduler_whose_job_was_cancelled_before_it_started_has_ended(lost: Lost) -> None:
    lost.write(state=ClusterState.STARTING, address="", process=None)
    assert lost.settled() == lost.record
    lost.cancel()
    assert lost.settled().state is lost.written is ClusterState.ENDED


def test_one_that_is_only_just_being_submitted_has_not(lost: Lost) -> None:
    state = {"state": ClusterState.STARTING, "address": "", "process": None}
    lost.write(**state, tag=new_tag("other"), job=JobId(""))
    assert lost.settled() == lost.record


def test_one_that_listens_is_not_asked_after(lost: Lost) -> None:
    lost.cancel()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        lost.write(address=f"tls://127.0.0.1:{listener.getsockname()[1]}")
        assert lost.settled() == lost.record


@pytest.mark.parametrize("process", [own_mark(), replace(own_mark(), started=1)])
def test_one_whose_process_can_be_seen_needs_no_other_witness(
    lost: Lost, process: ProcessMark
) -> None:
    lost.cancel()
    lost.write(process=process)
    assert lost.settled() == lost.record


def test_where_the_batch_system_cannot_be_asked_the_record_stays(
    lost: Lost, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost.cancel()
    spec = a_spec(name=lost.record.name, system="slurm", directory=lost.directory.path)
    write_record(lost.directory.spec, spec)
    monkeypatch.setenv("PATH", "/nowhere")
    assert lost.settled() == lost.record


def test_whoever_wants_it_is_told_at_once_and_plainly(lost: Lost) -> None:
    lost.cancel()
    name, begin = lost.record.name, time.monotonic()
    with pytest.raises(ControllerUnreachable) as error:
        HPCCluster.from_name(name)
    why = f"its job {lost.record.job} ended: cancelled"
    assert f"the scheduler of {name!r} is not running: {why}" in str(error.value)
    status = lost.place.ask("status", name)
    assert status["state"] == "ended"
    assert f"the scheduler of {name!r} has ended: {why}" in status["trouble"]
    (listed,) = lost.place.ask("ls")
    assert (listed["state"], listed["address"]) == ("ended", "tls://127.0.0.1:9")
    assert time.monotonic() - begin < 30
    done = lost.place.dask_hpc("why", name)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: the scheduler of {name!r} has ended: {why}")
