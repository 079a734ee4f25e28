"""From settings to what jobs get: checked here, before anything is submitted or written."""

from __future__ import annotations

import math
import os
import pwd
import secrets
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dask_hpc import plugins
from dask_hpc._units import format_bytes, format_seconds
from dask_hpc.batch.model import Resources
from dask_hpc.cluster.directory import check_name, directory_of
from dask_hpc.cluster.spec import DEFAULT_POOL, ClusterSpec, Home, Pool, SubmitFrom
from dask_hpc.errors import ConfigError
from dask_hpc.launch.launchers import LAUNCHERS
from dask_hpc.localqueue import machine
from dask_hpc.process.local import LocalRunner
from dask_hpc.sites.detect import LOCAL
from dask_hpc.sites.layer import Layer, Origin, Source, struct_fields
from dask_hpc.sites.nearest import did_you_mean
from dask_hpc.sites.places import check_places
from dask_hpc.sites.settings import QueueLimits, Settings, from_keywords, settle
from dask_hpc.sites.site import Site, find_site
from dask_hpc.sites.software import software_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dask_hpc.batch.system import BatchSystem
    from dask_hpc.process.runner import Runner

_MEMORY_OF_A_CORE = 2 * 2**30
_IDLE_TIMEOUT = 1800.0
_OF_THE_CLUSTER = ("scheduler", "asynchronous", "loop")
_LOGIN = "ssh"
_CORES_OF_ONE_PROCESS = 4  # more threads would wait for each other's interpreter lock
_LIMITS = (
    ("walltime", "max_walltime", format_seconds),
    ("cores", "cores", str),
    ("memory", "memory", format_bytes),
    ("nodes", "max_nodes", str),
)


async def resolve_spec(
    given: Mapping[str, Any] | Layer,
    *,
    site: str | None = None,
    name: str | None = None,
    home: Home,
    runner: Runner | None = None,
    tell: Callable[[Site], None] = lambda _: None,
) -> ClusterSpec:
    """Return the cluster that a call asks for, on the site that it names or that is found.

    Parameters
    ----------
    given
        The keywords of the call, in which ``None`` says nothing; or what options say.
    site, name
        The site and the cluster's name. Default: as set, else detected; as set, else a new one.
    home
        Where the scheduler lives.
    runner
        Where the batch system's commands run. Default: here.
    tell
        Who wants to hear which site it is, and why that one.

    Raises
    ------
    ConfigError
        If a setting cannot be what it is; nothing has been written or submitted.
    """
    call = given if isinstance(given, Layer) else from_keywords(given)
    named = from_keywords({"site": site, "name": name}).over(call)
    found = await find_site(runner or LocalRunner(), named)
    tell(found)
    chosen = check_name(found.settings.name or new_name())
    directory = directory_of(chosen).path
    return cluster_spec(found, name=chosen, home=home, directory=directory, user=user_name())


def check_keywords(given: Mapping[str, Any]) -> None:
    """Raise if one is no setting, with what is nearest to it."""
    known = struct_fields(Settings) or {}
    for name in given:
        if name not in known:
            raise Origin(source=Source.CALL).unknown((name,), {*known, *_OF_THE_CLUSTER})


def new_name() -> str:
    """Return a name that no cluster has."""
    while True:
        name = f"dask-{secrets.token_hex(2)}"
        if not directory_of(name).path.exists():
            return name


def user_name() -> str:
    """Return who we are to the batch system, whatever the environment says."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container often has no such entry
        return str(os.getuid())


def batch_system(site: Site) -> BatchSystem:
    """Return the dialect of a site's batch system."""
    dialect = plugins.load(plugins.BATCH_SYSTEMS, site.system)
    system: BatchSystem = dialect.from_facts(site.facts)
    return system


def wanted_resources(site: Site) -> Resources:
    """Return what one worker job is meant to ask for, whether or not the site has it."""
    settings = site.settings
    return Resources(
        cores=settings.cores,
        memory=settings.memory or settings.cores * _memory_of_a_core(site),
        nodes=settings.nodes,
        gpus=settings.gpus,
        walltime=settings.walltime,
        queue=settings.queue,
        account=settings.account,
        directives=settings.directives,
    )


def worker_resources(site: Site) -> Resources:
    """Return what one worker job asks for.

    Raises
    ------
    ConfigError
        If it asks for what the site, or this version, does not have.
    """
    resources = wanted_resources(site)
    _check_processes(site)
    _check_nodes(site)
    _check_queue(site, resources, prefix="")
    return resources


def scheduler_resources(site: Site) -> Resources:
    """Return what the scheduler's own job asks for.

    Raises
    ------
    ConfigError
        If it asks for what the site does not have.
    """
    settings = site.settings
    resources = Resources(
        cores=settings.scheduler_cores,
        memory=settings.scheduler_memory or settings.scheduler_cores * _memory_of_a_core(site),
        walltime=settings.scheduler_walltime or settings.walltime,
        queue=settings.scheduler_queue or settings.queue,
        account=settings.account,
        directives=settings.directives,
    )
    _check_queue(site, resources, prefix="scheduler_")
    return resources


def processes_of(settings: Settings) -> int:
    """Return the worker processes of one node: as set, or what its cores suggest."""
    cores = settings.cores
    if settings.processes is not None:
        return settings.processes
    if settings.gpus:
        return min(settings.gpus, cores)
    if cores <= _CORES_OF_ONE_PROCESS:
        return 1
    # As distributed's LocalCluster and dask-jobqueue divide more than four cores.
    return next(
        count for count in range(math.isqrt(cores - 1) + 1, cores + 1) if cores % count == 0
    )


def cluster_spec(site: Site, *, name: str, home: Home, directory: Path, user: str) -> ClusterSpec:
    """Return a cluster as it is wanted, with nothing left to look up.

    Raises
    ------
    ConfigError
        If a setting cannot be what it is; nothing has been written or submitted.
    """
    settings = site.settings
    own = _pool(site, directory=directory)
    return ClusterSpec(
        name=name,
        site=site.name,
        system=site.system,
        user=user,
        home=home,
        directory=directory,
        worker=own.worker,
        scheduler=scheduler_resources(site),
        processes=own.processes,
        python=own.python,
        wrapper=own.wrapper,
        prologue=own.prologue,
        facts=dict(site.facts),
        pools={pool: _pool(_site_of(site, pool), directory=directory) for pool in settings.pools},
        offers=own.offers,
        max_jobs=own.max_jobs,
        interface=own.interface,
        scheduler_interface=settings.scheduler_interface,
        contact_address=settings.contact_address,
        launcher=_launcher(site),
        route=settings.route,
        ports=settings.ports,
        local_directory=own.local_directory,
        spill=own.spill,
        worker_class=own.worker_class,
        loopback=site.system == LOCAL and settings.interface is None,
        secure=settings.secure,
        death_timeout=settings.death_timeout,
        start_timeout=settings.start_timeout,
        drain_timeout=settings.drain_timeout,
        idle_timeout=_idle_timeout(settings, home),
        submit_from=SubmitFrom(settings.submit_from),
        scheduler_file=_scheduler_file(site),
        client_lease=settings.client_lease,
    )


def _pool(site: Site, *, directory: Path) -> Pool:
    """Return what a site's settings say of workers."""
    settings = site.settings
    software = software_of(settings, directory)
    limits = settings.queues.get(settings.queue or "", QueueLimits())
    processes = processes_of(settings)
    worker = worker_resources(site)
    check_places(site, processes=processes)
    return Pool(
        worker=worker,
        processes=processes,
        python=software.python,
        wrapper=software.wrapper,
        prologue=(*settings.prologue, *software.prologue),
        interface=settings.interface,
        local_directory=settings.local_directory,
        spill=settings.spill,
        worker_class=settings.worker_class,
        offers=dict(settings.resources),
        max_jobs=limits.max_jobs,
    )


def _site_of(site: Site, pool: str) -> Site:
    """Return a site with the settings of one of its pools in the place of its own."""
    if pool == DEFAULT_POOL:
        raise ConfigError(
            f"{site.said.where('pools', pool)} cannot be called {pool!r}",
            hint="that is the pool of the settings outside of all pools",
        )
    prefix = ("pools", pool)
    own = {path[2:]: said for path, said in site.said.layer.values.items() if path[:2] == prefix}
    own.pop((), None)  # the pool itself
    layer = Layer(values=own).over(site.said.layer)
    return replace(site, said=settle(site.name, (layer,)))


def _scheduler_file(site: Site) -> Path | None:
    name = site.settings.scheduler_file
    if name is None:
        return None
    path = Path(name).expanduser().absolute()
    if path.parent.is_dir() and not path.is_dir():
        return path
    trouble = "is a directory" if path.is_dir() else f"cannot be: {path.parent} is no directory"
    raise ConfigError(
        f"{site.said.where('scheduler_file')} {name!r} {trouble}",
        hint="name a file in a directory that exists, and that nodes see",
    )


def _idle_timeout(settings: Settings, home: Home) -> float | None:
    if settings.idle_timeout is None:
        return _IDLE_TIMEOUT if home is Home.JOB else None
    return None if math.isinf(settings.idle_timeout) else float(settings.idle_timeout)


def _memory_of_a_core(site: Site) -> int:
    if site.system != LOCAL:
        return _MEMORY_OF_A_CORE
    local = site.settings.local
    size = machine.size(machine.Settings(cores=local.cores, memory=local.memory))
    return size.memory // size.cores


def _check_processes(site: Site) -> None:
    settings = site.settings
    if settings.processes is not None and settings.processes > settings.cores:
        raise ConfigError(
            f"{site.said.where('processes')} {settings.processes} is more than "
            f"{site.said.where('cores')} {settings.cores}",
            hint="processes share the cores of a job: take fewer, or ask for more cores",
        )


def _check_nodes(site: Site) -> None:
    nodes = site.settings.nodes
    if nodes > 1 and batch_system(site).launcher is None:
        raise ConfigError(
            f"{site.said.where('nodes')} {nodes}: a job of {site.system} has one node",
            hint="leave nodes at 1, and take more jobs",
        )


def _launcher(site: Site) -> str:
    name = site.settings.launcher or batch_system(site).launcher or _LOGIN
    if name not in LAUNCHERS:
        raise ConfigError(
            f"{site.said.where('launcher')} {name!r} is unknown",
            hint=did_you_mean(name, LAUNCHERS, otherwise="launchers are"),
        )
    return name


def _check_queue(site: Site, resources: Resources, *, prefix: str) -> None:
    queues = site.settings.queues
    if not queues or resources.queue is None:
        return
    if resources.queue not in queues:
        where = _where(site, "queue", prefix=prefix)
        raise ConfigError(
            f"{where} {resources.queue!r} is unknown to site {site.name!r}",
            hint=did_you_mean(resources.queue, queues, otherwise="its queues are"),
        )
    limits = queues[resources.queue]
    for key, limit, in_words in _LIMITS:
        wanted, allowed = getattr(resources, key), getattr(limits, limit)
        if allowed is not None and wanted is not None and wanted > allowed:
            raise ConfigError(
                f"{_where(site, key, prefix=prefix)} {in_words(wanted)} is more than queue "
                f"{resources.queue!r} of site {site.name!r} allows",
                hint=f"{site.said.where('queues', resources.queue, limit)} is {in_words(allowed)}",
            )


def _where(site: Site, key: str, *, prefix: str) -> str:
    own = site.said.layer.get(prefix + key)
    return site.said.where(prefix + key if own else key)
