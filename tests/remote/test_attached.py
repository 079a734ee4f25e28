"""Relays that a batch system puts into a job which runs; test_routes.py has Slurm's."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from dask_hpc._clock import until_now
from dask_hpc._hosts import host_name
from tests.beds.beds import CHECKOUT, USER

if TYPE_CHECKING:
    from tests.beds.beds import HostsBed, HTCondorBed, OarBed, SgeBed

pytestmark = pytest.mark.timeout(300)

PATH = os.pathsep.join(map(str, (CHECKOUT / "src", CHECKOUT)))


def carried(bed: HostsBed, *words: str, python: str = sys.executable) -> str:
    """Return what a program says that carries bytes into a job and back."""
    program = (python, "-m", "tests.remote.attaching", *words)
    return bed.run(*program, user=USER, env={"PYTHONPATH": PATH}, timeout=120).stdout


def test_oarsh_carries_bytes_as_they_are(oar: OarBed) -> None:
    options = ("-d", "/tmp", "-O", "/dev/null", "-E", "/dev/null", "-l", "core=1,walltime=0:10:0")
    said = oar.run("oarsub", *options, "sleep 300").stdout
    job = said.partition("OAR_JOB_ID=")[2].split()[0]
    try:
        assert until_now(lambda: "Running" in oar.run("oarstat", "-j", job, "-s").stdout, 60)
        full = oar.run("oarstat", "-j", job, "-f").stdout
        node = full.partition("assigned_hostnames = ")[2].split()[0]
        assert carried(oar, "oar", job, node) == "all of it came back\n"
    finally:
        oar.run("oardel", job)
    over = ("Terminated", "Error")
    assert until_now(
        lambda: any(word in oar.run("oarstat", "-j", job, "-s").stdout for word in over), 60
    )


def test_condor_ssh_to_job_carries_bytes_as_they_are(htcondor: HTCondorBed) -> None:
    job = "executable = /bin/sleep\narguments = 300\nqueue\n"
    submit = ("condor_submit", "-terse")
    number = htcondor.run(*submit, cwd="/tmp", stdin=job).stdout.split()[0]
    state = ("condor_q", number, "-format", "%d", "JobStatus")
    try:
        assert until_now(lambda: htcondor.run(*state).stdout == "2", 60)
        assert (
            carried(htcondor, "htcondor", number, "anywhere", python=htcondor.python)
            == "all of it came back\n"
        )
    finally:
        htcondor.run("condor_rm", number)
    assert until_now(lambda: htcondor.run(*state).stdout in ("", "3"), 60)


def test_qrsh_carries_bytes_as_they_are_into_a_job_of_several_slots_alone(sge: SgeBed) -> None:
    options = ("-cwd", "-o", "/dev/null", "-e", "/dev/null", "-S", "/bin/sh", "-terse")

    def submitted(*more: str) -> str:
        submit = ("qsub", *options, *more)
        return sge.run(*submit, user=USER, cwd="/tmp", stdin="sleep 300\n").stdout.strip()

    jobs = alone, parallel = submitted(), submitted("-pe", "mpi", "2")
    try:
        assert until_now(lambda: [state_of(sge, job) for job in jobs] == ["r", "r"], 60)
        assert carried(sge, "sge", parallel, host_name()) == "all of it came back\n"
        with pytest.raises(AssertionError, match="didn't accept task"):
            carried(sge, "sge", alone, host_name())
    finally:
        sge.cancel(*jobs)
    assert until_now(lambda: not any(state_of(sge, job) for job in jobs), 60)


def state_of(sge: SgeBed, job: str) -> str:
    """Return the state of a job; nothing of one that is over."""
    cells = (line.split() for line in sge.jobs())
    return next((each[4] for each in cells if each[0] == job), "")
