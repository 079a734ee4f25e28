"""Sites of several nodes: who calls ``dask-hpc run`` there, and what is left of it anywhere."""

from __future__ import annotations

import secrets
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import dask_hpc
from dask_hpc._clock import until_now
from tests.beds.beds import USER, OarBed, SgeBed, SlurmBed
from tests.integration.own_beds import own_sge, own_slurm
from tests.integration.places import PROGRAM
from tests.integration.test_foreign_environment import whoever_can_read_us

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

_PATIENCE = 60.0  # seconds that a system may take to forget a job that has ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A system, who uses it, and where that user keeps things; ``nodes`` as its jobs know them.

    A run asks for all nodes, with two cores and two workers on each.
    """

    name: str
    bed: SlurmBed | SgeBed | OarBed
    user: str
    place: Path
    nodes: tuple[str, ...]
    options: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict)

    @property
    def size(self) -> tuple[str, ...]:
        """What a run asks for."""
        each = ("--cores=2", "--processes=2", "--memory=800MB", "--walltime=10m")
        return (f"--site={self.name}", f"--nodes={len(self.nodes)}", *each, *self.options)

    @property
    def workers(self) -> int:
        """How many come: one is left out for the scheduler and the script."""
        return 2 * len(self.nodes) - 1

    def run(
        self, *words: str | Path, name: str, program: tuple[str, ...] = (*PROGRAM, "run")
    ) -> subprocess.CompletedProcess[str]:
        """Call ``dask-hpc run`` on the login node and wait for its end."""
        environ = {
            "DASK_HPC_HOME": str(self.place / "home"),
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "PYTHONPATH": str(Path(dask_hpc.__file__).parents[1]),
            **self.environ,
        }
        argv = (*program, *self.size, "--name", name, *words)
        return self.bed.run(
            *argv, user=self.user, cwd=self.place, env=environ, timeout=180, check=False
        )

    def new_name(self) -> str:
        """Return a name for a run; Grid Engine's listing shows ten characters of a job's."""
        return f"r{secrets.token_hex(3)}"

    def script(self, text: str) -> Path:
        """Return a program that all hosts see."""
        path = self.place / f"{secrets.token_hex(4)}.py"
        self.bed.run("tee", path, user=self.user, stdin=text)
        return path

    def without_node(self, node: str) -> AbstractContextManager[None]:
        """Power a node off for a while; nobody is told."""
        return self.bed.without_node(self.nodes.index(node) + 1)

    def left(self, name: str) -> list[str]:
        """Say what is left of a run: processes on any host, files but its logs, jobs.

        Nothing of ours is there when its command has come back; the batch system may take a while
        to forget the job.
        """
        mark = f"/clusters/{name}"
        # Who looks is not what is looked for.
        look = f"pgrep -af '{mark[:-1]}[{mark[-1]}]' || :"
        seen = [self.bed.run("bash", "-c", look, host=host).stdout for host in self._hosts()]
        clusters = self.place / "home" / "clusters"
        found = [*filter(None, seen), *map(str, clusters.glob("*"))]
        until_now(lambda: not self._jobs(name), _PATIENCE, every=0.5)
        return [*found, *self._jobs(name)]

    def _jobs(self, name: str) -> list[str]:
        return [job for job in self.bed.jobs() if f"{name}-" in job]

    def _hosts(self) -> list[str]:
        """Return the hosts that are there."""
        if not self.bed.separate:
            return ["login"]
        known = ("login", *self.nodes)
        codes = [self.bed.run("true", host=host, check=False).returncode for host in known]
        return [host for host, code in zip(known, codes, strict=True) if code == 0]


@contextmanager
def slurm_site() -> Iterator[Site]:
    """Give a Slurm of separate hosts with two networks."""
    with own_slurm(separate=True) as bed:
        user = whoever_can_read_us(bed)
        yield Site(
            name="slurm",
            bed=bed,
            user=user,
            place=bed.directory("run", user=user),
            nodes=("node1", "node2", "node3", "node4"),
            options=("--interface=ib0",),
        )


@contextmanager
def sge_site() -> Iterator[Site]:
    """Give a Grid Engine of separate hosts."""
    with own_sge() as bed:
        user = whoever_can_read_us(bed)
        yield Site(
            name="sge",
            bed=bed,
            user=user,
            place=bed.directory("run", user=user),
            nodes=("node1", "node2", "node3"),
            environ={"DASK_HPC__FACTS": "{'pe_nodes': 'each{cores}'}"},
        )


def oar_site(bed: OarBed) -> Site:
    """Return an OAR whose nodes are two addresses of this machine.

    Each has an sshd and a PID namespace of its own: what it takes along when it is powered off is
    every process that runs there, and oarsh does not reach it any more.
    """
    if whoever_can_read_us(bed) != USER:
        pytest.skip("users of the bed may not read this checkout or its Python")
    return Site(
        name="oar",
        bed=bed,
        user=USER,
        place=bed.directory("run"),
        nodes=("127.0.0.11", "127.0.0.12"),
    )
