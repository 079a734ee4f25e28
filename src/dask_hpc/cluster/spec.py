"""A cluster as it is wanted: every setting resolved, nothing left to look up."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from dask_hpc.batch.model import Resources


class Home(StrEnum):
    """Where the scheduler and its controller live."""

    HERE = "here"
    JOB = "job"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSpec:
    """What the controller and the jobs of a cluster need to know. Times are in seconds.

    ``worker`` are the resources of one worker job, which ``processes`` workers share;
    ``scheduler`` those of the scheduler's own job; ``python`` is the interpreter in jobs;
    ``first_jobs`` are wanted from the start, and with ``first_maximum`` the cluster adapts;
    ``loopback`` is for jobs on this very machine: nothing listens to the network;
    ``facts`` are the properties of the batch system that its dialect needs; ``idle_timeout``
    of ``None`` means for ever.
    """

    name: str
    site: str
    system: str
    user: str
    home: Home
    directory: Path
    worker: Resources
    scheduler: Resources
    processes: int
    python: str
    first_jobs: int = 0
    first_maximum: int | None = None
    prologue: tuple[str, ...] = ()
    facts: dict[str, str] = field(default_factory=dict)
    interface: str | None = None
    scheduler_interface: str | None = None
    ports: str | None = None
    local_directory: str | None = None
    loopback: bool = False
    secure: bool = True
    death_timeout: float = 60.0
    drain_timeout: float = 30.0
    drain_margin: float = 90.0
    idle_timeout: float | None = None

    @property
    def threads(self) -> int:
        """Threads of one worker process."""
        return max(1, self.worker.cores // self.processes)

    @property
    def memory_limit(self) -> int:
        """Bytes of one worker process."""
        return self.worker.memory // self.processes

    @property
    def workers_per_job(self) -> int:
        """Worker processes that one job brings, on all its nodes."""
        return self.processes * self.worker.nodes
