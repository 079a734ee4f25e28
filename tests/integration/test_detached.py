"""Nodes that may not submit: an agent on the login node does it, is killed, comes back, is gone."""

from __future__ import annotations

import json
import re
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.integration.login import login_of
from tests.integration.places import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.beds.beds import SlurmBed
    from tests.integration.login import Login

pytestmark = [pytest.mark.bed("slurm_net"), pytest.mark.timeout(300)]

SECONDS = 30.0  # ten for the end of a cluster, and some for a busy machine
WORK = """
import shutil, socket, sys, time
from dask_hpc import HPCCluster

def look(number):
    time.sleep(0.2)
    return socket.gethostname(), shutil.which("sbatch")

with HPCCluster.from_name(sys.argv[1]) as cluster:
    cluster.adapt(minimum_jobs=0, maximum_jobs=2, interval=0.5)
    with cluster.get_client() as client:
        looks = client.gather(client.map(look, range(200), pure=False))
        most = len(client.scheduler_info()["workers"])
    deadline = time.monotonic() + 60
    while cluster.report().workers and time.monotonic() < deadline:
        time.sleep(0.5)
    print(most, cluster.report().workers, sorted({host[:4] for host, _ in looks}),
          {command for _, command in looks})
"""


@pytest.fixture(scope="module")
def login(slurm_net: SlurmBed) -> Iterator[Login]:
    with login_of(slurm_net) as login:
        yield login


@pytest.fixture(scope="module")
def name(login: Login) -> Iterator[str]:
    """The name of a cluster that the tests of this module share; each scales it as it needs."""
    name = login.up("--jobs", "1")
    yield name
    begin = time.monotonic()
    assert login.ask("down", name) == [{"name": name, "left": []}]
    assert time.monotonic() - begin < SECONDS
    assert login.left() == []


def worker_jobs(login: Login, name: str) -> list[str]:
    return [job["job"] for job in login.ask("status", name)["report"]["jobs"] if job["workers"]]


def scaled(login: Login, name: str, jobs: int) -> list[str]:
    """Return the worker jobs, once they are as many as this."""
    login.ask("scale", name, str(jobs))
    wait_for(lambda: len(worker_jobs(login, name)) == jobs, 60)
    return worker_jobs(login, name)


def agents(login: Login, name: str, *, host: str = "login") -> list[int]:
    processes = login.processes(host, name=name)
    return [pid for pid, argv in processes.items() if "dask_hpc.remote.agent" in argv]


def kill_agent(login: Login, name: str) -> None:
    (pid,) = agents(login, name)
    login.run("kill", "-9", str(pid))
    wait_for(lambda: not agents(login, name))


def test_it_scales_up_and_down(login: Login, name: str) -> None:
    scaled(login, name, 2)
    assert len(login.jobs(name)) == 3
    scaled(login, name, 1)
    wait_for(lambda: len(login.jobs(name)) == 2)


def test_it_adapts_to_the_work(login: Login, name: str) -> None:
    assert login.python(WORK, name) == "2 0 ['node'] {None}\n"


def test_a_job_that_was_killed_is_replaced(login: Login, name: str) -> None:
    (before,) = scaled(login, name, 1)
    login.run("scancel", before)
    wait_for(lambda: worker_jobs(login, name) not in ([], [before]), 60)
    decisions = json.dumps(login.ask("why", name)["decisions"])
    assert f"job {before} ended" in decisions


def test_an_agent_that_was_killed_is_started_by_status_and_workers_stay(
    login: Login, name: str
) -> None:
    before = scaled(login, name, 1)
    kill_agent(login, name)
    done = login.dask_hpc("status", name)
    assert re.search(
        r"^the agent on login ended at \d\d:\d\d:\d\d, started again$", done.stdout, re.M
    )
    assert "1 of 1 workers" in done.stdout
    assert worker_jobs(login, name) == before
    assert len(agents(login, name)) == 1
    assert set(before) < set(scaled(login, name, 2))


def test_what_is_asked_for_while_there_is_no_agent_comes_when_it_is_back(
    login: Login, name: str
) -> None:
    (before,) = scaled(login, name, 1)
    kill_agent(login, name)
    login.run("scancel", before)
    wait_for(lambda: before not in login.jobs(name))
    assert len(login.jobs(name)) == 1
    login.ask("status", name)
    wait_for(lambda: worker_jobs(login, name) not in ([], [before]), 90)


def test_a_node_says_that_the_agent_does_not_answer(login: Login, name: str) -> None:
    record = login.directory(name) / "requests" / "agent.json"
    kill_agent(login, name)
    login.run("touch", "-d", "-60 seconds", str(record))
    done = login.dask_hpc("status", name, host="node1")
    assert re.search(
        r"^the agent on login has not answered since \d\d:\d\d:\d\d$", done.stdout, re.M
    )
    assert agents(login, name, host="node1") == []
    assert login.ask("status", name)["agent"].endswith("started again")


def test_a_scheduler_that_was_killed_with_all_of_its_job_is_told_at_once(login: Login) -> None:
    name = login.up("--jobs", "0")
    (job,) = login.jobs(name)
    login.run("rm", "-r", str(login.directory(name) / "jobs"))  # nor does its shell say so
    login.kill_jobs(name)
    wait_for(lambda: not login.jobs(name))
    begin = time.monotonic()
    status = login.ask("status", name)
    assert time.monotonic() - begin < SECONDS
    assert status["state"] == "ended"
    assert f"its job {job} ended: " in status["trouble"]
    assert f"its job {job} ended: " in login.dask_hpc("why", name).stderr
    assert login.ask("down", name) == [{"name": name, "left": []}]


def test_a_program_on_a_node_can_end_a_cluster(login: Login) -> None:
    name = login.up("--jobs", "1")
    program = f"from dask_hpc import HPCCluster; HPCCluster.from_name({name!r}).shutdown()"
    login.run(sys.executable, "-c", program, host="node2")
    wait_for(lambda: not login.jobs(name))
    wait_for(lambda: not login.processes(name=name))
    assert not login.directory(name).exists()


def test_nothing_is_left_after_everything_was_killed(login: Login) -> None:
    name = login.up("--jobs", "1")
    kill_agent(login, name)
    assert len(login.jobs(name)) == 2
    login.kill_jobs(name)
    begin = time.monotonic()
    assert login.ask("down", name) == [{"name": name, "left": []}]
    assert time.monotonic() - begin < SECONDS
    assert login.jobs(name) == {}
    assert login.processes(name=name) == {}
    assert login.run("ls", str(login.home / "clusters")).stdout.split().count(name) == 0
