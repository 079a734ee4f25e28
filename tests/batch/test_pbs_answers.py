"""How PBS's answers are read: recorded ones, and such as nobody would expect."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dask_hpc.batch.model import JobId, JobState, JobStatus, Tag
from dask_hpc.batch.pbs import PBS
from dask_hpc.batch.pbs_words import STATES
from dask_hpc.errors import (
    BatchError,
    BatchUnavailable,
    HPCError,
    LimitReached,
    SubmitRejected,
    UnreadableOutput,
)
from dask_hpc.process.runner import Command, Result
from tests.batch.recorded import Saying, pbs_said, refusal

said = Saying("qsub")
DIALECT = PBS()


def listing(**jobs: object) -> Result:
    """Return what qstat prints of jobs, each called ``job7`` for ``7.login1``."""
    named = {f"{name.removeprefix('job')}.login1": each for name, each in jobs.items()}
    whole = {"timestamp": 1, "pbs_version": "23", "pbs_server": "login1", "Jobs": named}
    return said(json.dumps(whole), program="qstat")


# submission ---------------------------------------------------------------------------------------


def test_the_id_of_a_submission_is_read() -> None:
    assert DIALECT.read_submit(pbs_said("submit-success")) == ("3.login1",)
    assert DIALECT.read_submit(pbs_said("array-submit-zero-based"), 4) == (
        "20[0].login1", "20[1].login1", "20[2].login1", "20[3].login1",
    )  # fmt: skip


@pytest.mark.parametrize(
    "stdout", ["36.a.b\n", "Welcome to 12 nodes\n\n36.a.b\n", "36.a.b\nBye.\n", "36.a.b\r\n"]
)
def test_banners_around_the_id_are_passed_over(stdout: str) -> None:
    assert DIALECT.read_submit(said(stdout)) == ("36.a.b",)


@pytest.mark.parametrize(
    ("stdout", "count"),
    [("", 1), ("Welcome\n", 1), ("٣٦.a\n", 1), ("9" * 5000, 1), ("36[].a\n", 1), ("36.a\n", 2)],
)
def test_an_accepted_job_without_an_id_is_not_taken_for_a_refused_one(
    stdout: str, count: int
) -> None:
    with pytest.raises(UnreadableOutput) as caught:
        DIALECT.read_submit(said(stdout), count)
    assert "looked for by its name" in caught.value.hint


@pytest.mark.parametrize(
    ("code", "stderr"), [(-9, ""), (1, ""), (-15, "qsub: bad luck"), (1, "qsub: End of File")]
)
def test_a_submission_that_was_cut_off_is_not_taken_for_a_refused_one(
    code: int, stderr: str
) -> None:
    with pytest.raises(BatchUnavailable, match=r"qsub did not answer: \w") as caught:
        DIALECT.read_submit(said("", stderr=stderr, exit_code=code))
    assert "looked for by its name" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "words", "hint"),
    [
        ("submit-bad-queue", "Unknown queue", "dask-hpc queues"),
        ("submit-bad-memory-unit", "Illegal attribute or resource value select.mem", "directives"),
        ("submit-bad-walltime", "Resource_List.walltime", "directives"),
        ("submit-bad-name", "illegal -N value", "directives"),
        ("submit-bad-option", "invalid option", "directives"),
        ("submit-long-name", "Job name is too long", "--dry-run"),
        ("submit-mixed-select-and-ncpus", 'cannot be used with "select"', "directives"),
        ("submit-over-mem", "violates queue and/or server resource limits", "less memory"),
        ("submit-over-walltime", "violates queue and/or server", "shorter walltime"),
        ("submit-unknown-resource", "Unknown resource: nosuchres", "gpus"),
        ("submit-as-root", "Bad UID for job execution", "root"),
        ("array-submit-one", "illegal -J value", "directives"),
    ],
)
def test_a_refusal_has_the_words_of_pbs_and_a_hint(name: str, words: str, hint: str) -> None:
    told = refusal(DIALECT, pbs_said(name), words=words, hint=hint)
    assert told.startswith("qsub refused the job: ")
    assert "usage" not in told


@pytest.mark.parametrize("name", ["submit-over-max-queued", "array-submit-too-large"])
def test_a_limit_on_the_number_of_jobs_is_told_from_other_refusals(name: str) -> None:
    with pytest.raises(LimitReached):
        DIALECT.read_submit(pbs_said(name), 40)


def test_a_limit_on_what_jobs_use_is_no_limit_on_their_number() -> None:
    stderr = "qsub: would exceed user ada's limit on resource ncpus in queue workq\n"
    with pytest.raises(SubmitRejected) as caught:
        DIALECT.read_submit(said("", stderr=stderr, exit_code=49))
    assert not isinstance(caught.value, LimitReached)


def test_a_machine_without_pbs_is_told_from_one_that_does_not_answer() -> None:
    no_conf = replace(pbs_said("no-conf"), command=Command(argv=("qsub",)))
    with pytest.raises(SubmitRejected) as caught:
        DIALECT.read_submit(no_conf)
    assert "where qsub works" in caught.value.hint
    with pytest.raises(BatchError) as queried:
        DIALECT.read_status(pbs_said("no-conf"))
    assert type(queried.value) is BatchError


def test_a_submission_without_an_answer_is_no_refusal() -> None:
    with pytest.raises(BatchUnavailable) as caught:
        DIALECT.read_submit(pbs_said("server-down-qsub"))
    assert caught.value.transient


# status -------------------------------------------------------------------------------------------


def test_every_job_of_a_listing_is_read() -> None:
    jobs = DIALECT.read_status(pbs_said("all-jobs-json"))
    assert {job.id: (job.tag, job.state) for job in jobs.values()} == {
        "16.login1": ("nodir", JobState.COMPLETING),
        "24.login1": ("held", JobState.HELD),
        "25.login1": ("running", JobState.RUNNING),
        "26.login1": ("blocker", JobState.RUNNING),
        "27.login1": ("pending", JobState.PENDING),
        "28.login1": ("dependent", JobState.HELD),
        "29.login1": ("waiting", JobState.PENDING),
    }
    assert [job.id for job in jobs.values()] == list(jobs)


def test_a_running_job_has_its_nodes_and_its_end() -> None:
    assert DIALECT.read_status(pbs_said("all-jobs-json"))[JobId("26.login1")] == JobStatus(
        id=JobId("26.login1"),
        tag=Tag("blocker"),
        state=JobState.RUNNING,
        # Fri Nov 20 08:06:15 2026, and an hour
        end_time=1795161975.0 + 3600,
        nodes="node2,node1",
    )


def test_a_waiting_job_has_its_reason_in_both_words() -> None:
    jobs = DIALECT.read_status(pbs_said("all-jobs-json"))
    pending, held = jobs[JobId("27.login1")], jobs[JobId("24.login1")]
    dependent, waiting = jobs[JobId("28.login1")], jobs[JobId("29.login1")]
    assert pending.reason == "Not enough free nodes available"
    assert pending.plain_reason == "waits for nodes to become free"
    assert (held.reason, "qrls" in held.plain_reason) == ("Hold_Types u", True)
    assert (dependent.reason, "depends" in dependent.plain_reason) == ("Hold_Types s", True)
    assert (waiting.reason, waiting.start_estimate) == ("Execution_Time", 1795219140.0)
    assert (pending.end_time, pending.start_estimate) == (None, None)


@pytest.mark.parametrize("start", ["Fri Nov 20 08:06:15 2026", 1795161975, "1795161975"])
def test_a_start_estimate_is_read(start: object) -> None:
    job = {"Job_Name": "a", "job_state": "Q", "estimated": {"start_time": start}}
    (status,) = DIALECT.read_status(listing(job7=job)).values()
    assert status.start_estimate == 1795161975.0


def test_elements_of_an_array_are_told_one_by_one() -> None:
    jobs = DIALECT.read_status(pbs_said("array-query-subjobs"))
    assert list(jobs) == [f"19[{index}].login1" for index in range(1, 11)]
    assert [job.index for job in jobs.values()] == list(range(1, 11))
    assert {job.tag for job in jobs.values()} == {"arr"}
    assert {job.state for job in jobs.values()} == {JobState.RUNNING}


def test_an_element_that_waits_has_the_reason_of_its_array() -> None:
    array = {"Job_Name": "a", "job_state": "Q", "comment": "Not Running: Queue not started."}
    element = {"Job_Name": "a", "job_state": "Q"}
    jobs = DIALECT.read_status(listing(**{"job7[]": array, "job7[0]": element}))
    assert list(jobs) == ["7[0].login1"]
    assert jobs[JobId("7[0].login1")].reason == "Queue not started."
    held = {"Job_Name": "a", "job_state": "H", "Hold_Types": "u"}
    (job,) = DIALECT.read_status(listing(**{"job7[]": held, "job7[0]": element})).values()
    assert (job.state, job.reason) == (JobState.HELD, "Hold_Types u")
    begun = {
        "Job_Name": "a",
        "job_state": "B",
        "comment": "Job Array Began at Fri",
        "Exit_status": 0,
    }
    (job,) = DIALECT.read_status(listing(**{"job7[]": begun, "job7[0]": element})).values()
    assert (job.state, job.exit_code, job.reason) == (JobState.PENDING, None, "")


def test_elements_that_were_cancelled_are_not_taken_for_done() -> None:
    # Two of the three have exit status 0.
    jobs = DIALECT.read_history(pbs_said("array-query-after-delete-history"))
    ended = {job.id: (job.state, job.exit_code) for job in jobs.values() if job.state.is_final}
    assert ended == {
        "19[5].login1": (JobState.CANCELLED, None),
        "19[7].login1": (JobState.CANCELLED, None),
        "19[8].login1": (JobState.CANCELLED, None),
    }
    assert jobs[JobId("19[5].login1")].reason == "terminated by hpcuser@login1"
    assert jobs[JobId("19[5].login1")].end_time == 1795161970.0


@pytest.mark.parametrize(
    ("name", "state", "exit_code", "reason"),
    [
        ("query-finished-json", JobState.DONE, 0, ""),
        ("query-failed-json", JobState.FAILED, 3, ""),
        ("query-nocmd-json", JobState.FAILED, 127, ""),
        ("query-bad-interpreter-json", JobState.FAILED, 254, ""),
        ("query-signal-json", JobState.FAILED, 137, ""),
        ("query-walltime-json", JobState.TIMED_OUT, None, "exceeded resource walltime"),
        ("query-memory-json", JobState.OUT_OF_MEMORY, None, "exceeded resource mem"),
        ("query-cancelled-json", JobState.CANCELLED, None, "terminated by hpcuser@login1"),
        ("query-cancelled-pending-json", JobState.CANCELLED, None, ""),
    ],
)
def test_ended_jobs_are_told_apart(
    name: str, state: JobState, exit_code: int | None, reason: str
) -> None:
    (job,) = DIALECT.read_history(pbs_said(name)).values()
    assert (job.state, job.exit_code, job.reason) == (state, exit_code, reason)
    assert job.end_time


@pytest.mark.parametrize(
    ("ended", "state", "exit_code"),
    [
        ({"Exit_status": -29}, JobState.TIMED_OUT, None),
        ({"Exit_status": -26}, JobState.OUT_OF_MEMORY, None),
        ({"Exit_status": -28}, JobState.FAILED, None),
        ({"Exit_status": -11}, JobState.FAILED, None),
        ({"Exit_status": -4}, JobState.LOST, None),
        ({"Exit_status": 265}, JobState.CANCELLED, None),
        # Older releases end a job at its walltime as qdel does.
        (
            {
                "Exit_status": 271,
                "Resource_List": {"walltime": "00:10:00"},
                "resources_used": {"walltime": "00:10:03"},
            },
            JobState.TIMED_OUT,
            None,
        ),
        ({"substate": 92}, JobState.DONE, None),
        ({"substate": 93}, JobState.FAILED, None),
        ({}, JobState.CANCELLED, None),
    ],
)
def test_other_exit_codes_are_known(
    ended: dict[str, object], state: JobState, exit_code: int | None
) -> None:
    for letter in "FX":
        job = {"Job_Name": "a", "job_state": letter, **ended}
        (status,) = DIALECT.read_history(listing(job7=job)).values()
        assert (status.state, status.exit_code) == (state, exit_code)


def test_a_letter_of_another_pbs_decides_nothing() -> None:
    for letter in ("M", "?", ""):
        (job,) = DIALECT.read_status(
            listing(job7={"Job_Name": "a", "job_state": letter, "Exit_status": 0})
        ).values()
        assert (job.state, job.exit_code) == (JobState.UNKNOWN, None)
        assert job.reason == f"job_state {letter}".strip()


def test_an_empty_listing_is_told_from_no_listing() -> None:
    nothing = replace(pbs_said("query-unknown-json"), exit_code=0, stderr="")
    assert DIALECT.read_status(nothing) == {}
    for stdout in ("", "{}", "[]", "null", "Welcome\n", '{"a": {', "3"):
        with pytest.raises(UnreadableOutput):
            DIALECT.read_status(said(stdout, program="qstat"))


@pytest.mark.parametrize("name", ["server-down-qstat-json", "wrong-server"])
def test_a_listing_that_failed_is_never_an_empty_one(name: str) -> None:
    with pytest.raises(BatchUnavailable, match="qstat did not answer"):
        DIALECT.read_status(pbs_said(name))


def test_a_question_that_pbs_does_not_understand_is_an_error() -> None:
    with pytest.raises(BatchError, match="conflicting options") as caught:
        DIALECT.read_status(pbs_said("all-jobs-u-and-f"))
    assert type(caught.value) is BatchError


def test_a_listing_cut_off_is_not_believed() -> None:
    whole = pbs_said("all-jobs-json")
    for at in range(1000, len(whole.stdout) - 10, 1000):
        with pytest.raises(UnreadableOutput):
            DIALECT.read_status(replace(whole, stdout=whole.stdout[:at]))


def test_banners_around_a_listing_are_passed_over() -> None:
    whole = pbs_said("all-jobs-json")
    noisy = replace(whole, stdout=f"Welcome to the machine\n\n{whole.stdout}\nGood bye\n")
    assert DIALECT.read_status(noisy) == DIALECT.read_status(whole)


@pytest.mark.parametrize("name", ["json-trap", "json-trap-V", "json-trap-numeric-name"])
def test_variables_of_other_jobs_do_not_disturb(name: str) -> None:
    (job,) = DIALECT.read_status(pbs_said(name)).values()
    assert job.tag in ("jsontrap", "jsontrap2", "007")
    assert job.state is JobState.HELD


def test_a_listing_that_is_no_json_is_read_all_the_same() -> None:
    # Some releases do not escape the values of variables: openpbs/openpbs#2541.
    whole = pbs_said("all-jobs-json")
    broken = whole.stdout.replace('"C.UTF-8"', '"say "C" \\ and\n more\t"')
    with pytest.raises(ValueError, match="delimiter"):
        json.loads(broken, strict=False)
    assert DIALECT.read_status(replace(whole, stdout=broken)) == DIALECT.read_status(whole)


# history ------------------------------------------------------------------------------------------


def test_a_job_that_history_does_not_know_is_absent() -> None:
    assert DIALECT.read_history(pbs_said("query-unknown-history")) == {}
    assert list(DIALECT.read_history(pbs_said("query-several-one-unknown"))) == ["25.login1"]


def test_a_server_without_a_history_knows_nothing() -> None:
    stderr = "qstat: PBS is not configured to maintain job history\n"
    empty = pbs_said("query-unknown-history")
    assert DIALECT.read_history(replace(empty, stderr=stderr)) == {}


def test_a_history_that_does_not_answer_is_no_empty_one() -> None:
    with pytest.raises(BatchUnavailable):
        DIALECT.read_history(pbs_said("server-down-qstat-json"))


# cancelling ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bulk-delete-one-unknown", "delete-unknown", "delete-finished"])
def test_cancelling_what_is_gone_is_no_error(name: str) -> None:
    DIALECT.read_cancel(pbs_said(name))


def test_cancelling_elements_that_are_over_is_no_error() -> None:
    gone = "qdel: Request invalid for finished array subjob 19[4].login1\n"
    DIALECT.read_cancel(said("", stderr=gone, exit_code=1, program="qdel"))
    mixed = f"{gone}qdel: Unauthorized Request  20.login1\n"
    with pytest.raises(BatchError, match="Unauthorized Request") as caught:
        DIALECT.read_cancel(said("", stderr=mixed, exit_code=1, program="qdel"))
    assert type(caught.value) is BatchError


@pytest.mark.parametrize("name", ["server-down-qdel", "node-down-qdel"])
def test_cancelling_without_an_answer_can_be_tried_again(name: str) -> None:
    with pytest.raises(BatchUnavailable):
        DIALECT.read_cancel(pbs_said(name))


# queues -------------------------------------------------------------------------------------------


def test_queues_are_read_with_their_limits() -> None:
    workq, debug = DIALECT.read_queues(pbs_said("queues-json"))
    assert (workq.name, workq.max_walltime, workq.default_walltime) == ("workq", 86400.0, 3600.0)
    assert (debug.name, debug.max_walltime, debug.default_walltime) == ("debug", 1800.0, 600.0)
    assert (workq.is_open, workq.is_default, workq.max_nodes) == (True, False, None)


def test_the_default_queue_comes_first() -> None:
    dialect = PBS.from_facts({"default_queue": "debug"})
    queues = dialect.read_queues(pbs_said("queues-json"))
    assert [(queue.name, queue.is_default) for queue in queues] == [
        ("debug", True), ("workq", False),
    ]  # fmt: skip


def test_a_queue_that_starts_nothing_is_closed() -> None:
    result = pbs_said("queues-json")
    stopped = replace(
        result, stdout=result.stdout.replace('"started":\t"True"', '"started":\t"False"')
    )
    assert [queue.is_open for queue in DIALECT.read_queues(stopped)] == [False, False]


def test_queues_that_cannot_be_asked_are_no_empty_list() -> None:
    with pytest.raises(BatchUnavailable):
        DIALECT.read_queues(pbs_said("server-down-queues"))
    with pytest.raises(UnreadableOutput):
        DIALECT.read_queues(pbs_said("all-jobs-json"))


# anything at all ----------------------------------------------------------------------------------

LINE = st.sampled_from(
    ['{', '}', '},', '"pbs_server": "x",', '"Jobs": {', '"7.x": {', '"7[1].x": {', '"7[].x": {',
     '"job_state": "F",', '"job_state": {', '"Job_Name": "a",', '"Job_Name": 7',
     '"Exit_status": -29', '"stime": "Fri Nov 20 08:06:15 2026",', '"comment": "x', 'Queue: a',
     '36.x', "٣"]
)  # fmt: skip
VALUE = st.text(max_size=20) | st.integers() | st.none() | st.floats() | st.booleans()


@settings(max_examples=100, deadline=None)
@given(
    comment=st.text(max_size=20), name=st.text(max_size=20), letter=st.sampled_from([*STATES, "F"])
)
def test_free_text_never_hides_a_job(comment: str, name: str, letter: str) -> None:
    odd = {"Job_Name": name, "job_state": letter, "comment": comment}
    jobs = DIALECT.read_status(listing(job7=odd, job8={"Job_Name": "b", "job_state": "R"}))
    assert jobs[JobId("7.login1")].tag == name
    assert jobs[JobId("8.login1")].state is JobState.RUNNING


@settings(max_examples=100, deadline=None)
@given(
    fields=st.dictionaries(
        st.sampled_from(["Job_Name", "job_state", "substate", "Exit_status", "stime", "mtime",
                         "Resource_List", "exec_host", "array_id", "job_array_id", "comment"]),
        VALUE | st.dictionaries(st.just("walltime"), VALUE),
    )
)  # fmt: skip
def test_no_attribute_raises_anything(fields: dict[str, object]) -> None:
    (job,) = DIALECT.read_status(listing(job7=fields)).values()
    assert job.id == "7.login1"


@settings(max_examples=150, deadline=None)
@given(
    stdout=st.lists(LINE, max_size=12).map("\n".join) | st.text(max_size=80),
    stderr=st.text(max_size=30),
    code=st.integers(0, 3),
)
def test_no_answer_raises_anything_but_our_errors(stdout: str, stderr: str, code: int) -> None:
    for result in (
        said(stdout, stderr=stderr, exit_code=code),
        said(f'{{\n"pbs_server": "x",\n"Jobs": {{\n{stdout}', stderr=stderr, exit_code=code),
    ):
        for read in (
            DIALECT.read_submit,
            DIALECT.read_status,
            DIALECT.read_history,
            DIALECT.read_cancel,
            DIALECT.read_queues,
        ):
            with suppress(HPCError):
                read(result)
