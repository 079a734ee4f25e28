"""A scheduler in the test's own event loop, and worker hosts as their jobs start them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask
import psutil
from distributed import Client, Status

from dask_hpc._clock import SystemClock, until
from dask_hpc._files import write_record
from dask_hpc.batch.model import JobSpec, Resources, Tag
from dask_hpc.batch.system import JobVariables
from dask_hpc.cluster.commands import scheduler_job, worker_job
from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.cluster.slot import slot_of
from dask_hpc.cluster.spec import ClusterSpec, Home
from dask_hpc.engine.start import start_scheduler
from dask_hpc.engine.tls import cluster_security
from dask_hpc.security.certificates import create_certificates
from tests.beds.beds import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from dask_hpc.engine.scheduler import HPCScheduler

_ENVIRONMENT = {"PYTHONPATH": str(CHECKOUT)}  # for the tasks of the tests
THREADS = {"OPENBLAS_NUM_THREADS": "2"}  # numpy, which distributed imports, then starts a thread


async def eventually(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until a condition holds; fail if it does not."""
    held = await until(condition, seconds, clock=SystemClock(), every=0.02)
    assert held, f"{condition} did not hold within {seconds} s"


@contextmanager
def new_cluster(**changes: Any) -> Iterator[ClusterSpec]:
    """Give the spec of a cluster whose directory has all that its jobs need."""
    place = Path(tempfile.mkdtemp(prefix="dh", dir="/tmp"))
    directory = ClusterDirectory(place / "clusters" / "boot")
    spec = ClusterSpec(
        name="boot",
        site="local",
        system="local",
        user="me",
        home=Home.HERE,
        directory=directory.path,
        worker=Resources(cores=2, memory=2**30, walltime=3600.0),
        scheduler=Resources(cores=1, memory=2**30),
        processes=2,
        python=sys.executable,
        local_directory=str(place / "scratch"),
        loopback=True,
        death_timeout=30.0,
        drain_timeout=15.0,
    )
    spec = replace(spec, **changes)
    try:
        directory.create()
        create_certificates(directory.tls, name="boot")
        write_record(directory.spec, spec)
        yield spec
    finally:
        shutil.rmtree(place, ignore_errors=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The script of a job with all that it started. ``log`` is what it printed."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def family(self) -> list[psutil.Process]:
        """Return the job's shell and all that descend from it."""
        with suppress(psutil.NoSuchProcess):
            script = psutil.Process(self.process.pid)
            return [script, *script.children(recursive=True)]
        return []

    def programs(self) -> list[psutil.Process]:
        """Return the program that the shell started, and what descends from it."""
        found = []
        for each in self.family()[1:]:
            with suppress(psutil.NoSuchProcess):
                if (
                    any("dask_hpc.boot." in word for word in each.cmdline())
                    or each.parent() in found
                ):
                    found.append(each)
        return found

    def trunk(self) -> psutil.Process:
        """Return the program that the shell started."""
        return self.programs()[0]

    def send_to_all(self, number: int) -> None:
        """Send a signal to every process, as some batch systems do."""
        for process in self.family():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    async def exit_code(self, seconds: float = 60) -> int:
        """Wait for the job's end and return how it ended."""
        await eventually(lambda: self.process.poll() is not None, seconds)
        return self.process.wait()

    def said(self) -> str:
        """Return its log."""
        return self.log.read_text(encoding="utf-8", errors="replace")


def worker_spec(spec: ClusterSpec, name: str, *, end_time: int | None = None) -> JobSpec:
    """Return a job of workers."""
    return worker_job(spec, _variables(end_time), tag=Tag(name))


def scheduler_spec(spec: ClusterSpec, name: str, *, end_time: int | None = None) -> JobSpec:
    """Return the job of a scheduler."""
    return scheduler_job(spec, _variables(end_time), tag=Tag(name))


def _variables(end_time: int | None) -> JobVariables:
    return JobVariables(job_id="77", index="0", end_time=str(end_time or ""))


@contextmanager
def started(job: JobSpec, environment: Mapping[str, str] = {}) -> Iterator[Job]:
    """Run the script of a job as a batch system does, and end all that is left of it."""
    log = Path(job.log.replace("{index}", "0"))
    with log.open("wb") as stream:
        process = subprocess.Popen(
            ["bash", "-c", job.body],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            cwd="/",
            env={**os.environ, **_ENVIRONMENT, **environment},
            start_new_session=True,
        )
    running = Job(name=job.tag, process=process, log=log)
    try:
        yield running
    finally:
        for each in running.family():
            with suppress(psutil.NoSuchProcess):
                each.kill()
        process.wait()


def entries(directory: Path) -> list[Path]:
    """Return what is in a directory, also from a coroutine: it is a small one, on this machine."""
    return list(directory.iterdir())


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Return those that have not ended."""
    return [each for each in processes if each.is_running() and _lives(each)]


def _lives(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


@dataclass(slots=True, kw_only=True)
class Stage:
    """A cluster with its scheduler, a client of it, and hosts to come."""

    spec: ClusterSpec
    scheduler: HPCScheduler
    client: Client
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def address(self) -> str:
        """Where the scheduler listens."""
        return str(self.scheduler.address)

    async def host(
        self,
        name: str = "a",
        *,
        end_time: int | None = None,
        environment: Mapping[str, str] = {},
    ) -> Job:
        """Return a new worker host with all its workers connected."""
        job = worker_spec(self.spec, name, end_time=end_time)
        host = self.stack.enter_context(started(job, environment))
        await eventually(lambda: len(self.workers(name)) == self.spec.processes)
        return host

    def starting_host(self, name: str = "a", environment: Mapping[str, str] = {}) -> Job:
        """Return a new worker host that is not there yet."""
        return self.stack.enter_context(started(worker_spec(self.spec, name), environment))

    def scratch(self) -> list[Path]:
        """Return the directories that hosts have on the node."""
        return entries(Path(str(self.spec.local_directory)))

    def change(self, **changes: Any) -> None:
        """Let the hosts to come read another spec."""
        self.spec = replace(self.spec, **changes)
        write_record(ClusterDirectory(self.spec.directory).spec, self.spec)

    def workers(self, host: str = "") -> dict[str, int]:
        """Return the process id of each connected worker, by its name."""
        found = self.scheduler.workers.values()
        return {
            each.name: each.pid
            for each in found
            if not host or ((slot := slot_of(each.name)) and slot.tag == host)
        }

    def running(self, host: str) -> list[str]:
        """Return the names of a host's workers that take tasks."""
        found = self.scheduler.workers.values()
        ours = self.workers(host)
        return [each.name for each in found if each.name in ours and each.status == Status.running]

    def addresses(self, host: str) -> list[str]:
        """Return the addresses of a host's workers."""
        names = self.workers(host)
        return [each.address for each in self.scheduler.workers.values() if each.name in names]

    def busy(self, host: str) -> int:
        """Return how many tasks a host's workers have."""
        names = self.workers(host)
        found = self.scheduler.workers.values()
        return sum(len(each.processing) for each in found if each.name in names)

    def blamed(self) -> int:
        """Return how often a task was suspected to have killed its worker."""
        return sum(prefix.suspicious for prefix in self.scheduler.task_prefixes.values())

    def lost(self) -> list[Any]:
        """Return the events in which results were lost."""
        events = [event for _, event in self.scheduler.get_events("all")]
        keys = ("lost-computed-tasks", "lost-scattered-tasks")
        return [event for event in events if any(event.get(key) for key in keys)]


@asynccontextmanager
async def new_stage(**changes: Any) -> AsyncIterator[Stage]:
    """Give a stage whose scheduler forgives no task the death of a worker."""
    async with AsyncExitStack() as stack:
        spec = stack.enter_context(new_cluster(**changes))
        stack.enter_context(dask.config.set({"distributed.scheduler.allowed-failures": 0}))
        scheduler = await start_scheduler(spec)
        stack.push_async_callback(scheduler.close)
        security = cluster_security(ClusterDirectory(spec.directory).tls, secure=spec.secure)
        client = Client(scheduler.address, security=security, asynchronous=True)
        await stack.enter_async_context(client)
        hosts = await stack.enter_async_context(AsyncExitStack())
        yield Stage(spec=spec, scheduler=scheduler, client=client, stack=hosts)
