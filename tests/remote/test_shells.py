"""How a command gets to the node of a scheduler."""

from __future__ import annotations

import pytest

from dask_hpc.batch.model import JobId
from dask_hpc.remote.shells import Seat, command_at, environment_at

SRUN = ("srun", "--overlap", "--jobid=7", "--nodes=1", "--ntasks=1", "--quiet")


def seat(system: str, *, is_here: bool = False, job: str = "7") -> Seat:
    return Seat(system=system, job=JobId(job), node="n1", is_here=is_here)


@pytest.mark.parametrize(
    ("place", "terminal", "argv"),
    [
        (seat("slurm"), True, (*SRUN, "--pty", "echo", "a b")),
        (seat("slurm", is_here=True), False, (*SRUN, "echo", "a b")),
        (seat("oar"), True, ("oarsh", "-t", "n1", "echo 'a b'")),
        (seat("htcondor"), True, ("condor_ssh_to_job", "7", "echo 'a b'")),
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


def test_oar_wants_to_know_the_job() -> None:
    assert environment_at(seat("oar")) == {"OAR_JOB_ID": "7"}
    assert environment_at(seat("slurm")) == {}
