"""A cluster as it is wanted: every setting resolved, nothing left to look up."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from pathlib import Path

from dask_hpc.batch.model import Resources
from dask_hpc.errors import ConfigError

DEFAULT_POOL = "default"
PORTS_OF_A_WORKER = 2  # one of its own, one of its nanny


class Home(StrEnum):
    """Where the scheduler and its controller live."""

    HERE = "here"
    JOB = "job"


class SubmitFrom(StrEnum):
    """Where the batch system takes commands from: every node, or login nodes alone."""

    NODE = "node"
    LOGIN = "login"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A kind of workers: all that one pool of a cluster may have otherwise than another.

    ``worker`` are the resources of one worker job, which ``processes`` workers share; ``offers``
    are the Dask resources of each of them; ``max_jobs`` is what the queue allows a user;
    ``spill`` is whether they put data that does not fit into memory into ``local_directory``;
    ``worker_class`` is the dotted path of their class, if that is not distributed's.
    """

    worker: Resources
    processes: int
    python: str
    worker_class: str | None = None
    wrapper: tuple[str, ...] = ()
    prologue: tuple[str, ...] = ()
    interface: str | None = None
    local_directory: str | None = None
    spill: bool = True
    offers: dict[str, float] = field(default_factory=dict)
    max_jobs: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSpec:
    """What the controller and the jobs of a cluster need to know. Times are in seconds.

    What it says of workers is meant for the default pool; `of` says it for another one of
    ``pools``. ``worker`` are the resources of one worker job, which ``processes`` workers share;
    ``scheduler`` those of the scheduler's own job; ``python`` is the interpreter in jobs,
    ``wrapper`` the words that run it in a container;
    ``first_jobs`` are wanted from the start, and with ``first_maximum`` the cluster adapts;
    ``loopback`` is for jobs on this very machine: nothing listens to the network;
    ``is_one_job`` means that the scheduler's job has a worker host on each of its nodes;
    ``launcher`` starts programs on the nodes of a job that has several; ``route`` is the one way to
    JupyterLab on its node, if it may be no other;
    ``facts`` are the properties of the batch system that its dialect needs; ``idle_timeout``
    of ``None`` means for ever; ``client_lease`` of 0 means that what a dropped client wanted is
    forgotten at once.
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
    worker_class: str | None = None
    wrapper: tuple[str, ...] = ()
    prologue: tuple[str, ...] = ()
    facts: dict[str, str] = field(default_factory=dict)
    pools: dict[str, Pool] = field(default_factory=dict)
    offers: dict[str, float] = field(default_factory=dict)
    max_jobs: int | None = None
    interface: str | None = None
    scheduler_interface: str | None = None
    contact_address: str | None = None
    launcher: str = "ssh"
    route: str | None = None
    is_one_job: bool = False
    ports: str | None = None
    local_directory: str | None = None
    spill: bool = True
    loopback: bool = False
    secure: bool = True
    death_timeout: float = 60.0
    start_timeout: float = 300.0
    drain_timeout: float = 30.0
    drain_margin: float = 90.0
    idle_timeout: float | None = None
    client_lease: float = 900.0
    submit_from: SubmitFrom = SubmitFrom.NODE
    scheduler_file: Path | None = None

    def as_one_job(self) -> ClusterSpec:
        """Return this cluster as a single job that brings the scheduler and all its workers."""
        return replace(self, is_one_job=True, home=Home.JOB, scheduler=self.worker, first_jobs=0)

    def beside_scheduler(self) -> ClusterSpec:
        """Return what workers have of a node on which a scheduler and a script are, too.

        One of several processes stays away; of one alone, a core and a quarter of the memory.
        """
        worker, left = self.worker, self.processes - 1
        if left:
            share = replace(worker, cores=self.threads * left, memory=self.memory_limit * left)
            return replace(self, processes=left, worker=share)
        share = replace(worker, cores=max(1, worker.cores - 1), memory=worker.memory * 3 // 4)
        return replace(self, worker=share)

    @property
    def own_workers(self) -> int:
        """Worker processes in the scheduler's own job."""
        if not self.is_one_job:
            return 0
        return self.beside_scheduler().processes + self.processes * (self.scheduler.nodes - 1)

    @property
    def has_agent(self) -> bool:
        """Whether the controller is where no batch command works, and asks an agent for them."""
        return self.home is Home.JOB and self.submit_from is SubmitFrom.LOGIN

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

    @property
    def pool_names(self) -> tuple[str, ...]:
        """Every pool, the default one first."""
        return (DEFAULT_POOL, *self.pools)

    def of(self, pool: str) -> ClusterSpec:
        """Return this cluster with what it says of workers as one of its pools has it.

        Raises
        ------
        ConfigError
            If there is no such pool.
        """
        if pool == DEFAULT_POOL:
            return self
        if pool not in self.pools:
            raise ConfigError(
                f"cluster {self.name!r} has no pool {pool!r}",
                hint=f"its pools are {', '.join(self.pool_names)}",
            )
        own = self.pools[pool]
        return replace(self, **{item.name: getattr(own, item.name) for item in fields(Pool)})
