"""How Grid Engine's answers are read: recorded ones, and such as nobody would expect."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dask_hpc.batch.model import JobId, JobState, JobStatus, Tag
from dask_hpc.batch.sge import SGE
from dask_hpc.errors import (
    BatchError,
    BatchUnavailable,
    CommandMissing,
    HPCError,
    LimitReached,
    SubmitRejected,
    UnreadableOutput,
)
from tests.batch.recorded import Saying, refusal, sge_said

if TYPE_CHECKING:
    from dask_hpc.process.runner import Result

said = Saying("qsub")
SYSTEM = SGE()


def record(**fields: str) -> Result:
    told = {
        "jobname": "a", "jobnumber": "7", "taskid": "undefined", "failed": "0", "exit_status": "0",
        "slots": "1", "ru_wallclock": "6s", "maxvmem": "1.410MB", "category": "-l h_rt=5", **fields,
    }  # fmt: skip
    lines = "".join(f"{name:<12} {value}\n" for name, value in told.items())
    return said(f"{'=' * 62}\n{lines}", program="qacct")


# submission ---------------------------------------------------------------------------------------


def test_the_id_of_a_submission_is_read() -> None:
    assert SYSTEM.read_submit(sge_said("submit-success-terse")) == ("2",)
    assert SYSTEM.read_submit(sge_said("submit-success")) == ("1",)


def test_tasks_of_an_array_have_ids_from_1() -> None:
    assert SYSTEM.read_submit(sge_said("array-submit-terse"), 3) == ("21.1", "21.2", "21.3")
    assert SYSTEM.read_submit(sge_said("array-submit"), 10)[-1] == "20.10"


@pytest.mark.parametrize(
    "stdout",
    ["Welcome to 12 nodes\n36\n", "36\n\nYour project has 12 hours left.\n", "36\r\n",
     'Your job 36 ("a job (of mine)") has been submitted\n'],
)  # fmt: skip
def test_banners_around_the_id_are_passed_over(stdout: str) -> None:
    assert SYSTEM.read_submit(said(stdout)) == ("36",)


@pytest.mark.parametrize("stdout", ["", "Welcome\n", "36.1-3:1\n", "job 36 is in\n", "٣٦\n"])
def test_an_accepted_job_without_an_id_is_not_taken_for_a_refused_one(stdout: str) -> None:
    with pytest.raises(UnreadableOutput) as caught:
        SYSTEM.read_submit(said(stdout))
    assert "looked for by its name" in caught.value.hint


def test_an_array_of_another_size_is_not_ours() -> None:
    with pytest.raises(UnreadableOutput):
        SYSTEM.read_submit(sge_said("array-submit-terse"), 4)


@pytest.mark.parametrize(
    ("name", "words", "hint"),
    [
        ("submit-bad-queue", 'unknown queue "nosuch.q"', "dask-hpc queues"),
        ("submit-bad-pe", 'parallel environment "nosuchpe" does not exist', "fact pe"),
        ("submit-bad-project", 'project "nosuchproject" does not exist', "account="),
        ("submit-bad-resource", 'unknown resource "nosuch"', "qconf -sc"),
        ("submit-bad-mem", '"h_vmem" is not a memory value', "qconf -sc"),
        ("submit-bad-walltime", '"h_rt" is not a time value', "qconf -sc"),
        ("submit-bad-name", "must not contain /", "name"),
        ("submit-numeric-name", "cannot start with a digit", "begins with a letter"),
        ("submit-bad-option", 'invalid option argument "-nosuch"', "directives"),
        ("submit-empty-stdin", "no input read from stdin", "--dry-run"),
        ("submit-over-walltime-error", "no suitable queues", "dask-hpc queues"),
        ("array-submit-zero", "0 is an invalid task id", "--dry-run"),
    ],
)
def test_a_refusal_has_the_words_of_grid_engine_and_a_hint(
    name: str, words: str, hint: str
) -> None:
    told = refusal(SYSTEM, sge_said(name), words=words, hint=hint)
    assert told.startswith("grid engine refused the job: ")
    assert "Exiting" not in told


def test_a_command_that_has_no_grid_engine_says_so() -> None:
    with pytest.raises(SubmitRejected, match="SGE_ROOT") as caught:
        SYSTEM.read_submit(sge_said("no-conf"))
    assert "qsub works" in caught.value.hint


@pytest.mark.parametrize(
    "line",
    [
        "job rejected: only 10 jobs are allowed per user (current job count: 10)",
        "job rejected: only 5000 jobs are allowed per cluster",
    ],
)
def test_a_limit_on_the_number_of_jobs_is_told_from_other_refusals(line: str) -> None:
    with pytest.raises(LimitReached) as caught:
        SYSTEM.read_submit(said("", stderr=f"Unable to run job: {line}\nExiting.\n", exit_code=1))
    assert "fewer" in caught.value.hint
    with pytest.raises(LimitReached, match="more than 75000 tasks"):
        SYSTEM.read_submit(sge_said("array-submit-too-large"), 80_000)


@pytest.mark.parametrize(
    "result",
    [
        sge_said("server-down-qsub"),
        said("", exit_code=-9),
        said("", exit_code=1),
        said("", stderr="something else went wrong\n", exit_code=1),
        said("", stderr="Unable to run job: Error reading answer list from qmaster\n", exit_code=1),
    ],
)
def test_a_submission_without_a_clear_answer_is_no_refusal(result: Result) -> None:
    with pytest.raises(BatchUnavailable, match=r"grid engine did not answer: \w") as caught:
        SYSTEM.read_submit(result)
    assert caught.value.transient
    assert "looked for by its name" in caught.value.hint


# status -------------------------------------------------------------------------------------------


def test_every_job_of_a_listing_is_read() -> None:
    jobs = SYSTEM.read_status(sge_said("status-several"))
    assert {job_id: (job.tag, job.state) for job_id, job in jobs.items()} == {
        "1": ("running-a", JobState.RUNNING),
        "2.1": ("array-b", JobState.RUNNING),
        "2.2": ("array-b", JobState.RUNNING),
        "2.3": ("array-b", JobState.PENDING),
        "3": ("large-c", JobState.PENDING),
        "4": ("hungry-d", JobState.PENDING),
        "5": ("lost-e", JobState.FAILED),
        "6": ("held-f", JobState.HELD),
        "7": ("hundred-g", JobState.FAILED),
        # Son of Grid Engine means to write &lt; there.
        "8": ("a&b%lt;c>", JobState.HELD),
    }
    assert [job.id for job in jobs.values()] == list(jobs)


def test_a_running_job_has_its_end_and_its_node() -> None:
    jobs = SYSTEM.read_status(sge_said("status-several"))
    assert jobs[JobId("1")] == JobStatus(
        id=JobId("1"),
        tag=Tag("running-a"),
        state=JobState.RUNNING,
        end_time=1795196679.0 + 600,
        nodes="vm",
    )
    task = jobs[JobId("2.2")]
    assert (task.index, task.end_time, task.reason) == (1, None, "")


@pytest.mark.parametrize(
    ("job", "reason", "plain"),
    [
        ("3", 'cannot run in PE "smp" because it only offers 0 slots', "as many free cores"),
        (
            "4",
            '(-l h_vmem=100G) cannot run at host "vm" because it offers only hc:h_vmem=13.000G',
            "waits for memory",
        ),
        ("2.3", "not all array tasks may be started due to 'max_aj_instances'", "more tasks"),
        (
            "5",
            "can't chdir to /no/such/directory: No such file or directory",
            "working directory is not there",
        ),
        ("6", "Job is in hold state", "qrls"),
        ("7", "exit_status of job start = 100", "exited with 100"),
        ("8", "hqw", "held"),
    ],
)
def test_a_job_that_does_not_run_has_its_reason_in_both_words(
    job: str, reason: str, plain: str
) -> None:
    status = SYSTEM.read_status(sge_said("status-several"))[JobId(job)]
    assert status.reason == reason
    assert plain in status.plain_reason


def test_without_reasons_the_letters_are_explained() -> None:
    listed = SYSTEM.read_status(sge_said("status-without-reasons"))
    whole = SYSTEM.read_status(sge_said("status-several"))
    told = {job_id: job.state for job_id, job in listed.items()}
    assert told == {job_id: job.state for job_id, job in whole.items()}
    waiting, failed = listed[JobId("3")], listed[JobId("5")]
    assert (waiting.reason, failed.reason) == ("qw", "Eqw")
    assert "qalter -w p" in waiting.plain_reason
    assert "qdel removes it" in failed.plain_reason


def test_listings_of_other_releases_are_read() -> None:
    jobs = SYSTEM.read_status(sge_said("all-jobs-xml"))
    assert {job_id: job.state for job_id, job in jobs.items()} == {
        "28": JobState.RUNNING, "29": JobState.RUNNING, "30": JobState.PENDING,
        "33": JobState.PENDING, "27": JobState.HELD, "31": JobState.HELD, "32": JobState.PENDING,
    }  # fmt: skip
    tasks = SYSTEM.read_status(sge_said("array-query-xml"))
    assert [job.index for job_id, job in tasks.items() if job_id.startswith("20.")] == [*range(10)]
    assert tasks[JobId("25.9")].state is JobState.PENDING
    folded = replace(
        listing := sge_said("status-several"),
        stdout=listing.stdout.replace("<tasks>3</tasks>", "<tasks>3,5-9:2</tasks>"),
    )
    assert {"2.3", "2.5", "2.7", "2.9"} <= SYSTEM.read_status(folded).keys()


def test_an_empty_listing_is_told_from_no_listing() -> None:
    assert SYSTEM.read_status(sge_said("status-none")) == {}
    assert SYSTEM.read_status(sge_said("no-jobs-of-user-xml")) == {}
    for stdout in ("", "Welcome\n", "<?xml version='1.0'?>\n<unknown_jobs >\n</unknown_jobs>\n"):
        with pytest.raises(UnreadableOutput):
            SYSTEM.read_status(said(stdout, program="sh"))


def test_a_listing_that_failed_is_never_an_empty_one() -> None:
    with pytest.raises(BatchUnavailable, match="grid engine did not answer: ") as caught:
        SYSTEM.read_status(sge_said("server-down-qstat-xml"))
    assert caught.value.transient
    with pytest.raises(CommandMissing) as missing:
        SYSTEM.read_status(
            said("", stderr="sh: 1: qstat: not found\n", exit_code=127, program="sh")
        )
    assert "PATH" in missing.value.hint
    with pytest.raises(BatchError, match="SGE_ROOT"):
        SYSTEM.read_status(sge_said("no-conf"))


@pytest.mark.parametrize("place", ["<JB_name>array-b", "<state>Eqw", "  </job_info>"])
def test_a_listing_cut_off_is_not_believed(place: str) -> None:
    whole = sge_said("status-without-reasons")
    cut = replace(whole, stdout=whole.stdout[: whole.stdout.index(place) + 5])
    with pytest.raises(UnreadableOutput, match="no whole listing"):
        SYSTEM.read_status(cut)


def test_banners_around_a_listing_are_passed_over() -> None:
    listing = sge_said("status-several")
    banner = f"Welcome to <b>the</b> machine\n{'=' * 62}\n"
    noisy = replace(listing, stdout=banner + listing.stdout)
    assert SYSTEM.read_status(noisy) == SYSTEM.read_status(listing)


def test_a_letter_of_a_newer_grid_engine_decides_nothing() -> None:
    listing = sge_said("status-several")
    newer = replace(listing, stdout=listing.stdout.replace("<state>r<", "<state>Xr<", 1))
    job = SYSTEM.read_status(newer)[JobId("1")]
    assert (job.state, job.reason) == (JobState.UNKNOWN, "Xr")
    assert not job.state.is_final


def test_jobs_that_have_ended_are_left_to_history() -> None:
    listing = sge_said("status-several")
    zombie = replace(listing, stdout=listing.stdout.replace("<state>r<", "<state>z<", 1))
    assert "1" not in SYSTEM.read_status(zombie)


# history ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "job", "state", "code", "reason"),
    [
        ("query-finished", "35", JobState.DONE, 0, ""),
        ("query-failed", "36", JobState.FAILED, 3, ""),
        (
            "query-walltime", "37", JobState.TIMED_OUT, None,
            "37 : qmaster enforced h_rt, h_cpu, or h_vmem limit",
        ),
        ("query-cancelled", "45", JobState.CANCELLED, None, "100 : assumedly after job"),
        ("query-bad-interpreter", "42", JobState.FAILED, None, "27 : searching requested shell"),
        ("query-exit-100", "43", JobState.FAILED, 100, "30 : application error returned"),
    ],
)  # fmt: skip
def test_history_says_how_a_job_ended(
    name: str, job: str, state: JobState, code: int | None, reason: str
) -> None:
    (ended,) = SYSTEM.read_history(sge_said(name)).values()
    assert (ended.id, ended.state, ended.exit_code, ended.reason) == (job, state, code, reason)


def test_an_ended_job_has_its_end_and_its_node() -> None:
    (job,) = SYSTEM.read_history(sge_said("query-walltime")).values()
    assert (job.tag, job.end_time, job.nodes) == ("overtime", 1795163253.0, "login1")
    assert job.plain_reason == "reached its walltime"


def test_a_job_that_was_put_back_has_not_ended() -> None:
    assert SYSTEM.read_history(sge_said("query-exit-99")) == {}


@pytest.mark.parametrize(
    ("fields", "state", "code"),
    [
        ({"failed": "37  : limit", "exit_status": "137"}, JobState.TIMED_OUT, None),
        (
            {"failed": "37  : limit", "exit_status": "137", "ru_wallclock": "3s",
             "category": "-l h_rt=500,h_vmem=100M -pe smp 2", "slots": "2", "maxvmem": "201.0MB"},
            JobState.OUT_OF_MEMORY, None,
        ),
        # Releases that do not tell who killed it.
        ({"failed": "100 : assumedly after job", "exit_status": "137"}, JobState.TIMED_OUT, None),
        (
            {"failed": "100 : assumedly after job", "exit_status": "137", "ru_wallclock": "2.5",
             "category": "-l h_rt=00:10:00,h_vmem=1G", "maxvmem": "1.001G"},
            JobState.OUT_OF_MEMORY, None,
        ),
        ({"failed": "100 : after job", "exit_status": "143 (Terminated)"}, JobState.FAILED, 143),
        ({"failed": "0", "exit_status": "137"}, JobState.FAILED, 137),
        ({"failed": "15  : in epilog", "exit_status": "0"}, JobState.DONE, 0),
        ({"failed": "19  : before writing exit_status", "exit_status": "0"}, JobState.LOST, None),
        ({"failed": "8   : in prolog", "exit_status": "1"}, JobState.FAILED, None),
        ({"failed": "0", "exit_status": "4294967295"}, JobState.FAILED, None),
    ],
)  # fmt: skip
def test_codes_are_judged_by_what_else_is_known(
    fields: dict[str, str], state: JobState, code: int | None
) -> None:
    (job,) = SYSTEM.read_history(record(**fields)).values()
    assert (job.state, job.exit_code) == (state, code)


def test_tasks_of_an_array_are_told_one_by_one() -> None:
    both = record(taskid="1").stdout + record(taskid="2", exit_status="7").stdout
    jobs = SYSTEM.read_history(said(both, program="qacct"))
    assert {job_id: (job.index, job.exit_code) for job_id, job in jobs.items()} == {
        "7.1": (0, 0), "7.2": (1, 7),
    }  # fmt: skip


def test_a_job_that_history_does_not_know_is_absent() -> None:
    assert SYSTEM.read_history(sge_said("query-unknown-qacct")) == {}


def test_a_history_that_cannot_be_read_is_no_empty_one() -> None:
    for result in (said("", program="qacct"), replace(record(), stdout=record().stdout[:90])):
        with pytest.raises(UnreadableOutput):
            SYSTEM.read_history(result)
    with pytest.raises(BatchError):
        SYSTEM.read_history(said("", stderr="Permission denied", exit_code=1, program="qacct"))


# cancelling ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["delete-running", "delete-unknown", "delete-finished", "bulk-delete-one-unknown"]
)
def test_cancelling_what_is_gone_is_no_error(name: str) -> None:
    SYSTEM.read_cancel(sge_said(name))


def test_a_job_that_is_going_already_is_no_error() -> None:
    SYSTEM.read_cancel(said("job 4 is already in deletion\n", exit_code=1, program="qdel"))


def test_a_job_that_may_not_be_cancelled_is_an_error_also_among_others() -> None:
    with pytest.raises(BatchError, match="necessary privileges") as caught:
        SYSTEM.read_cancel(sge_said("delete-not-mine"))
    assert type(caught.value) is BatchError
    several = sge_said("delete-not-mine").stdout + sge_said("delete-unknown").stdout
    with pytest.raises(BatchError, match="necessary privileges"):
        SYSTEM.read_cancel(said(several, exit_code=1, program="qdel"))


def test_cancelling_without_an_answer_can_be_tried_again() -> None:
    with pytest.raises(BatchUnavailable):
        SYSTEM.read_cancel(sge_said("server-down-qdel"))


# queues -------------------------------------------------------------------------------------------


def test_queues_are_read_with_their_limits() -> None:
    all_q, short = SYSTEM.read_queues(sge_said("queues-all"))
    assert (all_q.name, all_q.max_walltime, short.name, short.max_walltime) == (
        "all.q", None, "short.q", 120.0,
    )  # fmt: skip
    assert (short.nodes, short.free_nodes, short.cores_per_node) == (1, 1, 8)
    assert (short.memory_per_node, short.gpus_per_node) == (int(23.541 * 2**30), 2)
    assert (short.is_open, short.is_default, short.max_nodes) == (True, False, 1)
    assert (
        SGE.from_facts({"pe_nodes": "mpi"}).read_queues(sge_said("queues-all"))[0].max_nodes is None
    )


def test_nodes_of_one_queue_are_one_queue() -> None:
    node = (
        "<Queue-List>\n<name>{0}</name>\n<slots_used>{1}</slots_used>\n<slots_total>{2}</slots_total>"
        '\n<state>{3}</state>\n<resource name="h_rt" type="qf">{4}</resource>\n</Queue-List>\n'
    )
    rows = [
        node.format("a.q@n1", 0, 16, "", "01:00:00"),
        node.format("a.q@n2", 4, 32, "", "48:00:00"),
        node.format("a.q@n3", 0, 64, "au", "48:00:00"),
        node.format("b.q@n1", 0, 16, "d", "infinity"),
    ]
    result = said(f"<job_info>\n{''.join(rows)}</job_info>\n", program="qstat")
    first, second = SYSTEM.read_queues(result)
    assert (first.name, first.nodes, first.free_nodes, first.cores_per_node) == ("a.q", 3, 1, 64)
    assert (first.max_walltime, first.is_open) == (172800.0, True)
    assert (second.name, second.is_open, second.max_walltime) == ("b.q", False, None)


def test_queues_that_cannot_be_asked_are_no_empty_list() -> None:
    with pytest.raises(BatchUnavailable):
        SYSTEM.read_queues(sge_said("server-down-qstat-xml"))


# anything at all ----------------------------------------------------------------------------------

SPECKLED = st.text("0123456789.-:=<>/& \n\r\tabcérqwE٣\u2028", max_size=80)
WHOLE = st.builds(
    lambda state, number, tasks, more: (
        f"<job_info><job_list><JB_job_number>{number}</JB_job_number><state>{state}</state>"
        f"<tasks>{tasks}</tasks></job_list></job_info>\n{'=' * 62}\njobnumber {number}\n"
        f"failed {more}\nexit_status {tasks}\ntaskid {tasks}\njob_number: {number}\n{more}"
    ),
    SPECKLED, SPECKLED | st.just("7"), SPECKLED | st.just("1-3:1"), SPECKLED,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(
    stdout=SPECKLED | st.text(max_size=80) | WHOLE,
    stderr=st.text(max_size=30),
    code=st.sampled_from([0, 0, 1, 2, 127, -9]),
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
