"""A login node in front of nodes that may not submit, and what is left there afterwards."""

from __future__ import annotations

import json
import secrets
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask_hpc
from tests.integration.places import wait_for
from tests.integration.test_foreign_environment import whoever_can_read_us

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from tests.beds.beds import SlurmBed

SMALL = ("--cores=1", "--memory=500MB", "--walltime=10m")


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """The login node of the separate hosts, for a user whose clusters all begin with ``mark``."""

    bed: SlurmBed
    user: str
    home: Path
    mark: str = field(default_factory=lambda: f"t{secrets.token_hex(2)}")

    def name(self) -> str:
        """Return a new name of a cluster."""
        return f"{self.mark}-{secrets.token_hex(2)}"

    def directory(self, name: str) -> Path:
        """Return the directory of a cluster."""
        return self.home / "clusters" / name

    def run(
        self, *argv: str, host: str = "login", check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on a host."""
        environ = {
            "DASK_HPC_HOME": str(self.home),
            "DASK_HPC__SUBMIT_FROM": "login",
            "PYTHONPATH": str(Path(dask_hpc.__file__).parents[1]),
        }
        return self.bed.run(*argv, host=host, user=self.user, env=environ, check=check, timeout=100)

    def python(self, program: str, *words: str) -> str:
        """Return what a program says that succeeds."""
        return self.run(sys.executable, "-c", program, *words).stdout

    def dask_hpc(self, *words: str, host: str = "login") -> subprocess.CompletedProcess[str]:
        """Run ``dask-hpc``."""
        return self.run(sys.executable, "-m", "dask_hpc.cli.main", *words, host=host, check=False)

    def ask(self, *words: str) -> Any:
        """Return the answer of a command of ``dask-hpc`` that succeeds."""
        done = self.dask_hpc(*words, "--json")
        assert done.returncode == 0, done
        return json.loads(done.stdout)

    def up(self, *words: str) -> str:
        """Return the name of a new cluster that has the workers that were asked for."""
        name = self.name()
        self.ask("up", "slurm", "--name", name, *SMALL, *words)
        return name

    def workers(self, name: str) -> int:
        """Return how many workers a cluster has."""
        return int(self.ask("status", name)["report"]["workers"])

    def jobs(self, name: str = "") -> dict[str, str]:
        """Return the name of each live job by its id."""
        lines = self.run("squeue", "-h", "-r", "-o", "%i %j").stdout.splitlines()
        found = dict(line.split() for line in lines)
        return {job: tag for job, tag in found.items() if tag.startswith(name or self.mark)}

    def processes(self, host: str = "login", *, name: str = "") -> dict[int, str]:
        """Return the command lines of what runs there for a cluster, or for any."""
        lines = self.run("ps", "-ww", "-eo", "pid=,args=", host=host).stdout.splitlines()
        found = dict(line.split(maxsplit=1) for line in lines)
        return {
            int(pid): argv
            for pid, argv in found.items()
            if f"/clusters/{name or self.mark}" in argv
        }

    def kill_jobs(self, name: str) -> None:
        """Kill every process of a cluster's jobs, also the shell that would say so."""
        for host in (f"node{number}" for number in range(1, 5)):
            pids = [str(pid) for pid in self.processes(host, name=name)]
            if pids:
                parents = self.run("ps", "-o", "ppid=", "-p", ",".join(pids), host=host).stdout
                shells = [
                    pid for pid in parents.split() if pid not in pids and self._is_shell(pid, host)
                ]
                self.run("kill", "-9", *sorted({*shells, *pids}), host=host)

    def _is_shell(self, pid: str, host: str) -> bool:
        argv = self.run("ps", "-o", "args=", "-p", pid, host=host, check=False).stdout
        return "slurm_script" in argv

    def left(self) -> list[str]:
        """Say what is left of all clusters."""
        files = self.run("find", str(self.home / "clusters"), "-mindepth", "1", check=False).stdout
        return [*self.jobs(), *self.processes().values(), *files.splitlines()]


@contextmanager
def login_of(bed: SlurmBed) -> Iterator[Login]:
    """Give a login node on which nothing is left afterwards."""
    user = whoever_can_read_us(bed)
    login = Login(bed=bed, user=user, home=bed.directory("home", user=user))
    yield login
    left = login.left()
    if left:
        login.dask_hpc("down", "--all")
        for pid in login.processes():
            login.run("kill", "-9", str(pid), check=False)
        if jobs := login.jobs():
            login.run("scancel", *jobs)
    wait_for(lambda: not login.processes("node1"), what="processes on a node")
    assert not left, left
