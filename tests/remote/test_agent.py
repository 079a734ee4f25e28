"""The agent of a cluster: one, for as long as the cluster lives, and nothing of it afterwards."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

import dask_hpc
from dask_hpc._clock import until_now
from dask_hpc._files import write_record
from dask_hpc._hosts import ProcessMark, mark_of, own_mark
from dask_hpc.batch.local import Local
from dask_hpc.batch.model import JobId, Tag
from dask_hpc.batch.queue import Queue
from dask_hpc.batch.slurm_table import SEPARATOR
from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.cluster.record import ClusterRecord, ClusterState, read_cluster, write_cluster
from dask_hpc.cluster.spec import Home, SubmitFrom
from dask_hpc.errors import BatchUnavailable, SecurityError
from dask_hpc.process.requests import AGENT, AgentRecord, Request, Requests, read_agent
from dask_hpc.process.runner import Command
from dask_hpc.process.spool import SpoolRunner
from dask_hpc.remote.agent import Agent, _forget_path
from dask_hpc.testing import FakeClock, ScriptedRunner
from tests.cluster.specs import a_spec

if TYPE_CHECKING:
    from collections.abc import Iterator

TAG = Tag("climate-2-abcd2345")
RECORD = ClusterRecord(
    name="climate-2",
    site="slurm",
    home=Home.JOB,
    state=ClusterState.RUNNING,
    created=0.0,
    tag=TAG,
    job=JobId("36"),
    nonce="00ff",
)
SINFO = Command(argv=("sinfo",))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A cluster's directory, a Slurm that consists of answers, and a clock."""

    directory: ClusterDirectory
    slurm: ScriptedRunner
    clock: FakeClock

    @property
    def room(self) -> Path:
        return self.directory.requests

    def agent(self) -> Agent:
        return Agent(self.directory, runner=self.slurm, clock=self.clock)

    def left(self) -> list[str]:
        return [path.name for path in self.room.iterdir()]

    def shows(self, state: str, *, times: int | None = None) -> None:
        """Let squeue show the scheduler's job in a state, or not at all."""
        head = ("ARRAY_JOB_ID", "STATE", "EXIT", "START", "END", "NODELIST", "REASON", "NAME", "")
        cells = ("36", state, "0", "N/A", "N/A", "node1", "None", TAG, "")
        lines = [SEPARATOR.join(line) for line in ((head, cells) if state else (head,))]
        self.slurm.answer("squeue", stdout="\n".join([*lines, ""]), times=times)


@contextmanager
def cluster_directory(*, system: str) -> Iterator[ClusterDirectory]:
    """Give the directory of a cluster as an agent needs it."""
    with tempfile.TemporaryDirectory(prefix="dh") as place:
        directory = ClusterDirectory(Path(place) / "clusters" / "climate-2")
        directory.requests.mkdir(parents=True, mode=0o700)
        directory.logs.mkdir(mode=0o700)
        directory.path.chmod(0o700)
        spec = a_spec(
            system=system,
            directory=directory.path,
            submit_from=SubmitFrom.LOGIN,
            facts={"accounting": "no"},
        )
        write_record(directory.spec, spec)
        write_cluster(directory, RECORD)
        yield directory


@pytest.fixture
def scene() -> Iterator[Scene]:
    with cluster_directory(system="slurm") as directory:
        slurm = ScriptedRunner()
        slurm.answer("sinfo", stdout="debug\n")
        yield Scene(directory=directory, slurm=slurm, clock=FakeClock())


async def serving(scene: Scene) -> asyncio.Task[str]:
    """Return an agent that serves."""
    task = asyncio.ensure_future(scene.agent().run())
    while not (scene.room / AGENT).exists() and not task.done():
        await scene.clock.sleep(0.1)
    return task


def living(seconds: int = 600) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", str(seconds)])


# while the cluster lives --------------------------------------------------------------------------


async def test_it_answers_in_the_place_of_who_asks(scene: Scene) -> None:
    agent = await serving(scene)
    runner = SpoolRunner(directory=scene.room, clock=scene.clock)
    assert (await runner.run(SINFO)).stdout == "debug\n"
    assert scene.left() == [AGENT]
    agent.cancel()
    await asyncio.gather(agent, return_exceptions=True)
    assert scene.left() == []


async def test_it_shows_that_it_lives(scene: Scene) -> None:
    agent = await serving(scene)
    os.utime(scene.room / AGENT, (0, 0))
    await scene.clock.sleep(10)
    seen = read_agent(scene.room)
    assert seen
    assert (seen.process, seen.beat > 0) == (own_mark(), True)
    agent.cancel()
    await asyncio.gather(agent, return_exceptions=True)


async def test_a_damaged_record_of_the_cluster_does_not_end_it(scene: Scene) -> None:
    scene.directory.record.write_text("{")
    agent = await serving(scene)
    await scene.clock.sleep(100)
    assert not agent.done()
    agent.cancel()
    await asyncio.gather(agent, return_exceptions=True)


@pytest.mark.slow
async def test_it_asks_nobody_about_the_scheduler_while_there_are_requests(scene: Scene) -> None:
    agent = await serving(scene)
    runner = SpoolRunner(directory=scene.room, clock=scene.clock)
    for _ in range(10):
        await scene.clock.sleep(100)
        await runner.run(SINFO)
    assert {command.argv[0] for command in scene.slurm.commands} == {"sinfo"}
    agent.cancel()
    await asyncio.gather(agent, return_exceptions=True)


# one only -----------------------------------------------------------------------------------------


async def test_a_second_one_leaves_at_once(scene: Scene) -> None:
    with living() as first:
        mark = mark_of(first.pid)
        assert mark
        write_record(scene.room / AGENT, AgentRecord(process=mark))
        assert await scene.agent().run() == "another agent serves this cluster"
        seen = read_agent(scene.room)
        assert seen
        assert seen.process == mark
        first.kill()


@pytest.mark.parametrize("host", ["elsewhere", own_mark().host])
async def test_it_takes_the_place_of_one_that_is_gone(scene: Scene, host: str) -> None:
    gone = ProcessMark(host=host, pid=1, started=1)
    write_record(scene.room / AGENT, AgentRecord(process=gone))
    requests = Requests(scene.room)
    key = requests.put(Request.of(SINFO, 60))
    requests.begin(key, now=scene.room.stat().st_mtime)
    agent = await serving(scene)
    await scene.clock.sleep(1)
    with pytest.raises(BatchUnavailable, match="the agent that ran the command ended"):
        requests.answer_to(key).result(SINFO)
    seen = read_agent(scene.room)
    assert seen
    assert seen.process == own_mark()
    agent.cancel()
    await asyncio.gather(agent, return_exceptions=True)


async def test_it_leaves_to_one_that_has_taken_its_place(scene: Scene) -> None:
    agent = await serving(scene)
    other = ProcessMark(host="login2", pid=1, started=1)
    write_record(scene.room / AGENT, AgentRecord(process=other))
    assert await agent == "an agent on login2 took over"
    assert scene.left() == [AGENT]


# its end ------------------------------------------------------------------------------------------


async def test_it_ends_with_the_cluster(scene: Scene) -> None:
    agent = await serving(scene)
    write_cluster(scene.directory, replace(RECORD, state=ClusterState.ENDED, reason="it was idle"))
    assert await agent == "the cluster has ended: it was idle"
    assert scene.left() == []


async def test_it_ends_when_the_scheduler_was_killed_and_its_shell_said_so(scene: Scene) -> None:
    agent = await serving(scene)
    scene.directory.jobs.mkdir()
    end = '{"slot": "%s.0", "job": "36", "host": "node1", "time": 1, "end_time": null, "code": 137}'
    (scene.directory.jobs / f"{TAG}.0.end").write_text(end % TAG)
    assert await agent == "the cluster has ended: its job ended with exit code 137"


async def test_it_ends_when_the_directory_is_gone(scene: Scene) -> None:
    agent = await serving(scene)
    scene.directory.remove()
    assert await agent in ("the cluster is gone", "it was asked to leave")
    assert not scene.directory.path.exists()


async def test_it_ends_when_it_is_asked_to_from_another_host(scene: Scene) -> None:
    agent = await serving(scene)
    Requests(scene.room).close()
    assert await agent == "it was asked to leave"
    assert scene.left() == ["closed"]


async def test_it_ends_when_it_is_told_to(scene: Scene) -> None:
    agent = scene.agent()
    task = asyncio.ensure_future(agent.run())
    await scene.clock.sleep(1)
    agent.leave()
    assert await task == "it was told to end"
    assert scene.left() == []


async def test_it_ends_if_others_could_leave_requests(scene: Scene) -> None:
    scene.room.chmod(0o770)
    with pytest.raises(SecurityError, match="is open to others"):
        await scene.agent().run()
    scene.room.chmod(0o700)
    agent = await serving(scene)
    scene.room.chmod(0o777)
    with pytest.raises(SecurityError, match="is open to others"):
        await agent


@pytest.mark.slow
async def test_when_nobody_asks_it_asks_for_the_scheduler_and_writes_down_its_end(
    scene: Scene,
) -> None:
    scene.shows("RUNNING", times=2)
    scene.shows("CANCELLED")
    assert await scene.agent().run() == "the cluster has ended: its job 36 ended: cancelled"
    assert scene.clock.monotonic() > 900
    record = read_cluster(scene.directory)
    assert (record.state, record.reason) == (ClusterState.ENDED, "its job 36 ended: cancelled")
    assert scene.left() == []


@pytest.mark.slow
async def test_a_scheduler_that_the_queue_does_not_know_twice_is_gone(scene: Scene) -> None:
    scene.shows("", times=1)
    scene.shows("RUNNING", times=1)
    scene.shows("")
    assert await scene.agent().run() == "the scheduler's job is not in the queue any more"
    assert len(scene.slurm.commands) == 4
    assert read_cluster(scene.directory).state is ClusterState.RUNNING


@pytest.mark.slow
async def test_a_batch_system_that_does_not_answer_ends_nothing(scene: Scene) -> None:
    scene.slurm.fail("squeue", error=BatchUnavailable("slurmctld is down"), times=5)
    scene.shows("FAILED")
    assert await scene.agent().run() == "the cluster has ended: its job 36 ended: failed"
    assert len(scene.slurm.commands) == 6


# the program --------------------------------------------------------------------------------------


@contextmanager
def program(directory: ClusterDirectory) -> Iterator[psutil.Process]:
    """Start the agent as it is started, and end it whatever happens."""
    argv = (sys.executable, "-P", "-m", "dask_hpc.remote.agent", "--directory", directory.path)
    source = str(Path(dask_hpc.__file__).parents[1])
    environ = {**os.environ, "PYTHONPATH": source, "DASK_HPC_HOME": str(directory.path.parents[1])}
    with subprocess.Popen(argv, start_new_session=True, env=environ, cwd="/") as process:
        try:
            assert until_now((directory.requests / AGENT).exists, 30)
            yield psutil.Process(process.pid)
        finally:
            process.kill()


def is_gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.mark.slow
async def test_the_program_serves_and_ends_by_a_signal_without_a_trace() -> None:
    with cluster_directory(system="local") as directory, program(directory) as process:
        queue = Queue(Local(), SpoolRunner(directory=directory.requests), user="me")
        (found,) = await queue.queues()
        assert found.name == "local"
        process.send_signal(signal.SIGHUP)
        assert await queue.status([TAG]) == {}
        process.terminate()
        assert until_now(lambda: is_gone(process), 30)
        assert list(directory.requests.iterdir()) == []
        log = (directory.logs / "agent.log").read_text()
        assert f"agent {process.pid} on {own_mark().host} begins" in log
        assert "ends: it was told to end" in log


@pytest.mark.slow
def test_the_program_imports_nothing_of_dask_and_does_little() -> None:
    with cluster_directory(system="slurm") as directory, program(directory) as process:
        loaded = {Path(each.path).name for each in process.memory_maps(grouped=True)}
        assert not [name for name in loaded if "numpy" in name or "msgpack" in name]
        assert process.memory_info().rss < 60e6
        assert process.num_threads() <= 2


@pytest.mark.slow
def test_the_program_says_why_it_does_not_serve() -> None:
    with cluster_directory(system="local") as directory:
        directory.requests.chmod(0o755)
        argv = ("--directory", str(directory.path))
        done = subprocess.run(
            [sys.executable, "-m", "dask_hpc.remote.agent", *argv], timeout=30, check=False
        )
        assert done.returncode == 1
        assert "is open to others (mode 0755)" in (directory.logs / "agent.log").read_text()


@pytest.mark.parametrize(
    ("path", "left"),
    [("{code}", None), ("{code}:/a:/b", "/a:/b"), ("/a", "/a"), (None, None), ("", None)],
)
def test_jobs_do_not_inherit_how_the_program_was_found(
    monkeypatch: pytest.MonkeyPatch, path: str | None, left: str | None
) -> None:
    code = Path("/state/clusters/climate-2/lib")
    if path is None:
        monkeypatch.delenv("PYTHONPATH", raising=False)
    else:
        monkeypatch.setenv("PYTHONPATH", path.format(code=code))
    _forget_path(code)
    assert os.environ.get("PYTHONPATH") == left
