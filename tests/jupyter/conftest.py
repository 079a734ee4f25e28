"""A JupyterLab in a job of the local queue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.cluster.session import read_session
from tests.integration.places import local_place, wait_for
from tests.jupyter.guest import PATIENCE, Guest, opened

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psutil

    from dask_hpc.cluster.session import Session
    from tests.integration.places import Place

__all__ = ["Lab", "lab", "local_place"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """A cluster of one job with two workers, and a JupyterLab that one guest is in."""

    place: Place
    name: str
    guest: Guest

    @property
    def directory(self) -> ClusterDirectory:
        """The cluster's."""
        return ClusterDirectory(self.place.directory(self.name))

    @property
    def session(self) -> Session:
        """What is written down of JupyterLab."""
        return read_session(self.directory)

    def processes(self, word: str) -> list[psutil.Process]:
        """Return the processes of this place that have a word in their command line."""
        return [each for each in self.place.processes() if word in " ".join(each.cmdline())]


@pytest.fixture(scope="module")
def lab(local_place: Place) -> Iterator[Lab]:
    """A JupyterLab for the tests of a module; nothing is left of it when the cluster ends."""
    place, name = local_place, local_place.name()
    words = ("up", *place.small_options, "--name", name, "--workers", "2", "--lab")
    with opened(place, *words) as (link, process):
        found = Lab(place=place, name=name, guest=Guest(link))
        yield found
        socket = found.session.socket
        assert socket
        assert place.dask_hpc("down", name).returncode == 0
        assert place.left(name) == []
        # Whoever was in it is told, and kept no longer.
        assert process.wait(PATIENCE) == 0
    wait_for(lambda: not socket.parent.exists() and not found.processes(str(socket.parent)))
