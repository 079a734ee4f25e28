"""Environments of conda are found by name where conda has them, and activated without it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from dask_hpc.software.activate import activation
from dask_hpc.software.conda import find

if TYPE_CHECKING:
    from pathlib import Path


def made(prefix: Path) -> Path:
    (prefix / "conda-meta").mkdir(parents=True)
    return prefix


@pytest.mark.parametrize(
    ("place", "variable"),
    [
        ("envs/ocean", {"CONDA_ENVS_PATH": "{here}/none:{here}/envs"}),
        ("root/envs/ocean", {"CONDA_EXE": "{here}/root/bin/conda"}),
        ("root/envs/ocean", {"MAMBA_ROOT_PREFIX": "{here}/root"}),
        ("miniforge3/envs/ocean", {}),
        (".conda/envs/ocean", {}),
    ],
)
def test_an_environment_is_found_by_its_name(
    place: str, variable: dict[str, str], tmp_path: Path
) -> None:
    prefix = made(tmp_path / place)
    environ = {name: value.format(here=tmp_path) for name, value in variable.items()}
    assert find("ocean", environ={"HOME": str(tmp_path), **environ}) == prefix
    assert find("lake", environ={"HOME": str(tmp_path), **environ}) is None


def test_base_is_the_root(tmp_path: Path) -> None:
    made(tmp_path / "root")
    environ = {"CONDA_EXE": f"{tmp_path}/root/bin/conda", "HOME": "/nowhere"}
    assert find("base", environ=environ) == tmp_path / "root"


def test_the_list_of_conda_is_read(tmp_path: Path) -> None:
    prefix = made(tmp_path / "projects" / "ocean")
    (tmp_path / ".conda").mkdir()
    (tmp_path / ".conda" / "environments.txt").write_text(f"/gone/ocean\n{prefix}\n")
    assert find("ocean", environ={"HOME": str(tmp_path)}) == prefix


@pytest.mark.parametrize("name", ["", "a/b", "../x"])
def test_a_path_is_no_name(name: str, tmp_path: Path) -> None:
    assert find(name, environ={"HOME": str(tmp_path)}) is None


def ran(lines: tuple[str, ...], *words: str) -> list[str]:
    script = "\n".join([*lines, f'printf "%s\\n" {" ".join(words)}'])
    done = subprocess.run(
        ["bash", "-euc", script],
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def test_scripts_of_packages_are_run(weird_path: Path) -> None:
    prefix = made(weird_path / "env")
    scripts = prefix / "etc" / "conda" / "activate.d"
    scripts.mkdir(parents=True)
    (scripts / "gdal.sh").write_text('export GDAL_DATA="$CONDA_PREFIX/share/gdal"\n')
    found = ran(activation(prefix), '"$GDAL_DATA"', '"$PATH"')
    assert found == [f"{prefix}/share/gdal", f"{prefix}/bin:/usr/bin:/bin"]


def test_without_scripts_nothing_is_run(weird_path: Path) -> None:
    prefix = made(weird_path / "env")
    assert ran(activation(prefix), '"$CONDA_PREFIX"') == [str(prefix)]


def test_a_venv_is_activated(weird_path: Path) -> None:
    (weird_path / "pyvenv.cfg").touch()
    assert ran(activation(weird_path), '"$VIRTUAL_ENV"') == [str(weird_path)]


def test_what_is_no_environment_is_not_activated(tmp_path: Path) -> None:
    assert activation(tmp_path) == ()
