"""Every batch system that can be here: real ones, and stand-ins of those that cannot."""

from __future__ import annotations

import asyncio
import getpass
import os
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dask_hpc.batch.model import JobId, Tag
from dask_hpc.batch.queue import Queue
from dask_hpc.plugins import BATCH_SYSTEMS, load
from dask_hpc.process.local import LocalRunner
from tests import standins
from tests.integration.places import Job, Place
from tests.standins.jobs import VARIABLE, Jobs
from tests.standins.pbs.server import pbs_server

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dask_hpc.batch.system import BatchSystem

REAL = {"slurm": "slurm", "sge": "sge"}  # and the beds that they are
STAND_INS = ("pbs", "torque", "moab", "lsf")
RARE_STAND_INS = ("htcondor",)  # it is real for what runs on every system
# What submits, lists and cancels.
PROGRAMS = {
    "slurm": ("sbatch", "squeue", "scancel"),
    **dict.fromkeys(("sge", "pbs", "torque"), ("qsub", "qstat", "qdel")),
    "moab": ("msub", "qstat", "canceljob"),
    "lsf": ("bsub", "bjobs", "bkill"),
    "oar": ("oarsub", "oarstat", "oardel"),
    "htcondor": ("condor_submit", "condor_q", "condor_rm"),
}
AS_USER = "DASK_HPC_TEST_SYSTEM"  # names the one system that this process is run as a user for
EVERY: list[Any] = (
    [os.environ[AS_USER]]
    if AS_USER in os.environ
    else [
        *(pytest.param(name, marks=pytest.mark.bed(bed)) for name, bed in REAL.items()),
        *STAND_INS,
    ]
)


class SystemPlace(Place):
    """A site that is named after its batch system, looked at through our own dialect of it."""

    @property
    def system(self) -> BatchSystem:
        """The dialect."""
        dialect: type[BatchSystem] = load(BATCH_SYSTEMS, self.site)
        return dialect.from_facts({})  # to ask and to cancel, no facts are needed

    @property
    def queue(self) -> Queue:
        """The batch system."""
        return Queue(self.system, LocalRunner(), user=getpass.getuser())

    @property
    def one_at_a_time(self) -> dict[str, Any]:
        """Nothing of the kind is needed here."""
        raise NotImplementedError

    def all_jobs(self) -> list[Job]:
        """Ask for the jobs of every cluster that ever was here."""
        logs = self.home.glob("clusters/*/logs/*.log")
        return self.listed(path.name.partition(".")[0] for path in logs)

    def listed(self, tags: Iterable[str]) -> list[Job]:
        """Ask for the jobs of these submissions, which need not have begun."""
        asked = {*map(Tag, tags)}
        listed = asyncio.run(self.queue.status(asked)) if asked else {}
        return [Job(id=job.id, tag=job.tag, state=job.state) for job in listed.values()]

    def cancel(self, *ids: str) -> None:
        """Cancel them."""
        if ids:
            asyncio.run(self.queue.cancel([*map(JobId, ids)]))

    def script(self, job: str) -> str:
        """Nobody asks."""
        raise NotImplementedError

    def stop(self) -> None:
        """Leave the system to whoever started it."""


@contextmanager
def _commands(name: str, directory: Path, patch: pytest.MonkeyPatch) -> Iterator[None]:
    directory.mkdir()
    jobs = Jobs(directory)
    programs = [str(Path(standins.__file__).parent / name), str(Path(sys.executable).parent)]
    patch.setenv("PATH", os.pathsep.join([*programs, os.environ["PATH"]]))
    patch.setenv(VARIABLE, str(directory))
    try:
        yield
    finally:
        jobs.end_all()


@contextmanager
def stand_in(name: str, directory: Path, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have a stand-in of a system on the path for a while; its files go to a new directory."""
    if name in ("lsf", "htcondor"):
        with _commands(name, directory, patch):
            yield
    else:
        flavour = {"pbs": "openpbs"}.get(name, name)
        with pbs_server(flavour, directory, patch):
            yield


@contextmanager
def system_at(request: pytest.FixtureRequest, name: str) -> Iterator[SystemPlace]:
    """Give a place at a batch system, in which nothing is left afterwards."""
    if name in REAL:
        request.getfixturevalue(REAL[name])
    with (
        tempfile.TemporaryDirectory(prefix="dh", dir="/tmp") as home,
        pytest.MonkeyPatch.context() as patch,
    ):
        found = SystemPlace(site=name, home=Path(home))
        for variable, value in found.environ.items():
            patch.setenv(variable, value)
        if name in (*STAND_INS, *RARE_STAND_INS) and AS_USER not in os.environ:
            with stand_in(name, Path(home) / "server", patch):
                yield found
                left = found.clean()
        else:
            yield found
            left = found.clean()
    assert not left, left
