"""Every setting: its name, type, default and meaning, once. And what the user's own say."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta

from dask_hpc.errors import ConfigError
from dask_hpc.sites.layer import (
    Layer,
    Path,
    Source,
    build,
    check,
    is_table,
    kind_below,
    merge,
    struct_fields,
)
from dask_hpc.sites.sources import read_environment, read_mapping
from dask_hpc.sites.values import Duration, Lines, Memory, Patience, Ports

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

Count = Annotated[int, Meta(ge=1)]
Word = str | None

RESOURCES = (
    "cores", "memory", "processes", "nodes", "gpus", "walltime", "queue", "account", "interface",
    "scheduler_interface", "ports", "local_directory", "env", "directives", "prologue",
)  # fmt: skip


class QueueLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a site says about a queue."""

    max_walltime: Annotated[Duration | None, Meta(description="longest walltime")] = None
    max_jobs: Annotated[Count | None, Meta(description="most jobs of one user")] = None
    max_nodes: Annotated[Count | None, Meta(description="most nodes of one job")] = None
    cores: Annotated[Count | None, Meta(description="cores of one node")] = None
    memory: Annotated[Memory | None, Meta(description="memory of one node")] = None
    description: Annotated[str, Meta(description="what it is for")] = ""


class Recognise(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to know a site from inside. Each one that is given must hold."""

    hosts: Annotated[Lines, Meta(description='host names, one fits: "login*.example.org"')] = (
        Lines()
    )
    environment: Annotated[
        dict[str, str], Meta(description='variables, all fit: {HOST_SITE: "alpine*"}')
    ] = {}
    files: Annotated[Lines, Meta(description="paths, all exist")] = Lines()


class LocalQueue(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The size of the embedded local queue."""

    cores: Annotated[Count | None, Meta(description="cores (default: the machine's)")] = None
    memory: Annotated[Memory | None, Meta(description="memory (default: the machine's)")] = None
    grace: Annotated[
        Duration | None, Meta(description="time that a cancelled job has to end (default: 5s)")
    ] = None
    idle: Annotated[
        Duration | None, Meta(description="how long its daemon stays without a job (default: 10s)")
    ] = None


class WorkerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What can be set for the worker jobs of a cluster, or of one of its pools."""

    cores: Annotated[Count, Meta(description="cores of one node of one job")] = 1
    memory: Annotated[
        Memory | None,
        Meta(
            description="memory of one node of one job (default: 2 GiB for each core; "
            "on the local queue the machine's share of the cores)"
        ),
    ] = None
    processes: Annotated[
        Count | None,
        Meta(
            description="worker processes that share a node's cores and memory (default: one for "
            "each GPU; without any, one up to 4 cores, then the smallest divisor of cores that is "
            "not below their square root)"
        ),
    ] = None
    nodes: Annotated[Count, Meta(description="nodes of one job")] = 1
    gpus: Annotated[int, Meta(ge=0, description="GPUs of one node of one job")] = 0
    walltime: Annotated[Duration, Meta(description="how long a job may run")] = Duration(3600)
    queue: Annotated[Word, Meta(description="queue or partition (default: the system's)")] = None
    account: Annotated[Word, Meta(description="account or project that pays")] = None
    interface: Annotated[
        Word,
        Meta(
            description='network interface of workers, as "ib0" '
            "(default: that of the route to the scheduler)"
        ),
    ] = None
    local_directory: Annotated[
        Word,
        Meta(
            description="directory on the node's own disk where workers put what does not fit into "
            'memory, as "$TMPDIR", with variables of the job (default: $TMPDIR, else /tmp)'
        ),
    ] = None
    spill: Annotated[
        bool,
        Meta(
            description="whether workers put there what does not fit into memory; false for nodes "
            "without a disk: they then take no new tasks at 80% of their memory"
        ),
    ] = True
    worker_class: Annotated[
        Word,
        Meta(
            description='dotted path of the class of workers, as "my_package.MyWorker", in the '
            "environment of jobs; its workers are spawned, which is slower (default: distributed's "
            "Worker)"
        ),
    ] = None
    env: Annotated[
        Word, Meta(description="software environment of jobs (default: the one that runs this)")
    ] = None
    directives: Annotated[
        Lines, Meta(description="further lines for the batch system, without its comment mark")
    ] = Lines()
    prologue: Annotated[Lines, Meta(description="shell lines that a job runs first")] = Lines()
    resources: Annotated[
        dict[str, float],
        Meta(description="Dask resources that each worker offers, as {GPU: 1}; tasks ask for them"),
    ] = {}


class Settings(WorkerSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What can be set for a site, in a profile, a configuration, the environment or a call."""

    scheduler_interface: Annotated[
        Word,
        Meta(
            description="the one network interface that the scheduler listens at (default: it "
            "listens at all, and is reached at interface, or by the route to the nodes)"
        ),
    ] = None
    contact_address: Annotated[
        Word,
        Meta(
            description="address of the scheduler for others, as host or host:port, if it is "
            "reached through an address translation or from outside of a container"
        ),
    ] = None
    ports: Annotated[
        Ports | None,
        Meta(
            description="ports that scheduler and workers listen at, two for each worker of a "
            'node, as "8700:8799" (default: any)'
        ),
    ] = None
    pools: Annotated[
        dict[str, WorkerSettings],
        Meta(
            description="further kinds of workers by name, as {big: {memory: 1TB}}, each scaled by "
            "itself; what a pool does not say is as for the others"
        ),
    ] = {}

    scheduler_cores: Annotated[Count, Meta(description="cores of the scheduler's own job")] = 1
    scheduler_memory: Annotated[
        Memory | None,
        Meta(description="memory of the scheduler's own job (default: as memory, for its cores)"),
    ] = None
    scheduler_walltime: Annotated[
        Duration | None, Meta(description="walltime of the scheduler's job (default: walltime)")
    ] = None
    scheduler_queue: Annotated[
        Word, Meta(description="queue of the scheduler's own job (default: queue)")
    ] = None

    idle_timeout: Annotated[
        Patience | None,
        Meta(
            description="end a cluster that has had neither work nor client for so long "
            '(default: 30 minutes for a cluster with a scheduler job, else "never")'
        ),
    ] = None
    client_lease: Annotated[
        Duration,
        Meta(description="how long what a client that dropped had asked for is kept for it"),
    ] = Duration(900)
    death_timeout: Annotated[
        Duration, Meta(description="how long a worker looks for its scheduler")
    ] = Duration(60)
    start_timeout: Annotated[
        Duration, Meta(description="how long a job may run until a worker of it connects")
    ] = Duration(300)
    drain_timeout: Annotated[
        Duration, Meta(description="how long a worker that must go may finish its tasks")
    ] = Duration(30)
    scheduler_file: Annotated[
        Word,
        Meta(description="file that tells distributed's Client(scheduler_file=...) the address"),
    ] = None
    secure: Annotated[bool, Meta(description="mutual TLS on every connection")] = True
    name: Annotated[Word, Meta(description="name of the cluster")] = None
    site: Annotated[Word, Meta(description="name of the site (default: it is detected)")] = None

    description: Annotated[str, Meta(description="what the site is")] = ""
    system: Annotated[Word, Meta(description="batch system of the site")] = None
    facts: Annotated[
        dict[str, str],
        Meta(
            description="what is to be known of this installation of the batch system, where it "
            "is not found out: each system's page lists them"
        ),
    ] = {}
    recognise: Annotated[Recognise, Meta(description="how to know that we are there")] = Recognise()
    host: Annotated[
        Word,
        Meta(description="login node as ssh reaches it from elsewhere, as me@login.example.org"),
    ] = None
    command: Annotated[Word, Meta(description="path of dask-hpc on that host")] = None
    queues: Annotated[dict[str, QueueLimits], Meta(description="its queues with their limits")] = {}
    submit_from: Annotated[
        Literal["node", "login"],
        Meta(
            description='where jobs may be submitted from; with "login" an agent does it there for '
            "a cluster whose scheduler is a job"
        ),
    ] = "node"
    launcher: Annotated[
        Word,
        Meta(
            description="what starts workers on the nodes of a job of several: srun, pbsdsh, "
            "torque-pbsdsh, blaunch, qrsh, oarsh, ssh or mpirun (default: the system's own)"
        ),
    ] = None
    route: Annotated[
        Literal["direct", "ssh", "job", "tls"] | None,
        Meta(
            description="way from a login node to JupyterLab on its node: ssh, job (the batch "
            "system's own command, as srun --overlap), tls (a port that opens to the cluster's "
            "keys), direct (on that node itself) (default: the first of them that works)"
        ),
    ] = None
    local: Annotated[LocalQueue, Meta(description="size of the local queue")] = LocalQueue()


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteSettings:
    """All settings for one site, and where each one comes from."""

    site: str
    settings: Settings
    layer: Layer

    def where(self, *path: str) -> str:
        """Return the words that a message about this setting begins with."""
        return self.layer.where(*path)


def settle(site: str, layers: tuple[Layer, ...]) -> SiteSettings:
    """Return the settings of a site; a later layer hides an earlier one."""
    layer = merge(layers)
    return SiteSettings(site=site, settings=build(layer, Settings), layer=layer)


def from_keywords(values: Mapping[str, Any]) -> Layer:
    """Return what the keywords of a call say; ``None`` says nothing."""
    given = {name: value for name, value in values.items() if value is not None}
    return check(read_mapping(given, Source.CALL), Settings)


def from_options(values: Mapping[str, Any]) -> Layer:
    """Return what the options of a command line say; ``None`` and ``()`` say nothing."""
    given = {name: value for name, value in values.items() if value not in (None, ())}
    return check(read_mapping(given, Source.OPTION), Settings)


def of_the_user(environ: Mapping[str, str] = os.environ) -> Layer:
    """Return what the dask configuration and the environment say, for every site."""
    environment = merge(check(table, Settings) for table in read_environment(environ, Settings))
    return environment.over(_of_dask(environment))


def _of_dask(environment: Layer) -> Layer:
    """Read ``hpc:`` of dask's configuration: the one place where that is read."""
    import dask.config  # a tenth of a second, for those alone who settle a site

    values = dask.config.get("hpc", None) or {}
    if not isinstance(values, dict):
        raise ConfigError("hpc in the dask configuration is not a table", hint="write hpc.cores")
    own = _without_environment(values, Settings, path=(), named=environment.values.keys())
    return check(read_mapping(own, Source.DASK), Settings)


def _without_environment(
    values: dict[str, Any], kind: Any, *, path: Path, named: Collection[Path]
) -> dict[str, Any]:
    # Dask puts DASK_HPC__CORES under hpc.cores too, where nobody sees any more whence it came.
    known = struct_fields(kind)
    kept: dict[str, Any] = {}
    for written, value in values.items():
        name = str(written)
        if known is not None and name.replace("-", "_") in known:
            name = name.replace("-", "_")  # to dask, both are one name
        here = (*path, name.lower())
        if isinstance(value, dict) and (known is None or is_table(known.get(name))):
            inner = kind_below(kind, name)
            kept[name] = _without_environment(value, inner, path=here, named=named)
        elif not any(other[: len(here)] == here for other in named):
            kept[name] = value
    return kept


def describe(*path: str) -> str:
    """Return in words what a setting is."""
    kind: Any = Settings
    for name in path:
        kind = kind_below(kind, name)
    for note in getattr(kind, "__metadata__", ()):
        if isinstance(note, Meta) and note.description:
            return note.description
    return ""
