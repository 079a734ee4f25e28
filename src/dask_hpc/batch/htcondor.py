"""HTCondor: condor_submit, condor_q, condor_history, condor_rm, condor_status."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from dask_hpc.batch.htcondor_request import description, statements
from dask_hpc.batch.htcondor_table import (
    ads,
    check_answer,
    exit_code,
    moment,
    number,
    text_of,
    words,
)
from dask_hpc.batch.htcondor_words import (
    BY_POLICY,
    CANCELLED,
    COMPLETED,
    EVICTED,
    GONE,
    HELD,
    HOLDS,
    MACHINE_HOLDS,
    OTHER_HOLD,
    OTHERWISE,
    REFUSALS,
    REMOVED,
    STATES,
    SUB_CODES,
    UNAVAILABLE,
    UNSAID,
    WAITING_HOLDS,
    Ending,
    plain_waiting,
)
from dask_hpc.batch.model import BatchQueue, JobId, JobState, JobStatus, Tag
from dask_hpc.batch.refusal import fitting, refused, unclear
from dask_hpc.batch.system import BatchSystem, JobVariables, in_chunks
from dask_hpc.errors import (
    BatchError,
    ConfigError,
    UnreadableOutput,
)
from dask_hpc.process.runner import Command

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from dask_hpc.batch.model import JobSpec
    from dask_hpc.process.runner import Result

# Variables with this prefix are settings; these are those of the job that submits.
_DROP = (r"_CONDOR_(SCRATCH_DIR|JOB_|MACHINE_AD|SLOT|CHIRP|ANCESTOR|Assigned|BIN$|WRAPPER)",)
_ENV = {"LC_ALL": "C"}

_JOB = ("ClusterId", "ProcId", "JobStatus", "JobBatchName", "NumJobStarts", "LastRejMatchReason")
_HOLD = ("HoldReasonCode", "HoldReasonSubCode", "HoldReason")
_END = (
    *("ExitCode", "ExitBySignal", "ExitSignal", "ExitReason", "RemoveReason"),
    *(f"Last{name}" for name in _HOLD),
)
_PLACE = (
    *("JobCurrentStartDate", "AllowedJobDuration", "CompletionDate", "EnteredCurrentStatus"),
    *("RemoteHost", "LastRemoteHost"),
)
_JOB_ATTRIBUTES = ",".join((*_JOB, *_HOLD, *_END, *_PLACE))
_MACHINE_ATTRIBUTES = (
    "Machine,SlotType,State,Cpus,TotalSlotCpus,TotalSlotMemory,TotalSlotGPUs,DynamicSlot"
)

_NAMED_TAGS = 200  # more names make the command line too long: then all jobs are listed
_IDS = re.compile(r"(\d{1,12})\.(\d{1,9}) - (\d{1,12})\.(\d{1,9})", re.ASCII)
_USER = re.compile(r'[^\s"\\\\]+')


class HTCondor(BatchSystem):
    """HTCondor: tried with 23.9.

    What is submitted is a description with the script inside, so that only the directory of the
    cluster, and not the script, needs to be on a file system that the machines share. A job has
    one node, and there are no queues.
    """

    name: ClassVar[str] = "htcondor"
    launcher: ClassVar[str | None] = None
    variables: ClassVar[JobVariables] = JobVariables(
        job_id="$DASK_HPC_CONDOR_JOB", index="$DASK_HPC_CONDOR_INDEX"
    )

    def directives(self, job: JobSpec, count: int = 1) -> tuple[str, ...]:  # noqa: ARG002 - "queue" is none
        """Return the lines of the description that ask for resources.

        Raises
        ------
        ConfigError
            If a value cannot be written as one, or HTCondor has no such thing.
        """
        return tuple(statements(job))

    def script(self, job: JobSpec, count: int = 1) -> str:
        """Return the submit description."""
        return description(job, count)

    def submit_command(self, job: JobSpec, count: int = 1) -> Command:
        """Return condor_submit with the description on its standard input."""
        argv = ("condor_submit", "-terse", "-")
        return Command(argv=argv, stdin=self.script(job, count), drop=_DROP)

    def read_submit(self, result: Result, count: int = 1) -> tuple[JobId, ...]:
        """Return the jobs of a cluster: ``16.0``, ``16.1``.

        Raises
        ------
        SubmitRejected
            If HTCondor said no; nothing was submitted.
        BatchUnavailable, UnreadableOutput
            If it did not say. The job may exist all the same: look for its tag.
        """
        if result.exit_code:
            raise _refused(result)
        lines = (_IDS.fullmatch(line.strip()) for line in result.stdout.splitlines())
        match = next((match for match in lines if match), None)
        if match is None or (int(match[2]), int(match[4])) != (0, count - 1):
            raise UnreadableOutput(
                f"condor_submit printed no ids for {count}: {result.words[:200]!r}",
                result=result,
                hint="the job may have been submitted: it is looked for by its name",
            )
        return tuple(JobId(f"{match[1]}.{index}") for index in range(count))

    def status_command(self, user: str, tags: Collection[Tag]) -> Command:
        """Return condor_q for a user's jobs in the queue."""
        if not _USER.fullmatch(user):
            raise ConfigError(f"user {user!r} cannot be one in HTCondor", hint="see id -un")
        where = f'Owner == "{user}"'
        if 0 < len(tags) <= _NAMED_TAGS:
            names = " || ".join(
                f'JobBatchName == "{tag}"' for tag in sorted(tags) if '"' not in tag
            )
            where += f" && ({names or False})"
        return _query(
            "condor_q", "-json", "-attributes", _JOB_ATTRIBUTES, "-constraint", where
        )  # fmt: skip

    def read_status(self, result: Result) -> Mapping[JobId, JobStatus]:
        """Return the jobs of the answer, which may hold more than those asked for."""
        check_answer(result)
        return _statuses(result, is_over=False)

    def history_commands(self, ids: Sequence[JobId]) -> tuple[Command, ...]:
        """Return condor_history for whole arrays: ended jobs leave the queue at once."""
        clusters = list(dict.fromkeys(job_id.partition(".")[0] for job_id in ids))
        form = ("condor_history", "-json", "-attributes", _JOB_ATTRIBUTES)
        return tuple(_query(*form, *chunk) for chunk in in_chunks(clusters))

    def read_history(self, result: Result) -> Mapping[JobId, JobStatus]:
        """Return what the history knows; a job that it does not know is absent."""
        check_answer(result)
        return _statuses(result, is_over=True)

    def cancel_commands(self, ids: Sequence[JobId]) -> tuple[Command, ...]:
        """Return condor_rm with up to 100 ids."""
        return tuple(_query("condor_rm", *chunk) for chunk in in_chunks(ids))

    def read_cancel(self, result: Result) -> None:
        """Return if every job is cancelled or was gone.

        Raises
        ------
        BatchUnavailable, BatchError
            If HTCondor did not answer, or a job may not be cancelled.
        """
        complaints = [line.strip() for line in result.stderr.splitlines() if line.strip()]
        if complaints and all(GONE.fullmatch(line) for line in complaints):
            return
        check_answer(result)
        if complaints and not all(GONE.fullmatch(line) for line in complaints):
            # With several ids the exit code is 0 if one of them could be removed.
            raise BatchError(f"condor_rm failed: {words(result)}", result=result)

    def queues_command(self) -> Command:
        """Return condor_status: there are no queues, but there are machines."""
        return _query("condor_status", "-json", "-attributes", _MACHINE_ATTRIBUTES)

    def read_queues(self, result: Result) -> tuple[BatchQueue, ...]:
        """Return one queue with all machines. Of several kinds of them, the largest counts."""
        check_answer(result)
        machines: dict[str, list[Mapping[str, object]]] = {}
        for slot in ads(result):
            # Those are cut out of others, which are listed with all that they had at first.
            if text_of(slot, "SlotType") != "Dynamic" and slot.get("DynamicSlot") is not True:
                machines.setdefault(text_of(slot, "Machine"), []).append(slot)
        slots = list(machines.values())
        return (
            BatchQueue(
                name="default",
                is_default=True,
                max_nodes=1,
                nodes=len(slots),
                free_nodes=sum(all(map(_is_free, machine)) for machine in slots),
                cores_per_node=_largest(slots, "TotalSlotCpus"),
                memory_per_node=_largest(slots, "TotalSlotMemory") * 2**20,
                gpus_per_node=_largest(slots, "TotalSlotGPUs"),
            ),
        )


def _query(*argv: str) -> Command:
    return Command(argv=argv, env=_ENV, drop=_DROP)


def _refused(result: Result) -> BatchError:
    said = words(result)
    # Without a word, or ended by a signal: whoever refuses says so.
    is_unclear = not result.stderr.strip() or result.exit_code < 0
    if is_unclear or any(sign in result.stderr for sign in UNAVAILABLE):
        return unclear("htcondor", said, result=result)
    row = fitting(REFUSALS, result.stderr)
    return refused("htcondor", said, row=row, otherwise=OTHERWISE, result=result)


def _statuses(result: Result, *, is_over: bool) -> dict[JobId, JobStatus]:
    found = {}
    for ad in ads(result):
        cluster, process = number(ad, "ClusterId"), number(ad, "ProcId")
        if cluster is not None and process is not None:
            job = _status(ad, JobId(f"{cluster}.{process}"), is_over=is_over)
            found[job.id] = job
    return found


def _status(ad: Mapping[str, object], job_id: JobId, *, is_over: bool) -> JobStatus:
    status = number(ad, "JobStatus")
    state = STATES.get(status or 0, JobState.UNKNOWN)
    reason, plain, code = "", "", None
    if status == COMPLETED:
        code = exit_code(ad)
        state = JobState.DONE if code == 0 else JobState.FAILED
        reason = "" if code == 0 else text_of(ad, "ExitReason")
    elif status == HELD or (is_over and status == REMOVED):
        reason, ending = _ending(ad, is_removed=status == REMOVED)
        state, plain = ending.state, ending.sentence
    elif state is JobState.PENDING:
        reason = text_of(ad, "LastRejMatchReason") or "Idle"
        plain = plain_waiting("" if reason == "Idle" else reason)
    elif state is JobState.UNKNOWN:
        reason = f"JobStatus {status}"
    return JobStatus(
        id=job_id,
        tag=Tag(text_of(ad, "JobBatchName")),
        state=state,
        index=number(ad, "ProcId") or 0,
        reason=reason,
        plain_reason=plain,
        end_time=_end_time(ad, state),
        nodes=(text_of(ad, "RemoteHost") or text_of(ad, "LastRemoteHost")).rpartition("@")[2],
        exit_code=code,
    )


def _ending(ad: Mapping[str, object], *, is_removed: bool) -> tuple[str, Ending]:
    """Return why a job is held or removed, in HTCondor's words and in ours."""
    # What is removed has left its hold behind, or kept it: both are looked for.
    prefix = "" if number(ad, "HoldReasonCode") is not None or not is_removed else "Last"
    code = number(ad, f"{prefix}HoldReasonCode")
    reason = text_of(ad, f"{prefix}HoldReason")
    if not is_removed and code in WAITING_HOLDS:
        return reason, Ending(state=JobState.HELD, sentence=WAITING_HOLDS[code])
    if code is not None and code not in WAITING_HOLDS:
        sub_code = number(ad, f"{prefix}HoldReasonSubCode")
        by_machine = SUB_CODES.get(sub_code or 0) if code in MACHINE_HOLDS else None
        return reason, by_machine or HOLDS.get(code, OTHER_HOLD)
    if not is_removed:
        return reason, UNSAID
    reason = text_of(ad, "RemoveReason")
    return reason, EVICTED if BY_POLICY in reason else CANCELLED


def _end_time(ad: Mapping[str, object], state: JobState) -> float | None:
    if state.is_waiting or state is JobState.UNKNOWN:
        return None
    if state.is_final:
        return moment(ad, "CompletionDate") or moment(ad, "EnteredCurrentStatus")
    begun, length = moment(ad, "JobCurrentStartDate"), number(ad, "AllowedJobDuration")
    return begun + length if begun is not None and length is not None else None


def _is_free(slot: Mapping[str, object]) -> bool:
    is_whole = number(slot, "Cpus") == number(slot, "TotalSlotCpus")
    return is_whole and text_of(slot, "State") == "Unclaimed"


def _largest(machines: Sequence[Sequence[Mapping[str, object]]], attribute: str) -> int:
    return max(
        (sum(number(slot, attribute) or 0 for slot in slots) for slots in machines), default=0
    )
