"""How HTCondor's answers are read: recorded ones, and such as nobody would expect."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dask_hpc.batch.htcondor import HTCondor
from dask_hpc.batch.htcondor_words import HOLDS
from dask_hpc.batch.model import BatchQueue, JobId, JobState, JobStatus, Tag
from dask_hpc.errors import (
    BatchError,
    BatchUnavailable,
    HPCError,
    LimitReached,
    UnreadableOutput,
)
from tests.batch.recorded import Saying, htcondor_said, refusal

if TYPE_CHECKING:
    from dask_hpc.process.runner import Result

said = Saying("condor_q")
CONDOR = HTCondor()


def answer(**attributes: object) -> Result:
    return said(json.dumps([{"ClusterId": 7, "ProcId": 0, **attributes}]))


def listed(**attributes: object) -> JobStatus:
    return CONDOR.read_status(answer(**attributes))[JobId("7.0")]


def remembered(**attributes: object) -> JobStatus:
    return CONDOR.read_history(answer(**attributes))[JobId("7.0")]


# submission ---------------------------------------------------------------------------------------


def test_the_ids_of_a_submission_are_read() -> None:
    assert CONDOR.read_submit(htcondor_said("submit-success-terse")) == ("3.0",)
    ids = CONDOR.read_submit(htcondor_said("array-submit"), 10)
    assert ids == tuple(f"16.{index}" for index in range(10))


def test_banners_around_the_ids_are_passed_over() -> None:
    assert CONDOR.read_submit(said("Welcome\n\n36.0 - 36.0\r\nbye\n")) == ("36.0",)


@pytest.mark.parametrize(
    "stdout", ["", "Submitting job(s).\n", "36.0\n", "36.0 - 36.1\n", "٣.0 - ٣.0"]
)
def test_an_accepted_job_without_an_id_is_not_taken_for_a_refused_one(stdout: str) -> None:
    with pytest.raises(UnreadableOutput) as caught:
        CONDOR.read_submit(said(stdout))
    assert "looked for by its name" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "words", "hint"),
    [
        ("submit-badexe", "Executable file /home/hpcuser/reccondor/absent.sh does not", "machine"),
        ("submit-badsyntax", "Failed to parse command file (line 8)", "directives"),
        ("submit-badreq", "Parse error in expression", "directives"),
        ("submit-univ", "the 'nosuch' universe", "directives"),
        ("submit-as-root", "Cannot allocate a cluster id", "root"),
        ("submit-bad-schedd", "unknown host nosuchschedd", "condor_status"),
        ("no-conf", "CONDOR_CONFIG", "condor_submit works"),
    ],
)
def test_a_refusal_has_the_words_of_htcondor_and_a_hint(name: str, words: str, hint: str) -> None:
    told = refusal(CONDOR, htcondor_said(name), words=words, hint=hint)
    assert told.startswith("htcondor refused the job: ")


@pytest.mark.parametrize(
    ("name", "limit"),
    [("submit-big", "MAX_JOBS_PER_SUBMISSION"), ("submit-over-limit", "MAX_JOBS_SUBMITTED")],
)
def test_a_limit_on_the_number_of_jobs_is_told_from_other_refusals(name: str, limit: str) -> None:
    with pytest.raises(LimitReached, match=limit) as caught:
        CONDOR.read_submit(htcondor_said(name), 600)
    assert "fewer" in caught.value.hint


def test_a_submission_without_an_answer_is_no_refusal() -> None:
    with pytest.raises(BatchUnavailable, match="Can't find address of local schedd") as caught:
        CONDOR.read_submit(htcondor_said("server-down-submit"))
    assert "looked for by its name" in caught.value.hint


@pytest.mark.parametrize(
    ("code", "stdout", "stderr"),
    [(-9, "", "ERROR: bad luck"), (1, "", ""), (1, "Submitting job(s)", ""),
     (1, "", "ERROR: Failed to connect to local queue manager")],
)  # fmt: skip
def test_a_submission_that_was_cut_off_is_no_refusal(code: int, stdout: str, stderr: str) -> None:
    with pytest.raises(BatchUnavailable):
        CONDOR.read_submit(said(stdout, stderr=stderr, exit_code=code))


def test_a_warning_beside_the_ids_is_no_error() -> None:
    stderr = htcondor_said("submit-badcmd").stderr
    assert CONDOR.read_submit(said("7.0 - 7.0\n", stderr=stderr)) == ("7.0",)


# listings -----------------------------------------------------------------------------------------


def test_every_job_of_an_array_is_read() -> None:
    jobs = CONDOR.read_status(htcondor_said("array-query-json"))
    assert {job_id: job.index for job_id, job in jobs.items()} == {
        f"16.{index}": index for index in range(10)
    }
    assert {job.state for job in jobs.values()} == {JobState.RUNNING}


def test_a_running_job_is_read() -> None:
    assert CONDOR.read_status(htcondor_said("query-running-json")) == {
        "19.0": JobStatus(id=JobId("19.0"), tag=Tag(""), state=JobState.RUNNING, nodes="login1")
    }


def test_the_end_of_a_running_job_is_its_begin_and_its_walltime() -> None:
    job = listed(
        JobStatus=2, JobBatchName="a", JobCurrentStartDate=1000, AllowedJobDuration=60,
        RemoteHost="slot1_3@node7.lab",
    )  # fmt: skip
    assert (job.end_time, job.tag, job.nodes) == (1060.0, "a", "node7.lab")


def test_a_waiting_job_has_its_reason_in_both_words() -> None:
    (job,) = CONDOR.read_status(htcondor_said("query-pending-json")).values()
    assert (job.state, job.reason) == (JobState.PENDING, "no match found")
    assert "no machine that is free" in job.plain_reason
    fresh = listed(JobStatus=1)
    assert (fresh.reason, fresh.plain_reason) == ("Idle", "not looked at by the negotiator yet")
    other = listed(JobStatus=1, LastRejMatchReason="because of the moon")
    assert other.plain_reason == "waits for a machine"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("query-held-json", "submitted on hold at user's request"),
        ("query-hold-by-user-json", "via condor_hold (by user hpcuser)"),
    ],
)
def test_a_job_that_somebody_holds_is_held(name: str, reason: str) -> None:
    result = htcondor_said(name)
    # That recording did not ask for the number of the process.
    stdout = result.stdout.replace('"ClusterId": 19', '"ClusterId": 19, "ProcId": 0')
    (job,) = CONDOR.read_status(said(stdout)).values()
    assert (job.state, job.reason) == (JobState.HELD, reason)
    assert "condor_release" in job.plain_reason


@pytest.mark.parametrize(
    ("name", "state", "plain"),
    [
        ("query-walltime-job-json", JobState.TIMED_OUT, "reached its walltime"),
        ("query-memory-json", JobState.OUT_OF_MEMORY, "needed more memory than it asked for"),
        ("query-bad-interpreter-json", JobState.FAILED, "its shell could not be started"),
        ("query-output-missing-json", JobState.FAILED, "its output could not be copied back"),
        ("query-log-missing-json", JobState.FAILED, "its log could not be opened"),
    ],
)
def test_a_job_that_is_held_because_it_failed_has_ended(
    name: str, state: JobState, plain: str
) -> None:
    (job,) = CONDOR.read_status(htcondor_said(name)).values()
    assert job.state is state
    assert plain in job.plain_reason
    assert job.reason
    assert job.exit_code is None


def test_a_job_that_was_removed_because_it_was_held_says_why_it_was_held() -> None:
    (job,) = CONDOR.read_history(htcondor_said("history-log-missing-json")).values()
    assert (job.tag, job.state) == ("dask-climate-7f3a", JobState.FAILED)
    assert job.plain_reason == "its log could not be opened: is its directory there"
    assert job.reason.endswith("unable to establish standard output stream")


def test_memory_is_known_by_both_codes() -> None:
    for code in (21, 34):
        job = listed(JobStatus=5, HoldReasonCode=code, HoldReasonSubCode=102)
        assert job.state is JobState.OUT_OF_MEMORY
    disk = listed(JobStatus=5, HoldReasonCode=34, HoldReasonSubCode=104)
    assert (disk.state, disk.plain_reason) == (
        JobState.FAILED,
        "needed more disk than it asked for",
    )
    # Of other codes the second number is something else, as errno.
    assert listed(JobStatus=5, HoldReasonCode=6, HoldReasonSubCode=102).state is JobState.FAILED


@pytest.mark.parametrize("code", [*HOLDS, 999])
def test_each_hold_but_its_owners_is_an_end(code: int) -> None:
    job = listed(JobStatus=5, HoldReasonCode=code)
    assert job.state.is_final
    assert job.plain_reason


def test_a_hold_that_nobody_explains_decides_nothing() -> None:
    assert listed(JobStatus=5).state is JobState.HELD


def test_no_job_is_told_from_no_answer() -> None:
    assert CONDOR.read_status(htcondor_said("query-unknown-json")) == {}
    assert CONDOR.read_history(htcondor_said("query-unknown-history-json")) == {}
    for name in ("schedd-hangs-q-json", "server-down-q-json"):
        with pytest.raises(BatchUnavailable) as caught:
            CONDOR.read_status(htcondor_said(name))
        assert caught.value.hint
    with pytest.raises(BatchError, match="CONDOR_CONFIG"):
        CONDOR.read_status(htcondor_said("no-conf"))


@pytest.mark.parametrize(
    "stdout", ["Welcome\n", "[", "[1]", "{}", '[\n{\n  "ClusterId": 7', "[" * 9999]
)
def test_an_answer_cut_off_is_not_believed(stdout: str) -> None:
    with pytest.raises(UnreadableOutput):
        CONDOR.read_status(said(stdout))


def test_a_banner_is_passed_over() -> None:
    result = htcondor_said("array-query-json")
    assert len(CONDOR.read_status(said(f"Welcome [to]\n{result.stdout}bye\n"))) == 10


@pytest.mark.parametrize("status", [0, 8, 99, "2", None, True, 2.5e300])
def test_a_number_of_a_newer_htcondor_decides_nothing(status: object) -> None:
    job = listed(JobStatus=status)
    assert job.state is JobState.UNKNOWN
    assert job.reason


def test_an_expression_is_no_number() -> None:
    job = listed(JobStatus=2, JobCurrentStartDate=5, AllowedJobDuration="\\/Expr(3600 * 2)\\/")
    assert job.end_time is None


def test_a_job_that_is_being_removed_has_not_ended() -> None:
    assert listed(JobStatus=3).state is JobState.COMPLETING
    assert listed(JobStatus=6).state is JobState.COMPLETING
    assert listed(JobStatus=7).state is JobState.SUSPENDED


# history ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "state", "code"),
    [
        ("query-finished-json", JobState.DONE, 0),
        ("query-failed-json", JobState.FAILED, 3),
        ("query-signal-json", JobState.FAILED, 137),
        ("query-cancelled-json", JobState.CANCELLED, None),
        ("query-cancelled-pending-json", JobState.CANCELLED, None),
    ],
)
def test_history_says_how_jobs_ended(name: str, state: JobState, code: int | None) -> None:
    (job,) = CONDOR.read_history(htcondor_said(name)).values()
    assert (job.state, job.exit_code) == (state, code)
    assert job.end_time


def test_a_job_that_its_own_policy_removed_is_told_from_a_cancelled_one() -> None:
    policy = "The job attribute PeriodicRemove expression 'JobStatus == 5' evaluated to TRUE"
    assert remembered(JobStatus=3, RemoveReason=policy).state is JobState.PREEMPTED
    for prefix in ("", "Last"):
        held = {f"{prefix}HoldReasonCode": 46, f"{prefix}HoldReason": "too long"}
        job = remembered(JobStatus=3, RemoveReason=policy, **held)
        assert (job.state, job.reason) == (JobState.TIMED_OUT, "too long")
    released = remembered(JobStatus=3, RemoveReason="via condor_rm", LastHoldReasonCode=1)
    assert released.state is JobState.CANCELLED


def test_a_job_without_exit_code_is_not_done() -> None:
    job = remembered(JobStatus=4)
    assert (job.state, job.exit_code) == (JobState.FAILED, None)


def test_history_that_holds_a_living_job_does_not_end_it() -> None:
    assert remembered(JobStatus=2).state is JobState.RUNNING


# cancelling and machines --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["array-delete-some", "delete-unknown", "delete-finished", "bulk-delete-one-unknown"]
)
def test_cancelling_what_is_gone_is_no_error(name: str) -> None:
    CONDOR.read_cancel(htcondor_said(name))


def test_cancelling_without_an_answer_can_be_tried_again() -> None:
    with pytest.raises(BatchUnavailable):
        CONDOR.read_cancel(htcondor_said("server-down-rm"))


@pytest.mark.parametrize("code", [0, 1])
def test_a_job_that_may_not_be_cancelled_is_an_error(code: int) -> None:
    stderr = "Job 7.0 not found\nPermission denied to remove job 8.0\n"
    with pytest.raises(BatchError, match="Permission denied") as caught:
        CONDOR.read_cancel(said("", stderr=stderr, exit_code=code))
    assert not caught.value.transient


def test_machines_are_one_queue() -> None:
    assert CONDOR.read_queues(htcondor_said("machines-json")) == (
        BatchQueue(
            name="default",
            is_default=True,
            max_nodes=1,
            nodes=1,
            free_nodes=0,
            cores_per_node=16,
            memory_per_node=16384 * 2**20,
        ),
    )


def test_static_slots_of_a_machine_are_added() -> None:
    slot = {"Machine": "a", "SlotType": "Static", "State": "Unclaimed", "Cpus": 1}
    whole = {"TotalSlotCpus": 1, "TotalSlotMemory": 512, "TotalSlotGPUs": 1}
    (queue,) = CONDOR.read_queues(said(json.dumps([{**slot, **whole}] * 4)))
    assert (queue.nodes, queue.free_nodes, queue.cores_per_node) == (1, 1, 4)
    assert (queue.memory_per_node, queue.gpus_per_node) == (2 * 2**30, 4)


def test_machines_that_cannot_be_asked_are_no_empty_list() -> None:
    with pytest.raises(BatchUnavailable):
        CONDOR.read_queues(htcondor_said("server-down-status"))


# anything at all ----------------------------------------------------------------------------------

VALUE = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
NAME = st.sampled_from(
    ["ClusterId", "ProcId", "JobStatus", "HoldReasonCode", "ExitCode", "ExitBySignal",
     "ExitSignal", "JobCurrentStartDate", "AllowedJobDuration", "Machine", "TotalSlotCpus"]
)  # fmt: skip
ADS = st.lists(st.dictionaries(NAME, VALUE | st.integers(0, 7)), max_size=3)


@settings(max_examples=200, deadline=None)
@given(
    stdout=ADS.map(json.dumps) | st.text('[]{}",:0123456789 .-\nCJobStatus٣', max_size=80),
    stderr=st.text(max_size=30),
    code=st.integers(0, 3),
)
def test_no_answer_raises_anything_but_our_errors(stdout: str, stderr: str, code: int) -> None:
    result = said(stdout, stderr=stderr, exit_code=code)
    for read in (
        CONDOR.read_submit,
        CONDOR.read_status,
        CONDOR.read_history,
        CONDOR.read_cancel,
        CONDOR.read_queues,
    ):
        with suppress(HPCError):
            read(result)
