"""Every way to start tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.mpi.launch import Tasks

if TYPE_CHECKING:
    from pathlib import Path

    from tests.beds.beds import Flavour, MPIBed

WAYS: dict[str, tuple[Flavour, bool]] = {
    "openmpi": ("openmpi", True),
    "openmpi-without-mpi4py": ("openmpi", False),
    "mpich": ("mpich", True),
    "mpich-without-mpi4py": ("mpich", False),
}


@pytest.fixture(params=WAYS)
def tasks(request: pytest.FixtureRequest, mpi: MPIBed, home: Path) -> Tasks:
    """Tasks of each library of MPI, with mpi4py and without."""
    flavour, mpi4py = WAYS[request.param]
    return Tasks(bed=mpi, flavour=flavour, mpi4py=mpi4py, home=home)


@pytest.fixture
def plain_tasks(mpi: MPIBed, home: Path) -> Tasks:
    """Tasks of OpenMPI with mpi4py, for what does not depend on it."""
    return Tasks(bed=mpi, flavour="openmpi", mpi4py=True, home=home)
