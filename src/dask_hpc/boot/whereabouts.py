"""Where a scheduler is, as a file says it. A file may be old: whom it names must answer."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dask_hpc._clock import SystemClock
from dask_hpc._files import read_private
from dask_hpc.engine.reach import Search
from dask_hpc.engine.tls import cluster_security
from dask_hpc.errors import ClusterError, ConfigError, HPCError, SecurityError
from dask_hpc.security.tls_files import Role, TLSFiles

if TYPE_CHECKING:
    from distributed import Security

logger = logging.getLogger("distributed.boot")

_GREETING = 5.0  # seconds for a scheduler to answer
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0  # seconds between looks, each twice the one before


@dataclass(frozen=True, slots=True, kw_only=True)
class Whereabouts:
    """The address of a scheduler, and the directory of the certificates that let in, if any."""

    address: str
    tls: str = ""
    nonce: str = ""

    @property
    def security(self) -> Security:
        """What connects to it.

        Raises
        ------
        SecurityError
            If a key is not private.
        """
        return cluster_security(Path(self.tls), secure=bool(self.tls))

    def settings(self) -> dict[str, Any]:
        """Return the configuration of Dask with which ``Client()`` finds it."""
        files = TLSFiles(Path(self.tls))
        settings: dict[str, Any] = {"scheduler-address": self.address}
        if self.tls:
            settings["distributed.comm.require-encryption"] = True
            settings["distributed.comm.tls.ca-file"] = str(files.authority)
            for role in Role:
                own = f"distributed.comm.tls.{role}"
                settings[f"{own}.cert"] = str(files.certificate(role))
                settings[f"{own}.key"] = str(files.key(role))
        return settings

    async def is_alive(self) -> bool:
        """Whether it answers, with its certificates."""
        try:
            search = Search([self.address], self.security)
            return await search.once(_GREETING) is not None
        except (HPCError, OSError):
            return False


def read_whereabouts(path: Path) -> Whereabouts:
    """Return what a scheduler file says.

    Raises
    ------
    FileNotFoundError
        If it is not there.
    SecurityError
        If it names certificates, and is not ours alone: others could send us elsewhere.
    ConfigError
        If it is none.
    """
    try:
        facts = json.loads(_text(path))
        authority = facts.get("security", {}).get("tls_ca_file")
        return Whereabouts(
            address=str(facts["address"]),
            tls=str(Path(authority).parent) if authority else "",
            nonce=str(facts.get("nonce", "")),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path} is no scheduler file: {error}", hint="remove it") from None


def _text(path: Path) -> str:
    try:
        return read_private(path)
    except SecurityError:
        text = path.read_text(encoding="utf-8")  # as distributed's own scheduler writes it
        if '"tls_ca_file"' in text:
            raise
        return text


async def find_by_file(path: Path, *, seconds: float) -> Whereabouts:
    """Return where the scheduler of a file is, once it is there and answers.

    Raises
    ------
    ClusterError
        If that is not so in time, with what was in the way.
    SecurityError
        If the file is not ours alone.
    """
    clock = SystemClock()
    deadline, pause = clock.monotonic() + seconds, _FIRST_PAUSE
    said = ""
    while True:
        found, trouble = await _look(path)
        if found is not None:
            return found
        if trouble != said:
            logger.info("waits for a scheduler: %s", trouble)
            said = trouble
        left = deadline - clock.monotonic()
        if left <= 0:
            raise ClusterError(
                f"no scheduler within {seconds:g} s: {trouble}",
                hint="start it with dask-hpc scheduler --scheduler-file, or wait longer with "
                "--death-timeout",
            )
        await clock.sleep(min(pause, left))
        pause = min(2 * pause, _LONGEST_PAUSE)


async def _look(path: Path) -> tuple[Whereabouts | None, str]:
    try:
        found = read_whereabouts(path)
    except FileNotFoundError:
        return None, f"{path} is not there"
    except ConfigError as error:  # half-written by distributed's own scheduler, perhaps
        return None, str(error)
    if await found.is_alive():
        return found, ""
    return None, f"nobody answers at {found.address}, which {path} names: it is an old one"


def is_alive(found: Whereabouts) -> bool:
    """Do as its method does, where no event loop runs."""
    with suppress(OSError):
        return asyncio.run(found.is_alive())
    return False
