"""On the local queue, for speed: a controller that asks an agent lives and ends as any other."""

from __future__ import annotations

import os
import stat
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from dask_hpc import HPCCluster
from tests.integration.places import PROGRAM, LocalPlace, Place, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

SITE = "local"
AGENT = "dask_hpc.remote.agent"
SECONDS = 30.0  # ten for the end of a cluster, and some for a busy machine


class LoginPlace(LocalPlace):
    """The embedded queue, which takes commands from login nodes alone."""

    @property
    def environ(self) -> dict[str, str]:
        """As of every place, and the setting."""
        return {**super().environ, "DASK_HPC__SUBMIT_FROM": "login"}

    def agents(self, name: str) -> list[psutil.Process]:
        """Return the processes that serve a cluster."""
        found = []
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                if process.cmdline()[-3:] == [AGENT, "--directory", str(self.directory(name))]:
                    found.append(process)
        return found


@pytest.fixture(scope="module")
def place() -> Iterator[LoginPlace]:
    with (
        tempfile.TemporaryDirectory(prefix="dh", dir="/tmp") as home,
        pytest.MonkeyPatch.context() as patch,
    ):
        place = LoginPlace(site=SITE, home=Path(home))
        for name, value in place.environ.items():
            patch.setenv(name, value)
        yield place
        left = place.clean()
    assert not left, left


def up(place: Place, *words: str) -> str:
    name = place.name()
    place.ask("up", *place.small_options, "--name", name, *words)
    return name


def ended(place: Place, name: str) -> None:
    assert place.ask("down", name) == [{"name": name, "left": []}]
    assert place.left(name) == []


def kill_agent(place: LoginPlace, name: str) -> None:
    (agent,) = place.agents(name)
    agent.kill()
    wait_for(lambda: not place.agents(name))


def report(place: Place, name: str) -> Any:
    return place.ask("status", name)["report"]


def test_the_controller_submits_and_cancels_through_the_agent(place: LoginPlace) -> None:
    name = up(place, "--jobs", "1")
    (agent,) = place.agents(name)
    agent.suspend()
    submitted = len(place.jobs(name))
    scaling = place.start("true")  # the place's variables, for what follows in this process
    scaling.wait()
    with HPCCluster.from_name(name) as cluster:
        wanting = place.start(*PROGRAM, "scale", name, "4")
        wait_for(lambda: list((place.directory(name) / "requests").glob("*.request")))
        assert len(place.jobs(name)) == submitted
        agent.resume()
        assert wanting.wait(60) == 0
        cluster.wait_for_workers(4, timeout=30)
    place.ask("scale", name, "0")
    wait_for(lambda: len(place.live_jobs(name)) == 1)
    ended(place, name)


def _scale(name: str, workers: int) -> tuple[str, ...]:
    from tests.integration.places import PROGRAM

    return (*PROGRAM, "scale", name, str(workers))


def test_an_agent_that_was_killed_comes_back_and_a_lost_job_is_replaced(place: LoginPlace) -> None:
    name = up(place, "--jobs", "1")
    kill_agent(place, name)
    (job,) = [job["job"] for job in report(place, name)["jobs"]]
    assert len(place.agents(name)) == 1
    place.cancel(job)
    wait_for(lambda: [each["job"] for each in report(place, name)["jobs"] if each["workers"]])
    ended(place, name)


def test_an_idle_cluster_takes_its_agent_with_it(place: LoginPlace) -> None:
    name = up(place, "--jobs", "1", "--idle-timeout", "4", "--detach")
    wait_for(lambda: place.live_jobs(name)[1:])
    wait_for(lambda: not place.live_jobs(name))
    wait_for(lambda: not place.agents(name), 30)
    assert list((place.directory(name) / "requests").iterdir()) == []
    (cluster,) = [each for each in place.ask("ls") if each["name"] == name]
    assert (cluster["state"], cluster["agent"]) == ("ended", "")
    assert place.agents(name) == []
    ended(place, name)


def test_down_needs_no_agent(place: LoginPlace) -> None:
    name = up(place, "--jobs", "1")
    kill_agent(place, name)
    ended(place, name)


def test_down_is_not_held_up_by_an_agent_that_hangs(place: LoginPlace) -> None:
    name = up(place, "--jobs", "1")
    (agent,) = place.agents(name)
    agent.suspend()
    begin = time.monotonic()
    assert place.ask("down", name)[0]["name"] == name
    assert time.monotonic() - begin < SECONDS
    wait_for(lambda: not place.left(name), 30)


def test_down_leaves_nothing_when_everything_was_killed(place: LoginPlace) -> None:
    name = up(place, "--jobs", "1")
    for process in place.processes():
        process.kill()
    ended(place, name)


def test_a_cluster_with_its_scheduler_here_needs_no_agent(place: LoginPlace) -> None:
    with HPCCluster(**place.small, name=place.name()) as cluster:
        cluster.scale(jobs=1)
        cluster.wait_for_workers(2, timeout=30)
        assert place.agents(cluster.name) == []


def test_a_notebook_that_attaches_brings_a_dead_agent_back(
    place: LoginPlace, caplog: pytest.LogCaptureFixture
) -> None:
    name = up(place, "--jobs", "0")
    kill_agent(place, name)
    with HPCCluster.from_name(name) as cluster:
        assert "started again" in caplog.text
        cluster.scale(jobs=1)
        cluster.wait_for_workers(2, timeout=30)
        cluster.shutdown()
    assert place.left(name) == []


def test_every_file_of_the_agent_is_private(place: LoginPlace) -> None:
    before = os.umask(0)
    try:
        name = up(place, "--jobs", "1")
    finally:
        os.umask(before)
    room = place.directory(name) / "requests"
    files = [room, *room.iterdir(), place.directory(name) / "logs" / "agent.log"]
    assert len(files) >= 3
    assert [path for path in files if stat.S_IMODE(path.stat().st_mode) & 0o077] == []
    ended(place, name)


def test_where_else_nodes_could_submit_from_is_asked(place: LoginPlace) -> None:
    done = place.dask_hpc("up", *place.small_options, env={"DASK_HPC__SUBMIT_FROM": "laptop"})
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "error: DASK_HPC__SUBMIT_FROM 'laptop' is not one of login, node\n"
        "hint: write one of login, node\n"
    )
