"""Commands on the node of a cluster's scheduler, within its job where that can be. Pure."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dask_hpc.process.ssh import SSHOptions, ssh_options

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dask_hpc.batch.model import JobId

_PATIENCE = ("-o", "ConnectTimeout=10")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """Where a scheduler is: the batch system, its job and its node; ``is_here`` if that is ours.

    ``is_alone`` means that the job has no other node, so that none need be named.
    """

    system: str
    job: JobId
    node: str
    is_here: bool
    is_alone: bool = True


def command_at(seat: Seat, words: Sequence[str], *, terminal: bool) -> tuple[str, ...]:
    """Return what runs a command there; on a terminal if it is for a person."""
    if can_attach(seat):
        return attached(seat, words, terminal=terminal)
    return tuple(words) if seat.is_here else _ssh(seat, words, terminal=terminal)


def environment_at(seat: Seat) -> dict[str, str]:
    """Return what such a command has to find in its environment."""
    wanted = _VARIABLES.get(seat.system, {}) if can_attach(seat) else {}
    return {name: value.format(job=seat.job) for name, value in wanted.items()}


def can_attach(seat: Seat) -> bool:
    """Whether its batch system runs commands in a job that is there already."""
    # Grid Engine takes tasks for a job with slots on several nodes, and for no other.
    return (
        bool(seat.job) and seat.system in _BY_JOB and not (seat.system == "sge" and seat.is_alone)
    )


def attached(seat: Seat, words: Sequence[str], *, terminal: bool = False) -> tuple[str, ...]:
    """Return what runs a command within its job; see `can_attach`."""
    return _BY_JOB[seat.system](seat, words, terminal=terminal)


def by_ssh(node: str, words: Sequence[str], *, options: Sequence[str] = ()) -> tuple[str, ...]:
    """Return what runs a command on a node by ssh that asks nobody anything.

    The user's configuration counts, and host keys as it says; no agent goes along.
    """
    line = f"exec {shlex.join(words)}"
    own = (*options, *ssh_options(SSHOptions()), *_PATIENCE)
    return ("ssh", *own, "--", node, f"exec /bin/sh -c {shlex.quote(line)}")


def through(host: str, options: SSHOptions) -> tuple[str, ...]:
    """Return the options for `by_ssh` that lead through a host, over a connection that is there."""
    argv = ("ssh", *ssh_options(options), "-W", "%h:%p", "--", host)
    words = (shlex.quote(word.replace("%", "%%")) if word != "%h:%p" else word for word in argv)
    return ("-o", f"ProxyCommand={' '.join(words)}")


def _srun(seat: Seat, words: Sequence[str], *, terminal: bool) -> tuple[str, ...]:
    # Without a terminal srun would keep what comes until a line is full.
    step = ("--overlap", f"--jobid={seat.job}", "--nodes=1", "--ntasks=1", "--quiet")
    place = () if seat.is_alone else (f"--nodelist={seat.node}",)
    return ("srun", *step, *place, "--pty" if terminal else "--unbuffered", *words)


def _condor(seat: Seat, words: Sequence[str], *, terminal: bool) -> tuple[str, ...]:
    del terminal  # it looks itself
    # A job that has just begun is not ready yet.
    return ("condor_ssh_to_job", "-auto-retry", seat.job, shlex.join(words))


def _oarsh(seat: Seat, words: Sequence[str], *, terminal: bool) -> tuple[str, ...]:
    return ("oarsh", *(("-t",) if terminal else ()), seat.node, shlex.join(words))


def _qrsh(seat: Seat, words: Sequence[str], *, terminal: bool) -> tuple[str, ...]:
    del terminal  # there is none to be had
    return ("qrsh", "-inherit", seat.node, shlex.join(words))


def _ssh(seat: Seat, words: Sequence[str], *, terminal: bool) -> tuple[str, ...]:
    return ("ssh", *(("-t",) if terminal else ("-T",)), "--", seat.node, shlex.join(words))


# How to get into a job from outside. The others have no such command: those of PBS (pbsdsh) and LSF
# (blaunch) work within the job alone.
_BY_JOB: dict[str, Callable[..., tuple[str, ...]]] = {
    "slurm": _srun,
    "oar": _oarsh,
    "htcondor": _condor,
    "sge": _qrsh,
}
_VARIABLES = {
    "oar": {"OAR_JOB_ID": "{job}"},
    "sge": {"JOB_ID": "{job}", "SGE_TASK_ID": "undefined"},
}
# What runs such a command, and what runs one on a node of any system.
PROGRAMS = {"slurm": "srun", "oar": "oarsh", "htcondor": "condor_ssh_to_job", "sge": "qrsh"}
LOGIN = "ssh"
