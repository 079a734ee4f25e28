"""How a command gets to the node of a scheduler."""

from __future__ import annotations

import pytest

from dask_hpc.batch.model import JobId
from dask_hpc.remote.shells import Seat, by_ssh, can_attach, command_at, environment_at

SRUN = ("srun", "--overlap", "--jobid=7", "--nodes=1", "--ntasks=1", "--quiet")


def seat(system: str, *, is_here: bool = False, job: str = "7", is_alone: bool = True) -> Seat:
    return Seat(system=system, job=JobId(job), node="n1", is_here=is_here, is_alone=is_alone)


@pytest.mark.parametrize(
    ("place", "terminal", "argv"),
    [
        (seat("slurm"), True, (*SRUN, "--pty", "echo", "a b")),
        (seat("slurm", is_here=True), False, (*SRUN, "--unbuffered", "echo", "a b")),
        (seat("slurm", is_alone=False), True, (*SRUN, "--nodelist=n1", "--pty", "echo", "a b")),
        (seat("oar"), True, ("oarsh", "-t", "n1", "echo 'a b'")),
        (seat("htcondor"), True, ("condor_ssh_to_job", "-auto-retry", "7", "echo 'a b'")),
        (seat("sge", is_alone=False), False, ("qrsh", "-inherit", "n1", "echo 'a b'")),
        (seat("pbs"), True, ("ssh", "-t", "--", "n1", "echo 'a b'")),
        (seat("sge"), False, ("ssh", "-T", "--", "n1", "echo 'a b'")),
        (seat("sge", is_here=True), False, ("echo", "a b")),
        (seat("slurm", is_here=True, job=""), False, ("echo", "a b")),
    ],
)
def test_it_goes_within_the_job_where_that_can_be(
    place: Seat, terminal: bool, argv: tuple[str, ...]
) -> None:
    assert command_at(place, ("echo", "a b"), terminal=terminal) == argv


def test_some_want_to_know_the_job() -> None:
    assert environment_at(seat("oar")) == {"OAR_JOB_ID": "7"}
    assert environment_at(seat("sge")) == {}
    assert environment_at(seat("sge", is_alone=False)) == {
        "JOB_ID": "7",
        "SGE_TASK_ID": "undefined",
    }
    assert environment_at(seat("slurm")) == {}


@pytest.mark.parametrize("system", ["pbs", "torque", "moab", "sge", "lsf", "local"])
def test_what_has_no_command_for_it_is_not_tried(system: str) -> None:
    assert not can_attach(seat(system))


def test_a_job_that_is_none_is_not_entered() -> None:
    assert can_attach(seat("slurm"))
    assert not can_attach(seat("slurm", job=""))


def test_by_ssh_nobody_is_asked_and_no_agent_goes_along() -> None:
    argv = by_ssh("n1", ("echo", "it's a b"))
    assert argv[-3:] == (
        "--",
        "n1",
        """exec /bin/sh -c 'exec echo '"'"'it'"'"'"'"'"'"'"'"'s a b'"'"''""",
    )
    assert {"BatchMode=yes", "ControlMaster=no", "ClearAllForwardings=yes", "-a"} <= set(argv)
    assert not [word for word in argv if "HostKey" in word]
