"""A batch system for the tests of dask-jobqueue: a real one, or a stand-in, in the environment."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.beds.session import Beds
from tests.standins import lsf
from tests.standins.jobs import VARIABLE, Jobs
from tests.standins.pbs.server import pbs_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.beds.beds import Name

BEDS: dict[str, Name] = {"slurm": "slurm", "sge": "sge"}
STAND_INS = ("pbs", "lsf")


class Absent(Exception):
    """The system cannot be here, and why."""


@contextmanager
def batch_system(name: str | None, directory: Path) -> Iterator[None]:
    """Have a batch system for a while.

    Raises
    ------
    Absent
        If it cannot be started here, or there is not even a stand-in for it.
    """
    with pytest.MonkeyPatch.context() as patch:
        if name is None:
            yield
        elif name in BEDS:
            with _bed(BEDS[name], patch):
                yield
        elif name == "pbs":
            with pbs_server("openpbs", directory, patch):
                yield
        elif name == "lsf":
            with _lsf(directory, patch):
                yield
        else:
            raise Absent(f"there is no stand-in for {name}")


@contextmanager
def _bed(name: Name, patch: pytest.MonkeyPatch) -> Iterator[None]:
    beds = Beds()
    attempt = beds.prepare(name)
    try:
        if attempt.failure:
            raise Absent(str(attempt.failure))
        for variable, value in attempt.bed.environ.items():
            patch.setenv(variable, value)
        yield
    finally:
        beds.stop()


@contextmanager
def _lsf(directory: Path, patch: pytest.MonkeyPatch) -> Iterator[None]:
    directory.mkdir()
    programs = [str(Path(lsf.__file__).parent), str(Path(sys.executable).parent)]
    patch.setenv("PATH", os.pathsep.join([*programs, os.environ["PATH"]]))
    patch.setenv(VARIABLE, str(directory))
    try:
        yield
    finally:
        Jobs(directory).end_all()
