"""A stand-in of a PBS server for the length of a test: nothing is left running after it."""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

_HERE = Path(__file__).parent
_PATIENCE = 20.0


@contextmanager
def pbs_server(flavour: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Enter with ``qsub`` and the others on the path, of ``openpbs`` or ``torque``."""
    directory.mkdir()
    monkeypatch.setenv("DASK_HPC_STANDIN", str(directory))
    monkeypatch.setenv("DASK_HPC_STANDIN_PYTHON", sys.executable)
    monkeypatch.setenv("PATH", f"{_HERE / flavour}{os.pathsep}{os.environ['PATH']}")
    try:
        yield
    finally:
        (directory / "stop").touch()
        deadline = time.monotonic() + _PATIENCE
        while left := _left(directory):
            assert time.monotonic() < deadline, f"jobs are left: {left}"
            time.sleep(0.05)


def _left(directory: Path) -> list[str]:
    running = [
        path.name for path in directory.glob("*.element") if '"state": "R"' in path.read_text()
    ]
    return running + [path.name for path in directory.glob("*.watcher")]
