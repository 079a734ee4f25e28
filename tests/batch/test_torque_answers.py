"""How Torque's and Moab's answers are read, where they differ from those of PBS."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dask_hpc.batch.moab import Moab
from dask_hpc.batch.model import JobId, JobState, JobStatus, Tag
from dask_hpc.batch.torque import Torque
from dask_hpc.errors import (
    BatchError,
    BatchUnavailable,
    HPCError,
    LimitReached,
    UnreadableOutput,
)
from tests.batch.recorded import Saying, refusal, torque_said

TORQUE, MOAB = Torque(), Moab()


said = Saying("qstat")


def test_the_id_of_a_submission_is_read() -> None:
    assert TORQUE.read_submit(torque_said("submit-success")) == ("3.login1",)
    assert TORQUE.read_submit(torque_said("array-submit-zero"), 2) == (
        "18[0].login1", "18[1].login1",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "words", "hint"),
    [
        ("submit-bad-queue", "requested queue not found", "dask-hpc queues"),
        ("submit-bad-mem", "Illegal attribute or resource value", "directives"),
        ("submit-bad-walltime", "Resource_List.walltime", "directives"),
        ("submit-bad-name", "illegal -N value", "directives"),
        ("submit-over-mem", "cannot satisfy queue max mem requirement", "less memory"),
        ("submit-over-ppn", "cannot locate feasible nodes", "fewer cores"),
        ("submit-unknown-resource", "Unknown resource type", "gpus"),
        ("submit-as-root", "can not be run as root", "root"),
    ],
)
def test_a_refusal_has_the_words_of_torque_and_a_hint(name: str, words: str, hint: str) -> None:
    told = refusal(TORQUE, torque_said(name), words=words, hint=hint)
    assert "usage" not in told


@pytest.mark.parametrize("name", ["submit-over-max-queued", "array-submit-too-large"])
def test_a_limit_on_the_number_of_jobs_is_told_from_other_refusals(name: str) -> None:
    with pytest.raises(LimitReached):
        TORQUE.read_submit(torque_said(name), 40)


@pytest.mark.parametrize("name", ["server-down-qsub", "trqauthd-down-qsub"])
def test_a_submission_without_an_answer_is_no_refusal(name: str) -> None:
    with pytest.raises(BatchUnavailable):
        TORQUE.read_submit(torque_said(name))


# status -------------------------------------------------------------------------------------------


def test_every_job_of_a_listing_is_read() -> None:
    jobs = TORQUE.read_status(torque_said("all-jobs-xml-t"))
    assert len(jobs) == 37
    alone = {job.tag: job.state for job in jobs.values() if "[" not in job.id and job.id > "22"}
    assert alone == {
        "demo": JobState.CANCELLED,
        "fromstdin": JobState.CANCELLED,
        "held": JobState.HELD,
        "running": JobState.RUNNING,
        "blocker": JobState.RUNNING,
        "pending": JobState.PENDING,
        "dependent": JobState.HELD,
        "waiting": JobState.PENDING,
    }


def test_elements_of_an_array_have_the_name_that_was_given() -> None:
    # Torque calls them arrz-0 to arrz-3.
    jobs = TORQUE.read_status(torque_said("all-jobs-xml-t"))
    assert {job.id: (job.index, job.exit_code) for job in jobs.values() if job.tag == "arrz"} == {
        "18[0].login1": (0, 0), "18[1].login1": (1, 0), "18[2].login1": (2, 0),
        "18[3].login1": (3, 0),
    }  # fmt: skip


def test_a_name_that_ends_in_a_number_is_left_alone() -> None:
    job = "<Job><Job_Id>7.x</Job_Id><Job_Name>climate-0</Job_Name><job_state>R</job_state></Job>"
    (status,) = TORQUE.read_status(said(f"<Data>{job}</Data>")).values()
    assert status.tag == "climate-0"


def test_a_running_job_has_its_node_and_its_end() -> None:
    jobs = TORQUE.read_status(torque_said("all-jobs-xml-t"))
    assert jobs[JobId("23.login1")] == JobStatus(
        id=JobId("23.login1"),
        tag=Tag("running"),
        state=JobState.RUNNING,
        end_time=1795163516.0 + 3600,
        nodes="login1",
    )


def test_a_waiting_job_has_its_reason_in_both_words() -> None:
    jobs = TORQUE.read_status(torque_said("all-jobs-xml-t"))
    pending, waiting = jobs[JobId("25.login1")], jobs[JobId("27.login1")]
    assert pending.reason == "Not enough of the right type of nodes are available"
    assert pending.plain_reason == "waits for nodes to become free"
    assert waiting.start_estimate == 1795219140.0


@pytest.mark.parametrize(
    ("name", "state", "exit_code", "end_time"),
    [
        ("query-finished-xml", JobState.DONE, 0, 1795163530.0),
        ("query-failed-xml", JobState.FAILED, 3, 1795163530.0),
        ("query-signal-xml", JobState.FAILED, 137, 1795163529.0),
        # A limit of the kernel: Python ends with a MemoryError.
        ("query-memory-xml", JobState.FAILED, 1, 1795163529.0),
        ("query-walltime-xml", JobState.TIMED_OUT, None, 1795163537.0),
        ("query-cancelled-xml", JobState.CANCELLED, None, 1795163530.0),
        ("query-cancelled-pending-xml", JobState.CANCELLED, None, 1795163530.0),
    ],
)
def test_ended_jobs_are_told_apart(
    name: str, state: JobState, exit_code: int | None, end_time: float
) -> None:
    (job,) = TORQUE.read_status(torque_said(name)).values()
    assert (job.state, job.exit_code, job.end_time) == (state, exit_code, end_time)


@pytest.mark.parametrize(
    ("code", "used", "state"),
    [
        ("-10", "00:00:10", JobState.OUT_OF_MEMORY),
        ("-12", "00:00:10", JobState.FAILED),
        ("271", "00:00:10", JobState.CANCELLED),
        ("271", "01:00:05", JobState.TIMED_OUT),
    ],
)
def test_other_exit_codes_are_known(code: str, used: str, state: JobState) -> None:
    job = (
        "<Job><Job_Id>7.x</Job_Id><Job_Name>a</Job_Name><job_state>C</job_state>"
        f"<resources_used><walltime>{used}</walltime></resources_used>"
        "<Resource_List><walltime>01:00:00</walltime></Resource_List>"
        f"<exit_status>{code}</exit_status></Job>"
    )
    (status,) = TORQUE.read_status(said(f"<Data>{job}</Data>")).values()
    assert (status.state, status.exit_code) == (state, None)


def test_one_document_for_each_job_is_read() -> None:
    jobs = TORQUE.read_status(torque_said("query-several-one-unknown"))
    assert list(jobs) == ["23.login1", "22.login1"]


@pytest.mark.parametrize("stdout", ["", "\n", '<?xml version="1.0"?>\n<Data></Data>\n', "<Data/>"])
def test_an_empty_listing_is_read(stdout: str) -> None:
    assert TORQUE.read_status(said(stdout)) == {}


@pytest.mark.parametrize("stdout", ["Welcome", "<Data>", "<Data><Job>", "<html></html>"])
def test_no_listing_is_told_from_an_empty_one(stdout: str) -> None:
    with pytest.raises(UnreadableOutput):
        TORQUE.read_status(said(stdout))
    with pytest.raises(UnreadableOutput):
        TORQUE.read_status(said("", stderr="warning: what is this"))


def test_a_listing_in_text_or_cut_off_is_not_believed() -> None:
    with pytest.raises(UnreadableOutput):
        TORQUE.read_status(torque_said("all-jobs-xml-u"))
    whole = torque_said("all-jobs-xml-t")
    with pytest.raises(UnreadableOutput):
        TORQUE.read_status(replace(whole, stdout=whole.stdout[:30000]))


@pytest.mark.parametrize("name", ["server-down-qstat-xml", "trqauthd-down-qstat"])
def test_a_listing_that_failed_is_never_an_empty_one(name: str) -> None:
    with pytest.raises(BatchUnavailable):
        TORQUE.read_status(torque_said(name))


def test_a_question_that_torque_does_not_understand_is_an_error() -> None:
    with pytest.raises(BatchError, match="invalid option"):
        TORQUE.read_status(torque_said("all-jobs-json"))


def test_names_and_variables_of_other_jobs_do_not_disturb() -> None:
    odd = "<Job><Job_Id>6.x</Job_Id><Job_Name>a&lt;/Job&gt;\x01&amp;&nosuch;</Job_Name></Job>"
    job = "<Job><Job_Id>7.x</Job_Id><Job_Name>b</Job_Name><job_state>R</job_state></Job>"
    jobs = TORQUE.read_status(said(f"<Data>{odd}{job}</Data>"))
    assert jobs[JobId("6.x")].tag.startswith("a</Job>")
    assert jobs[JobId("6.x")].state is JobState.UNKNOWN
    assert jobs[JobId("7.x")].state is JobState.RUNNING


# cancelling, queues -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bulk-delete-one-unknown", "delete-unknown", "delete-finished"])
def test_cancelling_what_is_gone_is_no_error(name: str) -> None:
    TORQUE.read_cancel(torque_said(name))


def test_cancelling_without_an_answer_can_be_tried_again() -> None:
    with pytest.raises(BatchUnavailable):
        TORQUE.read_cancel(torque_said("server-down-qdel"))


def test_queues_are_read_with_their_limits() -> None:
    batch, debug = Torque(default_queue="batch").read_queues(torque_said("queues-full"))
    assert (batch.name, batch.is_default, batch.is_open) == ("batch", True, True)
    assert (batch.max_walltime, batch.default_walltime) == (None, 3600.0)
    assert (debug.name, debug.is_default) == ("debug", False)
    assert (debug.max_walltime, debug.default_walltime) == (1800.0, None)


def test_queues_that_cannot_be_asked_are_no_empty_list() -> None:
    with pytest.raises(UnreadableOutput):
        TORQUE.read_queues(said(""))
    with pytest.raises(BatchUnavailable):
        TORQUE.read_queues(torque_said("trqauthd-down-qstat"))


# moab ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stdout", ["\n36\n", "36.login1\n", "\n36\r\n"])
def test_moab_says_a_number(stdout: str) -> None:
    assert MOAB.read_submit(said(stdout, program="msub")) == ("36",)
    assert MOAB.read_submit(said(stdout, program="msub"), 2) == ("36[0]", "36[1]")


def test_a_number_of_moabs_own_is_looked_for_by_name() -> None:
    with pytest.raises(UnreadableOutput, match="msub printed no job id") as caught:
        MOAB.read_submit(said("\nMoab.36\n", program="msub"))
    assert "looked for by its name" in caught.value.hint


def test_moab_has_the_jobs_of_torque_by_their_number() -> None:
    jobs = MOAB.read_status(torque_said("all-jobs-xml-t"))
    assert (jobs[JobId("18[3]")].id, jobs[JobId("18[3]")].index) == ("18[3]", 3)
    assert jobs[JobId("23")].tag == "running"


def test_moab_may_know_a_job_no_more() -> None:
    gone = "ERROR:  'canceljob' failed\nERROR:  invalid job specified (36)\n"
    MOAB.read_cancel(said("", stderr=gone, exit_code=1, program="canceljob"))
    for stderr, error in (
        ("ERROR:  lost connection to server\n", BatchUnavailable),
        ("ERROR:  not authorized\n", BatchError),
        ("", BatchError),
    ):
        with pytest.raises(error):
            MOAB.read_cancel(said("", stderr=stderr, exit_code=1, program="canceljob"))


# anything at all ----------------------------------------------------------------------------------

PIECE = st.sampled_from(
    ["<Data>", "</Data>", "<Job>", "</Job>", "<Job_Id>7[1].x</Job_Id>", "<job_array_id>1<",
     "/job_array_id>", "<job_state>C</job_state>", "<exit_status>", "271", "</exit_status>",
     "<Resource_List>", "&amp;", "<walltime>٣</walltime>", "</Resource_List>", "Queue: a",
     "\n    enabled = True", "\n\t", "36.x"]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    stdout=st.lists(PIECE, max_size=15).map("".join) | st.text(max_size=80),
    stderr=st.text(max_size=30),
    code=st.integers(0, 3),
)
def test_no_answer_raises_anything_but_our_errors(stdout: str, stderr: str, code: int) -> None:
    for dialect in (TORQUE, MOAB):
        for read in (
            dialect.read_submit,
            dialect.read_status,
            dialect.read_history,
            dialect.read_cancel,
            dialect.read_queues,
        ):
            with suppress(HPCError):
                read(said(stdout, stderr=stderr, exit_code=code))
            with suppress(HPCError):
                read(said(f"<Data>{stdout}</Data>", stderr=stderr, exit_code=code))
