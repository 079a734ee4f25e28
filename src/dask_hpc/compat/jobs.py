"""The jobs of the eight systems: each one's commands, keywords and header."""

from __future__ import annotations

import getpass
import os
import shlex
from pathlib import Path
from typing import Any, ClassVar

from dask.utils import parse_bytes

from dask_hpc.batch.local import Local
from dask_hpc.batch.model import JobId, JobSpec, Resources
from dask_hpc.batch.queue import Queue
from dask_hpc.cluster.slot import new_tag
from dask_hpc.compat import headers
from dask_hpc.compat.job import Job
from dask_hpc.process.local import LocalRunner


class SLURMJob(Job):
    """A job of Slurm."""

    submit_command = "sbatch"
    cancel_command = "scancel"
    config_name = "slurm"
    keywords: ClassVar[tuple[str, ...]] = (
        "queue", "project", "account", "walltime", "job_cpu", "job_mem",
    )  # fmt: skip

    def __init__(self, scheduler: Any = None, name: Any = None, **keywords: Any) -> None:
        super().__init__(scheduler=scheduler, name=name, **keywords)
        self.job_header = headers.header(self, headers.slurm(self), mark="#SBATCH")


class PBSJob(Job):
    """A job of PBS."""

    submit_command = "qsub"
    cancel_command = "qdel"
    config_name = "pbs"
    keywords: ClassVar[tuple[str, ...]] = (
        "queue", "project", "account", "resource_spec", "walltime",
    )  # fmt: skip

    def __init__(self, scheduler: Any = None, name: Any = None, **keywords: Any) -> None:
        super().__init__(scheduler=scheduler, name=name, **keywords)
        self.job_header = headers.header(self, headers.pbs(self), mark="#PBS")


class MoabJob(PBSJob):
    """A job of Moab."""

    submit_command = "msub"
    cancel_command = "canceljob"
    config_name = "moab"


class SGEJob(Job):
    """A job of Grid Engine."""

    submit_command = "qsub"
    cancel_command = "qdel"
    config_name = "sge"
    keywords: ClassVar[tuple[str, ...]] = ("queue", "project", "resource_spec", "walltime")

    def __init__(self, scheduler: Any = None, name: Any = None, **keywords: Any) -> None:
        super().__init__(scheduler=scheduler, name=name, **keywords)
        self.job_header = headers.header(self, headers.sge(self), mark="#$")


class LSFJob(Job):
    """A job of LSF."""

    submit_command = "bsub"
    cancel_command = "bkill"
    config_name = "lsf"
    keywords: ClassVar[tuple[str, ...]] = (
        "queue", "project", "ncpus", "mem", "walltime", "lsf_units", "use_stdin",
    )  # fmt: skip

    def __init__(self, scheduler: Any = None, name: Any = None, **keywords: Any) -> None:
        super().__init__(scheduler=scheduler, name=name, **keywords)
        self.use_stdin: bool | None = self.said["use_stdin"]
        self.job_header = headers.header(self, headers.lsf(self), mark="#BSUB")

    async def _submit_job(self, script_filename: str) -> str:
        if not self.use_stdin:
            return await super()._submit_job(script_filename)
        line = f"{self.submit_command} < {shlex.quote(script_filename)}"
        return await self._call([line], shell=True)  # noqa: S604 - quoted; bsub wants its input


class OARJob(Job):
    """A job of OAR."""

    submit_command = "oarsub"
    cancel_command = "oardel"
    job_id_regexp = r"OAR_JOB_ID=(?P<job_id>\d+)"
    config_name = "oar"
    keywords: ClassVar[tuple[str, ...]] = (
        "queue", "project", "resource_spec", "walltime", "memory_per_core_property_name",
    )  # fmt: skip

    def __init__(self, scheduler: Any = None, name: Any = None, **keywords: Any) -> None:
        super().__init__(scheduler=scheduler, name=name, **keywords)
        memory = headers.oar_memory(self)
        self.job_header = headers.header(self, headers.oar(self), mark="#OAR", after=memory)

    async def _submit_job(self, script_filename: str) -> str:
        # The file is gone when the job starts: OAR gets what is in it as a word.
        lines = _read(script_filename).splitlines(keepends=True)
        marked = [line.removeprefix("#OAR ") for line in lines if line.startswith("#OAR ")]
        script = "".join(line for line in lines if not line.startswith("#"))
        words = shlex.split(" ".join([self.submit_command or "", *map(str.strip, marked)]))
        return await self._call([*words, script])


class HTCondorJob(Job):
    """A job of HTCondor: its script is a submit description."""

    _script_template = (
        "%(shebang)s\n\n%(job_header)s\n\n"
        'Arguments = "%(quoted_arguments)s"\nExecutable = %(executable)s\n\nQueue\n'
    )
    submit_command = "condor_submit"
    cancel_command = "condor_rm"
    job_id_regexp = r"submitted to cluster (?P<job_id>\d+)"
    executable = "/bin/sh"
    config_name = "htcondor"
    keywords: ClassVar[tuple[str, ...]] = (
        "disk", "submit_command_extra", "cancel_command_extra",
    )  # fmt: skip

    def __init__(self, scheduler: Any = None, name: Any = None, **keywords: Any) -> None:
        super().__init__(scheduler=scheduler, name=name, **keywords)
        if self.said["disk"] is None:
            raise ValueError("You must specify how much disk to use per job like ``disk='1 GB'``")
        self.worker_disk = int(parse_bytes(self.said["disk"]))
        lines = [*filter(None, self._job_script_prologue), self._command_template]
        self._command_template = "; ".join([*lines, *self._epilogue()])
        self.stock_command = self._command_template
        self.job_header_dict = self._statements()
        self.submit_command = self._with(self.submit_command, "submit_command_extra")
        self.cancel_command = self._with(self.cancel_command, "cancel_command_extra")

    def _statements(self) -> dict[str, Any]:
        said = headers.htcondor(self, disk=self.worker_disk)
        for name in self.job_directives_skip:
            said.pop(name, None)
        return said | dict(self.job_extra_directives or {})

    def _with(self, command: str | None, keyword: str) -> str:
        return " ".join([command or "", *map(shlex.quote, self.said[keyword] or ())])

    def job_script(self) -> str:
        """Return the submit description."""
        return self._script_template % {
            "shebang": self.shebang,
            "job_header": "\n".join(f"{key} = {say}" for key, say in self.job_header_dict.items()),
            "quoted_arguments": quote_arguments(["-c", self._command_template]),
            "executable": self.executable,
        }

    def _job_id_from_submit_output(self, out: str) -> str:
        return f"{super()._job_id_from_submit_output(out)}.0"


class LocalJob(Job):
    """A job of the queue embedded in dask-hpc."""

    config_name = "local"
    keywords: ClassVar[tuple[str, ...]] = ("queue", "project", "resource_spec", "walltime")

    def __init__(self, scheduler: Any = None, name: Any = None, **keywords: Any) -> None:
        super().__init__(scheduler=scheduler, name=name, **{**keywords, "shebang": ""})
        self.job_header = ""

    async def _submit_job(self, script_filename: str) -> str:
        resources = Resources(cores=self.worker_cores, memory=self.worker_memory)
        log = f"{self.log_directory}/local-{{index}}.out" if self.log_directory else os.devnull
        job = JobSpec(
            tag=new_tag("dask-worker"), resources=resources, body=_read(script_filename), log=log
        )
        return (await _local_queue().submit(job))[0]

    @classmethod
    async def _close_job(cls, job_id: str | None, cancel_command: str | None) -> None:  # noqa: ARG003 - as others
        if job_id:
            await _local_queue().cancel([JobId(job_id)])

    def _job_id_from_submit_output(self, out: str) -> str:
        return out


def _read(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")


def _local_queue() -> Queue:
    return Queue(Local(), LocalRunner(), user=getpass.getuser())


def quote_arguments(args: str | list[str]) -> str:
    """Return words as the ``Arguments`` of a submit description have them, between its quotes.

    Examples
    --------
    >>> quote_arguments(["one", "two with blanks"])
    "one 'two with blanks'"
    """
    return " ".join(map(_quoted, [args] if isinstance(args, str) else args))


def quote_environment(env: dict[str, Any]) -> str:
    """Return variables as the ``Environment`` of a submit description has them."""
    if not isinstance(env, dict):
        raise TypeError("env must be a dict")
    return " ".join(f"{name}={_quoted(str(value))}" for name, value in env.items())


def _quoted(word: str) -> str:
    doubled = word.replace("'", "''").replace('"', '""')
    return f"'{doubled}'" if " " in doubled or "'" in doubled else doubled
