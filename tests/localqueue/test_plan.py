"""What the queue decides."""

from __future__ import annotations

import math
from typing import Any

import pytest

from dask_hpc._hosts import ProcessMark
from dask_hpc.localqueue.model import Machine, State, Task
from dask_hpc.localqueue.plan import (
    LOST,
    Finish,
    Kill,
    Seen,
    Start,
    Terminate,
    Wait,
    free_part,
    next_time,
    plan,
)

MACHINE = Machine(cores=4, memory=8 * 2**30)
GONE = Seen(leader=False, others=False)


def pending(number: int, **values: Any) -> Task:
    ask = {"cores": 1, "memory": 0, "walltime": None, "count": 1, "index": 0}
    return Task(submission=number, tag="t", submitted=0, **{**ask, **values})


def running(number: int, **values: Any) -> Task:
    leader = ProcessMark(host="here", pid=100 + number, started=1)
    return pending(number, **{"state": State.RUNNING, "started": 10.0, "leader": leader, **values})


def completing(number: int, **values: Any) -> Task:
    return running(number, **{"state": State.COMPLETING, "kill_at": 25.0, **values})


def test_jobs_start_as_long_as_there_are_cores() -> None:
    first, second, third = pending(1, cores=2), pending(2, cores=2), pending(3)
    assert plan([first, second, third], {}, machine=MACHINE, now=0) == [
        Start(task=first),
        Start(task=second),
        Wait(task=third, reason="waits for 1 free core (0 free)"),
    ]


def test_jobs_start_in_the_order_of_their_submission() -> None:
    large, small = pending(2, cores=3), pending(3)
    assert plan([small, running(1, cores=2), large], {}, machine=MACHINE, now=11) == [
        Wait(task=large, reason="waits for 3 free cores (2 free)"),
        Wait(task=small, reason="waits for job 2"),
    ]


def test_elements_of_an_array_start_in_the_order_of_their_places() -> None:
    array = [pending(1, count=12, index=index, cores=2) for index in (10, 2, 1)]
    assert plan(array, {}, machine=MACHINE, now=0) == [
        Start(task=array[2]),
        Start(task=array[1]),
        Wait(task=array[0], reason="waits for 2 free cores (0 free)"),
    ]


def test_a_job_larger_than_the_machine_waits_and_holds_up_nobody() -> None:
    many, much, small = pending(1, cores=64), pending(2, memory=64 * 2**30), pending(3)
    assert plan([many, much, small], {}, machine=MACHINE, now=0) == [
        Wait(task=many, reason="needs 64 cores, this machine has 4"),
        Wait(task=much, reason="needs 64 GiB of memory, this machine has 8 GiB"),
        Start(task=small),
    ]


def test_a_job_that_follows_another_waits_for_its_end_and_holds_up_nobody() -> None:
    first, last = running(1, cores=2), pending(2, after=1)
    other = pending(3, cores=2)
    assert plan([first, last, other], {}, machine=MACHINE, now=11) == [
        Wait(task=last, reason="waits for the end of job 1"),
        Start(task=other),
    ]
    ends = completing(1, cores=2)
    assert plan([ends, last], {}, machine=MACHINE, now=11) == [
        Wait(task=last, reason="waits for the end of job 1")
    ]
    assert plan([last], {}, machine=MACHINE, now=11) == [Start(task=last)]


def test_jobs_wait_for_memory_too() -> None:
    first, second = pending(1, memory=6 * 2**30), pending(2, memory=4 * 2**30)
    assert plan([first, second], {}, machine=MACHINE, now=0) == [
        Start(task=first),
        Wait(task=second, reason="waits for 4 GiB of free memory (2 GiB free)"),
    ]


def test_what_a_job_leaves_is_given_out_at_once_but_not_before() -> None:
    old, new = running(1, cores=4), pending(2, cores=4)
    wait = Wait(task=new, reason="waits for 4 free cores (0 free)")
    assert plan([old, new], {(1, 0): Seen()}, machine=MACHINE, now=11) == [wait]
    assert plan([old, new], {(1, 0): GONE}, machine=MACHINE, now=11)[1:] == [Start(task=new)]


def test_a_job_that_is_being_ended_still_has_its_cores() -> None:
    assert free_part([completing(1, cores=3), pending(2)], MACHINE).cores == 1


def test_a_queue_that_was_made_smaller_has_nothing_free() -> None:
    assert free_part([running(1, cores=9)], MACHINE).cores == 0


@pytest.mark.parametrize(
    ("code", "state", "reason"),
    [
        (0, State.DONE, ""),
        (3, State.FAILED, "exit code 3"),
        (137, State.FAILED, "signal 9 ended it"),
        (255, State.FAILED, "exit code 255"),
        (None, State.LOST, LOST),
    ],
)
def test_the_exit_code_says_how_a_job_ended(code: int | None, state: State, reason: str) -> None:
    task = running(1)
    seen = Seen(leader=False, others=False, exit_code=code, ended=12.5)
    assert plan([task], {(1, 0): seen}, machine=MACHINE, now=13) == [
        Finish(task=task, state=state, reason=reason, exit_code=code, ended=12.5)
    ]


def test_a_job_that_was_being_ended_ended_for_that() -> None:
    task = completing(1, ending=State.TIMED_OUT, reason="reached its walltime of 5s")
    seen = Seen(leader=False, others=False, exit_code=0)
    assert plan([task], {(1, 0): seen}, machine=MACHINE, now=21) == [
        Finish(task=task, state=State.TIMED_OUT, reason=task.reason, exit_code=0, ended=21)
    ]


def test_a_job_is_not_over_while_a_process_of_it_lives() -> None:
    task = running(1)
    rest = Seen(leader=False, others=True)
    why = "ends what its script left running"
    assert plan([task], {(1, 0): rest}, machine=MACHINE, now=11) == [
        Terminate(task=task, ending=None, reason=why)
    ]
    assert plan([completing(1)], {(1, 0): rest}, machine=MACHINE, now=24) == []


def test_a_job_is_terminated_at_its_walltime_and_not_before() -> None:
    task = running(1, walltime=90)
    assert plan([task], {}, machine=MACHINE, now=99.9) == []
    why = "reached its walltime of 1m30s"
    assert plan([task], {}, machine=MACHINE, now=100) == [
        Terminate(task=task, ending=State.TIMED_OUT, reason=why)
    ]


def test_a_cancelled_job_is_terminated_once_and_killed_when_its_time_is_up() -> None:
    task = running(1, cancel_asked=True)
    assert plan([task], {}, machine=MACHINE, now=11) == [
        Terminate(task=task, ending=State.CANCELLED, reason="was cancelled")
    ]
    ending = completing(1, cancel_asked=True)
    assert plan([ending], {}, machine=MACHINE, now=24.9) == []
    assert plan([ending], {}, machine=MACHINE, now=25) == [Kill(task=ending)]


def test_the_next_time_is_the_nearest_limit_or_kill() -> None:
    jobs = [running(1, walltime=90), running(2), completing(3), pending(4, walltime=1)]
    assert next_time(jobs, now=11) == 25
    assert next_time(jobs[:2], now=11) == 100
    assert next_time(jobs[1:2], now=11) == math.inf


def test_a_job_that_withstands_its_end_is_killed_again_after_a_second() -> None:
    assert next_time([completing(1)], now=30) == 31
