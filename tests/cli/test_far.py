"""Clusters on a site that ssh reaches: started, seen and ended from a laptop."""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from dask_hpc.remote.far import far_clusters
from dask_hpc.remote.master import socket_of
from dask_hpc.sites import profile
from dask_hpc.sites.write import write_profile
from tests.integration.places import PROGRAM
from tests.remote.laptop import site_there

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.beds.beds import SlurmBed
    from tests.remote.laptop import Laptop

SMALL = ("--cores=1", "--memory=500MB", "--walltime=10m")


@pytest.fixture
def site(laptop: Laptop, slurm: SlurmBed, home: Path) -> Iterator[str]:
    """A profile on the laptop, of the site behind two factors."""
    del laptop, home
    with site_there("login-2fa", slurm) as name:
        yield name


def asked(*words: str) -> Any:
    """Return what a command says that succeeds."""
    done = dask_hpc(*words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def dask_hpc(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *words], capture_output=True, text=True, check=False, timeout=100
    )


def test_a_cluster_there_is_started_seen_and_ended_with_one_login(
    site: str, laptop: Laptop
) -> None:
    name = f"far-{secrets.token_hex(2)}"
    done = dask_hpc("up", site, "--name", name, "--jobs=1", *SMALL)
    assert done.returncode == 0, done.stderr
    assert "scheduler job" in done.stderr
    assert laptop.prompts == 2
    status = asked("status", name)
    assert (status["state"], status["report"]["workers"]) == ("running", 1)
    assert dask_hpc("scale", name, "2").returncode == 0
    assert "2 wanted" in dask_hpc("why", name).stdout
    (listed,) = asked("ls")
    assert (listed["name"], listed["site"], listed["state"]) == (name, site, "running")
    assert name in dask_hpc("ls").stdout
    ended = dask_hpc("down", name)
    assert (ended.returncode, ended.stdout) == (0, f"{name} is gone\n"), ended.stderr
    assert laptop.prompts == 2
    assert far_clusters() == ()
    assert not socket_of("login-2fa").exists()
    assert dask_hpc("status", name).returncode == 1


def test_the_profile_here_counts_there(site: str) -> None:
    done = dask_hpc("up", site, "--dry-run", *SMALL)
    assert done.returncode == 0, done.stderr
    assert "  echo told from afar" not in done.stdout
    assert "echo told from afar\n" in done.stdout
    assert "/it\\'s" in done.stdout
    assert far_clusters() == ()


def test_another_laptop_finds_it_by_its_site_and_ends_it(site: str, home: Path) -> None:
    name = f"far-{secrets.token_hex(2)}"
    done = dask_hpc("up", site, "--name", name, "--detach", *SMALL)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(home / "far")  # this one knows nothing of it
    assert dask_hpc("status", name).returncode == 1
    (listed,) = asked("ls", site)
    assert listed["name"] == name
    ended = dask_hpc("down", f"{name}@{site}")
    assert (ended.returncode, ended.stdout) == (0, f"{name} is gone\n"), ended.stderr


@pytest.mark.usefixtures("laptop")
def test_what_fails_there_is_said_here_and_nothing_is_remembered(site: str) -> None:
    done = dask_hpc("up", site, "--queue", "nowhere", "--detach", *SMALL)
    assert done.returncode == 1
    assert "nowhere" in done.stderr
    assert far_clusters() == ()
    done = dask_hpc("up", "alpin")
    assert done.returncode == 1
    assert "did you mean 'alpine'?" in done.stderr


@pytest.mark.usefixtures("laptop")
def test_a_site_without_dask_hpc_there_is_told() -> None:
    path = write_profile("bare", "system: slurm\nhost: login\n")
    done = dask_hpc("up", "bare")
    assert done.returncode == 1
    assert "site 'bare' does not say where dask-hpc is on login" in done.stderr
    assert f'write "command: PATH" in {path}' in done.stderr
    assert profile.find("bare").settings.command is None
