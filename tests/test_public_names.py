"""What ``import dask_hpc`` gives, and what it does not do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import dask_hpc


def _run(code: str, cwd: Path) -> str:
    environ = {**os.environ, "HOME": str(cwd), "XDG_STATE_HOME": str(cwd / "state")}
    environ.pop("DASK_HPC_HOME", None)
    environ["PYTHONPATH"] = str(Path(dask_hpc.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr
    return done.stdout.strip()


def test_the_names_are_the_promised_ones() -> None:
    assert {"HPCCluster", "clusters", "__version__"} <= set(dask_hpc.__all__)
    assert set(dask_hpc.__all__) <= set(dir(dask_hpc))


@pytest.mark.parametrize("name", dask_hpc.__all__)
def test_every_name_can_be_loaded(name: str) -> None:
    assert getattr(dask_hpc, name)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        dask_hpc.Nonsense  # noqa: B018 - the access is what is tested


def test_importing_it_loads_neither_dask_nor_anything_slow(tmp_path: Path) -> None:
    code = (
        "import sys; before = set(sys.modules); import dask_hpc; "
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before}))"
    )
    heavy = {"dask", "distributed", "tornado", "msgspec", "rich", "cryptography", "platformdirs"}
    assert heavy.isdisjoint(_run(code, tmp_path).split())


def test_importing_it_writes_nothing_and_installs_no_signal_handler(tmp_path: Path) -> None:
    code = (
        "import signal; numbers = signal.valid_signals(); "
        "before = [signal.getsignal(number) for number in numbers]; import dask_hpc; "
        "print(before == [signal.getsignal(number) for number in numbers])"
    )
    assert _run(code, tmp_path) == "True"
    assert not list(tmp_path.iterdir())
