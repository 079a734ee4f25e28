"""How OAR's answers are read: recorded ones, and such as nobody would expect."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dask_hpc.batch.model import BatchQueue, JobId, JobState, JobStatus, Tag
from dask_hpc.batch.oar import OAR
from dask_hpc.batch.oar_words import ENDINGS
from dask_hpc.errors import (
    BatchError,
    BatchUnavailable,
    HPCError,
    LimitReached,
    UnreadableOutput,
)
from tests.batch.recorded import Saying, oar_said, refusal

said = Saying("oarstat")
SYSTEM = OAR(memory_property="mem")


def status(**fields: object) -> JobStatus:
    (job,) = SYSTEM.read_status(said(json.dumps({"7": {"Job_Id": 7, **fields}}))).values()
    return job


def events(*types: str, by: str = "oar", date: int = 50) -> list[dict[str, object]]:
    described = {"FRAG_JOB_REQUEST": f"User {by} requested to frag the job 7"}
    return [{"type": each, "date": date, "description": described.get(each, "")} for each in types]


# submission ---------------------------------------------------------------------------------------


def test_the_id_of_a_submission_is_read() -> None:
    assert SYSTEM.read_submit(oar_said("oarsub-one")) == ("67",)
    assert SYSTEM.read_submit(oar_said("oarsub-array"), 3) == ("68", "69", "70")


def test_ids_come_in_the_order_of_their_indices() -> None:
    stdout = "Welcome\nOAR_JOB_ID=10\n OAR_JOB_ID=9\r\nOAR_ARRAY_ID=9\n"
    assert SYSTEM.read_submit(said(stdout), 2) == ("9", "10")


@pytest.mark.parametrize("stdout", ["", "OAR_JOB_ID=\n", "OAR_JOB_ID=-5\n", "OAR_ARRAY_ID=3\n"])
def test_an_accepted_job_without_an_id_is_not_taken_for_a_refused_one(stdout: str) -> None:
    with pytest.raises(UnreadableOutput) as caught:
        SYSTEM.read_submit(said(stdout))
    assert "looked for" in caught.value.hint


def test_an_array_in_part_is_not_believed() -> None:
    with pytest.raises(UnreadableOutput, match="3 job ids for 4"):
        SYSTEM.read_submit(oar_said("oarsub-array"), 4)


@pytest.mark.parametrize(
    ("name", "words", "hint"),
    [
        ("too-many-cores", "There are not enough resources for your request", "fewer cores"),
        ("no-such-queue", "The queue nosuch does not exist", "queue"),
        ("no-such-property", 'column "nosuch" does not exist', "oarnodes"),
        ("no-such-resource", 'column "gpu" does not exist', "oarnodes"),
        ("no-such-type", "unknown job type: nosuch", "types"),
        ("bad-resource", "Cannot recognize the resource description : nonsense", "directives"),
        ("root", "root and oar users are not allowed to submit jobs", "yourself"),
    ],
)
def test_a_refusal_has_the_words_of_oar_and_a_hint(name: str, words: str, hint: str) -> None:
    told = refusal(SYSTEM, oar_said(f"oarsub-{name}"), words=words, hint=hint)
    assert told.startswith("oar refused the job: ")
    assert "[ADMISSION RULE]" not in told


@pytest.mark.parametrize(
    "line",
    [
        "[ADMISSION RULE] Error: you cannot have more than 2 jobs",
        "[ADMISSION RULE] The maximum number of waiting jobs is reached",
        "[ADMISSION RULE] Too many jobs in the queue",
    ],
)
def test_a_limit_on_the_number_of_jobs_is_told_from_other_refusals(line: str) -> None:
    with pytest.raises(LimitReached):
        SYSTEM.read_submit(said("", stderr=line, exit_code=254))


def test_a_submission_that_nobody_could_be_told_of_is_no_refusal() -> None:
    with pytest.raises(BatchUnavailable, match="Cannot connect to executor") as caught:
        SYSTEM.read_submit(oar_said("almighty-down-oarsub"))
    assert "looked for by its name" in caught.value.hint


@pytest.mark.parametrize(
    ("code", "stderr"), [(-9, ""), (1, ""), (-15, "bad luck"), (25, "DBI connect('x') failed")]
)
def test_a_submission_that_was_cut_off_is_no_refusal(code: int, stderr: str) -> None:
    with pytest.raises(BatchUnavailable, match=r"oar did not answer: \w"):
        SYSTEM.read_submit(said("", stderr=stderr, exit_code=code))


# listings -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["", "-text"])
def test_every_job_of_a_listing_is_read(form: str) -> None:
    jobs = SYSTEM.read_status(oar_said(f"oarstat-live{form}"))
    assert {(job.id, job.tag, job.state, job.index) for job in jobs.values()} == {
        ("68", "array", JobState.RUNNING, 0),
        ("69", "array", JobState.RUNNING, 1),
        ("70", "array", JobState.RUNNING, 2),
        ("71", "held", JobState.HELD, 0),
        ("72", "wait", JobState.PENDING, 0),
    }
    # Begun at 1795196296, with ten minutes.
    assert jobs[JobId("69")] == JobStatus(
        id=JobId("69"),
        tag=Tag("array"),
        state=JobState.RUNNING,
        index=1,
        end_time=1795196896.0,
        nodes="127.0.0.11",
    )


@pytest.mark.parametrize("form", ["", "-text"])
def test_a_waiting_job_has_its_reason_in_both_words(form: str) -> None:
    jobs = SYSTEM.read_status(oar_said(f"oarstat-live{form}"))
    assert jobs[JobId("72")].reason == "No enough matching resources (no_matching_slot)"
    assert "no resources as it asks for" in jobs[JobId("72")].plain_reason
    assert "oarresume" in jobs[JobId("71")].plain_reason
    assert jobs[JobId("71")].reason


@pytest.mark.parametrize(
    ("message", "plain"),
    [
        ("R=1,W=0:1:0,J=B,N=a", "not looked at"),
        ("", "not looked at"),
        ("R=1,W=0:1:0,J=B,N=a (Karma=0.000,quota_ok)", "waits for resources"),
        ("No enough matching resources (quota_exceeded:Gantt_quotas->{a})", "as much as you may"),
        ("Inner job: container 5 is yet to scheduled, inner job not scheduled", "its container"),
        ("No enough Tokens: matlab (1 < 2)", "license"),
        ("Because of the moon", "waits for what OAR names"),
    ],
)
def test_reasons_of_the_schedulers_are_told_apart(message: str, plain: str) -> None:
    job = status(state="Waiting", message=message)
    assert plain in job.plain_reason
    assert job.reason == (message or "Waiting")


def test_a_waiting_job_has_a_start_estimate_and_no_end() -> None:
    job = status(state="Waiting", scheduledStart=1795196296, startTime=0, walltime=60)
    assert (job.start_estimate, job.end_time) == (1795196296.0, None)
    assert status(state="Waiting", scheduledStart=None).start_estimate is None
    assert status(state="Waiting", scheduledStart="no prediction").start_estimate is None
    assert status(state="Waiting", scheduledStart="1970-01-02 00:00:01").start_estimate == 86401.0


@pytest.mark.parametrize("form", ["", "-text"])
def test_no_job_at_all_is_told_from_no_answer(form: str) -> None:
    assert SYSTEM.read_status(oar_said(f"oarstat-none{form}")) == {}
    for name in ("database-down-oarstat", "database-down-oarnodes"):
        with pytest.raises(BatchUnavailable) as caught:
            SYSTEM.read_status(oar_said(name))
        assert caught.value.hint


def test_a_statement_that_failed_in_the_database_is_no_empty_answer() -> None:
    with pytest.raises(BatchUnavailable):
        SYSTEM.read_status(said("", stderr="DBD::Pg::st execute failed: ERROR: out of memory"))


def test_what_to_do_without_json_is_said() -> None:
    stderr = "No Perl JSON module is available on the system. If required, ask your admin"
    with pytest.raises(BatchError) as caught:
        SYSTEM.read_status(said("", stderr=stderr, exit_code=1))
    assert "json=no" in caught.value.hint


@pytest.mark.parametrize(
    "stdout", ["Welcome\n", "{", '{"7": 5}', "[1]", '{"7": {"Job_Id"', "[" * 9999]
)
def test_an_answer_cut_off_is_not_believed(stdout: str) -> None:
    with pytest.raises(UnreadableOutput):
        SYSTEM.read_status(said(stdout))


def test_a_banner_is_passed_over() -> None:
    answer = oar_said("oarstat-live")
    jobs = SYSTEM.read_status(said(f"Welcome to {{OAR}}\n\n{answer.stdout}bye\n"))
    assert jobs == SYSTEM.read_status(answer)


def test_names_of_another_release_are_known() -> None:
    fields = {"id": 7, "state": "Running", "start_time": 5, "walltime": 60, "array_index": 2}
    (job,) = SYSTEM.read_status(said(json.dumps([{**fields, "job_name": "a"}]))).values()
    assert (job.id, job.tag, job.index, job.end_time) == ("7", "a", 1, 65.0)


def test_a_word_of_a_newer_oar_decides_nothing() -> None:
    job = status(state="Dreaming")
    assert (job.state, job.reason) == (JobState.UNKNOWN, "Dreaming")
    assert not job.state.is_final


def test_a_command_of_several_lines_changes_no_field_before_it() -> None:
    text = "Job_Id: 7\n    name = a\n    state = Running\n    command = x\n    state = Error\n"
    (job,) = SYSTEM.read_status(said(text)).values()
    assert job.state is JobState.RUNNING


# ends ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["", "-text"])
def test_ended_jobs_are_told_apart(form: str) -> None:
    jobs = SYSTEM.read_history(oar_said(f"oarstat-ended{form}"))
    assert {job.tag: (job.state, job.exit_code, job.reason) for job in jobs.values()} == {
        "one": (JobState.DONE, 0, ""),
        "fail": (JobState.FAILED, 7, ""),
        "signal": (JobState.FAILED, 137, ""),
        "wall": (JobState.TIMED_OUT, None, "WALLTIME"),
        "cancelled": (JobState.CANCELLED, None, "FRAG_JOB_REQUEST"),
        "cancelled-waiting": (JobState.CANCELLED, None, "FRAG_JOB_REQUEST"),
        "no-directory": (JobState.FAILED, None, "WORKING_DIRECTORY"),
    }
    assert jobs[JobId("75")].end_time == 1795196307.0
    assert jobs[JobId("77")].end_time is None


def test_ended_jobs_are_told_apart_in_the_text_of_a_newer_release() -> None:
    jobs = SYSTEM.read_history(oar_said("oarstat-ended-text-2.6"))
    assert {job.tag: (job.state, job.exit_code, job.reason) for job in jobs.values()} == {
        "one": (JobState.DONE, 0, ""),
        "fail": (JobState.FAILED, 7, ""),
        "wall": (JobState.TIMED_OUT, None, "WALLTIME"),
        "cancelled": (JobState.CANCELLED, None, "FRAG_JOB_REQUEST"),
    }


@pytest.mark.parametrize("kind", ENDINGS)
def test_each_event_that_ends_a_job_says_how(kind: str) -> None:
    job = status(state="Error", stopTime=60, events=events("FRAG_JOB_REQUEST", kind))
    assert (job.state, job.reason) == (ENDINGS[kind].state, kind)
    assert job.plain_reason


def test_who_asked_for_the_end_is_told_apart() -> None:
    asked = ("FRAG_JOB_REQUEST", "WALLTIME")
    assert status(state="Error", events=events(*asked, by="ada")).state is JobState.CANCELLED
    assert status(state="Error", events=events(*asked)).state is JobState.TIMED_OUT
    assert status(state="Error", events=events(asked[0])).state is JobState.LOST
    unsaid = status(state="Error", message="This reservation cannot run")
    assert (unsaid.state, unsaid.reason) == (JobState.FAILED, "This reservation cannot run")


def test_a_request_after_the_end_is_no_reason_for_it() -> None:
    late = [*events("OUTPUT_FILES"), *events("FRAG_JOB_REQUEST", by="ada", date=900)]
    assert status(state="Error", stopTime=60, events=late).state is JobState.FAILED
    done = status(state="Terminated", exit_code=0, events=late)
    assert (done.state, done.exit_code) == (JobState.DONE, 0)


def test_a_job_without_exit_code_is_not_done() -> None:
    job = status(state="Terminated", exit_code=None)
    assert (job.state, job.exit_code) == (JobState.FAILED, None)
    assert job.plain_reason


@pytest.mark.parametrize("name", ["oardel-gone", "oardel-unknown", "oardel-some-gone"])
def test_cancelling_what_is_gone_is_no_error(name: str) -> None:
    SYSTEM.read_cancel(oar_said(name))


def test_cancelling_without_an_answer_can_be_tried_again() -> None:
    with pytest.raises(BatchUnavailable):
        SYSTEM.read_cancel(oar_said("almighty-down-oardel"))


def test_a_job_that_cannot_be_cancelled_is_an_error() -> None:
    with pytest.raises(BatchError, match="not a valid job identifier"):
        SYSTEM.read_cancel(oar_said("oardel-malformed"))


# queues -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["", "-text", "-text-2.6"])
def test_nodes_are_one_queue(form: str) -> None:
    assert SYSTEM.read_queues(oar_said(f"oarnodes{form}")) == (
        BatchQueue(
            name="default",
            is_default=True,
            nodes=3,
            free_nodes=1,
            cores_per_node=4,
            memory_per_node=4 * 2**30,
        ),
    )


def test_memory_of_cores_is_added_and_gpus_are_counted_once() -> None:
    cores = {
        str(core): {"network_address": "a", "state": "Alive", "memcore": 512, "gpu": core // 2}
        for core in range(2, 6)
    }
    oar = OAR(memory_property="memcore", memory_per_core=True)
    (queue,) = oar.read_queues(said(json.dumps(cores), program="oarnodes"))
    assert (queue.memory_per_node, queue.gpus_per_node) == (2 * 2**30, 2)


def test_nodes_that_cannot_be_asked_are_no_empty_list() -> None:
    with pytest.raises(BatchUnavailable):
        SYSTEM.read_queues(oar_said("database-down-oarnodes"))
    with pytest.raises(UnreadableOutput):
        SYSTEM.read_queues(said(""))


# anything at all ----------------------------------------------------------------------------------

VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
FIELD = st.sampled_from(
    ["Job_Id", "name", "state", "events", "startTime", "walltime", "exit_code", "array_index",
     "stopTime", "message", "network_address", "jobs", "type"]
)  # fmt: skip
ANSWER = st.dictionaries(st.text(max_size=3), st.dictionaries(FIELD, VALUE), max_size=3)
SPECKLED = st.text('Job_Id: 0123456789{}[]"\n =state>Error\r٣\u2028', max_size=80)


@settings(max_examples=200, deadline=None)
@given(
    stdout=ANSWER.map(json.dumps) | SPECKLED | st.text(max_size=80),
    stderr=st.text(max_size=30),
    code=st.integers(0, 3),
)
def test_no_answer_raises_anything_but_our_errors(stdout: str, stderr: str, code: int) -> None:
    result = said(stdout, stderr=stderr, exit_code=code)
    for read in (
        SYSTEM.read_submit,
        SYSTEM.read_status,
        SYSTEM.read_history,
        SYSTEM.read_cancel,
        SYSTEM.read_queues,
    ):
        with suppress(HPCError):
            read(result)
