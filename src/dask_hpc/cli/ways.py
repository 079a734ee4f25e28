"""The way from a laptop to JupyterLab on a node, and what is said of each way to a person."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dask_hpc.errors import TunnelError
from dask_hpc.remote.far import argv_there
from dask_hpc.remote.line import RelayLine
from dask_hpc.remote.master import connect
from dask_hpc.remote.routes import ROUTES, tried
from dask_hpc.remote.shells import by_ssh, through
from dask_hpc.remote.verdicts import recall, remember

if TYPE_CHECKING:
    from dask_hpc.cli.output import Output
    from dask_hpc.process.ssh import SSHOptions
    from dask_hpc.remote.far import FarSite
    from dask_hpc.remote.routes import Target, Way
    from dask_hpc.remote.verdicts import Verdict

_PATIENCE = 100.0  # seconds: the login node tries one way after the other
JUMP = "jump"  # ssh from here to the node, through the login node
CHOICES = (*ROUTES, JUMP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Journey:
    """The one way to take, if any will not do; and whether each way is told."""

    route: str | None = None
    is_told: bool = False


ANY = Journey()


async def find_way_there(target: Target, *, site: FarSite, route: str | None = None) -> Way:
    """Return a way over the login node, which knows the ways from there to the nodes.

    Raises
    ------
    TunnelError
        If there is none, with what speaks against each.
    """
    laptop = await _laptop_of(site)
    name, wanted = target.record.name, route or target.spec.route
    if wanted:
        forced = (f"--route={wanted}", name)
        return await (laptop.jump(target) if wanted == JUMP else laptop.over_login(*forced))
    known = recall(site.name)
    try:
        if known and known.taken == JUMP:
            return await laptop.jump(target)
        return await laptop.over_login(name)
    except TunnelError:  # what was good the last time may not be so any more
        return await _search(target, laptop)


async def verdict_on_jump(target: Target, *, site: FarSite) -> Verdict:
    """Return how the one way does that begins here and not on the login node."""
    verdict, way = await _try_jump(target, await _laptop_of(site))
    if way:
        await way.close()
    return verdict


async def _search(target: Target, laptop: _Laptop) -> Way:
    try:
        return await laptop.over_login("--afresh", target.record.name)
    except TunnelError as login:
        verdict, way = await _try_jump(target, laptop)
        if way:
            remember(laptop.site.name, (verdict,))
            return way
        hints = [each for each in (login.hint, verdict.hint and f"{JUMP}: {verdict.hint}") if each]
        raise TunnelError(f"{login}; {verdict}", hint="; ".join(hints)) from None


async def _try_jump(target: Target, laptop: _Laptop) -> tuple[Verdict, Way | None]:
    return await tried(JUMP, laptop.jump(target), node=target.session.node)


@dataclass(frozen=True, slots=True)
class _Laptop:
    """What has a connection to the login node of a site."""

    site: FarSite
    options: SSHOptions

    async def over_login(self, *words: str) -> Way:
        """Return the way that the login node finds."""
        return await _start(argv_there(self.site, ("relay", *words), options=self.options))

    async def jump(self, target: Target) -> Way:
        """Return the way by an ssh that asks the login node for no more than the connection."""
        own = ("-l", target.spec.user, *through(self.site.host, self.options))
        return await _start(by_ssh(target.session.node, target.relay(), options=own))


async def _laptop_of(site: FarSite) -> _Laptop:
    return _Laptop(site, await asyncio.to_thread(connect, site.host, prompts=False))


async def _start(argv: tuple[str, ...]) -> Way:
    line = RelayLine(argv, env=os.environ)
    await line.start(_PATIENCE)
    return line


def tell_way(output: Output, verdict: Verdict) -> None:
    """Say of a way whether it leads there, and what would help."""
    output.note(str(verdict))
    if verdict.hint:
        output.note(f"hint: {verdict.hint}")
