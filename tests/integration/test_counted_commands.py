"""What a hundred jobs cost their batch system, counted where its commands are called."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from dask_hpc import HPCCluster
from tests.integration.places import wait_for
from tests.integration.shims import calls_in
from tests.integration.systems import EVERY, PROGRAMS, system_at

if TYPE_CHECKING:
    from tests.integration.shims import Calls
    from tests.integration.systems import SystemPlace

pytestmark = pytest.mark.timeout(120)

JOBS, KEPT, POLLS = 100, 40, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """What is said to a system.

    ``hold`` is the directive that makes jobs wait, ``array`` the words on the command line that
    make one submission of all, ``listing`` what the command of a poll has that lists jobs.
    """

    hold: str
    array: str = ""
    listing: str = ""


COMMANDS = {
    "slurm": Commands(hold="--hold", array="--array=0-99"),
    "sge": Commands(hold="-h", array="-t 1-100", listing="-xml"),
    "pbs": Commands(hold="-h", array="-J 0-99"),
    "torque": Commands(hold="-h", array="-t 0-99"),
    "moab": Commands(hold="-h", array="[0-99]"),
    "oar": Commands(hold="--hold", array="--array=100"),
    # Of an array, their scripts speak.
    "lsf": Commands(hold="-H"),
    "htcondor": Commands(hold="hold = True"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was asked of a system while a cluster got a hundred jobs and lost them again.

    ``cancels`` are the calls for most of the jobs, and those for the rest; ``seconds`` is how long
    they were polled, ``listed`` the number of those that the batch system had then.
    """

    commands: Commands
    submissions: list[str]
    polls: list[str]
    cancels: tuple[list[str], list[str]]
    seconds: float
    listed: int


@pytest.fixture(scope="module", params=EVERY)
def seen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    directory = tmp_path_factory.mktemp("calls")
    programs = PROGRAMS[request.param]
    with system_at(request, request.param) as system, calls_in(directory, programs) as calls:
        return come_and_go(system, calls)


def come_and_go(system: SystemPlace, calls: Calls) -> Seen:
    commands = COMMANDS[system.site]
    submit, status, cancel = PROGRAMS[system.site]

    def polls() -> list[str]:
        return [call for call in calls.of(status) if commands.listing in call]

    with HPCCluster(**system.small, directives=commands.hold, name=system.name()) as cluster:
        # Detection asks which release it is.
        submitted, polled, begin = len(calls.of(submit)), len(polls()), time.monotonic()
        cluster.scale(jobs=JOBS)
        wait_for(lambda: [job.phase for job in live(cluster)] == ["pending"] * JOBS)
        wait_for(lambda: len(polls()) >= polled + POLLS)
        asked, seconds = polls()[polled:], time.monotonic() - begin
        tags = {job.slot.rpartition(".")[0] for job in live(cluster)}
        listed = len(system.listed(tags))
        cluster.scale(jobs=KEPT)
        wait_for(lambda: len(live(cluster)) == KEPT)
        most = calls.of(cancel)
        cluster.scale(jobs=0)
        wait_for(lambda: not live(cluster))
        rest = calls.of(cancel)[len(most) :]
    assert not [job for job in system.listed(tags) if job.is_live]
    return Seen(
        commands=commands,
        submissions=calls.of(submit)[submitted:],
        polls=asked,
        cancels=(most, rest),
        seconds=seconds,
        listed=listed,
    )


def live(cluster: HPCCluster) -> list[Any]:
    return [job for job in cluster.jobs() if job.phase != "ended"]


def test_a_hundred_jobs_are_one_submission(seen: Seen) -> None:
    (submission,) = seen.submissions
    assert seen.commands.array in submission
    assert seen.listed == JOBS


def test_a_poll_is_one_query_whatever_the_number_of_jobs(seen: Seen) -> None:
    assert POLLS <= len(seen.polls) <= seen.seconds + 1  # at most one a second


def test_many_jobs_are_cancelled_by_one_command(seen: Seen) -> None:
    most, rest = seen.cancels
    assert len(most) == len(rest) == 1
