"""What every batch system can do for a job that waits, or that follows another one."""

from __future__ import annotations

import json

import pytest

from dask_hpc.batch.local import Local
from dask_hpc.batch.model import JobId
from dask_hpc.batch.outlook import Place
from dask_hpc.plugins import BATCH_SYSTEMS, load, names
from dask_hpc.process.runner import Command, Result
from tests.batch.jobs import asking

MOVES = {
    "slurm": "scontrol update jobid=36 partition=long",
    "pbs": "qmove long 36",
    "torque": "qmove long 36",
    "moab": "qmove long 36",
    "lsf": "bswitch long 36",
    "sge": "qalter -q long 36",
}
FOLLOWS = {
    "slurm": "#SBATCH --dependency=afterany:36",
    "pbs": "#PBS -W depend=afterany:36",
    "torque": "#PBS -W depend=afterany:36",
    "moab": "#PBS -W depend=afterany:36",
    "lsf": '#BSUB -w "ended(36)"',
    "sge": "#$ -hold_jid 36",
    "oar": "#OAR --anterior 36",
    "local": "#LOCAL --after=36",
}


@pytest.mark.parametrize("name", names(BATCH_SYSTEMS))
def test_a_job_that_waits_can_be_moved_where_the_system_can(name: str) -> None:
    system = load(BATCH_SYSTEMS, name).from_facts({})
    assert system.outlook.move_words(JobId("36"), "long") == MOVES.get(name, "")


@pytest.mark.parametrize("name", names(BATCH_SYSTEMS))
def test_a_job_begins_after_another_one_where_the_system_can(name: str) -> None:
    system = load(BATCH_SYSTEMS, name).from_facts({})
    line = system.outlook.after_directive(JobId("36"))
    assert bool(line) is (name in FOLLOWS)
    if line:
        assert FOLLOWS[name] in system.directives(asking(directives=(line,)))


@pytest.mark.parametrize("name", set(names(BATCH_SYSTEMS)) - {"slurm", "local"})
def test_no_other_system_is_asked_for_a_place_or_a_trial(name: str) -> None:
    outlook = load(BATCH_SYSTEMS, name).from_facts({}).outlook
    nothing = Result(command=Command(argv=("true",)), exit_code=0, stdout="", stderr="")
    assert outlook.sight_command() is None
    assert outlook.read_sight(nothing)
    assert outlook.place_command() is None
    assert outlook.read_place(nothing, JobId("36")) is None
    assert outlook.trial_command("#!/bin/sh\n", "long") is None
    assert outlook.read_trial(nothing) is None


def test_a_place_in_the_local_queue_is_that_among_those_that_wait_for_their_turn() -> None:
    outlook = Local().outlook
    assert outlook.place_command() == Local().status_command("me", [])
    waits = "waits for 1 free core (0 free)"
    reasons = {
        "1": ("running", ""),
        "2": ("pending", "needs 64 cores, this machine has 2"),
        "3": ("pending", waits),
        "4": ("pending", "waits for the end of job 1"),
        "5": ("pending", "waits for job 3"),
    }
    jobs = [
        {"id": id_, "tag": "t", "index": 0, "state": state, "reason": reason, "end_time": None,
         "nodes": "", "exit_code": None}
        for id_, (state, reason) in reasons.items()
    ]  # fmt: skip
    said = Result(
        command=Command(argv=("status",)), exit_code=0, stdout=json.dumps({"jobs": jobs}), stderr=""
    )
    places = {id_: outlook.read_place(said, JobId(id_)) for id_ in reasons}
    assert places == {
        **dict.fromkeys(("1", "2", "4")),
        "3": Place(number=1, of=2),
        "5": Place(number=2, of=2),
    }
