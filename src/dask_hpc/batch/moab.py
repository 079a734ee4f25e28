"""Moab: Torque's jobs, submitted by msub and cancelled by canceljob."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from dask_hpc.batch.model import JobId
from dask_hpc.batch.pbs import query
from dask_hpc.batch.system import JobVariables, in_chunks
from dask_hpc.batch.torque import Torque

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dask_hpc.batch.model import JobSpec, JobStatus
    from dask_hpc.process.runner import Command, Result

_SERVER = re.compile(r"\.[\w.:-]+$", re.ASCII)
_GONE = ("invalid job specified", "job not found", "job is completed", "is already complete")


class Moab(Torque):
    """Moab on top of Torque, as its manual has it: never tried on a real one.

    Moab knows jobs by their number alone, so that is what ids are here. Where it has numbers of
    its own (``Moab.12``), a job is found by its name.
    """

    name: ClassVar[str] = "moab"
    variables: ClassVar[JobVariables] = JobVariables(
        job_id="${PBS_JOBID%%.*}",
        # http://docs.adaptivecomputing.com/9-1-0/MWM, Job Arrays: they are not those of Torque.
        index="${MOAB_JOBARRAYINDEX:-${PBS_ARRAYID:-0}}",
        end_time=Torque.variables.end_time,
    )

    def submit_command(self, job: JobSpec, count: int = 1) -> Command:
        """Return msub with the script on its standard input."""
        # Without -E, the elements of an array do not know which one they are.
        array = ("-t", f"{job.tag}[0-{count - 1}]") if count > 1 else ()
        return self._submission("msub", "-E", *array, script=self.script(job, count))

    def read_submit(self, result: Result, count: int = 1) -> tuple[JobId, ...]:
        """Return ``36``, or the elements of an array: ``36[0]``, ``36[1]``.

        Raises
        ------
        SubmitRejected
            If Moab said no; nothing was submitted.
        BatchUnavailable, UnreadableOutput
            If it did not say, or in numbers of its own. The job may exist all the same: look for
            its tag.
        """
        stdout = result.stdout
        if count > 1 and not result.exit_code:
            # It says the number of the array alone.
            stdout = re.sub(r"^(\s*\d+)(\.\S*)?[ \t\r]*$", r"\1[]\2", stdout, flags=re.MULTILINE)
        ids = super().read_submit(replace(result, stdout=stdout), count)
        return tuple(_number(job_id) for job_id in ids)

    def read_status(self, result: Result) -> Mapping[JobId, JobStatus]:
        """Return the jobs of the answer, which are everybody's."""
        jobs = super().read_status(result).values()
        return {_number(job.id): replace(job, id=_number(job.id)) for job in jobs}

    def cancel_commands(self, ids: Sequence[JobId]) -> tuple[Command, ...]:
        """Return canceljob, with each job in a word."""
        return tuple(query("canceljob", *chunk) for chunk in in_chunks(list(dict.fromkeys(ids))))

    def read_cancel(self, result: Result) -> None:
        """Return if every job is cancelled or was gone.

        Raises
        ------
        BatchUnavailable, BatchError
            If Moab did not answer, or a job may not be cancelled.
        """
        lines = (line.strip().lower() for line in result.stderr.splitlines())
        # One line of several only says that there is another.
        said = [line for line in lines if line and "'canceljob' failed" not in line]
        if said and all(any(sign in line for sign in _GONE) for line in said):
            return
        super().read_cancel(result)


def _number(job_id: JobId) -> JobId:
    return JobId(_SERVER.sub("", job_id))
