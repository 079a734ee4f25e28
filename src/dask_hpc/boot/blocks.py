"""The building blocks of a site's own job scripts: a scheduler, and a worker host, by a file."""

from __future__ import annotations

import asyncio
import getpass
import logging
import secrets
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dask_hpc._clock import SystemClock
from dask_hpc._files import make_private_directory, remove_tree
from dask_hpc._hosts import host_name
from dask_hpc.batch.model import Resources, Tag
from dask_hpc.boot.arrival import Place
from dask_hpc.boot.host import Post
from dask_hpc.boot.servers import Wishes, beside, own_host, spec_of, start_scheduler
from dask_hpc.boot.share import look_at_node
from dask_hpc.boot.trunk import DRAIN_SIGNALS
from dask_hpc.boot.whereabouts import find_by_file, read_whereabouts
from dask_hpc.cluster.slot import Slot
from dask_hpc.cluster.spec import ClusterSpec, Home
from dask_hpc.cluster.storage import make_scratch
from dask_hpc.engine.admission import JobRun
from dask_hpc.engine.schedulerfile import remove_scheduler_file, write_scheduler_file
from dask_hpc.errors import ClusterExists, ConfigError, SecurityError
from dask_hpc.security.tls_files import TLSFiles

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from distributed import Security

    from dask_hpc.boot.whereabouts import Whereabouts

logger = logging.getLogger("distributed.boot")

_FOLLOWED = 20.0  # seconds in which another scheduler may come after one that was killed
_LOOK = 0.5  # seconds
_RENEWED = 30 * 86400.0  # seconds; certificates are valid for three times as long


# the scheduler -----------------------------------------------------------------------------------


async def run_scheduler(file: Path, wishes: Wishes, *, certify: Callable[[Path], object]) -> None:
    """Run a scheduler until it is shut down, idle for long, or told by a signal.

    Parameters
    ----------
    file
        Where it says how to reach it; its certificates lie beside, in ``FILE.private``.
    certify
        Makes certificates in a directory.

    Raises
    ------
    ClusterExists
        If the scheduler that the file names lives.
    ConfigError
        If the file cannot be there.
    """
    await _refuse_second(file)
    room = make_private_directory(beside(file))
    spec = spec_of(wishes, room, name="file")
    nonce = secrets.token_hex(8)
    try:
        if spec.secure and not _is_usable(room / "tls"):
            certify(room / "tls")
        scheduler = await start_scheduler(spec, wishes)
        write_scheduler_file(spec, scheduler, nonce=nonce)
        told = asyncio.Event()
        for number in DRAIN_SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, told.set)
        ends = {asyncio.ensure_future(scheduler.finished()), asyncio.ensure_future(told.wait())}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        await scheduler.close(reason="it was told to end")
    finally:
        remove_scheduler_file(file, nonce=nonce)
        remove_tree(room)


def _is_usable(tls: Path) -> bool:
    """Whether a scheduler that was killed left certificates: its workers can come to this one."""
    try:
        TLSFiles(tls).check()
        age = SystemClock().time() - TLSFiles(tls).authority.stat().st_mtime
    except (SecurityError, OSError):
        return False
    return age < _RENEWED


async def _refuse_second(file: Path) -> None:
    if not file.parent.is_dir():
        raise ConfigError(
            f"the scheduler file {file} cannot be: there is no {file.parent}",
            hint="name a file in a directory that exists, which all nodes see",
        )
    try:
        found = read_whereabouts(file)
    except (FileNotFoundError, ConfigError):
        return
    if await found.is_alive():
        raise ClusterExists(
            f"a scheduler is at {found.address} already, says {file}",
            hint="name another file, or end that one",
        )


# the worker host ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class HostWishes:
    """What somebody wants of the workers of a node. ``cores`` and ``memory`` are of all of them.

    ``None`` means all that this job has here; times are in seconds, ``memory`` in bytes.
    """

    processes: int = 1
    cores: int | None = None
    memory: int | None = None
    interface: str | None = None
    local_directory: str | None = None
    ports: str | None = None
    name: str | None = None
    death_timeout: float = 60.0


def worker_post(file: Path, wishes: HostWishes) -> Post:
    """Return where a worker host stands that finds its scheduler by a file.

    Raises
    ------
    ClusterError
        If there is no scheduler within the death timeout.
    """
    found = asyncio.run(find_by_file(file, seconds=wishes.death_timeout))
    spec = _host_spec(file, wishes, secure=bool(found.tls))
    tag = Tag(wishes.name or f"{host_name()}-{secrets.token_hex(3)}")
    return Post(
        spec=spec,
        slot=Slot(tag, 0),
        first=0,
        arrival=FileArrival(file, wishes, found=found),
        security=found.security,
        scratch=make_scratch(wishes.local_directory, spills=True).path,
        memory_limit=spec.memory_limit,
        drain_at=None,
    )


def _host_spec(file: Path, wishes: HostWishes, *, secure: bool) -> ClusterSpec:
    node = look_at_node()
    cores, memory = wishes.cores or node.threads(1), wishes.memory or node.memory_of(1)
    return ClusterSpec(
        name="file",
        site="file",
        system="file",
        user=getpass.getuser(),
        home=Home.HERE,
        directory=beside(file),
        worker=Resources(cores=cores, memory=memory),
        scheduler=Resources(cores=1, memory=1),
        processes=wishes.processes,
        python=sys.executable,
        interface=wishes.interface,
        ports=wishes.ports,
        local_directory=wishes.local_directory,
        secure=secure,
        death_timeout=wishes.death_timeout,
    )


class FileArrival:
    """The way of a worker host to the scheduler that a file names."""

    def __init__(self, file: Path, wishes: HostWishes, *, found: Whereabouts) -> None:
        self._file = file
        self._wishes = wishes
        self._found = found
        self._clock = SystemClock()
        self.run = JobRun(job="", began=self._clock.time())

    async def place(self, security: Security) -> Place:  # noqa: ARG002 - the file says which
        """Return where to work.

        Raises
        ------
        ClusterError
            If the scheduler does not answer in time.
        """
        self._found = await find_by_file(self._file, seconds=self._wishes.death_timeout)
        host = await own_host(self._wishes.interface, self._found.address)
        return Place(scheduler=self._found.address, host=host)

    async def is_followed(self) -> bool:
        """Whether the scheduler was killed, and another one with the same keys follows it."""
        deadline = self._clock.monotonic() + _FOLLOWED
        while self._clock.monotonic() < deadline:
            try:
                now = read_whereabouts(self._file)
            except (FileNotFoundError, ConfigError):
                return False  # it removed the file: it meant to end
            if now.nonce != self._found.nonce or await now.is_alive():
                return now.nonce != self._found.nonce
            await self._clock.sleep(_LOOK)
        return False
