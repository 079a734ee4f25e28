"""What keeps JupyterLab beside a scheduler."""

from __future__ import annotations

import asyncio
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dask_hpc._clock import until_now
from dask_hpc._files import make_private_directory
from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.cluster.session import (
    SessionState,
    read_session,
    read_token,
    want_session,
)
from dask_hpc.errors import SessionError
from dask_hpc.jupyter.lab import runs_program, surroundings, words
from dask_hpc.jupyter.session import wait_for_lab
from tests.beds.foreign import foreign_environment
from tests.boot.stage import new_cluster

if TYPE_CHECKING:
    from dask_hpc.cluster.spec import ClusterSpec


async def test_an_environment_without_jupyterlab_is_told_to_who_waits(tmp_path: Path) -> None:
    with new_cluster() as spec:
        directory = ClusterDirectory(spec.directory)
        session = want_session(directory, root=tmp_path)
        token = read_token(session)
        done = await asyncio.to_thread(serve, spec, foreign_environment() / "bin/python")
        assert done.returncode == 1
        found = read_session(directory)
        assert found.state is SessionState.FAILED
        assert found.reason.endswith("has no jupyterlab")
        with pytest.raises(SessionError, match="has failed: the environment") as caught:
            await wait_for_lab(directory, lambda _: None)
        assert "pip install 'dask-hpc[lab]'" in caught.value.hint
        with pytest.raises(SessionError, match="JupyterLab has failed: the environment"):
            read_token(found)
        assert token not in done.stderr
        assert list(directory.jobs.iterdir()) == []


def serve(spec: ClusterSpec, python: Path) -> subprocess.CompletedProcess[str]:
    argv = [str(python), "-m", "dask_hpc.jupyter.server", "--directory", str(spec.directory)]
    environ = {**os.environ, "PYTHONPATH": str(ClusterDirectory(spec.directory).code)}
    return subprocess.run(
        [*argv, "--slot", "boot-x.0"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.fixture
def directory(home: Path) -> ClusterDirectory:
    found = ClusterDirectory(home / "clusters" / "rain")
    make_private_directory(found.path)
    return found


def test_what_it_is_told_is_not_for_the_command_line(
    directory: ClusterDirectory, tmp_path: Path
) -> None:
    session = want_session(directory, root=tmp_path / "gone")
    told = words(session, "secret")
    assert "--IdentityProvider.token=secret" in told
    assert "--KernelManager.transport=ipc" in told
    assert f"--ServerApp.root_dir={Path.home()}" in told  # its own is gone


def test_kernels_learn_of_their_cluster_and_of_no_secret(
    directory: ClusterDirectory, home: Path, tmp_path: Path
) -> None:
    session = want_session(directory, root=tmp_path)
    told = surroundings(directory, replace(session, socket=tmp_path / "lab.sock"))
    assert told["DASK_HPC_CLUSTER"] == "rain"
    assert told["DASK_HPC_HOME"] == str(home)
    assert told["DASK_HPC_JUPYTER"] == f"/{session.room}/"
    assert told["JUPYTER_RUNTIME_DIR"] == str(tmp_path)
    assert read_token(session) not in str(told)


def test_a_program_in_a_terminal_is_use_of_it_and_a_prompt_is_none() -> None:
    terminal = pytest.importorskip("ptyprocess").PtyProcess.spawn(["sh", "-i"])
    try:
        # A shell is its own group in the foreground, from a moment after its start on.
        assert until_now(lambda: not runs_program(terminal), 60)
        terminal.write(b"sleep 1000\n")
        assert until_now(lambda: runs_program(terminal), 60)
        terminal.sendintr()
        assert until_now(lambda: not runs_program(terminal), 60)
    finally:
        terminal.close(force=True)
    assert not runs_program(terminal)
