"""Which of the tasks of a launch this process is, as whoever launched them says it.

The environment is enough: a cluster starts without any MPI library.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dask_hpc import _envvars, _hosts
from dask_hpc.errors import LaunchError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """The number of this task, counted from 0, and how many there are, also on this node.

    ``launch`` is a word that all tasks of this launch have, and those of no other; ``told_by`` is
    who told.
    """

    rank: int
    size: int
    local_size: int
    launch: str = ""
    told_by: str = ""

    @property
    def is_one_node(self) -> bool:
        """Whether all tasks are on this node."""
        return self.local_size == self.size


@dataclass(frozen=True, slots=True, kw_only=True)
class _Dialect:
    """The variables of a launcher; where there are several, the first that is set counts.

    ``spread`` is whether each task has a node of its own.
    """

    name: str
    rank: str
    size: tuple[str, ...]
    local_size: tuple[str, ...] = ()
    spread: bool = False


# OpenMPI: https://docs.open-mpi.org/en/main/tuning-apps/environment-var.html
# MPICH and Intel MPI (Hydra), Cray: seen. MVAPICH2: its user guide, 6.6.
# Slurm: srun(1). The script of a job has SLURM_PROCID, too, but no SLURM_STEP_NUM_TASKS.
_DIALECTS = (
    # Whoever sets these means them.
    _Dialect(
        name="the job script",
        rank=_envvars.RANK.name,
        size=(_envvars.TASKS.name,),
        spread=True,
    ),
    _Dialect(
        name="OpenMPI",
        rank="OMPI_COMM_WORLD_RANK",
        size=("OMPI_COMM_WORLD_SIZE",),
        local_size=("OMPI_COMM_WORLD_LOCAL_SIZE",),
    ),
    _Dialect(
        name="MVAPICH2",
        rank="MV2_COMM_WORLD_RANK",
        size=("MV2_COMM_WORLD_SIZE",),
        local_size=("MV2_COMM_WORLD_LOCAL_SIZE",),
    ),
    _Dialect(name="PMI", rank="PMI_RANK", size=("PMI_SIZE",), local_size=("MPI_LOCALNRANKS",)),
    _Dialect(name="PMIx", rank="PMIX_RANK", size=("SLURM_STEP_NUM_TASKS", "PMIX_SIZE")),
    _Dialect(name="Slurm", rank="SLURM_PROCID", size=("SLURM_STEP_NUM_TASKS",)),
)
# What together names a launch, the first that is set as a whole.
_LAUNCHES = (
    ("OMPI_MCA_orte_hnp_uri", "PMIX_NAMESPACE"),
    ("PMIX_NAMESPACE",),
    ("SLURM_JOB_ID", "SLURM_STEP_ID"),
)
_JOBS = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID", "OAR_JOB_ID")


def find_ranks(environ: Mapping[str, str] = os.environ) -> Ranks | None:
    """Return what the environment says, or nothing if it says nothing.

    Raises
    ------
    LaunchError
        If what it says cannot be.
    """
    for dialect in _DIALECTS:
        rank, size = environ.get(dialect.rank), _first(environ, dialect.size)
        if rank is None or size is None:
            continue
        try:
            return _ranks(environ, dialect, place=(int(rank), int(size)))
        except ValueError:
            raise LaunchError(
                f"{dialect.name} says that this is task {rank!r} of {size!r}",
                hint="unset its variables, or start this with mpirun or srun",
            ) from None
    return None


def _ranks(environ: Mapping[str, str], dialect: _Dialect, *, place: tuple[int, int]) -> Ranks:
    rank, size = place
    if not 0 <= rank < size:
        raise ValueError(rank)
    told = _first(environ, dialect.local_size)
    local_size = 1 if dialect.spread else int(told) if told else _of_slurm(environ) or size
    return Ranks(
        rank=rank,
        size=size,
        local_size=local_size,
        launch=_launch(environ, is_one_node=local_size == size),
        told_by=dialect.name,
    )


def _first(environ: Mapping[str, str], names: Iterable[str]) -> str | None:
    return next((environ[name] for name in names if name in environ), None)


def _of_slurm(environ: Mapping[str, str]) -> int | None:
    """Return the tasks on this node, of the list for all of them, as in ``2(x3),1``."""
    counts: list[int] = []
    for part in environ.get("SLURM_STEP_TASKS_PER_NODE", "").split(","):
        count, _, times = part.partition("(x")
        if count:
            counts += [int(count)] * int(times.rstrip(")") or 1)
    node = int(environ.get("SLURM_NODEID", "0"))
    return counts[node] if node < len(counts) else None


def _launch(environ: Mapping[str, str], *, is_one_node: bool) -> str:
    for names in _LAUNCHES:
        if all(environ.get(name) for name in names):
            return _word(environ[name] for name in names)
    if is_one_node and (parent := _hosts.mark_of(os.getppid())):
        return _word((parent.host, str(parent.pid), str(parent.started)))
    # Two launches of one job at once cannot be told apart then.
    job = _first(environ, _JOBS)
    return _word((job,)) if job else ""


def _word(parts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
