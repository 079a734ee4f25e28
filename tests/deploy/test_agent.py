"""The agent of a cluster, as the user's side starts it, finds it gone, and ends it."""

from __future__ import annotations

import os
import re
import signal
import socket
import tempfile
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from dask_hpc._clock import SystemClock, until
from dask_hpc._files import read_tail, write_record
from dask_hpc._hosts import ProcessMark, host_name, mark_of
from dask_hpc.batch.model import JobId, Tag
from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.cluster.record import ClusterRecord, ClusterState, read_spec, write_cluster
from dask_hpc.cluster.spec import Home, SubmitFrom
from dask_hpc.deploy.agent import end_agent, start_agent, submits_here, tend_agent
from dask_hpc.errors import LaunchError, SecurityError
from dask_hpc.process.requests import AGENT, CLOSED, AgentRecord, Requests, read_agent
from tests.cluster.specs import a_spec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.slow

RECORD = ClusterRecord(
    name="climate-2",
    site="local",
    home=Home.JOB,
    state=ClusterState.RUNNING,
    created=0.0,
    tag=Tag("climate-2-abcd2345"),
    job=JobId("36"),
)
HERE = host_name()
TIME = r"\d\d:\d\d:\d\d"
ELSEWHERE = ProcessMark(host="login2", pid=1, started=1)
GONE = ProcessMark(host=HERE, pid=1, started=1)


@asynccontextmanager
async def cluster(**settings: object) -> AsyncIterator[ClusterDirectory]:
    """Give the directory of a cluster on the local queue, whose agent ends with it."""
    with tempfile.TemporaryDirectory(prefix="dh", dir="/tmp") as place:
        directory = ClusterDirectory(Path(place) / "clusters" / "climate-2")
        directory.create()
        plain = {"system": "local", "submit_from": SubmitFrom.LOGIN, "directory": directory.path}
        write_record(directory.spec, a_spec(**{**plain, **settings}))
        write_cluster(directory, RECORD)
        directory.requests.mkdir(mode=0o700)
        try:
            yield directory
        finally:
            await end_agent(directory)


@pytest.fixture
async def directory() -> AsyncIterator[ClusterDirectory]:
    async with cluster() as directory:
        yield directory


def mark(directory: ClusterDirectory) -> ProcessMark:
    seen = read_agent(directory.requests)
    assert seen
    return seen.process


def agent(directory: ClusterDirectory) -> psutil.Process:
    return psutil.Process(mark(directory).pid)


def is_gone(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.status() == psutil.STATUS_ZOMBIE
    return True


async def kill(process: psutil.Process) -> None:
    process.kill()
    assert await until(lambda: is_gone(process), 30, clock=SystemClock())


def pretend(directory: ClusterDirectory, process: ProcessMark, *, ago: float = 0.0) -> None:
    """Let an agent have shown some seconds ago that it lives."""
    write_record(directory.requests / AGENT, AgentRecord(process=process))
    beat = SystemClock().time() - ago
    os.utime(directory.requests / AGENT, (beat, beat))


# its start ----------------------------------------------------------------------------------------


async def test_it_outlives_whoever_started_it(directory: ClusterDirectory) -> None:
    await start_agent(directory)
    process = agent(directory)
    assert os.getsid(process.pid) == process.pid
    assert process.terminal() is None
    assert process.cwd() == "/"
    assert streams(process) == {Path(os.devnull)}
    assert process.environ()["PYTHONPATH"].split(":")[0] == str(directory.code)


def streams(process: psutil.Process) -> set[Path]:
    return {Path(f"/proc/{process.pid}/fd/{number}").readlink() for number in range(3)}


async def test_a_second_start_is_harmless(directory: ClusterDirectory) -> None:
    await start_agent(directory)
    first = mark(directory)
    await start_agent(directory)
    assert mark(directory) == first
    children = psutil.Process().children()
    assert await until(
        lambda: sum(str(directory.path) in _words(each) for each in children) == 1,
        10,
        clock=SystemClock(),
    )


def _words(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


async def test_one_that_cannot_start_is_told_with_its_log() -> None:
    async with cluster(system="slrm") as directory:
        with pytest.raises(LaunchError, match="the agent of 'climate-2' did not start") as error:
            await start_agent(directory)
        log = directory.logs / "agent.log"
        assert error.value.hint == f"its log is {log}; dask-hpc status climate-2 tries again"
        assert "batch system 'slrm' is unknown" in read_tail(log)


async def test_none_is_started_where_others_could_leave_requests(
    directory: ClusterDirectory,
) -> None:
    directory.requests.chmod(0o777)
    with pytest.raises(SecurityError, match="is open to others"):
        await start_agent(directory)


# tending ------------------------------------------------------------------------------------------


async def test_of_one_that_lives_there_is_nothing_to_say(directory: ClusterDirectory) -> None:
    await start_agent(directory)
    first = mark(directory)
    assert await tend_agent(directory) == ""
    assert mark(directory) == first


async def test_one_that_was_killed_is_started_again(directory: ClusterDirectory) -> None:
    await start_agent(directory)
    first = mark(directory)
    await kill(agent(directory))
    said = await tend_agent(directory)
    assert re.fullmatch(rf"the agent on {HERE} ended at {TIME}, started again", said)
    assert mark(directory) != first
    assert await tend_agent(directory) == ""


async def test_one_that_never_was_is_started(directory: ClusterDirectory) -> None:
    assert await tend_agent(directory) == "the agent has ended, started again"
    assert not is_gone(agent(directory))


async def test_one_that_hangs_is_told_and_stays_the_only_one(directory: ClusterDirectory) -> None:
    await start_agent(directory)
    process = agent(directory)
    process.suspend()
    pretend(directory, mark(directory), ago=60)
    said = await tend_agent(directory)
    assert re.fullmatch(rf"the agent on {HERE} has not answered since {TIME}", said)
    assert mark(directory).pid == process.pid
    process.resume()


async def test_one_on_another_host_is_left_alone_while_it_shows_that_it_lives(
    directory: ClusterDirectory,
) -> None:
    pretend(directory, ELSEWHERE, ago=10)
    assert await tend_agent(directory) == ""
    pretend(directory, ELSEWHERE, ago=60)
    said = await tend_agent(directory)
    assert re.fullmatch(rf"the agent on login2 has not answered since {TIME}, started again", said)
    assert mark(directory).host == HERE


async def test_inside_a_job_none_is_started(
    directory: ClusterDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DASK_HPC_LOCAL_JOB_ID", "36")
    pretend(directory, ELSEWHERE, ago=60)
    said = await tend_agent(directory)
    assert re.fullmatch(rf"the agent on login2 has not answered since {TIME}", said)
    assert mark(directory) == ELSEWHERE
    assert not submits_here(read_spec(directory))


async def test_where_the_batch_system_is_not_none_is_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with cluster(system="slurm") as directory:
        monkeypatch.setenv("PATH", "/nowhere")
        assert await tend_agent(directory) == "the agent has ended"
        assert read_agent(directory.requests) is None
        assert not submits_here(read_spec(directory))


@pytest.mark.parametrize(
    "settings", [{"submit_from": SubmitFrom.NODE}, {"home": Home.HERE}], ids=["node", "here"]
)
async def test_a_cluster_that_submits_by_itself_has_none(settings: dict[str, object]) -> None:
    async with cluster(**settings) as directory:
        assert await tend_agent(directory) == ""
        assert read_agent(directory.requests) is None
        assert submits_here(read_spec(directory))


async def test_a_cluster_that_has_ended_gets_none(directory: ClusterDirectory) -> None:
    write_cluster(directory, replace(RECORD, state=ClusterState.ENDED))
    assert await tend_agent(directory) == ""
    assert read_agent(directory.requests) is None


async def test_a_record_that_others_could_have_written_is_told(directory: ClusterDirectory) -> None:
    pretend(directory, GONE)
    (directory.requests / AGENT).chmod(0o666)
    said = await tend_agent(directory)
    assert said.startswith("the agent cannot be tended: ")
    assert said.endswith("is open to others (mode 0666)")
    (directory.requests / AGENT).unlink()


# its end ------------------------------------------------------------------------------------------


async def test_it_ends_and_leaves_nothing(directory: ClusterDirectory) -> None:
    await start_agent(directory)
    process = agent(directory)
    await end_agent(directory)
    assert is_gone(process)
    assert [path.name for path in directory.requests.iterdir()] == [CLOSED]
    await end_agent(directory)


async def test_nothing_is_begun_after_its_end_until_it_is_started_again(
    directory: ClusterDirectory,
) -> None:
    await end_agent(directory)
    assert Requests(directory.requests).listing().closed
    await start_agent(directory)
    assert not Requests(directory.requests).listing().closed


async def test_one_that_hangs_is_killed(directory: ClusterDirectory) -> None:
    await start_agent(directory)
    process = agent(directory)
    process.suspend()
    begin = SystemClock().monotonic()
    await end_agent(directory)
    assert is_gone(process)
    assert SystemClock().monotonic() - begin < 30


async def test_one_on_another_host_is_asked_to_leave(
    directory: ClusterDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    await start_agent(directory)
    process = agent(directory)
    # To us it is on another host.
    monkeypatch.setattr(socket, "gethostname", lambda: "login2")
    await end_agent(directory)
    assert await until(lambda: is_gone(process), 30, clock=SystemClock())
    assert not (directory.requests / AGENT).exists()
    assert "ends: it was asked to leave" in read_tail(directory.logs / "agent.log")


async def test_one_on_another_host_that_is_silent_is_not_waited_for(
    directory: ClusterDirectory,
) -> None:
    pretend(directory, ELSEWHERE, ago=60)
    begin = SystemClock().monotonic()
    await end_agent(directory)
    assert SystemClock().monotonic() - begin < 1
    assert not (directory.requests / AGENT).exists()


async def test_a_stranger_with_its_number_is_not_ended(directory: ClusterDirectory) -> None:
    own = mark_of(os.getpid())
    assert own
    pretend(directory, replace(own, started=own.started + 1))
    before = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, lambda *_: pytest.fail("got a signal"))
    try:
        await end_agent(directory)
    finally:
        signal.signal(signal.SIGTERM, before)
