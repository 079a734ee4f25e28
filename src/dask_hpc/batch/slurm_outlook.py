"""What Slurm says of a job that waits: its place by priority, and when it would start elsewhere."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dask_hpc.batch.outlook import Outlook, Place
from dask_hpc.batch.slurm_query import query
from dask_hpc.batch.slurm_table import SEPARATOR, check_answer, moment, number, rows

if TYPE_CHECKING:
    from dask_hpc.batch.model import JobId
    from dask_hpc.process.runner import Command, Result

_FIELDS = ("JobArrayID", "PriorityLong", "Partition", "Reason")
# Whoever waits for something else than its turn is in nobody's way.
_ASIDE = re.compile(r"JobHeld|Dependency|BeginTime|JobHoldMaxRequeue|JobArrayTaskLimit")
# With jobs in it, users see but their own: https://slurm.schedmd.com/slurm.conf.html#OPT_PrivateData
_PRIVATE = re.compile(r"^PrivateData\s*=\s*(\S+)", re.M)
_TRIAL = re.compile(r"to start at (\S+) using")


@dataclass(frozen=True, slots=True)
class _Waiting:
    job: str
    priority: int
    partitions: frozenset[str]

    @property
    def order(self) -> tuple[int, int, int]:
        """What Slurm sorts by; of the same priority, the one that was submitted first."""
        array, _, index = self.job.partition("_")
        return -self.priority, number(array), number(index)


class SlurmOutlook(Outlook):
    """Slurm's: https://slurm.schedmd.com/squeue.html and https://slurm.schedmd.com/sbatch.html."""

    def __init__(self) -> None:
        super().__init__(
            move="scontrol update jobid={job} partition={queue}",
            after="--dependency=afterany:{job}",
        )

    def sight_command(self) -> Command:
        """Return scontrol, which says what users may see."""
        return query("scontrol", "show", "config")

    def read_sight(self, result: Result) -> bool:
        """Whether users see the jobs of all; not if it is not said."""
        check_answer(result)
        match = _PRIVATE.search(result.stdout)
        return match is not None and "jobs" not in match[1].split(",")

    def place_command(self) -> Command:
        """Return squeue for all jobs that wait."""
        fields = ",".join(f"{field}:{SEPARATOR}" for field in _FIELDS)
        return query("squeue", "--array", "--states=PENDING", f"--Format={fields}")

    def read_place(self, result: Result, job: JobId) -> Place | None:
        """Return a job's place among those that wait for nodes of its partition."""
        check_answer(result)
        waiting = [
            _Waiting(job=ids, priority=number(priority), partitions=frozenset(names.split(",")))
            for ids, priority, names, reason in rows(result, len(_FIELDS))
            if not _ASIDE.match(reason)
        ]
        own = next((each for each in waiting if each.job == job), None)
        if own is None:
            return None
        rivals = [each for each in waiting if each.partitions & own.partitions]
        ahead = sum(each.order < own.order for each in rivals)
        (queue,) = own.partitions if len(own.partitions) == 1 else ("",)
        return Place(number=ahead + 1, of=len(rivals), queue=queue)

    def trial_command(self, script: str, queue: str) -> Command:
        """Return sbatch, which checks what it reads and plans it."""
        return query("sbatch", "--test-only", f"--partition={queue}", stdin=script)

    def read_trial(self, result: Result) -> float | None:
        """Return when the job would start; a partition that refuses it says when: never."""
        match = _TRIAL.search(result.stderr)
        return moment(match[1]) if match and not result.exit_code else None
