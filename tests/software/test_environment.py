"""What a name of an environment stands for."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from dask_hpc.errors import ConfigError
from dask_hpc.software.environment import Environment, resolve

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def venv(weird_path: Path) -> Path:
    """Something like a virtual environment, whose python is a link out of it."""
    (weird_path / "bin").mkdir()
    (weird_path / "bin" / "python").symlink_to(sys.executable)
    return weird_path


def test_no_name_is_the_interpreter_that_runs_this() -> None:
    assert resolve(None) == Environment(python=sys.executable)


def test_a_directory_is_its_python_and_the_link_is_not_followed(venv: Path) -> None:
    assert resolve(str(venv)) == Environment(python=str(venv / "bin" / "python"))


def test_a_path_may_be_the_interpreter_itself(venv: Path) -> None:
    python = str(venv / "bin" / "python")
    assert resolve(python) == Environment(python=python)


def test_a_path_may_be_relative_to_here_or_to_the_home_directory(
    venv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = str(venv / "bin" / "python")
    monkeypatch.chdir(venv.parent)
    assert resolve(venv.name).python == python
    monkeypatch.setenv("HOME", str(venv.parent))
    assert resolve(f"~/{venv.name}").python == python


def test_a_directory_without_an_interpreter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(str(tmp_path))
    assert str(caught.value) == f"env {str(tmp_path)!r}: no interpreter at {tmp_path}/bin/python"
    assert caught.value.hint == "give the directory of an environment, or the path of a python"


def test_a_file_that_cannot_be_executed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "python"
    path.write_text("")
    with pytest.raises(ConfigError, match=f"^env '{path}': no interpreter at {path}$"):
        resolve(str(path))


def test_a_name_that_is_nowhere_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^env 'climate': no such directory or interpreter$"):
        resolve("climate")
