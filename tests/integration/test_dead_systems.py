"""A batch system that is down, as each says it: work goes on, and nothing is submitted twice."""

from __future__ import annotations

import os
import shlex
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from distributed import Client

from dask_hpc import HPCCluster
from dask_hpc.testing import read_recording
from tests.batch.recorded import RECORDINGS
from tests.integration.places import wait_for
from tests.integration.shims import calls_in
from tests.integration.systems import AS_USER, PROGRAMS, system_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.shims import Calls
    from tests.integration.systems import SystemPlace

pytestmark = pytest.mark.timeout(120)


def server_down(*names: str) -> tuple[str, ...]:
    """Return the names of the recordings of commands whose server was down."""
    return tuple(f"server-down-{name}" for name in names)


def refuses(system: str, *names: str) -> Callable[[Calls], None]:
    """Let the commands say what they said of a server that was down."""

    def die(calls: Calls) -> None:
        for command, name in zip(calls.commands, names, strict=True):
            said = read_recording(RECORDINGS / system / f"{name}.txt")
            out, err = shlex.quote(said.stdout), shlex.quote(said.stderr)
            calls.twist(command, f"printf %s {out}; printf %s {err} >&2; exit {said.exit_code}\n")

    return die


def hangs(calls: Calls) -> None:
    """Let the commands wait for their server, and then do what they were asked."""
    words = "OpenLava daemon (LIM) not responding ... still trying"
    for command in calls.commands:
        # It is a file while it stands for an outage.
        lines = f"echo {shlex.quote(words)} >&2\nwhile [ -e $twist ]; do sleep 0.1; done\n"
        calls.twist(command, lines)


def says_nothing(calls: Calls) -> None:
    """Let the commands succeed without a word and without a deed."""
    for command in calls.commands:
        calls.twist(command, "exit 0\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """How a system is when it is down; without ``die``, its bed is stopped in its tracks."""

    system: str
    die: Callable[[Calls], None] | None


DEATHS = [
    pytest.param(
        Death(system="slurm", die=refuses("slurm", *server_down("sbatch", "squeue", "scancel"))),
        marks=pytest.mark.bed("slurm"),
        id="slurm-refuses",
    ),
    pytest.param(Death(system="sge", die=None), marks=pytest.mark.bed("sge"), id="sge-hangs"),
    pytest.param(
        Death(system="sge", die=refuses("sge", *server_down("qsub", "qstat-xml", "qdel"))),
        marks=pytest.mark.bed("sge"),
        id="sge-refuses",
    ),
    pytest.param(
        Death(system="pbs", die=refuses("openpbs", *server_down("qsub", "qstat-json", "qdel"))),
        id="pbs-lies",
    ),
    pytest.param(Death(system="pbs", die=says_nothing), id="pbs-says-nothing"),
    pytest.param(
        Death(system="torque", die=refuses("torque", *server_down("qsub", "qstat-xml", "qdel"))),
        id="torque-refuses",
    ),
    pytest.param(Death(system="moab", die=hangs), id="moab-hangs"),
    pytest.param(Death(system="lsf", die=hangs), id="lsf-hangs"),
]
OF_USERS = {
    "htcondor": server_down("submit", "q-json", "rm"),
    "oar": ("almighty-down-oarsub", "database-down-oarstat", "almighty-down-oardel"),
}
if (system := os.environ.get(AS_USER, "")) in OF_USERS:  # on the real one alone
    DEATHS = [pytest.param(Death(system=system, die=refuses(system, *OF_USERS[system])), id=system)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was seen of a cluster that was told to grow from one job to two in an outage.

    ``workers`` were at work all the time, ``results`` came of their work; ``said`` is what
    ``dask-hpc status`` said; ``jobs`` is how many the batch system had been given in the end.
    """

    workers: list[int]
    results: list[int]
    said: str
    jobs: int


@pytest.fixture(scope="module", params=DEATHS)
def seen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    death: Death = request.param
    directory, programs = tmp_path_factory.mktemp("calls"), PROGRAMS[death.system]
    with system_at(request, death.system) as system, calls_in(directory, programs) as calls:

        @contextmanager
        def outage() -> Iterator[None]:
            if death.die is None:
                with request.getfixturevalue(death.system).paused():
                    yield
                return
            death.die(calls)
            try:
                yield
            finally:
                calls.straighten()

        return live_through(system, outage)


def live_through(system: SystemPlace, outage: Callable[[], Any]) -> Seen:
    workers: list[int] = []
    results: list[int] = []
    name = system.name()
    with HPCCluster(**system.small, name=name) as cluster, Client(cluster) as client:
        cluster.scale(jobs=1)
        client.wait_for_workers(2, timeout=60)
        with ThreadPoolExecutor() as pool, outage():
            pool.submit(cluster.scale, jobs=2)  # it returns when the batch system has answered

            def is_known() -> bool:
                number = len(results)
                results.append(client.submit(lambda one: one, number).result(timeout=60))
                report = cluster.report()
                workers.append(report.workers)
                return report.unanswered_since is not None

            wait_for(is_known, what="the outage is known")
            said = system.dask_hpc("status", name).stdout
        client.wait_for_workers(4, timeout=60)
        wait_for(lambda: cluster.report().unanswered_since is None)
        jobs = len(system.jobs(name))
    return Seen(workers=workers, results=results, said=said, jobs=jobs)


def test_the_workers_go_on(seen: Seen) -> None:
    assert set(seen.workers) == {2}
    assert seen.results == list(range(len(seen.results)))


def test_nothing_is_submitted_twice(seen: Seen) -> None:
    assert seen.jobs == 2


def test_status_says_since_when_there_is_no_answer(seen: Seen) -> None:
    assert "the batch system has not answered for " in seen.said
