"""A batch system whose scripts are supplied: the header is a user's, word for word.

What a job needs besides, its name, its log, its place in an array, goes on the command line of the
submission, where every system lets it win over the script. So one script serves all submissions.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from dask_hpc.batch.oar_request import as_command
from dask_hpc.batch.system import BatchSystem, JobVariables

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from dask_hpc.batch.model import BatchQueue, JobId, JobSpec, JobStatus, Tag
    from dask_hpc.process.runner import Command, Result

_TAG = "DASK_HPC_JOB_NAME"  # where the system does not tell a job its name


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One submission; ``keeps_logs`` is whether the header says where the output goes."""

    job: JobSpec
    count: int
    keeps_logs: bool

    @property
    def tag(self) -> Tag:
        """The name of the job."""
        return self.job.tag

    def unless_kept(self, *words: str) -> tuple[str, ...]:
        """Return the words that say where the output goes, unless the header does."""
        return () if self.keeps_logs else words


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How one system takes a job whose script says nothing of its name.

    ``tag`` expands to the name within the job; ``words`` are the options of the submission.
    """

    tag: str
    words: Callable[[Submission], tuple[str, ...]]


def _slurm(one: Submission) -> tuple[str, ...]:
    index = "%a" if one.count > 1 else "0"
    log = one.job.log.replace("%", "%%").replace("{index}", index)
    output = one.unless_kept(f"--output={log}", "--open-mode=append")
    return (f"--job-name={one.tag}", *output, "--no-requeue")


def _pbs(one: Submission) -> tuple[str, ...]:
    rerun = ("-r", "n") if one.count == 1 else ()  # OpenPBS wants to run arrays again
    return (*_torque(one), "-m", "n", *rerun)


def _torque(one: Submission) -> tuple[str, ...]:
    return ("-N", one.tag, *one.unless_kept("-j", "oe", "-o", "/dev/null"))


def _sge(one: Submission) -> tuple[str, ...]:
    output = one.unless_kept("-j", "y", "-o", "/dev/null")
    return ("-N", one.tag, "-S", "/bin/bash", *output, "-r", "n")


def _lsf(one: Submission) -> tuple[str, ...]:
    name = f"{one.tag}[1-{one.count}]" if one.count > 1 else one.tag
    return ("-J", name, *one.unless_kept("-o", "/dev/null"))


def _oar(one: Submission) -> tuple[str, ...]:
    # The script opens the log: OAR takes few characters in its name.
    return (f"--name={one.tag}", "--stdout=/dev/null", "--stderr=/dev/null")


def _htcondor(one: Submission) -> tuple[str, ...]:
    log = one.job.log.replace("{index}", "$(ProcId)")
    lines = (
        f"batch_name = {one.tag}",
        f"dask_hpc_tag = {one.tag}",
        f"dask_hpc_count = {one.count}",
        *one.unless_kept(f"output = {log}", f"error = {log}", "stream_output = True"),
    )
    return tuple(word for line in lines for word in ("-append", line))


def _local(one: Submission) -> tuple[str, ...]:
    ask = one.job.resources
    said = {
        "name": one.tag,
        "cores": ask.cores,
        "memory": ask.memory,
        "count": one.count if one.count > 1 else None,
        "output": one.job.log.replace("%", "%%").replace("{index}", "%a"),
    }
    return tuple(f"--{name}={value}" for name, value in said.items() if value)


# An element of an array has its index in its name there.
_OF_TORQUE = (
    '"$(case ${PBS_ARRAYID:-} in (\'\') echo "$PBS_JOBNAME" ;; '
    '(*) echo "${PBS_JOBNAME%-*}" ;; esac)"'
)

MANNERS = {
    "slurm": Manner(tag='"$SLURM_JOB_NAME"', words=_slurm),
    "pbs": Manner(tag='"$PBS_JOBNAME"', words=_pbs),
    "torque": Manner(tag=_OF_TORQUE, words=_torque),
    "moab": Manner(tag=_OF_TORQUE, words=_torque),
    "sge": Manner(tag='"$JOB_NAME"', words=_sge),
    "lsf": Manner(tag='"${LSB_JOBNAME%%[*}"', words=_lsf),
    "oar": Manner(tag='"$OAR_JOB_NAME"', words=_oar),
    "htcondor": Manner(tag=f'"${_TAG}"', words=_htcondor),
    "local": Manner(tag=f'"${_TAG}"', words=_local),
}


class Supplied(BatchSystem):
    """A dialect with a script of somebody else's.

    Parameters
    ----------
    inner
        The dialect.
    script
        What is submitted, each time.
    submits, cancels
        The user's own words for the commands, in the place of the first word of ours.
    keeps_logs
        Whether the header says where the output goes.
    """

    name: ClassVar[str] = "supplied"
    variables: ClassVar[JobVariables] = JobVariables(job_id="", index="", tag='""')

    def __init__(
        self,
        inner: BatchSystem,
        script: str,
        *,
        submits: tuple[str, ...] = (),
        cancels: tuple[str, ...] = (),
        keeps_logs: bool = False,
    ) -> None:
        # Who watches the jobs of several clusters tells their systems apart by it.
        vars(self)["name"] = inner.name
        self._inner = inner
        self.text = script
        self._submits = submits
        self._cancels = cancels
        self._keeps_logs = keeps_logs

    def directives(self, job: JobSpec, count: int = 1) -> tuple[str, ...]:  # noqa: ARG002 - they are given
        """Return the lines of the script that are directives: all comments of its head."""
        return tuple(line for line in self.text.splitlines()[1:] if line.startswith("#"))

    def script(self, job: JobSpec, count: int = 1) -> str:  # noqa: ARG002 - it is given
        """Return the script, which is the same for every job."""
        return self.text

    def submit_command(self, job: JobSpec, count: int = 1) -> Command:
        """Return what submits the script under the name of this job."""
        command = self._inner.submit_command(job, count)
        submission = Submission(job=job, count=count, keeps_logs=self._keeps_logs)
        words = MANNERS[self._inner.name].words(submission)
        if self._inner.name == "oar":
            array = (f"--array={count}",) if count > 1 else ()
            argv = (*self._first(command.argv), *self._options(), *words, *array)
            return replace(command, argv=(*argv, as_command(self.text)))
        rest = command.argv[1:]
        last = ("-",) if rest[-1:] == ("-",) else ()  # condor_submit reads a description there
        argv = (*self._first(command.argv), *rest[: len(rest) - len(last)], *words, *last)
        return replace(command, argv=argv, stdin=self.text, env={**command.env, _TAG: job.tag})

    def _first(self, argv: tuple[str, ...]) -> tuple[str, ...]:
        return self._submits or argv[:1]

    def _options(self) -> tuple[str, ...]:
        lines = (line for line in self.text.splitlines() if line.startswith("#OAR "))
        words = shlex.split(" ".join(line.removeprefix("#OAR ") for line in lines))
        return tuple(words)

    def read_submit(self, result: Result, count: int = 1) -> tuple[JobId, ...]:
        """Return the ids, as the dialect reads them."""
        return self._inner.read_submit(result, count)

    def status_command(self, user: str, tags: Collection[Tag]) -> Command:
        """Return the dialect's question."""
        return self._inner.status_command(user, tags)

    def read_status(self, result: Result) -> Mapping[JobId, JobStatus]:
        """Return what the dialect reads."""
        return self._inner.read_status(result)

    def history_commands(self, ids: Sequence[JobId]) -> tuple[Command, ...]:
        """Return the dialect's questions."""
        return self._inner.history_commands(ids)

    def read_history(self, result: Result) -> Mapping[JobId, JobStatus]:
        """Return what the dialect reads."""
        return self._inner.read_history(result)

    def cancel_commands(self, ids: Sequence[JobId]) -> tuple[Command, ...]:
        """Return what cancels jobs, in the user's words if there are any."""
        commands = self._inner.cancel_commands(ids)
        if not self._cancels:
            return commands
        return tuple(replace(one, argv=(*self._cancels, *one.argv[1:])) for one in commands)

    def read_cancel(self, result: Result) -> None:
        """Return if the jobs are cancelled or gone already."""
        self._inner.read_cancel(result)

    def queues_command(self) -> Command:
        """Return the dialect's question."""
        return self._inner.queues_command()

    def read_queues(self, result: Result) -> tuple[BatchQueue, ...]:
        """Return what the dialect reads."""
        return self._inner.read_queues(result)
