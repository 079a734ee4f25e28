"""`Job`: one job as dask-jobqueue has it, for those who build on it.

A cluster takes its header and settings from it. Alone, it is a script around a stock worker that
is submitted and cancelled.
"""

from __future__ import annotations

import logging
import re
import shlex
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from dask.utils import format_bytes
from distributed.deploy.spec import ProcessInterface

from dask_hpc.compat.keywords import STOCK_COMMAND, Said, config_name_of, read_keywords
from dask_hpc.process.local import LocalRunner
from dask_hpc.process.runner import Command

if TYPE_CHECKING:
    from collections.abc import Iterator

logger = logging.getLogger(__name__)

_PATIENCE = 60.0  # seconds, for a command of the batch system


class Job(ProcessInterface):  # type: ignore[misc]  # distributed has no types
    """One job that brings workers; subclasses say what its header is.

    Parameters
    ----------
    scheduler
        Address of the scheduler.
    name
        Name of the worker.
    keywords
        As of `JobQueueCluster`.
    """

    submit_command: str | None = None
    cancel_command: str | None = None
    config_name: str | None = None
    job_id_regexp: str = r"(?P<job_id>\d+)"
    keywords: ClassVar[tuple[str, ...]] = ()  # beyond those of all systems
    _cluster: Any = None  # distributed's own clusters set it

    _script_template = (
        "%(shebang)s\n\n%(job_header)s\n%(job_script_prologue)s\n%(worker_command)s\n"
    )

    def __init__(self, scheduler: Any = None, name: Any = None, **keywords: Any) -> None:
        super().__init__(scheduler=scheduler, name=name)
        self.scheduler = scheduler
        self.name = name
        said = read_keywords(type(self), keywords, own=self.keywords)
        self.said = said
        self.job_id: str | None = None
        self.job_header: str | None = None
        self.config_name = said.section
        self.worker_cores = said.cores
        self.worker_memory = said.memory
        self.worker_processes = said.processes
        self.job_name: str | None = said["job_name"]
        self.shebang: str = said["shebang"] or ""
        self.job_extra_directives = said["job_extra_directives"] or []
        self.job_directives_skip = set(said["job_directives_skip"] or ())
        self.log_directory: str | None = said["log_directory"]
        self._job_script_prologue: list[str] = said["job_script_prologue"] or []
        self._command_template = " ".join(map(str, self._command(said)))
        self.stock_command = self._command_template
        if self.log_directory is not None:
            Path(self.log_directory).mkdir(parents=True, exist_ok=True)

    @classmethod
    def default_config_name(cls) -> str:
        """Return the section of the configuration for this class."""
        return config_name_of(cls)

    @property
    def worker_process_threads(self) -> int:
        """Threads of one worker process."""
        return int(self.worker_cores / self.worker_processes)

    @property
    def worker_process_memory(self) -> str:
        """Memory of one worker process, in words."""
        return str(format_bytes(self.worker_memory / self.worker_processes)).replace(" ", "")

    def _command(self, said: Said) -> Iterator[Any]:
        yield from (said.python, "-m", said.worker_command, self.scheduler)
        yield from ("--name", self.name, "--nthreads", self.worker_process_threads)
        yield from ("--memory-limit", self.worker_process_memory)
        if said.worker_command == STOCK_COMMAND:
            if self.worker_processes > 1:
                yield from ("--nworkers", self.worker_processes)
            yield "--nanny" if said.nanny else "--no-nanny"
        for keyword in ("death_timeout", "local_directory"):
            if said[keyword] is not None:
                yield from (f"--{keyword.replace('_', '-')}", said[keyword])
        yield from said["worker_extra_args"] or ()
        if said["interface"]:
            yield from ("--interface", said["interface"])
        if said.protocol:
            yield from ("--protocol", said.protocol)
        if said.security:
            yield from _tls_options(said.security)

    def job_script(self) -> str:
        """Return the script."""
        return self._script_template % {
            "shebang": self.shebang,
            "job_header": self.job_header,
            "job_script_prologue": "\n".join(filter(None, self._job_script_prologue)),
            "worker_command": "\n".join([self._command_template, *self._epilogue()]),
        }

    def _epilogue(self) -> list[str]:
        return list(filter(None, self.said["job_script_epilogue"] or ()))

    @contextmanager
    def job_file(self) -> Iterator[str]:
        """Have the script in a file for a while."""
        with tempfile.NamedTemporaryFile("w", suffix=".sh", prefix="dask-hpc-") as file:
            file.write(self.job_script())
            file.flush()
            yield file.name

    async def start(self) -> None:
        """Submit the job."""
        with self.job_file() as path:
            out = await self._submit_job(path)
        self.job_id = self._job_id_from_submit_output(out)
        logger.debug("job %s was submitted for %s", self.job_id, self.name)
        await super().start()

    async def close(self) -> None:
        """Cancel the job."""
        await self._close_job(self.job_id, self.cancel_command)
        await super().close()

    @property
    def prologue(self) -> tuple[str, ...]:
        """The lines that run before the worker."""
        return tuple(filter(None, self._job_script_prologue))

    @property
    def has_own_command(self) -> bool:
        """Whether a subclass has changed the command of the worker."""
        return self._command_template != self.stock_command

    async def _submit_job(self, script_filename: str) -> str:
        return await self._call([*shlex.split(self.submit_command or ""), script_filename])

    @classmethod
    async def _close_job(cls, job_id: str | None, cancel_command: str | None) -> None:
        if job_id and cancel_command:
            with suppress(RuntimeError):  # it is gone
                await cls._call([*shlex.split(cancel_command), job_id])

    def _job_id_from_submit_output(self, out: str) -> str:
        match = re.search(self.job_id_regexp, out)
        if match is None:
            raise ValueError(
                "Could not parse job id from submission command output.\n"
                f"Job id regexp is {self.job_id_regexp!r}\n"
                f"Submission command output is:\n{out}"
            )
        found = match.groupdict().get("job_id")
        if found is None:
            raise ValueError(
                "You need to use a 'job_id' named group in your regexp, e.g. "
                f"r'(?P<job_id>\\d+)'. Your regexp was: {self.job_id_regexp!r}"
            )
        return found

    @staticmethod
    async def _call(cmd: list[str], *, shell: bool = False, **_: Any) -> str:
        """Run a command and return what it prints.

        Raises
        ------
        RuntimeError
            If it ends with another exit code than 0.
        """
        words = " ".join(cmd)
        argv = ("/bin/sh", "-c", words) if shell else tuple(cmd)
        result = await LocalRunner().run(Command(argv=argv), timeout=_PATIENCE)
        if result.exit_code:
            raise RuntimeError(
                "Command exited with non-zero exit code.\n"
                f"Exit code: {result.exit_code}\nCommand:\n{words}\n"
                f"stdout:\n{result.stdout}\nstderr:\n{result.stderr}\n"
            )
        return result.stdout


def _tls_options(security: Any) -> Iterator[str]:
    # Ciphers have no option.
    for key, value in security.get_tls_config_for_role("worker").items():
        if key != "ciphers" and value is not None:
            yield from (f"--tls-{key.replace('_', '-')}", str(value))
