"""How LSF's answers are read: recorded ones of OpenLava, those of the manual, unexpected ones."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dask_hpc.batch.lsf import LSF
from dask_hpc.batch.model import JobId, JobState, JobStatus, Tag
from dask_hpc.errors import (
    BatchError,
    BatchUnavailable,
    HPCError,
    LimitReached,
    UnreadableOutput,
)
from tests.batch.recorded import Saying, manual_says, openlava_said, refusal

if TYPE_CHECKING:
    from dask_hpc.process.runner import Result

said = Saying("bsub")
SYSTEM = LSF()
OPENLAVA = LSF(has_json=False)
BOTH = pytest.mark.parametrize("system", [SYSTEM, OPENLAVA], ids=["json", "openlava"])


def records(*jobs: dict[str, str]) -> Result:
    return said(json.dumps({"COMMAND": "bjobs", "JOBS": len(jobs), "RECORDS": list(jobs)}))


def one(system: LSF, result: Result) -> JobStatus:
    (job,) = system.read_status(result).values()
    return job


# submission ---------------------------------------------------------------------------------------


def test_the_id_of_a_submission_is_read() -> None:
    assert SYSTEM.read_submit(openlava_said("submit-success-stdin")) == ("104",)
    ids = SYSTEM.read_submit(openlava_said("array-submit"), 3)
    assert ids == ("219[1]", "219[2]", "219[3]")


def test_chatter_of_a_client_that_waited_for_its_daemon_is_passed_over() -> None:
    assert SYSTEM.read_submit(openlava_said("submit-env-option")) == ("218",)


def test_a_job_that_was_taken_is_taken_whatever_came_after() -> None:
    assert SYSTEM.read_submit(openlava_said("submit-block")) == ("263",)


@pytest.mark.parametrize(
    "stdout",
    [
        "Job <36> is submitted to queue <normal>.\n",
        "Your project has 12 hours left.\nJob <36> is submitted to default queue <normal>.\n",
        "Job <36> is submitted to queue <normal>.\nJob <7> is nice\n",
        "Job <36> is submitted to project <p> and queue <normal>.\r\n",
    ],
)
def test_banners_around_the_id_are_passed_over(stdout: str) -> None:
    assert SYSTEM.read_submit(said(stdout)) == ("36",)


@pytest.mark.parametrize(
    "stdout", ["", "Welcome\n", "job 36 is in\n", "Job <٣٦> is submitted to q"]
)
def test_an_accepted_job_without_an_id_is_not_taken_for_a_refused_one(stdout: str) -> None:
    with pytest.raises(UnreadableOutput) as caught:
        SYSTEM.read_submit(said(stdout))
    assert caught.value.hint


@pytest.mark.parametrize(
    ("name", "words", "hint"),
    [
        ("submit-bad-queue", "nosuchqueue: No such queue", "dask-hpc queues"),
        ("submit-bad-resreq", "Bad resource requirement syntax", "-R"),
        ("submit-bad-walltime", "1h: Bad RUNLIMIT specification", "walltime"),
        ("submit-walltime-seconds", "Bad RUNLIMIT", "walltime"),
        ("submit-over-walltime", "RUNLIMIT: Cannot exceed queue's hard limit", "shorter walltime"),
        ("submit-over-mem", "MEMLIMIT: Cannot exceed queue's hard limit", "less memory"),
        ("submit-mem-unit", "2GB: MEMLIMT value should be a positive integer", "lsf.conf"),
        ("submit-over-slots", "does not have enough per-user job slots", "fewer cores"),
        ("submit-impossible-slots", "Too many processors requested", "fewer cores"),
        ("submit-bad-option", "The number of processors must be", "cores"),
        ("submit-empty-stdin", "No command is specified", "--dry-run"),
        ("array-submit-zero", "Bad job name", "name"),
        ("no-conf", "Unable to open file lsf.conf", "bsub works"),
    ],
)
def test_a_refusal_has_lsfs_words_and_a_hint(name: str, words: str, hint: str) -> None:
    told = refusal(SYSTEM, openlava_said(name), words=words, hint=hint)
    assert told.startswith("lsf refused the job: ")


@pytest.mark.parametrize(
    "words",
    [
        "Job array index too large. Job not submitted.",
        "Pending job threshold reached. Job not submitted.",
        "User has too many jobs. Job not submitted.",
    ],
)
def test_a_limit_on_the_number_of_jobs_is_told_from_other_refusals(words: str) -> None:
    with pytest.raises(LimitReached) as caught:
        SYSTEM.read_submit(said("", stderr=words, exit_code=255))
    assert caught.value.hint
    with pytest.raises(LimitReached):
        SYSTEM.read_submit(openlava_said("array-submit-too-large"), 2000)


@pytest.mark.parametrize("name", ["submit-gpu-option", "submit-as-root"])
def test_a_submission_without_an_answer_is_no_refusal(name: str) -> None:
    with pytest.raises(BatchUnavailable) as caught:
        SYSTEM.read_submit(openlava_said(name))
    assert "looked for by its name" in caught.value.hint


@pytest.mark.parametrize(
    ("code", "stderr"),
    [
        (-9, ""),
        (1, ""),
        (-15, "No such queue. Job not submitted."),
        (255, "batch system daemon not responding ... still trying"),
        (255, "LIM is down; try later. Job not submitted."),
        (1, "bash: /root/esub: bad luck"),
        (1, "the project directory is full"),
    ],
)
def test_an_unclear_answer_is_no_refusal(code: int, stderr: str) -> None:
    with pytest.raises(BatchUnavailable, match=r"lsf did not answer: \S"):
        SYSTEM.read_submit(said("", stderr=stderr, exit_code=code))


# listing of openlava ------------------------------------------------------------------------------


def test_every_job_of_a_listing_is_read() -> None:
    jobs = OPENLAVA.read_status(openlava_said("all-jobs-UF"))
    counts = dict.fromkeys(JobState, 0)
    for job in jobs.values():
        counts[job.state] += 1
    assert {state: count for state, count in counts.items() if count} == {
        JobState.RUNNING: 2, JobState.PENDING: 6, JobState.HELD: 2, JobState.DONE: 25,
        JobState.CANCELLED: 10, JobState.FAILED: 2,
    }  # fmt: skip


def test_names_are_read_in_full_and_without_their_index() -> None:
    jobs = OPENLAVA.read_status(openlava_said("all-jobs-UF"))
    assert jobs[JobId("233")].tag == "a_very_long_job_name_that_will_be_cut_in_the_short_table"
    element = jobs[JobId("219[10]")]
    assert (element.tag, element.index, element.nodes) == ("arr", 9, "login1")
    assert jobs[JobId("114")].tag == ""  # it has none


def test_a_job_on_one_host_has_it_once() -> None:
    jobs = OPENLAVA.read_status(openlava_said("all-jobs-UF"))
    assert jobs[JobId("229")].nodes == "login1"  # 15 times in the listing
    assert jobs[JobId("230")].nodes == ""


def test_a_job_whose_command_is_a_script_is_read() -> None:
    job = OPENLAVA.read_status(openlava_said("all-jobs-UF"))[JobId("104")]
    assert (job.tag, job.state, job.exit_code) == ("demo", JobState.DONE, 0)


@pytest.mark.parametrize(
    ("job_id", "state", "reason", "plain"),
    [
        ("230", "pending", "Job slot limit reached: 1 host", "slots to become free"),
        ("231", "pending", "Job dependency condition not satisfied: 1 host", "another job"),
        ("232", "pending", "The job has a specified start time: 1 host", "earliest start"),
        ("226", "held", "The job was suspended by the user while pending: 1 host", "bresume"),
    ],
)
def test_a_waiting_job_says_why(job_id: str, state: str, reason: str, plain: str) -> None:
    job = OPENLAVA.read_status(openlava_said("all-jobs-UF"))[JobId(job_id)]
    assert (job.state, job.reason) == (state, reason)
    assert plain in job.plain_reason


def test_codes_of_openlava_that_mean_something_else_are_no_exit_codes() -> None:
    jobs = OPENLAVA.read_status(openlava_said("all-jobs-UF"))
    killed, failed = jobs[JobId("219[1]")], jobs[JobId("116")]
    assert (killed.state, killed.exit_code) == (JobState.CANCELLED, None)  # 130
    assert (failed.state, failed.exit_code) == (JobState.FAILED, 127)
    assert failed.reason == "Exited with exit code 127"


def test_times_without_a_year_are_not_guessed() -> None:
    jobs = OPENLAVA.read_status(openlava_said("all-jobs-UF"))
    assert {job.end_time for job in jobs.values()} == {None}


HEAD = "Job <7>, Job Name <a>, User <u>, Project <p>, Status <{}>, Queue <q>, Command <c>\n"


def openlava(word: str, *lines: str) -> JobStatus:
    text = "\n".join([HEAD.format(word), *lines, ""])
    return one(OPENLAVA, said(text.replace("\n\n", "\n", 1), program="bjobs"))


def test_a_job_that_ran_as_long_as_it_may_is_timed_out_whatever_its_code() -> None:
    limit = (" RUNLIMIT                ", " 1.0 min of login1       ")
    started = "Thu Dec 31 23:59:30: Started on <login1>, Execution Home </home/u>;"
    late, early = (
        openlava("EXIT", *limit, started, f"{end}: Exited with exit code 3. The CPU time used.")
        for end in ("Fri Jan  1 00:00:31", "Fri Jan  1 00:00:29")
    )
    assert (late.state, late.exit_code) == (JobState.TIMED_OUT, None)
    assert (early.state, early.exit_code) == (JobState.FAILED, 3)


def test_a_job_that_never_started_was_cancelled() -> None:
    job = openlava("EXIT", "Fri Nov 20 08:13:58: Exited")
    assert (job.state, job.plain_reason) == (JobState.CANCELLED, "was cancelled")


def test_words_of_lsf_for_an_end_are_read_in_text_too() -> None:
    job = openlava(
        "EXIT",
        "Fri Nov 20 08:13:58 2026: Started 1 Task(s) on Host(s) <n1>, Allocated 1 Slot(s);",
        "Fri Nov 20 08:14:00 2026: Exited with exit code 137. The CPU time used is 0.1 seconds.",
        "Fri Nov 20 08:14:00 2026: Completed <exit>; TERM_MEMLIMIT: job killed after reaching "
        "LSF memory usage limit.",
    )
    assert (job.state, job.nodes, job.exit_code) == (JobState.OUT_OF_MEMORY, "n1", None)
    assert job.reason == "TERM_MEMLIMIT: job killed after reaching LSF memory usage limit"
    assert job.end_time == 1795162440.0


def test_a_job_that_runs_again_has_not_ended() -> None:
    job = openlava(
        "RUN",
        "Fri Nov 20 08:13:58: Started on <n1>;",
        "Fri Nov 20 08:14:00: Exited with exit code 3.",
        "Fri Nov 20 08:14:09: Started on <n2>;",
    )
    assert (job.state, job.nodes, job.exit_code) == (JobState.RUNNING, "n2", None)


# listing of lsf -----------------------------------------------------------------------------------


def test_records_of_the_manual_are_read() -> None:
    jobs = SYSTEM.read_status(manual_says("bjobs"))
    assert {job_id: job.state for job_id, job in jobs.items()} == {
        "219[3]": JobState.RUNNING, "220": JobState.PENDING, "221": JobState.TIMED_OUT,
        "222": JobState.OUT_OF_MEMORY, "223": JobState.FAILED, "224": JobState.CANCELLED,
        "225": JobState.CANCELLED, "226": JobState.UNKNOWN,
    }  # fmt: skip
    assert jobs[JobId("219[3]")] == JobStatus(
        id=JobId("219[3]"), tag=Tag("climate-7f3a"), state=JobState.RUNNING, index=2,
        nodes="node01,node02", end_time=1795166014.0,
    )  # fmt: skip
    waits = jobs[JobId("220")]
    assert waits.reason == (
        "Job's resource requirements not satisfied: 2 hosts; Job slot limit reached: 1 host"
    )
    assert waits.plain_reason == "waits for slots to become free"
    assert (waits.start_estimate, waits.end_time) == (1795164000.0, None)
    failed = jobs[JobId("223")]
    assert (failed.exit_code, failed.end_time) == (7, None)  # its times have no year
    assert jobs[JobId("221")].plain_reason == "reached its walltime"
    assert jobs[JobId("226")].reason == "UNKWN"


@pytest.mark.parametrize(
    ("record", "job_id", "index"),
    [
        ({"JOBID": "7", "JOBINDEX": "0"}, "7", 0),
        ({"JOBID": "7", "JOBINDEX": ""}, "7", 0),
        ({"JOBID": "7"}, "7", 0),
        ({"JOBID": "7", "JOBINDEX": "12"}, "7[12]", 11),
        ({"JOBID": "7[12]", "JOBINDEX": "12"}, "7[12]", 11),
        ({"JOBID": "7[1]"}, "7[1]", 0),
    ],
)
def test_an_element_is_known_by_its_index(record: dict[str, str], job_id: str, index: int) -> None:
    job = one(SYSTEM, records({**record, "STAT": "RUN", "JOB_NAME": "a[1-12]"}))
    assert (job.id, job.index, job.tag) == (job_id, index, "a")


def test_a_new_word_for_a_state_is_not_final() -> None:
    job = one(SYSTEM, records({"JOBID": "7", "STAT": "FWD_PEND", "JOB_NAME": "a"}))
    assert (job.state, job.reason) == (JobState.UNKNOWN, "FWD_PEND")
    assert not job.state.is_final


@pytest.mark.parametrize(
    ("reason", "code", "state", "exit_code"),
    [
        ("TERM_OWNER: job killed by owner", "130", JobState.CANCELLED, None),
        ("TERM_PREEMPT: job killed after preemption", "", JobState.PREEMPTED, None),
        ("TERM_EXTERNAL_SIGNAL: job killed by a signal", "137", JobState.FAILED, 137),
        ("TERM_NEW: something", "3", JobState.FAILED, 3),
        ("-", "3", JobState.FAILED, 3),
        ("", "140", JobState.TIMED_OUT, None),
        ("", "130", JobState.CANCELLED, None),
        ("", "137", JobState.FAILED, 137),
        ("", "0", JobState.FAILED, None),
        ("", "99999", JobState.FAILED, None),
    ],
)
def test_the_end_of_a_job_is_told_by_its_reason_and_then_its_code(
    reason: str, code: str, state: JobState, exit_code: int | None
) -> None:
    record = {"JOBID": "7", "STAT": "EXIT", "EXIT_CODE": code, "EXIT_REASON": reason,
              "START_TIME": "Nov 20 08:13", "JOB_NAME": "a"}  # fmt: skip
    job = one(SYSTEM, records(record))
    assert (job.state, job.exit_code) == (state, exit_code)


def test_a_banner_before_the_answer_is_passed_over() -> None:
    result = manual_says("bjobs")
    assert len(SYSTEM.read_status(said(f"Welcome!\n{result.stdout}"))) == 8


@pytest.mark.parametrize(
    "stdout",
    [
        "",
        "Welcome\n",
        '{"COMMAND":"bjobs","JOBS":0}',
        '{"COMMAND":"bjobs","JOBS":1,"RECORDS":[{"JOBID":"1","ST',
        '{"RECORDS":[{"STAT":"RUN"}]}',
        '{"RECORDS":[{"JOBID":"1"}]}',
        '{"RECORDS":[7]}',
        '{"RECORDS":7}',
        '{"RECORDS":[{"ERROR":"bad luck"}]}',
        "[]",
    ],
)
@BOTH
def test_an_answer_in_no_known_form_is_no_empty_listing(system: LSF, stdout: str) -> None:
    with pytest.raises(UnreadableOutput):
        system.read_status(said(stdout, program="bjobs"))


def test_a_record_without_state_in_text_is_unreadable() -> None:
    with pytest.raises(UnreadableOutput):
        OPENLAVA.read_status(said("Job <7>, Job Name <a>, User <u>, Project <p>\n"))


# what both say ------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("code", [0, 255])
@pytest.mark.parametrize("words", ["No unfinished job found\n", "No job found\n"])
def test_a_user_without_jobs_has_none(system: LSF, code: int, words: str) -> None:
    assert system.read_status(said("", stderr=words, exit_code=code)) == {}
    assert system.read_status(openlava_said("no-jobs-of-user")) == {}


def test_an_empty_list_of_records_is_empty() -> None:
    assert SYSTEM.read_status(records()) == {}


@BOTH
@pytest.mark.parametrize(
    ("stderr", "code"),
    [
        ("batch system daemon not responding ... still trying", 255),
        ("OpenLava daemon (LIM) not responding ... still trying\nNo job found", 255),
        ("", 255),
        ("", -15),
        ("Cannot connect to LSF. Please wait ...", 255),
    ],
)
def test_a_listing_without_an_answer_is_an_error(system: LSF, stderr: str, code: int) -> None:
    with pytest.raises(BatchUnavailable):
        system.read_status(said("", stderr=stderr, exit_code=code, program="bjobs"))


@BOTH
@pytest.mark.parametrize("name", ["all-jobs-o", "no-conf", "query-malformed"])
def test_a_query_that_is_refused_is_an_error(system: LSF, name: str) -> None:
    with pytest.raises(BatchError) as caught:
        system.read_status(openlava_said(name))
    assert type(caught.value) is BatchError


# history ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "job_id", "tag", "state", "code"),
    [
        ("bhist-failed", "236", "fails", JobState.FAILED, 3),
        ("bhist-walltime", "237", "overtime", JobState.TIMED_OUT, None),
        ("bhist-cancelled", "243", "cancelrun", JobState.CANCELLED, None),
        ("bhist-memory", "238", "overmem", JobState.DONE, 0),  # the limit was not enforced
    ],
)
def test_history_knows_how_a_job_ended(
    name: str, job_id: str, tag: str, state: JobState, code: int | None
) -> None:
    job = SYSTEM.read_history(openlava_said(name))[JobId(job_id)]
    assert (job.tag, job.state, job.exit_code, job.nodes) == (tag, state, code, "login1")


def test_a_job_that_history_does_not_know_is_absent() -> None:
    assert SYSTEM.read_history(openlava_said("bhist-unknown")) == {}
    some = openlava_said("bhist-failed")
    result = said(some.stdout, stderr="Job <99999>: No matching job found\n", exit_code=255)
    assert set(SYSTEM.read_history(result)) == {"236"}


def test_a_job_that_was_killed_but_left_by_itself_was_cancelled() -> None:
    result = openlava_said("bhist-cancelled")
    text = result.stdout.replace("exit code 130", "exit code 143")
    assert SYSTEM.read_history(said(text))[JobId("243")].state is JobState.CANCELLED


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ((), JobState.PENDING),
        (("Dispatched to <n1>;", "Starting (Pid 7);"), JobState.RUNNING),
        (("Dispatched to <n1>;", "Exited with exit code 3;", "Pending: Job was requeued;"),
         JobState.PENDING),
        (("[3] dispatched to <n1>;", "Signal <USR1> requested by user or administrator <u>;",
          "Exited with exit code 3;"), JobState.FAILED),
        (("Exited;",), JobState.CANCELLED),
    ],
)  # fmt: skip
def test_history_is_read_event_by_event(events: tuple[str, ...], state: JobState) -> None:
    lines = [f"Fri Nov 20 08:13:{second:02d}: {text}" for second, text in enumerate(events, 10)]
    head = "Job <7[3]>, Job Name <a[3]>, User <u>, Project <p>, Command <c>"
    job = SYSTEM.read_history(said("\n".join(["", head, *lines, ""])))[JobId("7[3]")]
    assert (job.state, job.tag, job.index) == (state, "a", 2)


@pytest.mark.parametrize(
    ("stdout", "stderr", "code"),
    [("", "LIM is down; try later", 255), ("", "", 255), ("", "", 0), ("something", "", 0)],
)
def test_a_history_that_does_not_answer_is_no_empty_one(
    stdout: str, stderr: str, code: int
) -> None:
    with pytest.raises((BatchUnavailable, UnreadableOutput)):
        SYSTEM.read_history(said(stdout, stderr=stderr, exit_code=code, program="bhist"))


# cancelling ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["bulk-delete", "bulk-delete-one-unknown", "delete-finished", "delete-unknown", "array-delete"],
)
def test_cancelling_what_is_gone_or_going_is_no_error(name: str) -> None:
    SYSTEM.read_cancel(openlava_said(name))


def test_a_job_that_may_not_be_cancelled_is_an_error() -> None:
    gone = "Job <36>: Job has already finished\n"
    mixed = said("", stderr=f"{gone}Job <37>: User permission denied\n", exit_code=255)
    with pytest.raises(BatchError, match="permission denied") as caught:
        SYSTEM.read_cancel(mixed)
    assert not isinstance(caught.value, BatchUnavailable)


@pytest.mark.parametrize(
    "stderr", ["OpenLava daemon (LIM) not responding ... still trying", "", "LIM is down"]
)
def test_cancelling_without_an_answer_can_be_tried_again(stderr: str) -> None:
    with pytest.raises(BatchUnavailable):
        SYSTEM.read_cancel(said("", stderr=stderr, exit_code=255, program="bkill"))


# queues -------------------------------------------------------------------------------------------


def test_queues_are_read_with_their_limits() -> None:
    normal, debug = SYSTEM.read_queues(openlava_said("queues-long"))
    assert (normal.name, normal.is_default, normal.is_open) == ("normal", True, True)
    assert (normal.max_walltime, normal.cores_per_node, normal.memory_per_node) == (86400.0, 0, 0)
    assert (debug.name, debug.is_default, debug.max_walltime) == ("debug", False, 1800.0)
    assert (debug.cores_per_node, debug.memory_per_node) == (8, 4_000_000 * 2**10)


def test_limits_of_memory_for_each_slot_are_no_limits_of_a_node() -> None:
    lsf = LSF.from_facts({"memory_per": "slot"})
    assert {queue.memory_per_node for queue in lsf.read_queues(openlava_said("queues-long"))} == {0}


def test_default_limits_are_told_from_the_largest() -> None:
    (queue,) = SYSTEM.read_queues(
        said(
            "\n".join(
                [
                    "",
                    "QUEUE: night",
                    "  -- no words",
                    "",
                    "PARAMETERS/STATISTICS",
                    "PRIO NICE STATUS          MAX JL/U JL/P JL/H NJOBS  PEND   RUN SSUSP",
                    " 30   20  Closed:Inact_Win  -    -    -    -     0     0     0     0",
                    "",
                    "DEFAULT LIMITS:",
                    " RUNLIMIT                ",
                    " 60.0 min of hostA       ",
                    "",
                    "MAXIMUM LIMITS:",
                    " CPULIMIT                 RUNLIMIT                TASKLIMIT",
                    " 90.0 min of hostA        600.0 min of hostA      1 4 128",
                    "",
                    "SCHEDULING PARAMETERS",
                ]
            )
        )
    )
    assert not queue.is_open
    assert (queue.default_walltime, queue.max_walltime) == (3600.0, 36000.0)
    assert queue.cores_per_node == 128


@pytest.mark.parametrize(("stderr", "code"), [("LIM is down", 255), ("", 0), ("", 255)])
def test_queues_that_cannot_be_asked_are_no_empty_list(stderr: str, code: int) -> None:
    with pytest.raises((BatchUnavailable, UnreadableOutput)):
        SYSTEM.read_queues(said("", stderr=stderr, exit_code=code, program="bqueues"))


# anything at all ----------------------------------------------------------------------------------

LINE = st.sampled_from(
    [
        HEAD.format("EXIT").strip(), "Job <7[3]>, User <u>, Status <", " RUNLIMIT   MEMLIMIT",
        " 1.0 min of x   7 K", "Fri Nov 20 08:13:58: Started on <a>", " PENDING REASONS:",
        "Fri Foo 99 99:99:99: Exited with exit code 7", "QUEUE: a", "DEFAULT LIMITS:",
        "Job <1> is submitted to queue <q>.", "No job found", "                     x",
    ]
)  # fmt: skip
RECORD = st.dictionaries(
    st.sampled_from(["JOBID", "STAT", "JOBINDEX", "EXIT_CODE", "FINISH_TIME", "ERROR"]),
    st.none() | st.integers() | st.text(max_size=5) | st.sampled_from(["7", "EXIT", "7[0]"])
    | st.sampled_from(["Nov 31 08:13 2026", "Nov 20 25:13 0000 L"]),
)  # fmt: skip
OUTPUT = (
    st.text(max_size=80)
    | st.lists(LINE | st.text(max_size=20), max_size=8).map("\n".join)
    | st.lists(RECORD, max_size=3).map(lambda jobs: json.dumps({"RECORDS": jobs}))
    | st.recursive(st.none() | st.integers(), st.lists, max_leaves=4).map(json.dumps)
)


@settings(max_examples=300, deadline=None)
@given(stdout=OUTPUT, stderr=st.text(max_size=30) | LINE, code=st.sampled_from([0, 0, 255, -9]))
def test_no_answer_raises_anything_but_our_errors(stdout: str, stderr: str, code: int) -> None:
    result = said(stdout, stderr=stderr, exit_code=code)
    for system in (SYSTEM, OPENLAVA):
        for read in (
            system.read_submit,
            system.read_status,
            system.read_history,
            system.read_cancel,
            system.read_queues,
        ):
            with suppress(HPCError):
                read(result)


@settings(max_examples=60, deadline=None)
@given(name=st.text(max_size=20), reason=st.text(max_size=20), command=st.text(max_size=20))
def test_free_text_never_hides_a_job(name: str, reason: str, command: str) -> None:
    record = {"JOBID": "7", "STAT": "PEND", "JOB_NAME": name, "PEND_REASON": reason}
    other = {"JOBID": "8", "STAT": "RUN", "JOB_NAME": "b"}
    assert set(SYSTEM.read_status(records(record, other))) == {"7", "8"}
    words = "".join(letter for letter in name + command if letter.isprintable())
    first = HEAD.format("PEND").replace("<a>", f"<{words}>").replace("<c>", f"<{words}>")
    jobs = OPENLAVA.read_status(said(f"{first}{HEAD.format('RUN').replace('<7>', '<8>')}"))
    assert (set(jobs), jobs[JobId("8")].state) == ({"7", "8"}, JobState.RUNNING)
