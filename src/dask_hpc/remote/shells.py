"""Commands on the node of a cluster's scheduler, within its job where that can be. Pure."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dask_hpc.batch.model import JobId


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """Where a scheduler is: the batch system, its job and its node; ``is_here`` if that is ours."""

    system: str
    job: JobId
    node: str
    is_here: bool


def command_at(seat: Seat, words: Sequence[str], *, terminal: bool) -> tuple[str, ...]:
    """Return what runs a command there; on a terminal if it is for a person."""
    by_job = _BY_JOB.get(seat.system)
    if by_job and seat.job:
        return by_job(seat, words, terminal=terminal)
    return tuple(words) if seat.is_here else _ssh(seat, words, terminal=terminal)


def environment_at(seat: Seat) -> dict[str, str]:
    """Return what such a command has to find in its environment."""
    return {"OAR_JOB_ID": seat.job} if seat.system == "oar" else {}


def _srun(seat: Seat, words: Sequence[str], *, terminal: bool) -> tuple[str, ...]:
    step = ("--overlap", f"--jobid={seat.job}", "--nodes=1", "--ntasks=1", "--quiet")
    return ("srun", *step, *(("--pty",) if terminal else ()), *words)


def _condor(seat: Seat, words: Sequence[str], *, terminal: bool) -> tuple[str, ...]:
    del terminal  # it looks itself
    return ("condor_ssh_to_job", seat.job, shlex.join(words))


def _oarsh(seat: Seat, words: Sequence[str], *, terminal: bool) -> tuple[str, ...]:
    return ("oarsh", *(("-t",) if terminal else ()), seat.node, shlex.join(words))


def _ssh(seat: Seat, words: Sequence[str], *, terminal: bool) -> tuple[str, ...]:
    return ("ssh", *(("-t",) if terminal else ("-T",)), "--", seat.node, shlex.join(words))


_BY_JOB: dict[str, Callable[..., tuple[str, ...]]] = {
    "slurm": _srun,
    "oar": _oarsh,
    "htcondor": _condor,
}
