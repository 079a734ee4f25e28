"""Places for profiles that are not those of whoever runs the tests."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

import pytest

from dask_hpc._envvars import SETTING_PREFIX
from dask_hpc.sites import profile


class WriteProfile(Protocol):
    """Writes a profile into one of the places."""

    def __call__(self, name: str, text: str) -> Path:
        """Return its path."""


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings of whoever runs the tests."""
    for name in [name for name in os.environ if name.startswith(SETTING_PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def users(tmp_path: Path) -> WriteProfile:
    """Writes a profile of the user's."""
    directory = tmp_path / "config" / "dask-hpc"
    directory.mkdir(parents=True)

    def write(name: str, text: str) -> Path:
        path = directory / f"{name}.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, ...]:
    """Our own profiles, and empty places for the system's and the user's."""
    system, user = tmp_path / "etc", tmp_path / "user"
    system.mkdir()
    user.mkdir()
    return (profile.directories()[0], system, user)


@pytest.fixture
def recordings() -> Path:
    """What real batch systems said."""
    return Path(__file__).parents[1] / "recordings"
