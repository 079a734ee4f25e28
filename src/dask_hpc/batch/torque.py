"""Torque: qsub, qstat, qdel, with arrays, listings and resources of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from dask_hpc.batch.pbs import PBS, mebibytes, query
from dask_hpc.batch.pbs_table import check_answer, statuses
from dask_hpc.batch.pbs_words import TORQUE_CODES
from dask_hpc.batch.system import JobVariables, in_chunks
from dask_hpc.batch.torque_table import queues, records

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from dask_hpc.batch.model import BatchQueue, JobId, JobSpec, JobStatus, Tag
    from dask_hpc.process.runner import Command, Result


class Torque(PBS):
    """Torque: read as its last release answers. It has no history: ended jobs stay in the listing.

    How long, the server's ``keep_completed`` says.

    Parameters
    ----------
    default_queue
        The queue of jobs that name none; empty if nobody knows.
    """

    name: ClassVar[str] = "torque"
    launcher: ClassVar[str | None] = "torque-pbsdsh"
    variables: ClassVar[JobVariables] = JobVariables(
        job_id="$PBS_JOBID",
        index="${PBS_ARRAYID:-0}",
        # The seconds that it may run, there if there is a limit.
        end_time="${PBS_WALLTIME:+$(($(date +%s) + PBS_WALLTIME))}",
    )
    _arrays_must_rerun: ClassVar[bool] = False

    def __init__(self, *, default_queue: str = "") -> None:
        super().__init__(has_history=False, default_queue=default_queue)

    @classmethod
    def from_facts(cls, facts: Mapping[str, str]) -> Self:
        """Return the dialect for an installation: ``default_queue`` is the name of a queue."""
        return cls(default_queue=facts.get("default_queue", ""))

    def submit_command(self, job: JobSpec, count: int = 1) -> Command:
        """Return qsub with the script on its standard input."""
        array = ("-t", f"0-{count - 1}") if count > 1 else ()
        return self._submission("qsub", *array, script=self.script(job, count))

    def status_command(self, user: str, tags: Collection[Tag]) -> Command:  # noqa: ARG002 # no such question
        """Return qstat for all jobs: with -u, it answers in another form."""
        return query("qstat", "-t", "-x")

    def read_status(self, result: Result) -> Mapping[JobId, JobStatus]:
        """Return the jobs of the answer, which are everybody's."""
        check_answer(result)
        return statuses(records(result), TORQUE_CODES)

    def cancel_commands(self, ids: Sequence[JobId]) -> tuple[Command, ...]:
        """Return qdel, with each job in a word."""
        return tuple(query("qdel", *chunk) for chunk in in_chunks(list(dict.fromkeys(ids))))

    def queues_command(self) -> Command:
        """Return qstat for the queues."""
        return query("qstat", "-Q", "-f")

    def read_queues(self, result: Result) -> tuple[BatchQueue, ...]:
        """Return the queues. What their nodes are like, qstat does not say."""
        check_answer(result)
        return self._sorted(queues(result))

    def _resources(self, job: JobSpec) -> Iterator[tuple[str, str]]:
        ask = job.resources
        yield "nodes", f"{ask.nodes}:ppn={ask.cores}" + (f":gpus={ask.gpus}" if ask.gpus else "")
        if ask.memory:
            # Of all nodes together, unlike everything else.
            yield "mem", f"{mebibytes(ask.memory * ask.nodes)}mb"
