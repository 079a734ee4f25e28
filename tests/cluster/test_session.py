"""What is written down of a Jupyter session."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from dask_hpc._files import make_private_directory
from dask_hpc.cluster.directory import ClusterDirectory, directory_of
from dask_hpc.cluster.session import (
    SessionState,
    find_session,
    last_use,
    note_use,
    read_session,
    read_token,
    want_session,
)
from dask_hpc.errors import ClusterNotFound, SessionError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def directory(home: Path) -> ClusterDirectory:
    found = ClusterDirectory(home / "clusters" / "rain")
    make_private_directory(found.path)
    return found


def test_one_that_is_wanted_is_read_again(directory: ClusterDirectory, tmp_path: Path) -> None:
    assert find_session(directory) is None
    wanted = want_session(directory, root=tmp_path)
    assert read_session(directory) == find_session(directory) == wanted
    assert wanted.state is SessionState.WANTED
    assert wanted.room.startswith("rain-")
    assert len(read_token(wanted)) > 40
    for path in (directory.session, wanted.token_file):
        assert path.stat().st_mode & 0o777 == 0o600
    assert read_token(wanted) not in directory.session.read_text()


def test_each_has_a_room_and_a_token_of_its_own(
    directory: ClusterDirectory, tmp_path: Path
) -> None:
    first = want_session(directory, root=tmp_path)
    token = read_token(first)
    second = want_session(directory, root=tmp_path)
    assert (first.room, token) != (second.room, read_token(second))
    assert token != read_token(second)


def test_one_that_is_not_there_is_told(directory: ClusterDirectory, tmp_path: Path) -> None:
    with pytest.raises(SessionError, match="'rain' was started without JupyterLab"):
        read_session(directory)
    with pytest.raises(ClusterNotFound):
        read_session(directory_of("snow"))
    session = want_session(directory, root=tmp_path)
    session.token_file.unlink()
    with pytest.raises(SessionError, match="its token is gone"):
        read_token(session)


def test_the_last_use_is_as_old_as_it_was_said(directory: ClusterDirectory) -> None:
    assert last_use(directory) == 0.0
    now = time.time()
    note_use(directory, now - 100)
    assert last_use(directory) == pytest.approx(now - 100, abs=0.01)
