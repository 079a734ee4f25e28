"""The SSH bed is what tests of the project take it for."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.beds.beds import USER

if TYPE_CHECKING:
    from tests.beds.beds import SlurmBed, SshBed


@pytest.mark.parametrize("host", ["login", "inner"])
def test_a_key_opens_a_shell(sshd: SshBed, host: str) -> None:
    assert sshd.run(host, "id", "-un").stdout.strip() == USER


def test_the_gate_only_forwards(sshd: SshBed) -> None:
    done = sshd.run("gate", "id", "-un")
    assert done.returncode == 1
    assert "no shell here" in done.stdout


def test_the_second_factor_is_asked_for(sshd: SshBed) -> None:
    command = ["ssh", "-F", str(sshd.config()), "login-2fa", "id", "-un"]
    refused = subprocess.run(
        [*command[:1], "-oBatchMode=yes", *command[1:]], capture_output=True, check=False
    )
    assert refused.returncode == 255
    done = subprocess.run(
        command,
        env={**os.environ, **sshd.answers},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == USER


def test_the_plain_slurm_is_found_behind_ssh(sshd: SshBed, slurm: SlurmBed) -> None:
    assert slurm.run("sinfo", "-h").stdout == sshd.run("login", "sinfo", "-h").stdout


@pytest.mark.parametrize("host", ["netlogin", "node2"])
def test_separate_hosts_are_reached_by_ssh(slurm_net: SlurmBed, sshd: SshBed, host: str) -> None:
    name = host.removeprefix("net")
    assert sshd.run(host, "hostname").stdout.strip() == name
