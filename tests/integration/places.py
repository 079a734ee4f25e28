"""Sites with real jobs and what is seen of them from outside: queue, processes, files."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
from abc import ABC, abstractmethod
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from click.testing import CliRunner

from dask_hpc._clock import until_now
from dask_hpc._hosts import host_name
from dask_hpc.cli.main import cli
from dask_hpc.localqueue.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

SITES = [pytest.param("local"), pytest.param("slurm", marks=pytest.mark.bed("slurm"))]
PROGRAM = (sys.executable, "-m", "dask_hpc.cli.main")

_QUEUE = (sys.executable, "-m", "dask_hpc.localqueue")
_PATIENCE = 60.0
_ENDED = {
    *("done", "failed", "cancelled", "timed-out", "lost"),
    *("completed", "timeout", "out_of_memory", "node_fail", "preempted", "boot_fail"),
}


def wait_for(
    condition: Callable[[], object], seconds: float = _PATIENCE, *, what: str = ""
) -> None:
    """Fail unless a condition holds in time."""
    assert until_now(lambda: bool(condition()), seconds, every=0.05), what or condition


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as its batch system shows it."""

    id: str
    tag: str
    state: str

    @property
    def is_live(self) -> bool:
        """Whether it is not known to have ended."""
        return self.state not in _ENDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Place(ABC):
    """A site, and a private home for its clusters; every name of a cluster begins with ``mark``."""

    site: str
    home: Path
    mark: str = field(default_factory=lambda: f"t{secrets.token_hex(2)}")

    @property
    def environ(self) -> dict[str, str]:
        """What a process needs in its environment to find this place and no other settings."""
        return {
            "DASK_HPC_HOME": str(self.home),
            "DASK_HPC__LOCAL__CORES": "16",
            "DASK_HPC__LOCAL__MEMORY": "64GB",
            "DASK_HPC__LOCAL__GRACE": "3",
            "DASK_HPC__LOCAL__IDLE": "120",
            "XDG_CONFIG_HOME": str(self.home / "config"),
        }

    @property
    def small(self) -> dict[str, Any]:
        """Keywords of a cluster whose jobs bring two workers each."""
        size = {"cores": 2, "processes": 2, "memory": "600MB", "walltime": "10m"}
        return {"site": self.site, **size}

    @property
    @abstractmethod
    def one_at_a_time(self) -> dict[str, Any]:
        """Keywords of a cluster of which only one job can run, and all others wait."""

    @property
    def small_options(self) -> tuple[str, ...]:
        """The same for a command line."""
        return (self.site, *(f"--{key}={value}" for key, value in list(self.small.items())[1:]))

    def name(self) -> str:
        """Return a new name of a cluster."""
        return f"{self.mark}-{secrets.token_hex(2)}"

    def directory(self, name: str) -> Path:
        """Return the directory of a cluster."""
        return self.home / "clusters" / name

    # programs ------------------------------------------------------------------------------------

    def start(self, *argv: str, **options: Any) -> subprocess.Popen[str]:
        """Start a program that finds this place."""
        environ = {**os.environ, **self.environ, **options.pop("env", {})}
        streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(argv, env=environ, text=True, **{**streams, **options})

    def python(self, program: str, *words: str, **options: Any) -> subprocess.Popen[str]:
        """Start a Python program."""
        return self.start(sys.executable, "-c", program, *words, **options)

    def dask_hpc(
        self, *words: str, env: Mapping[str, str] = {}, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run ``dask-hpc`` to its end."""
        with self.start(*PROGRAM, *words, env=dict(env), stdin=subprocess.DEVNULL) as process:
            try:
                out, err = process.communicate(timeout=timeout)
            except BaseException:
                process.kill()
                raise
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def ask(self, *words: str) -> Any:
        """Return the answer of a command of ``dask-hpc`` that succeeds, as JSON.

        It runs in this process: half a second less for each, where the program is not the matter.
        """
        done = CliRunner().invoke(cli, [*words, "--json"], env=self.environ)
        assert done.exit_code == 0, (words, done.output, done.exception)
        return json.loads(done.stdout)

    # jobs ----------------------------------------------------------------------------------------

    @abstractmethod
    def all_jobs(self) -> list[Job]:
        """Return what the queue shows, with those that ended in the last minutes."""

    @abstractmethod
    def cancel(self, *ids: str) -> None:
        """Cancel jobs behind the back of whoever submitted them."""

    @abstractmethod
    def script(self, job: str) -> str:
        """Return the script of a live job, as the batch system has it."""

    def jobs(self, name: str = "") -> list[Job]:
        """Return the jobs of a cluster, or of all clusters of this place."""
        return [job for job in self.all_jobs() if job.tag.startswith(name or self.mark)]

    def live_jobs(self, name: str = "") -> list[Job]:
        """Return those that have not ended."""
        return [job for job in self.jobs(name) if job.is_live]

    # what is left --------------------------------------------------------------------------------

    def processes(self) -> list[psutil.Process]:
        """Return every process that was started for a cluster of this place."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.status() != psutil.STATUS_ZOMBIE and self._is_ours(process):
                    found.append(process)
        return found

    def _is_ours(self, process: psutil.Process) -> bool:
        # Not the local queue's daemon, which belongs to no cluster.
        return process.environ().get("DASK_HPC_HOME") == str(self.home)

    def left(self, name: str = "") -> list[str]:
        """Say what is left of a cluster, or of all that ever were."""
        clusters = self.home / "clusters"
        paths = [self.directory(name)] if name else [*clusters.glob("*")]
        mark = f"/clusters/{name}" if name else ""
        return [
            *(f"job {job.id} {job.state}" for job in self.live_jobs(name)),
            *(f"process {words}" for words in map(_words, self.processes()) if mark in words),
            *(f"file {path}" for path in paths if path.exists()),
        ]

    def clean(self) -> list[str]:
        """End everything, and say what there was to end."""
        until_now(lambda: not self.left(), 30, every=0.2)
        left = self.left()
        if left:
            self.dask_hpc("down", "--all")
            self.cancel(*(job.id for job in self.live_jobs()))
            for process in self.processes():
                with suppress(psutil.Error):
                    process.kill()
        self.stop()
        return left

    @abstractmethod
    def stop(self) -> None:
        """End what belongs to no cluster."""


class LocalPlace(Place):
    """The queue that is embedded in dask-hpc."""

    @property
    def one_at_a_time(self) -> dict[str, Any]:
        """Ask for more than half of the cores."""
        return {**self.small, "cores": 9}

    @property
    def queue_directory(self) -> Path:
        """Where the queue keeps its state."""
        return self.home / "localqueue" / host_name()

    @property
    def daemon(self) -> int:
        """The process that serves the queue."""
        return int(json.loads((self.queue_directory / "daemon.json").read_text())["pid"])

    def all_jobs(self) -> list[Job]:
        """Ask the queue."""
        jobs = self._ask("status")["jobs"]
        return [Job(id=job["id"], tag=job["tag"], state=job["state"]) for job in jobs]

    def cancel(self, *ids: str) -> None:
        """Tell the queue."""
        if ids:
            self._ask("cancel", *ids)

    def script(self, job: str) -> str:
        """Read it where the queue keeps it."""
        with Store(self.queue_directory / "queue.db") as store:
            submission = store.submission(int(job.partition("_")[0]))
        assert submission is not None
        return submission.script

    def stop(self) -> None:
        """End the daemon."""
        if self.queue_directory.is_dir():
            self._run("stop")

    def _ask(self, *words: str) -> Any:
        done = self._run(*words)
        assert done.returncode == 0, done
        return json.loads(done.stdout)

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*_QUEUE, *words],
            env={**os.environ, **self.environ},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )


class SlurmPlace(Place):
    """The Slurm of the plain bed."""

    @property
    def one_at_a_time(self) -> dict[str, Any]:
        """Ask for one node, alone."""
        return {**self.small, "directives": ["--exclusive", "--nodelist=node1"]}

    def all_jobs(self) -> list[Job]:
        """Ask squeue."""
        lines = run("squeue", "-h", "-r", "-t", "all", "-o", "%i|%j|%T").splitlines()
        cells = (line.split("|") for line in lines)
        return [Job(id=job, tag=tag, state=state.lower()) for job, tag, state in cells]

    def cancel(self, *ids: str) -> None:
        """Call scancel."""
        if ids:
            run("scancel", *ids)

    def script(self, job: str) -> str:
        """Ask scontrol."""
        return run("scontrol", "write", "batch_script", job, "-")

    def stop(self) -> None:
        """Leave the bed to its session."""


def run(*argv: str) -> str:
    """Return what a command said that succeeds."""
    return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=True).stdout


@contextmanager
def place_at(request: pytest.FixtureRequest, site: str, *, parent: str = "/tmp") -> Iterator[Place]:
    """Give a place at a site, in which nothing is left afterwards; its home is below ``parent``."""
    kind: type[Place] = LocalPlace
    if site == "slurm":
        request.getfixturevalue("slurm")
        kind = SlurmPlace
    with (
        tempfile.TemporaryDirectory(prefix="dh", dir=parent) as home,
        pytest.MonkeyPatch.context() as patch,
    ):
        found = kind(site=site, home=Path(home))
        for name, value in found.environ.items():
            patch.setenv(name, value)
        yield found
        left = found.clean()
    assert not left, left


@pytest.fixture(scope="module", params=SITES)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """A site with real jobs, for the tests of a module."""
    with place_at(request, request.param) as found:
        yield found


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A detached cluster of one job with two workers, that nobody changes."""

    place: Place
    name: str


@contextmanager
def _elsewhere() -> Iterator[Place]:
    """Give a place on the local queue that this process itself does not look at."""
    with tempfile.TemporaryDirectory(prefix="dh", dir="/tmp") as home:
        place = LocalPlace(site="local", home=Path(home))
        yield place
        left = place.clean()
    assert not left, left


@pytest.fixture(scope="session")
def local_place() -> Iterator[Place]:
    """A place on the local queue for programs that tests start."""
    with _elsewhere() as place:
        yield place


@pytest.fixture(scope="session")
def standing() -> Iterator[Standing]:
    """A cluster on the local queue for all tests to look at: its jobs are 1 and 2."""
    with _elsewhere() as place:
        name = place.name()
        place.ask("up", *place.small_options, "--name", name, "--workers", "2")
        yield Standing(place=place, name=name)
        place.ask("down", name)


def untagged(script: str) -> str:
    """Return a job script without what is new in every submission."""
    return re.sub(r"(t[0-9a-f]{4}-[0-9a-f]{4})-[a-z0-9]{8}", r"\1", script).strip()


def _words(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return f"{process.pid}"
