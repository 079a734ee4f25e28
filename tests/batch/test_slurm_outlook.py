"""What Slurm says of a job that waits: recorded answers, and what is made of them."""

from __future__ import annotations

import pytest

from dask_hpc.batch.model import JobId
from dask_hpc.batch.outlook import Place
from dask_hpc.batch.slurm import Slurm
from dask_hpc.batch.slurm_table import SEPARATOR
from dask_hpc.errors import BatchError, UnreadableOutput
from tests.batch.recorded import Saying, slurm_said

OUTLOOK = Slurm().outlook
said = Saying("squeue")
HEADER = SEPARATOR.join(["JOBID", "PRIORITY", "PARTITION", "REASON", ""])


def waiting(*lines: str) -> str:
    """Return a listing in which blanks stand between the columns."""
    rows = [SEPARATOR.join([*line.split(), ""]) for line in lines]
    return "".join(f"{row}\n" for row in (HEADER, *rows))


def test_a_place_is_counted_among_those_that_wait_for_their_turn() -> None:
    listing = slurm_said("squeue-waiting")
    assert OUTLOOK.read_place(listing, JobId("26")) == Place(number=1, of=5, queue="narrow")
    assert OUTLOOK.read_place(listing, JobId("28_2")) == Place(number=4, of=5, queue="narrow")
    assert OUTLOOK.read_place(listing, JobId("30")) == Place(number=5, of=5, queue="narrow")


def test_a_job_that_waits_for_something_else_has_no_place() -> None:
    listing = slurm_said("squeue-waiting")
    assert OUTLOOK.read_place(listing, JobId("27")) is None  # it is held
    assert OUTLOOK.read_place(listing, JobId("25")) is None  # it runs
    dependent = said(waiting("7 900 batch Dependency", "8 5 batch Priority"))
    assert OUTLOOK.read_place(dependent, JobId("7")) is None
    assert OUTLOOK.read_place(dependent, JobId("8")) == Place(number=1, of=1, queue="batch")


def test_jobs_of_other_partitions_are_in_nobodys_way() -> None:
    listing = said(
        waiting(
            "7 10 long Priority",
            "8 90 gpu Resources",
            "9 50 gpu,long Priority",
            "10 10 long Priority",
        )
    )
    assert OUTLOOK.read_place(listing, JobId("7")) == Place(number=2, of=3, queue="long")
    # Of the same priority, whoever came first.
    assert OUTLOOK.read_place(listing, JobId("10")) == Place(number=3, of=3, queue="long")
    # In several partitions, it waits for all that wait for one of them.
    assert OUTLOOK.read_place(listing, JobId("9")) == Place(number=2, of=4)


def test_no_answer_is_no_place() -> None:
    with pytest.raises(UnreadableOutput):
        OUTLOOK.read_place(said(""), JobId("7"))
    with pytest.raises(BatchError):
        OUTLOOK.read_place(slurm_said("server-down-squeue"), JobId("7"))


def test_whether_users_see_the_jobs_of_others_is_said() -> None:
    assert OUTLOOK.read_sight(slurm_said("scontrol-config"))
    assert not OUTLOOK.read_sight(slurm_said("scontrol-config-private"))
    assert not OUTLOOK.read_sight(said("nothing of the kind\n"))


def test_a_trial_says_when_a_job_would_start() -> None:
    assert OUTLOOK.read_trial(slurm_said("trial-now")) == 1795219779.0
    assert OUTLOOK.read_trial(slurm_said("trial-later")) == 1795223676.0
    assert OUTLOOK.read_trial(slurm_said("trial-unknown-queue")) is None


def test_a_trial_submits_nothing() -> None:
    command = OUTLOOK.trial_command("#!/bin/sh\n", "long")
    assert command.argv == ("sbatch", "--test-only", "--partition=long")
    assert command.stdin == "#!/bin/sh\n"
    assert command.drop


def test_a_job_is_moved_by_what_a_person_can_type() -> None:
    assert OUTLOOK.move_words(JobId("30"), "batch") == "scontrol update jobid=30 partition=batch"
