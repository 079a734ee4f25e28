"""A laptop whose ssh knows the servers of the bed, and how often it was asked something."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dask_hpc.remote.master import disconnect
from dask_hpc.sites.write import write_profile
from tests.beds.beds import CHECKOUT, USER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.beds.beds import SlurmBed, SshBed

HOSTS = ("login", "login-2fa", "inner", "netlogin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Laptop:
    """Programs, state and configuration of a user elsewhere. ``environ`` is what has to be set."""

    place: Path
    environ: dict[str, str]

    @property
    def prompts(self) -> int:
        """How often ssh has asked."""
        asked = self.place / "asked"
        return len(asked.read_text().splitlines()) if asked.exists() else 0

    def disconnect(self) -> None:
        """End the connections that its programs share."""
        for host in HOSTS:
            disconnect(host)


def make_laptop(place: Path, bed: SshBed) -> Laptop:
    """Return a laptop in a directory with a short path: ssh listens at a socket there."""
    ssh = shutil.which("ssh")
    write_program(place / "bin" / "ssh", f'exec {ssh} -F "{bed.config()}" "$@"')
    answer = bed.answers["SSH_ASKPASS"]
    write_program(place / "askpass", f'echo "$1" >>"{place}/asked"; exec "{answer}" "$@"')
    (place / "run").mkdir(mode=0o700)
    environ = {
        "PATH": f"{place / 'bin'}:{os.environ['PATH']}",
        "XDG_RUNTIME_DIR": str(place / "run"),
        "XDG_CONFIG_HOME": str(place / "config"),
        "SSH_ASKPASS": str(place / "askpass"),
        "SSH_ASKPASS_REQUIRE": "force",
    }
    return Laptop(place=place, environ=environ)


@contextmanager
def site_there(host: str, slurm: SlurmBed) -> Iterator[str]:
    """Write the profile of a site where dask-hpc is, with state of the test's own; give its name.

    Nothing of a job may be left there at the end.
    """
    there = Path(tempfile.mkdtemp(prefix="dh", dir="/tmp"))
    shutil.chown(there, USER)
    program = CHECKOUT / ".venv" / "bin" / "dask-hpc"
    write_program(
        there / "dask-hpc",
        f"export DASK_HPC_HOME={there}/state SLURM_CONF={os.environ['SLURM_CONF']}\n"
        f"cd {there}\n"
        f'exec {program} "$@"',
        mode=0o755,
    )
    write_profile(
        "alpine",
        f"system: slurm\nhost: {host}\ncommand: {there}/dask-hpc\nprocesses: 1\n"
        f"prologue: |\n  echo told from afar\n  touch {there}/it\\'s\n",
    )
    yield "alpine"
    jobs = slurm.run("squeue", "--noheader", "--user", USER, "--format=%i %j %T").stdout
    slurm.run("scancel", "--user", USER)
    left = [path.name for path in there.glob("state/clusters/*")]
    shutil.rmtree(there, ignore_errors=True)
    assert not left
    assert not [line for line in jobs.splitlines() if "COMPLETING" not in line]


def write_program(path: Path, text: str, *, mode: int = 0o700) -> None:
    """Write a program of the shell."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(mode)
