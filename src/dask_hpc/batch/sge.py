"""Grid Engine: qsub, qstat, qacct, qdel."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Self

from dask_hpc.batch.model import BatchQueue, JobId, JobState, JobStatus, Tag
from dask_hpc.batch.outlook import Outlook
from dask_hpc.batch.refusal import fitting, refused, unclear
from dask_hpc.batch.sge_directives import INDEX, Names, check_body, directives, log_line
from dask_hpc.batch.sge_ends import ended
from dask_hpc.batch.sge_table import (
    cells,
    check_answer,
    collapse,
    details,
    document,
    elements,
    is_unavailable,
    job_index,
    moment,
    number,
    records,
    requests,
    seconds,
    size,
    state_of,
    task_ids,
    words,
)
from dask_hpc.batch.sge_words import (
    CLOSED_LETTERS,
    GONE,
    NO_ACCOUNTING,
    NOT_IN_HISTORY,
    OTHERWISE,
    REFUSALS,
    plain_reason,
)
from dask_hpc.batch.system import BatchSystem, JobVariables, in_chunks
from dask_hpc.errors import BatchError, UnreadableOutput
from dask_hpc.process.runner import Command

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from dask_hpc.batch.model import JobSpec
    from dask_hpc.process.runner import Result

# What a job was given would be taken for the new one's, and some variables change what is printed.
# Which Grid Engine to talk to, and how, is the exception.
_DROP = (
    r"SGE_(?!(ROOT|CELL|CLUSTER_NAME|ARCH|QMASTER_PORT|EXECD_PORT|CERTFILE|KEYFILE|CAKEYFILE)$)",
    r"(JOB_(ID|NAME|SCRIPT)|REQUEST|REQNAME|RESTARTED|ENVIRONMENT|QUEUE|PE|PE_HOSTFILE)$",
    r"(NSLOTS|NHOSTS|NQUEUES)$",
)
# Only queries get these, for a -V of the user's would take them into the job. Times are printed in
# the zone of whoever asks.
_ENV = {"LC_ALL": "C", "TZ": "UTC0"}

_NAMED_TAGS = 200  # more names make the command line too long: then no reasons are asked for

# One after the other in one call, for only qstat -j knows why a job waits, and nothing else.
_LISTING = """\
qstat -xml -r -g d -u "$1" </dev/null || exit
echo
qstat -j "$2" </dev/null 2>/dev/null || :
"""
_PLAIN_LISTING = ("qstat", "-xml", "-r", "-g", "d", "-u")

_JOB_ID = re.compile(
    r'(?:Your job(?:-array)? )?(\d{1,18})(?:\.(\d+)-(\d+):1)?(?: \(".*"\) has been submitted)?',
    re.ASCII,
)


class SGE(BatchSystem):
    """Grid Engine: tried with Son of Grid Engine 8.1.9.

    Parameters
    ----------
    names
        What the installation calls its parallel environments and resources.
    asks_for_reasons
        Whether ``qstat -j`` is asked why jobs wait, in every listing. It costs the master more
        than the listing itself.
    """

    name: ClassVar[str] = "sge"
    launcher: ClassVar[str | None] = "qrsh"
    outlook = Outlook(move="qalter -q {queue} {job}", after="-hold_jid {job}")
    variables: ClassVar[JobVariables] = JobVariables(
        # Outside of arrays SGE_TASK_ID is the word "undefined".
        job_id="$JOB_ID$(case $SGE_TASK_ID in ([0-9]*) echo .$SGE_TASK_ID ;; esac)",
        index=INDEX,
    )

    def __init__(self, *, names: Names | None = None, asks_for_reasons: bool = True) -> None:
        self._names = names or Names()
        self._asks_for_reasons = asks_for_reasons

    @classmethod
    def from_facts(cls, facts: Mapping[str, str]) -> Self:
        """Return the dialect for an installation.

        ``pe`` is the parallel environment whose slots are all on one host (``$pe_slots``; default
        ``smp``); ``pe_nodes`` one that puts as many slots on each host as a job has cores, with
        ``{cores}`` for that number if there are several (default: none, jobs have one node);
        ``memory_resource`` the resource that memory is asked with (default ``mem_free``; empty:
        memory is not asked for), ``gpu_resource`` that of gpus (default ``gpu``).
        ``memory_per_slot`` and ``gpu_per_slot`` are ``yes`` if the resource is a consumable that is
        counted for each slot (``YES`` in ``qconf -sc``; default ``no``); ``reasons`` is ``no`` if
        ``qstat -j`` shall not be asked why jobs wait.
        """
        names = Names()
        return cls(
            names=Names(
                pe=facts.get("pe", names.pe),
                pe_nodes=facts.get("pe_nodes", names.pe_nodes),
                memory=facts.get("memory_resource", names.memory),
                memory_per_slot=facts.get("memory_per_slot") == "yes",
                gpu=facts.get("gpu_resource", names.gpu),
                gpu_per_slot=facts.get("gpu_per_slot") == "yes",
            ),
            asks_for_reasons=facts.get("reasons") != "no",
        )

    def directives(self, job: JobSpec, count: int = 1) -> tuple[str, ...]:  # noqa: ARG002 - an array's are the same
        """Return the ``#$`` lines, and the one that opens the log.

        Raises
        ------
        ConfigError
            If a value cannot be written as a directive.
        """
        check_body(job.body)
        lines = (f"#$ {line}" for line in directives(job, self._names))
        return (*lines, log_line(job.log))

    def submit_command(self, job: JobSpec, count: int = 1) -> Command:
        """Return qsub with the script on its standard input."""
        array = ("-t", f"1-{count}") if count > 1 else ()
        return Command(argv=("qsub", "-terse", *array), stdin=self.script(job, count), drop=_DROP)

    def read_submit(self, result: Result, count: int = 1) -> tuple[JobId, ...]:
        """Return ``36``, or the tasks of an array: ``36.1``, ``36.2``.

        Raises
        ------
        SubmitRejected
            If Grid Engine said no; nothing was submitted.
        BatchUnavailable, UnreadableOutput
            If it did not say. The job may exist all the same: look for its tag.
        """
        if result.exit_code:
            raise _refused(result)
        # Sites print banners around the answer; scripts that check jobs (JSV) may print too.
        lines = (_JOB_ID.fullmatch(line.strip()) for line in reversed(result.stdout.splitlines()))
        tasks = ("1", str(count)) if count > 1 else (None, None)
        match = next((match for match in lines if match and match.group(2, 3) == tasks), None)
        if match is None:
            raise UnreadableOutput(
                f"qsub printed no job id: {result.words[:200]!r}",
                result=result,
                hint="the job may have been submitted: it is looked for by its name",
            )
        if count == 1:
            return (JobId(match[1]),)
        return tuple(JobId(f"{match[1]}.{task}") for task in range(1, count + 1))

    def status_command(self, user: str, tags: Collection[Tag]) -> Command:
        """Return qstat for a user's jobs, and why those of these submissions wait."""
        if not self._asks_for_reasons or not 0 < len(tags) <= _NAMED_TAGS:
            return _query(*_PLAIN_LISTING, user)
        argv = ("sh", "-s", "--", user, ",".join(sorted(tags)))
        return Command(argv=argv, stdin=_LISTING, env=_ENV, drop=_DROP)

    def read_status(self, result: Result) -> Mapping[JobId, JobStatus]:
        """Return the jobs of the answer, which may hold more than those asked for."""
        check_answer(result)
        listing, more = document(result)
        reasons = details(more)
        found: dict[JobId, JobStatus] = {}
        for row in elements(listing, "job_list"):
            told = cells(row)
            # Jobs that have ended are shown to those who have asked for it in ~/.sge_qstat.
            if "z" not in told.get("state", ""):
                found |= _each(
                    told, _status(row, told, why=reasons.get(told.get("JB_job_number", "")))
                )
        return found

    def history_commands(self, ids: Sequence[JobId]) -> tuple[Command, ...]:
        """Return qacct for each job and each array: it takes one in a call."""
        arrays = dict.fromkeys(job_id.partition(".")[0] for job_id in ids)
        return tuple(_query("qacct", "-j", parent) for parent in arrays)

    def read_history(self, result: Result) -> Mapping[JobId, JobStatus]:
        """Return what accounting knows; nothing of jobs that never began."""
        if result.exit_code and (
            NOT_IN_HISTORY.search(result.stderr) or NO_ACCOUNTING.search(result.stderr)
        ):
            return {}
        check_answer(result)
        found: dict[JobId, JobStatus] = {}
        for record in records(result):
            for job_id in task_ids(record["jobnumber"], record.get("taskid", "")):
                if job := ended(record, job_id):
                    found[job_id] = job
        return found

    def cancel_commands(self, ids: Sequence[JobId]) -> tuple[Command, ...]:
        """Return qdel, with neighbouring tasks of an array in one word."""
        together = collapse(ids)
        return tuple(_query("qdel", *chunk) for chunk in in_chunks(together))

    def read_cancel(self, result: Result) -> None:
        """Return if every job is cancelled or was gone.

        Raises
        ------
        BatchUnavailable, BatchError
            If Grid Engine did not answer, or a job may not be cancelled.
        """
        if not result.exit_code:
            return
        said = [line for line in f"{result.stdout}\n{result.stderr}".splitlines() if line.strip()]
        if said and all(GONE.search(line) for line in said):
            return
        check_answer(result)

    def queues_command(self) -> Command:
        """Return qstat with each queue on each node and all its resources."""
        return _query("qstat", "-f", "-F", "-xml")

    def read_queues(self, result: Result) -> tuple[BatchQueue, ...]:
        """Return the queues. Of several kinds of nodes, the largest counts.

        No queue is the default one: a job that names none is put where there is room.
        """
        check_answer(result)
        listing, _ = document(result)
        found: dict[str, BatchQueue] = {}
        for row in elements(listing, "Queue-List"):
            queue = self._queue(row)
            known = found.get(queue.name)
            found[queue.name] = _merged(known, queue) if known else queue
        return tuple(found.values())

    def _queue(self, row: str) -> BatchQueue:
        told, resources = cells(row), requests(row)
        closed = bool(CLOSED_LETTERS.intersection(told.get("state", "")))
        busy = number(told.get("slots_used", "")) + number(told.get("slots_resv", ""))
        return BatchQueue(
            name=told.get("name", "").partition("@")[0],
            is_open=not closed,
            max_walltime=seconds(resources.get("h_rt", "")),
            max_nodes=None if self._names.pe_nodes else 1,
            nodes=1,
            free_nodes=int(not closed and not busy),
            cores_per_node=number(told.get("slots_total", "")),
            memory_per_node=size(resources.get("mem_total", "")),
            gpus_per_node=number(resources.get(self._names.gpu, "")),
        )


def _query(*argv: str) -> Command:
    return Command(argv=argv, env=_ENV, drop=_DROP)


def _refused(result: Result) -> BatchError:
    said = words(result)
    row = fitting(REFUSALS, result.stderr)
    # Whoever refuses says so: anything else may have gone wrong after the job was taken.
    if row is None or is_unavailable(result):
        return unclear("grid engine", said, result=result)
    return refused("grid engine", said, row=row, otherwise=OTHERWISE, result=result)


def _status(row: str, told: Mapping[str, str], *, why: str | None) -> JobStatus:
    letters = told.get("state", "")
    state = state_of(letters)
    reason = (why or letters) if state.is_waiting or state.is_final else ""
    start = moment(told.get("JAT_start_time", ""))
    walltime = seconds(requests(row).get("h_rt", ""))
    return JobStatus(
        id=JobId(told.get("JB_job_number", "")),
        # Older releases cut the one short, others do not know the other.
        tag=Tag(told.get("full_job_name") or told.get("JB_name", "")),
        state=state,
        reason=letters if state is JobState.UNKNOWN else reason,
        plain_reason=plain_reason(reason, state),
        end_time=start + walltime if start is not None and walltime else None,
        nodes=told.get("queue_name", "").partition("@")[2],
    )


def _each(told: Mapping[str, str], job: JobStatus) -> dict[JobId, JobStatus]:
    ids = task_ids(job.id, told.get("tasks", ""))
    return {one: replace(job, id=one, index=job_index(one)) for one in ids}


def _merged(known: BatchQueue, more: BatchQueue) -> BatchQueue:
    limits = [queue.max_walltime for queue in (known, more) if queue.max_walltime is not None]
    return replace(
        known,
        is_open=known.is_open or more.is_open,
        max_walltime=max(limits) if len(limits) == 2 else None,
        nodes=known.nodes + more.nodes,
        free_nodes=known.free_nodes + more.free_nodes,
        cores_per_node=max(known.cores_per_node, more.cores_per_node),
        memory_per_node=max(known.memory_per_node, more.memory_per_node),
        gpus_per_node=max(known.gpus_per_node, more.gpus_per_node),
    )
