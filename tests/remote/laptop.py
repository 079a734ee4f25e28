"""A laptop whose ssh knows the servers of the bed, and how often it was asked something."""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dask_hpc.remote.master import disconnect

if TYPE_CHECKING:
    from pathlib import Path

    from tests.beds.beds import SshBed

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
    _write(place / "bin" / "ssh", f'exec {ssh} -F "{bed.config()}" "$@"')
    answer = bed.answers["SSH_ASKPASS"]
    _write(place / "askpass", f'echo "$1" >>"{place}/asked"; exec "{answer}" "$@"')
    (place / "run").mkdir(mode=0o700)
    environ = {
        "PATH": f"{place / 'bin'}:{os.environ['PATH']}",
        "XDG_RUNTIME_DIR": str(place / "run"),
        "XDG_CONFIG_HOME": str(place / "config"),
        "SSH_ASKPASS": str(place / "askpass"),
        "SSH_ASKPASS_REQUIRE": "force",
    }
    return Laptop(place=place, environ=environ)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
