"""Gathers the facts that `doctor` judges. Looks only, and mends nothing."""

from __future__ import annotations

import os
import resource
import shutil
import ssl
import stat
import sys
from dataclasses import replace
from importlib import metadata
from tempfile import gettempdir
from typing import TYPE_CHECKING

from dask_hpc import _envvars
from dask_hpc._files import check_private
from dask_hpc.batch.queue import Queue
from dask_hpc.cluster import network
from dask_hpc.cluster.directory import directories as cluster_directories
from dask_hpc.cluster.storage import IN_MEMORY, checked, file_system_of, remark_on
from dask_hpc.errors import ConfigError, HPCError, SecurityError
from dask_hpc.sites import profile
from dask_hpc.sites.detect import LOCAL
from dask_hpc.sites.doctor import Facts, HomeFacts, SiteFacts, Trouble
from dask_hpc.sites.site import find_site
from dask_hpc.sites.specs import batch_system, user_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dask_hpc.process.runner import Runner
    from dask_hpc.sites.layer import Layer
    from dask_hpc.sites.site import Site

_ANSWER = 20.0


async def examine(runner: Runner, call: Layer) -> Facts:
    """Return the facts about this machine, this user and the site that a call would take."""
    files = [file for place in profile.directories() for file in sorted(place.glob("*.yaml"))]
    clusters = cluster_directories()
    return Facts(
        python=tuple(sys.version_info[:3]),
        distributed=_version("distributed"),
        cryptography=_version("cryptography"),
        openssl=ssl.OPENSSL_VERSION,
        has_tls13=ssl.HAS_TLSv1_3,
        open_files=resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        home=_home(_envvars.home()),
        site=await _site(runner, call),
        profiles=len(files),
        bad_profiles=tuple(trouble for file in files if (trouble := _profile_trouble(file))),
        ignored_profiles=tuple(
            file for place in profile.directories() for file in sorted(place.glob("*.yml"))
        ),
        exposed=tuple(trouble for place in clusters for trouble in exposed(place.path)),
        leftovers=tuple(place.path for place in clusters if not place.record.exists()),
    )


def exposed(path: Path) -> Iterator[Trouble]:
    """Return what others may read or write, or own; a closed directory closes all below it."""
    try:
        facts = path.lstat()
        if stat.S_ISLNK(facts.st_mode):
            return
        check_private(path)
    except SecurityError as error:
        yield Trouble(text=str(error), hint=error.hint)
        if stat.S_ISDIR(facts.st_mode):
            yield from (trouble for entry in _entries(path) for trouble in exposed(entry))
    except FileNotFoundError:
        return  # it ended meanwhile


def _entries(path: Path) -> list[Path]:
    try:
        return sorted(path.iterdir())
    except OSError:
        return []


async def _site(runner: Runner, call: Layer) -> SiteFacts | Trouble:
    try:
        site = await find_site(runner, call)
    except HPCError as error:
        return _trouble(error)
    facts = SiteFacts(
        name=site.name,
        reason=site.reason,
        system=site.system,
        network=await _network(site),
        scratch=_scratch(site),
    )
    queue = Queue(batch_system(site), runner, user=user_name(), timeout=_ANSWER)
    try:
        return replace(facts, queues=await queue.queues())
    except HPCError as error:
        return replace(facts, trouble=_trouble(error))


async def _network(site: Site) -> str | Trouble:
    """Return the address that a scheduler here would have, and why; of jobs here, nothing."""
    settings = site.settings
    interface = settings.scheduler_interface or settings.interface
    if site.system == LOCAL and interface is None:
        return ""
    here = network.look()
    try:
        chosen = (
            network.named(here, interface, setting="the site")
            if interface
            else await network.of_scheduler(here, node=site.facts.get("node"))
        )
    except ConfigError as error:
        return Trouble(
            text=str(error),
            hint=f"{error.hint}; a scheduler on another host may have it, else set "
            "scheduler_interface",
        )
    return str(chosen)


def _scratch(site: Site) -> Trouble | None:
    """Return what is wrong with where workers spill, as far as that can be seen from here."""
    is_here = site.system == LOCAL
    given = site.settings.local_directory
    if given is None and not is_here:
        return None
    try:
        path = checked(given or os.environ.get("TMPDIR") or gettempdir())
    except ConfigError as error:
        return _trouble(error) if is_here else None
    existing = next(place for place in (path, *path.parents) if place.exists())
    kind = file_system_of(existing)
    if not is_here and (existing != path or kind in IN_MEMORY):
        return None  # nodes may have another one there
    remark = remark_on(path, kind, spills=site.settings.spill)
    return Trouble(text=remark.text, hint=remark.hint) if remark else None


def _home(path: Path) -> HomeFacts:
    existing = next(place for place in (path, *path.parents) if place.exists())
    trouble = None
    if existing == path:
        try:
            check_private(path.resolve())
        except SecurityError as error:
            trouble = _trouble(error)
    return HomeFacts(
        path=path,
        exists=existing == path,
        is_writable=existing.is_dir() and os.access(existing, os.W_OK | os.X_OK),
        file_system=file_system_of(existing),
        free=shutil.disk_usage(existing).free,
        trouble=trouble,
    )


def _profile_trouble(file: Path) -> Trouble | None:
    try:
        profile.read_profile(file)
    except HPCError as error:
        return _trouble(error)
    return None


def _trouble(error: HPCError) -> Trouble:
    return Trouble(text=str(error), hint=error.hint)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
