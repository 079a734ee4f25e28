"""A batch system for the tests of dask-jobqueue: a real one, or a stand-in, in the environment."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.beds.beds import USER, SgeBed, UsersBed
from tests.beds.session import Beds
from tests.integration.systems import stand_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.beds.beds import Name

BEDS: dict[str, Name] = {"slurm": "slurm", "sge": "sge", "oar": "oar", "htcondor": "htcondor"}

# What an installation's own jobqueue.yaml would say. Without it, dask-jobqueue asks Torque and
# Moab for chunks, which only other kinds of PBS have.
_SETTINGS: Mapping[str, Mapping[str, str]] = {
    "torque": {"DASK_JOBQUEUE__PBS__RESOURCE_SPEC": "nodes=1:ppn=1"},
    # Where the disk of a job is not said, nothing starts; the fixtures of distributed forget it.
    "htcondor": {"DASK_JOBQUEUE__HTCONDOR__DISK": "1GB"},
    "moab": {"DASK_JOBQUEUE__MOAB__RESOURCE_SPEC": "nodes=1:ppn=1"},
}
_MARKS = {"torque": "pbs"}
# The place that dask-jobqueue's own containers share, by which one of its tests names it.
_SHARED = Path("/shared_space")


class Absent(Exception):
    """The system cannot be here, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the tests run: the name that they know it by, and who runs them."""

    mark: str | None
    rooms: Path
    python: str = sys.executable
    before: tuple[str, ...] = ()
    user: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def batch_system(name: str | None, directory: Path) -> Iterator[Place]:
    """Have a batch system for a while; ``directory`` is new, and the place's own.

    Raises
    ------
    Absent
        If it cannot be started here.
    """
    directory.mkdir()
    place = Place(
        mark=_MARKS.get(name or "", name), rooms=directory, settings=_SETTINGS.get(name or "", {})
    )
    with pytest.MonkeyPatch.context() as patch:
        if name is None:
            yield place
        elif name in BEDS:
            with _bed(BEDS[name], place, patch) as found:
                yield found
        else:
            with stand_in(name, directory / "server", patch):
                yield place


@contextmanager
def _bed(name: Name, place: Place, patch: pytest.MonkeyPatch) -> Iterator[Place]:
    beds = Beds()
    attempt = beds.prepare(name)
    bed = attempt.bed
    try:
        if attempt.failure:
            raise Absent(str(attempt.failure))
        variables = bed.variables() if isinstance(bed, SgeBed) else bed.environ
        for variable, value in variables.items():
            patch.setenv(variable, value)
        if isinstance(bed, UsersBed):  # it takes no jobs of root
            with _as_user(bed, place) as found:
                yield found
        else:
            with _shared_space():
                yield place
    finally:
        beds.stop()


@contextmanager
def _as_user(bed: UsersBed, place: Place) -> Iterator[Place]:
    rooms = bed.directory("jobqueue")
    try:
        yield Place(
            mark=place.mark,
            rooms=rooms,
            python=bed.python,
            before=tuple(bed.argv("env", f"PATH={os.environ['PATH']}", cwd=rooms)),
            user=USER,
            settings=place.settings,
        )
    finally:
        shutil.rmtree(rooms, ignore_errors=True)


@contextmanager
def _shared_space() -> Iterator[None]:
    if _SHARED.exists():
        yield
        return
    _SHARED.mkdir(mode=0o777)
    try:
        yield
    finally:
        shutil.rmtree(_SHARED)
