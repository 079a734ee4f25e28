"""What a name of an environment stands for."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from dask_hpc.errors import ConfigError
from dask_hpc.software.activate import activation
from dask_hpc.software.environment import Environment, resolve


@pytest.fixture
def venv(weird_path: Path) -> Path:
    """Something like a virtual environment, whose python is a link out of it."""
    (weird_path / "bin").mkdir()
    (weird_path / "bin" / "python").symlink_to(sys.executable)
    return weird_path


def test_no_name_is_the_interpreter_that_runs_this() -> None:
    assert resolve(None).python == sys.executable
    assert resolve(None).prologue == activation(Path(sys.prefix))


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
    assert caught.value.hint.startswith("give the directory of an environment, the path of a")


def test_a_file_that_cannot_be_executed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "python"
    path.write_text("")
    with pytest.raises(ConfigError, match=f"^env '{path}': no interpreter at {path}$"):
        resolve(str(path))


def test_a_name_that_is_nowhere_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^env 'climate': no such directory, interpreter or"):
        resolve("climate")


def test_a_name_may_be_that_of_a_conda_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = tmp_path / "envs" / "climate"
    (prefix / "conda-meta").mkdir(parents=True)
    (prefix / "bin").mkdir()
    (prefix / "bin" / "python").symlink_to(sys.executable)
    monkeypatch.setenv("CONDA_ENVS_PATH", str(tmp_path / "envs"))
    found = resolve("climate")
    assert found.python == str(prefix / "bin" / "python")
    assert found.prologue == activation(prefix)


def test_modules_bring_a_python_of_their_own() -> None:
    found = resolve("module:python/3.11")
    assert found.python == "python"
    assert found.prologue[-1] == "module load python/3.11"
    assert not found.is_here


def test_a_container_is_entered_first(tmp_path: Path) -> None:
    found = resolve("apptainer:/images/a.sif", directory=tmp_path, gpus=True)
    assert found.wrapper == ("apptainer", "exec", "--nv", "/images/a.sif")
    assert found.python == "python3"
    assert not found.is_here
