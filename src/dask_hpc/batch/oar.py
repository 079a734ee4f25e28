"""OAR: oarsub, oarstat, oardel, oarnodes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Self

from dask_hpc.batch.model import BatchQueue, JobId, JobState, JobStatus, Tag
from dask_hpc.batch.oar_request import as_command, log_line, options, property_name
from dask_hpc.batch.oar_table import (
    check_answer,
    events,
    jobs,
    moment,
    number,
    resources,
    seconds,
    text_of,
    words,
)
from dask_hpc.batch.oar_words import (
    BY_OAR,
    CANCELLED,
    END_REQUEST,
    ENDED_BY_OAR,
    ENDINGS,
    GONE,
    OTHERWISE,
    REFUSALS,
    STATES,
    UNAVAILABLE,
    UNSAID,
    Ending,
    plain_waiting,
)
from dask_hpc.batch.outlook import Outlook
from dask_hpc.batch.refusal import fitting, refused, unclear
from dask_hpc.batch.system import BatchSystem, JobVariables, in_chunks
from dask_hpc.errors import (
    BatchError,
    UnreadableOutput,
)
from dask_hpc.process.runner import Command

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from dask_hpc.batch.model import JobSpec
    from dask_hpc.process.runner import Result

# In a job, its own variables would be taken for the new one's, and OAR_JOB_KEY_FILE asks for keys.
_DROP = (r"OAR_",)
# Text has times without a zone: they are asked for in one that is known.
_ENV = {"LC_ALL": "C", "TZ": "UTC"}
_JOB_ID = re.compile(r"OAR_JOB_ID=(\d{1,18})", re.ASCII)
_SIGNALS = 128
_ALIVE = ("Alive", "Absent")  # nodes that OAR has switched off are woken for a job


class OAR(BatchSystem):
    """OAR: tried with 2.5.9.

    oarsub has no way to take a script from standard input, and wants one in a file to be
    executable and on the node. Here it gets the script as its command, on its command line.

    Parameters
    ----------
    has_json
        Whether oarstat and oarnodes have the Perl module for JSON; else they are asked for text.
    memory_property
        The property of resources that says how much memory there is, in MiB. Memory is no
        resource of OAR's: it can but be filtered by. If empty, it is not asked for.
    memory_per_core
        Whether that property is for one core, and not for the node.
    """

    name: ClassVar[str] = "oar"
    launcher: ClassVar[str | None] = "oarsh"
    outlook = Outlook(after="--anterior={job}")
    variables: ClassVar[JobVariables] = JobVariables(
        job_id="$OAR_JOB_ID",
        index="$((OAR_ARRAY_INDEX - 1))",
        end_time="${OAR_JOB_WALLTIME_SECONDS:+$(($(date +%s) + OAR_JOB_WALLTIME_SECONDS))}",
    )

    def __init__(
        self,
        *,
        has_json: bool = True,
        memory_property: str = "",
        memory_per_core: bool = False,
    ) -> None:
        self._has_json = has_json
        self._memory_property = memory_property
        self._memory_per_core = memory_per_core

    @classmethod
    def from_facts(cls, facts: Mapping[str, str]) -> Self:
        """Return the dialect for an installation.

        Facts are ``json`` (``yes`` or ``no``), ``memory_property`` (``memnode``; without it,
        memory is not asked for) and ``memory_per`` (``node`` or ``core``).

        Raises
        ------
        ConfigError
            If the name of the property is none.
        """
        memory = facts.get("memory_property", "")
        return cls(
            has_json=facts.get("json") != "no",
            memory_property=property_name(memory) if memory else "",
            memory_per_core=facts.get("memory_per") == "core",
        )

    def directives(self, job: JobSpec, count: int = 1) -> tuple[str, ...]:  # noqa: ARG002 - --array is no directive
        """Return the ``#OAR`` lines, as ``oarsub -S`` reads them.

        Raises
        ------
        ConfigError
            If a value cannot be written as a directive.
        """
        return tuple(f"#OAR --{name} {value}".rstrip() for name, value in self._options(job))

    def script(self, job: JobSpec, count: int = 1) -> str:
        """Return the whole script: what ``oarsub -S`` would take from an executable file."""
        head = ("#!/usr/bin/env bash", *self.directives(job, count))
        return "\n".join([*head, "", log_line(job.log, count), job.body.rstrip(), ""])

    def submit_command(self, job: JobSpec, count: int = 1) -> Command:
        """Return oarsub with the script as its command, and the directives as options."""
        own = (f"--{name}={value}" if value else f"--{name}" for name, value in self._options(job))
        array = (f"--array={count}",) if count > 1 else ()
        command = as_command(self.script(job, count))
        return Command(argv=("oarsub", *own, *array, command), env=_ENV, drop=_DROP)

    def read_submit(self, result: Result, count: int = 1) -> tuple[JobId, ...]:
        """Return an id of its own for each job, also in an array.

        Raises
        ------
        SubmitRejected
            If OAR said no; nothing was submitted.
        BatchUnavailable, UnreadableOutput
            If it did not say. The job may exist all the same: look for its tag.
        """
        if result.exit_code:
            raise _refused(result)
        lines = (_JOB_ID.fullmatch(line.strip()) for line in result.stdout.splitlines())
        ids = tuple(JobId(match[1]) for match in lines if match)
        if len(ids) != count:
            raise UnreadableOutput(
                f"oarsub printed {len(ids)} job ids for {count}: {result.words[:200]!r}",
                result=result,
                hint="the job may have been submitted: it is looked for by its name",
            )
        return tuple(sorted(ids, key=int))

    def status_command(self, user: str, tags: Collection[Tag]) -> Command:  # noqa: ARG002 - oarstat knows no names
        """Return oarstat for all of a user's jobs that have not ended."""
        return self._listing("oarstat", "--full", f"--user={user}")

    def read_status(self, result: Result) -> Mapping[JobId, JobStatus]:
        """Return the jobs of the answer, which may hold more than those asked for."""
        check_answer(result)
        return {job.id: job for job in map(_status, jobs(result)) if job.id}

    def history_commands(self, ids: Sequence[JobId]) -> tuple[Command, ...]:
        """Return oarstat for these jobs: OAR forgets none."""
        return tuple(
            self._listing("oarstat", "--full", *(f"--job={job_id}" for job_id in chunk))
            for chunk in in_chunks(ids)
        )

    # oarstat shows ended jobs as it shows others.
    read_history = read_status

    def cancel_commands(self, ids: Sequence[JobId]) -> tuple[Command, ...]:
        """Return oardel with up to 100 ids."""
        return tuple(_query("oardel", *chunk) for chunk in in_chunks(ids))

    def read_cancel(self, result: Result) -> None:
        """Return if every job is cancelled or was gone.

        Raises
        ------
        BatchUnavailable, BatchError
            If OAR did not answer, or a job may not be cancelled.
        """
        if not result.exit_code:
            return
        complaints = [line for line in result.stderr.splitlines() if line.strip()]
        # Of a job that never was it says the same as of another user's; all of these are ours.
        if complaints and all(any(sign in line for sign in GONE) for line in complaints):
            return
        check_answer(result)

    def queues_command(self) -> Command:
        """Return oarnodes: users have no command that lists queues."""
        return self._listing("oarnodes")

    def read_queues(self, result: Result) -> tuple[BatchQueue, ...]:
        """Return the default queue, with all nodes; of several kinds, the largest counts."""
        check_answer(result)
        hosts: dict[str, list[Mapping[str, object]]] = {}
        for resource in resources(result):
            is_core = text_of(resource, "type") in ("", "default")
            # As text, a state may go on: "Absent (standby)".
            if is_core and text_of(resource, "state").partition(" ")[0] in _ALIVE:
                hosts.setdefault(text_of(resource, "network_address"), []).append(resource)
        nodes = list(hosts.values())
        return (
            BatchQueue(
                name="default",
                is_default=True,
                nodes=len(nodes),
                free_nodes=sum(map(_is_free, nodes)),
                cores_per_node=max(map(len, nodes), default=0),
                memory_per_node=max(map(self._memory, nodes), default=0),
                gpus_per_node=max(map(_gpus, nodes), default=0),
            ),
        )

    def _memory(self, node: Sequence[Mapping[str, object]]) -> int:
        amounts = [number(resource, self._memory_property) or 0 for resource in node]
        return (sum(amounts) if self._memory_per_core else max(amounts)) * 2**20

    def _options(self, job: JobSpec) -> Iterator[tuple[str, str]]:
        return options(
            job,
            memory_property=self._memory_property,
            memory_per_core=self._memory_per_core,
        )

    def _listing(self, *argv: str) -> Command:
        return _query(*argv, *(("--json",) if self._has_json else ()))


def _query(*argv: str) -> Command:
    return Command(argv=argv, env=_ENV, drop=_DROP)


def _refused(result: Result) -> BatchError:
    said = words(result)
    # Without a word, or ended by a signal: whoever refuses says so.
    if not said or result.exit_code < 0 or any(sign in result.stderr for sign in UNAVAILABLE):
        return unclear("oar", said, result=result)
    row = fitting(REFUSALS, result.words)
    return refused("oar", said, row=row, otherwise=OTHERWISE, result=result)


def _status(fields: Mapping[str, object]) -> JobStatus:
    word = text_of(fields, "state")
    state = STATES.get(word, JobState.UNKNOWN)
    message = text_of(fields, "message")
    reason, plain, code = "", "", None
    if word == "Terminated":
        state, code = _exit(number(fields, "exit_code"))
        plain = UNSAID.sentence if code is None else ""
    elif word == "Error":
        reason, ending = _ending(events(fields), message)
        state, plain = ending.state, ending.sentence
    elif state.is_waiting:
        reason, plain = message or word, plain_waiting(message, state)
    elif state is JobState.UNKNOWN:
        reason = word
    begun, length = moment(fields, "startTime"), seconds(fields, "walltime")
    planned = begun + length if begun is not None and length is not None else None
    return JobStatus(
        id=JobId(text_of(fields, "id")),
        tag=Tag(text_of(fields, "name")),
        state=state,
        index=max((number(fields, "array_index") or 1) - 1, 0),
        reason=reason,
        plain_reason=plain,
        start_estimate=moment(fields, "scheduledStart") if state.is_waiting else None,
        end_time=None if state.is_waiting else moment(fields, "stopTime") or planned,
        nodes=text_of(fields, "assigned_network_address").replace("+", ","),
        exit_code=code,
    )


def _exit(status: int | None) -> tuple[JobState, int | None]:
    """Return what a status as of wait(2) means: 1792 is exit code 7, 9 is signal 9."""
    if status is None:
        return JobState.FAILED, None
    code = _SIGNALS + (status & 127) if status & 127 else status >> 8 & 255
    return (JobState.FAILED if code else JobState.DONE), code


def _ending(happened: Mapping[str, str], message: str) -> tuple[str, Ending]:
    """Return why a job is in Error, in OAR's word and in ours."""
    request = happened.get(END_REQUEST)
    if request is not None and not request.startswith(BY_OAR):
        return END_REQUEST, CANCELLED
    for kind, ending in ENDINGS.items():
        if kind in happened:
            return kind, ending
    return (message, UNSAID) if request is None else (END_REQUEST, ENDED_BY_OAR)


def _is_free(node: Sequence[Mapping[str, object]]) -> bool:
    return all(
        text_of(resource, "state") == "Alive" and not text_of(resource, "jobs") for resource in node
    )


def _gpus(node: Sequence[Mapping[str, object]]) -> int:
    names = {text_of(resource, "gpu") for resource in node}
    return len(names - {"", "0"})
