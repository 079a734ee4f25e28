"""What is added from outside is found by its name, without asking the caller to know where."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dask_hpc import plugins
from dask_hpc.batch.system import BatchSystem
from dask_hpc.errors import ConfigError
from dask_hpc.plugins import BATCH_SYSTEMS

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a package that adds a batch system, and one with the name of ours."""
    information = tmp_path / "somebodys-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Name: somebodys\nVersion: 1.0\n", encoding="utf-8")
    (information / "entry_points.txt").write_text(
        f"[{BATCH_SYSTEMS}]\nabacus = somebodys_abacus:Abacus\nslurm = somebodys_abacus:Abacus\n",
        encoding="utf-8",
    )
    (tmp_path / "somebodys_abacus.py").write_text("class Abacus: ...\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize("name", plugins.names(BATCH_SYSTEMS))
def test_every_batch_system_of_our_own_can_be_loaded(name: str) -> None:
    system = plugins.load(BATCH_SYSTEMS, name)
    assert issubclass(system, BatchSystem)
    assert system.name == name


@pytest.mark.usefixtures("installed")
def test_a_batch_system_of_another_package_is_found() -> None:
    assert "abacus" in plugins.names(BATCH_SYSTEMS)
    assert plugins.load(BATCH_SYSTEMS, "abacus").__name__ == "Abacus"


@pytest.mark.usefixtures("installed")
def test_our_own_comes_first_and_is_listed_once() -> None:
    assert plugins.names(BATCH_SYSTEMS).count("slurm") == 1
    assert plugins.load(BATCH_SYSTEMS, "slurm").__module__ == "dask_hpc.batch.slurm"


def test_names_are_in_alphabetical_order() -> None:
    assert list(plugins.names(BATCH_SYSTEMS)) == sorted(plugins.names(BATCH_SYSTEMS))


def test_a_name_with_an_error_in_it_gets_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match="batch system 'slrum' is unknown") as caught:
        plugins.load(BATCH_SYSTEMS, "slrum")
    assert caught.value.hint == "did you mean 'slurm'?"


def test_a_name_like_no_other_gets_them_all() -> None:
    with pytest.raises(ConfigError) as caught:
        plugins.load(BATCH_SYSTEMS, "zzz")
    assert caught.value.hint == "known are: " + ", ".join(plugins.names(BATCH_SYSTEMS))
