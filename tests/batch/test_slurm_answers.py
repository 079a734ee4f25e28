"""How Slurm's answers are read: recorded ones, and such as nobody would expect."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dask_hpc.batch.model import JobId, JobState, JobStatus, Tag
from dask_hpc.batch.slurm import Slurm
from dask_hpc.batch.slurm_table import SEPARATOR
from dask_hpc.batch.slurm_words import QUEUE_FULL, STATES
from dask_hpc.errors import (
    BatchError,
    BatchUnavailable,
    HPCError,
    LimitReached,
    SubmitRejected,
    UnreadableOutput,
)
from dask_hpc.process.runner import Command, Result
from tests.batch.recorded import Saying, refusal, slurm_said

said = Saying("sbatch")
SLURM = Slurm()
HEADER = SEPARATOR.join(
    ["JOBID", "STATE", "EXIT_CODE", "START_TIME", "END_TIME", "NODELIST", "REASON", "NAME", ""]
)


def squeue(*rows: tuple[str, ...], stderr: str = "", exit_code: int = 0) -> Result:
    lines = [HEADER, *(SEPARATOR.join((*row, "")) for row in rows)]
    return Result(
        command=Command(argv=("squeue",)),
        exit_code=exit_code,
        stdout="".join(f"{line}\n" for line in lines),
        stderr=stderr,
    )


# submission ---------------------------------------------------------------------------------------


def test_the_id_of_a_submission_is_read() -> None:
    assert SLURM.read_submit(slurm_said("submit-success-parsable")) == ("2",)
    assert SLURM.read_submit(slurm_said("array-submit-zero"), 4) == ("54_0", "54_1", "54_2", "54_3")


def test_a_site_may_wrap_sbatch_and_drop_its_options() -> None:
    assert SLURM.read_submit(slurm_said("submit-success")) == ("1",)


@pytest.mark.parametrize(
    "stdout",
    [
        "36\n",
        "36;climate\n",
        "Welcome to 12 nodes\n2024\tis over\n\n36;main\n",
        "36\nYour project has 12 hours left.\n",
        "Submitted batch job 36 on cluster main\n",
        "36\r\n",
    ],
)
def test_banners_around_the_id_are_passed_over(stdout: str) -> None:
    assert SLURM.read_submit(said(stdout)) == ("36",)


@pytest.mark.parametrize("stdout", ["", "Welcome\n", "job 36 is in\n", "٣٦\n", "9" * 5000])
def test_an_accepted_job_without_an_id_is_not_taken_for_a_refused_one(stdout: str) -> None:
    with pytest.raises(UnreadableOutput) as caught:
        SLURM.read_submit(said(stdout))
    assert caught.value.hint


@pytest.mark.parametrize(("code", "stderr"), [(-9, ""), (1, ""), (-15, "sbatch: error: bad luck")])
def test_a_submission_that_was_cut_off_is_not_taken_for_a_refused_one(
    code: int, stderr: str
) -> None:
    with pytest.raises(BatchUnavailable, match=r"slurm did not answer: \w") as caught:
        SLURM.read_submit(said("", stderr=stderr, exit_code=code))
    assert "looked for by its name" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "words", "hint"),
    [
        ("submit-bad-queue", "invalid partition specified: nosuchpart", "dask-hpc queues"),
        ("submit-bad-account", "Invalid account or account/partition combination", "account="),
        ("submit-bad-qos", "Invalid qos specification", "QOS"),
        ("submit-bad-constraint", "Invalid feature specification", "--constraint"),
        ("submit-bad-gres", "Invalid generic resource (gres) specification", "gpus"),
        ("submit-bad-mem", "Invalid --mem specification", "memory"),
        ("submit-bad-option", "unrecognized option '--nosuch'", "directives"),
        ("submit-bad-reservation", "Requested reservation is invalid", "scontrol show reservation"),
        ("submit-bad-walltime", "Invalid --time specification", "--dry-run"),
        ("submit-no-shebang", "This does not look like a batch script", "--dry-run"),
        ("submit-over-gres", "Requested node configuration is not available", "fewer cores"),
        ("submit-over-mem", "Memory specification can not be satisfied", "less memory"),
        ("enforced-submit-over-cpus", "More processors requested than permitted", "fewer cores"),
        ("enforced-submit-over-nodes", "Node count specification invalid", "nodes"),
        ("enforced-submit-over-walltime", "Requested time limit is invalid", "shorter walltime"),
        ("no-conf", "Unable to process configuration file", "sbatch works"),
    ],
)
def test_a_refusal_has_slurms_words_and_a_hint(name: str, words: str, hint: str) -> None:
    told = refusal(SLURM, slurm_said(name), words=words, hint=hint)
    assert told.startswith("slurm refused the job: ")
    assert "sbatch: " not in told


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("submit-over-max-submit", "fewer"),
        ("submit-array-over-max-submit", "fewer"),
        ("array-submit-too-large", "array"),
    ],
)
def test_a_limit_on_the_number_of_jobs_is_told_from_other_refusals(name: str, hint: str) -> None:
    with pytest.raises(LimitReached) as caught:
        SLURM.read_submit(slurm_said(name), 40)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "line",
    [
        "QOSMaxSubmitJobPerUserLimit",
        "AssocGrpSubmitJobsLimit",
        "Slurm temporarily unable to accept job, sleeping and retrying",
    ],
)
def test_other_words_for_too_many_jobs_are_known(line: str) -> None:
    with pytest.raises(LimitReached):
        SLURM.read_submit(said("", stderr=f"sbatch: error: {line}\n", exit_code=1))


def test_at_a_full_queue_sbatch_is_not_left_to_try_again_for_minutes() -> None:
    line = f"sbatch: error: Slurm {QUEUE_FULL}, sleeping and retrying\n"
    with pytest.raises(LimitReached):
        SLURM.read_submit(said("", stderr=line, exit_code=-15))


@pytest.mark.parametrize(
    "line", ["AssocMaxWallDurationPerJobLimit", "QOSMaxCpuPerJobLimit", "QOSMinGRES"]
)
def test_a_limit_on_the_size_of_a_job_is_no_limit_on_their_number(line: str) -> None:
    general = "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy"
    with pytest.raises(SubmitRejected) as caught:
        SLURM.read_submit(said("", stderr=f"sbatch: error: {line}\n{general}\n", exit_code=1))
    assert not isinstance(caught.value, LimitReached)


@pytest.mark.parametrize(
    "name", ["server-down-sbatch", "controller-hangs-sbatch", "munge-down-sbatch"]
)
def test_a_submission_without_an_answer_is_no_refusal(name: str) -> None:
    with pytest.raises(BatchUnavailable) as caught:
        SLURM.read_submit(slurm_said(name))
    assert caught.value.transient
    assert "looked for by its name" in caught.value.hint
    assert caught.value.result is not None


def test_what_sbatch_did_not_confirm_is_found_by_its_name() -> None:
    (job,) = SLURM.read_status(slurm_said("controller-back-squeue")).values()
    assert (job.id, job.tag, job.state) == ("43", "ambiguous", JobState.DONE)


# status -------------------------------------------------------------------------------------------


def test_every_job_of_a_listing_is_read() -> None:
    jobs = SLURM.read_status(slurm_said("squeue-tags"))
    assert list(jobs) == [
        "33", "34", "35", "29", "28_0", "28_1", "28_2", "28_3", "25", "26", "27_0", "27_1",
        "27_2", "30",
    ]  # fmt: skip
    assert [job.id for job in jobs.values()] == list(jobs)


def test_a_running_task_of_an_array_is_read() -> None:
    assert SLURM.read_status(slurm_said("squeue-tags"))[JobId("27_2")] == JobStatus(
        id=JobId("27_2"),
        tag=Tag("array"),
        state=JobState.RUNNING,
        index=2,
        end_time=1795170667.0,
        nodes="node2",
    )


def test_a_waiting_job_has_its_reason_in_both_words() -> None:
    jobs = SLURM.read_status(slurm_said("squeue-tags"))
    too_long, too_large = jobs[JobId("30")], jobs[JobId("29")]
    assert (too_long.state, too_long.reason) == (JobState.PENDING, "PartitionTimeLimit")
    assert "more time than the partition allows" in too_long.plain_reason
    assert (too_large.state, too_large.reason) == (JobState.PENDING, "PartitionConfig")
    assert "no node of the partition" in too_large.plain_reason


def test_a_waiting_job_has_a_start_estimate_and_no_end() -> None:
    jobs = {job.tag: job for job in SLURM.read_status(slurm_said("squeue-all")).values()}
    blocker = jobs[Tag("blocker")]
    assert (blocker.reason, blocker.start_estimate, blocker.end_time) == (
        "Resources", 1795170667.0, None,
    )  # fmt: skip
    assert jobs[Tag("held")].start_estimate is None


def test_a_held_job_is_held() -> None:
    held = SLURM.read_status(slurm_said("squeue-tags"))[JobId("28_3")]
    assert (held.state, held.index, held.reason) == (JobState.HELD, 3, "JobHeldUser")
    assert "scontrol release" in held.plain_reason


def test_ended_jobs_are_told_apart() -> None:
    jobs = SLURM.read_status(slurm_said("squeue-ended"))
    told = {job.tag: (job.state, job.exit_code, job.reason) for job in jobs.values()}
    assert told == {
        "plain": (JobState.CANCELLED, None, ""),
        "impossible": (JobState.CANCELLED, None, ""),
        "held": (JobState.CANCELLED, None, ""),
        "long": (JobState.CANCELLED, None, ""),
        "array": (JobState.DONE, 0, ""),
        "signal": (JobState.FAILED, 137, "JobLaunchFailure"),
        "failed": (JobState.FAILED, 3, "NonZeroExitCode"),
        # Signal 53 is Slurm's own: it could not open the log.
        "missing-log": (JobState.FAILED, None, "JobLaunchFailure"),
        "timeout": (JobState.TIMED_OUT, None, "TimeLimit"),
    }
    assert "directory of its log" in jobs[JobId("35")].plain_reason
    assert jobs[JobId("25")].plain_reason == "reached its walltime"
    assert jobs[JobId("25")].end_time == 1795170456.0


def test_newer_releases_print_exit_codes_as_pairs() -> None:
    jobs = SLURM.read_status(slurm_said("squeue-ended-24.11"))
    assert {job.tag: (job.state, job.exit_code) for job in jobs.values()} == {
        "ended-ok": (JobState.DONE, 0),
        "ended-seven": (JobState.FAILED, 7),
        "ended-killed": (JobState.FAILED, 137),
    }


def test_an_empty_listing_is_told_from_no_listing() -> None:
    assert SLURM.read_status(slurm_said("squeue-none")) == {}
    with pytest.raises(UnreadableOutput):
        SLURM.read_status(said("", program="squeue"))
    with pytest.raises(UnreadableOutput):
        SLURM.read_status(slurm_said("server-down-squeue-json"))


@pytest.mark.parametrize(
    "name",
    [
        "server-down-squeue",
        "controller-hangs-squeue",
        "munge-down-squeue",
        # The directory of users may be away for a moment; squeue exits with 0 and lists nothing.
        "squeue-unknown-user",
    ],
)
def test_a_listing_that_failed_is_never_an_empty_one(name: str) -> None:
    with pytest.raises(BatchUnavailable) as caught:
        SLURM.read_status(slurm_said(name))
    assert str(caught.value).startswith("slurm did not answer: ")


def test_names_of_other_jobs_do_not_disturb() -> None:
    names = {job.id: job.tag for job in SLURM.read_status(slurm_said("squeue-all")).values()}
    assert names[JobId("36")] == "a b|c,d"
    assert names[JobId("37")] == "ü;'\"$x"
    assert names[JobId("38")] == "-"
    assert names[JobId("39")] == "x" * 150
    assert names[JobId("40")] == "two"
    assert len(names) == 20


def test_a_reason_with_a_blank_and_a_comma_is_one_reason() -> None:
    reason = "ReqNodeNotAvail, UnavailableNodes:node[1-3]"
    row = ("7", "PENDING", "0", "N/A", "N/A", "", reason, "a")
    (job,) = SLURM.read_status(squeue(row)).values()
    assert job.reason == reason
    assert "maintenance" in job.plain_reason


def test_a_word_of_a_newer_slurm_decides_nothing() -> None:
    (job,) = SLURM.read_status(
        squeue(("7", "TELEPORTING", "0", "5", "9", "node1", "None", "a"))
    ).values()
    assert job.state is JobState.UNKNOWN
    assert not job.state.is_final
    assert job.reason == "TELEPORTING"


def test_a_listing_cut_off_in_a_row_is_not_believed() -> None:
    whole = slurm_said("squeue-tags")
    cut = replace(whole, stdout=whole.stdout[: whole.stdout.index("27_1") + 9])
    with pytest.raises(UnreadableOutput, match="half a row"):
        SLURM.read_status(cut)


def test_banners_before_a_listing_are_passed_over() -> None:
    listing = slurm_said("squeue-tags")
    noisy = replace(listing, stdout=f"Welcome to the machine\n\n*** 2 * 3 ***\n{listing.stdout}")
    assert SLURM.read_status(noisy) == SLURM.read_status(listing)


def test_pending_tasks_in_one_row_are_told_one_by_one() -> None:
    row = ("36_[0-2,7%2]", "PENDING", "0", "N/A", "N/A", "", "Priority", "a")
    jobs = SLURM.read_status(squeue(row))
    assert {job.id: job.index for job in jobs.values()} == {
        "36_0": 0, "36_1": 1, "36_2": 2, "36_7": 7,
    }  # fmt: skip


# history ------------------------------------------------------------------------------------------


def test_history_says_how_jobs_ended() -> None:
    jobs = SLURM.read_history(slurm_said("sacct-ended"))
    told = {
        job_id: (job.state, job.exit_code, job.reason)
        for job_id, job in jobs.items()
        if not job_id.startswith("42")
    }
    assert told == {
        "25": (JobState.TIMED_OUT, None, ""),
        "26": (JobState.CANCELLED, None, "CANCELLED by 1001"),
        "29": (JobState.CANCELLED, None, "CANCELLED by 1001"),
        "30": (JobState.CANCELLED, None, "CANCELLED by 1001"),
        "33": (JobState.FAILED, 137, ""),
        "34": (JobState.FAILED, 3, ""),
        "35": (JobState.FAILED, None, ""),
        "27_0": (JobState.DONE, 0, ""),
        "27_1": (JobState.DONE, 0, ""),
        "27_2": (JobState.DONE, 0, ""),
        "28": (JobState.CANCELLED, None, "CANCELLED by 1001"),
    }
    assert jobs[JobId("25")].end_time == 1795170456.0
    assert jobs[JobId("25")].plain_reason == "reached its walltime"
    assert (jobs[JobId("33")].nodes, jobs[JobId("29")].nodes) == ("node2", "")
    assert jobs[JobId("27_2")].tag == "array"


def test_tasks_that_never_ran_are_told_one_by_one() -> None:
    jobs = SLURM.read_history(slurm_said("sacct-ended"))
    assert {job.id: job.index for job in jobs.values() if job.tag == "q1"} == {
        "42_0": 0, "42_1": 1, "42_2": 2, "42_3": 3,
    }  # fmt: skip


def test_a_job_that_history_does_not_know_is_absent() -> None:
    assert SLURM.read_history(slurm_said("sacct-none")) == {}


def test_a_slurm_without_accounting_knows_nothing() -> None:
    assert SLURM.read_history(slurm_said("no-accounting-sacct")) == {}


def test_a_history_that_does_not_answer_is_no_empty_one() -> None:
    with pytest.raises(BatchUnavailable):
        SLURM.read_history(slurm_said("accounting-down-sacct"))


# cancelling ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["scancel-some-gone", "delete-unknown", "delete-finished"])
def test_cancelling_what_is_gone_is_no_error(name: str) -> None:
    SLURM.read_cancel(slurm_said(name))


def test_some_releases_complain_of_what_is_gone() -> None:
    gone = (
        "scancel: error: Kill job error on job id 36: Job/step already completing or completed\n"
        "scancel: error: Kill job error on job id 37: Invalid job id specified\n"
    )
    SLURM.read_cancel(said("", stderr=gone, exit_code=1, program="scancel"))
    mixed = f"{gone}scancel: error: Kill job error on job id 38: Access/permission denied\n"
    with pytest.raises(BatchError, match="permission denied"):
        SLURM.read_cancel(said("", stderr=mixed, exit_code=1, program="scancel"))


@pytest.mark.parametrize("name", ["server-down-scancel", "controller-hangs-scancel"])
def test_cancelling_without_an_answer_can_be_tried_again(name: str) -> None:
    with pytest.raises(BatchUnavailable):
        SLURM.read_cancel(slurm_said(name))


@pytest.mark.parametrize(
    ("name", "words"),
    [("delete-not-mine", "permission denied"), ("delete-malformed", "Invalid job id abc")],
)
def test_a_job_that_may_not_be_cancelled_is_an_error(name: str, words: str) -> None:
    with pytest.raises(BatchError, match=words) as caught:
        SLURM.read_cancel(slurm_said(name))
    assert type(caught.value) is BatchError


# queues -------------------------------------------------------------------------------------------


def test_partitions_are_read_with_their_limits() -> None:
    queues = SLURM.read_queues(slurm_said("sinfo"))
    assert [queue.name for queue in queues] == ["batch", "debug", "preempt", "scavenge"]
    assert [queue.is_default for queue in queues] == [True, False, False, False]
    assert [queue.is_preemptible for queue in queues] == [False, False, True, True]
    batch, debug = queues[:2]
    assert (batch.max_walltime, batch.default_walltime, batch.max_nodes) == (86400.0, 3600.0, None)
    assert (debug.max_walltime, debug.default_walltime, debug.max_nodes) == (120.0, 60.0, 2)
    assert (batch.nodes, batch.free_nodes, batch.cores_per_node) == (4, 4, 4)
    assert (batch.memory_per_node, batch.gpus_per_node) == (4096 * 2**20, 2)
    assert batch.is_open


def test_rows_of_one_partition_are_one_queue_and_the_default_comes_first() -> None:
    rows = [
        "PARTITION|AVAIL|TIMELIMIT|DEFAULTTIME|JOB_SIZE|NODES(A/I/O/T)|CPUS|MEMORY|PREEMPT_MODE|GRES",
        "old|inact|infinite|n/a|1-infinite|0/0/3/3|16|64000+|OFF|(null)",
        "main*|up|2-12:00:00|30:00|1-64|5/7/0/12|128+|512000|OFF|gpu:a100:4(S:0-1),nvme:1",
        "main*|up|2-12:00:00|30:00|1-64|1/2/3/6|64|1024000|OFF|(null)",
    ]
    result = said("\n".join(rows).replace("|", SEPARATOR) + "\n", program="sinfo")
    main, old = SLURM.read_queues(result)
    assert (main.name, main.is_default, main.nodes, main.free_nodes) == ("main", True, 18, 9)
    assert (main.cores_per_node, main.memory_per_node) == (128, 1024000 * 2**20)
    assert (main.gpus_per_node, main.max_nodes) == (4, 64)
    assert (main.max_walltime, main.default_walltime) == (216000.0, 1800.0)
    assert (old.is_open, old.max_walltime, old.default_walltime) == (False, None, None)


def test_queues_that_cannot_be_asked_are_no_empty_list() -> None:
    with pytest.raises(BatchUnavailable):
        SLURM.read_queues(slurm_said("server-down-sinfo"))


# anything at all ----------------------------------------------------------------------------------

CELL = st.text(st.characters(exclude_characters=SEPARATOR + "\n"), max_size=20)
SPECKLED = st.text(f"0123456789_[]-,%+:/ |\n\r{SEPARATOR}JOBIDabc(é٣\u2028", max_size=80)


@settings(max_examples=60, deadline=None)
@given(reason=CELL, name=CELL, word=st.sampled_from([*STATES, "NEW"]))
def test_free_text_never_hides_a_job(reason: str, name: str, word: str) -> None:
    other = ("8", "RUNNING", "0", "5", "9", "node1", "None", "b")
    jobs = SLURM.read_status(squeue(("7", word, "0", "5", "9", "node1", reason, name), other))
    assert jobs[JobId("7")].tag == name
    assert jobs[JobId("8")].state is JobState.RUNNING


@settings(max_examples=150, deadline=None)
@given(stdout=SPECKLED | st.text(max_size=80), stderr=st.text(max_size=30), code=st.integers(0, 3))
def test_no_answer_raises_anything_but_our_errors(stdout: str, stderr: str, code: int) -> None:
    result = said(f"{HEADER}\n{stdout}", stderr=stderr, exit_code=code)
    for read in (
        SLURM.read_submit,
        SLURM.read_status,
        SLURM.read_history,
        SLURM.read_cancel,
        SLURM.read_queues,
    ):
        with suppress(HPCError):
            read(result)
