"""JupyterLab on a site that ssh reaches, in a browser here."""

from __future__ import annotations

import asyncio
import json
from asyncio.subprocess import DEVNULL, PIPE
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from dask_hpc._clock import SystemClock
from dask_hpc._files import from_json
from dask_hpc.cli.lab import detached, follow_lab
from dask_hpc.cli.ways import ANY, JUMP, find_way_there, tell_way, verdict_on_jump
from dask_hpc.cluster.record import read_cluster
from dask_hpc.errors import ConfigError, SessionError, TunnelError
from dask_hpc.jupyter.mirror import Mirror
from dask_hpc.jupyter.session import SessionGate
from dask_hpc.remote.far import argv_there, far_site, mirror_of
from dask_hpc.remote.master import LoginNeeded, connect
from dask_hpc.remote.routes import Target
from dask_hpc.remote.verdicts import Verdict

if TYPE_CHECKING:
    from dask_hpc.cli.output import Output
    from dask_hpc.cli.ways import Journey
    from dask_hpc.cluster.directory import ClusterDirectory
    from dask_hpc.remote.far import FarCluster, FarSite

_LOOK = 0.2  # seconds


def open_there(output: Output, cluster: FarCluster, *, journey: Journey = ANY) -> None:
    """Print a link to the JupyterLab of a cluster, and keep the way open until Ctrl-C.

    ``journey`` says by which way.

    Raises
    ------
    SessionError
        If it was started without JupyterLab, or that will not come.
    """
    site = far_site(cluster.site)
    if site is None:
        raise ConfigError(f"site {cluster.site!r} is here", hint=f"dask-hpc attach {cluster.name}")
    connect(site.host)  # it may ask now, and not later behind a page
    asyncio.run(_open(output, cluster.name, site=site, journey=journey))


async def _open(output: Output, name: str, *, site: FarSite, journey: Journey) -> None:
    mirror = Mirror(mirror_of(name), partial(_news, site, name))
    following = asyncio.ensure_future(mirror.follow())
    try:
        await mirror.arrived()
        find = partial(find_way_there, site=site, route=journey.route)
        async with SessionGate(mirror.directory, find=find, token=mirror.token) as gate:
            if output.as_json:
                output.json({"name": name, "site": site.name, "link": gate.link})
            else:
                output.write(gate.link)
            await _follow_job(output, mirror, gate=gate)
            await follow_lab(output, gate, directory=mirror.directory)
            if journey.is_told:
                await _tell(output, mirror.directory, site=site, route=journey.route or "")
            await _stay(output, mirror, gate=gate)
    except asyncio.CancelledError:
        detached(output, name)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


def _news(site: FarSite, name: str) -> tuple[str, ...]:
    """Return what tells the news of a cluster, over the connection that is there or is now."""
    try:
        options = connect(site.host, prompts=False)
    except LoginNeeded as error:
        hint = f"dask-hpc ls {site.name} in another terminal logs in"
        raise TunnelError(str(error), hint=hint) from None
    return argv_there(site, ("relay", "--news", name), options=options)


async def _tell(output: Output, directory: ClusterDirectory, *, site: FarSite, route: str) -> None:
    """Say how each way does, from the login node and from here."""
    if route != JUMP:
        forced = (f"--route={route}",) if route else ()
        words = ("relay", "--verdicts", *forced, directory.path.name)
        argv = argv_there(site, words, options=connect(site.host, prompts=False))
        asking = await asyncio.create_subprocess_exec(*argv, stdin=DEVNULL, stdout=PIPE)
        said, _ = await asking.communicate()
        with suppress(ValueError, TypeError):  # what it could not say, it said on the terminal
            for verdict in from_json(json.loads(said), tuple[Verdict, ...]):
                tell_way(output, verdict)
    if route in ("", JUMP):
        tell_way(output, await verdict_on_jump(Target.of(directory), site=site))


async def _follow_job(output: Output, mirror: Mirror, *, gate: SessionGate) -> None:
    with output.waiting("waiting for the scheduler") as line:
        try:
            while not read_cluster(mirror.directory).address:
                mirror.check()
                line.update(mirror.words)
                gate.tell(mirror.words)
                await SystemClock().sleep(_LOOK)
        except SessionError as error:
            gate.tell(str(error), hint=error.hint, is_over=True)
            raise


async def _stay(output: Output, mirror: Mirror, *, gate: SessionGate) -> None:
    name, said, trouble = mirror.directory.path.name, mirror.words, ""
    output.note(f"Ctrl-C detaches, {name} goes on; dask-hpc down {name} ends it")
    try:
        while True:
            mirror.check()
            if mirror.words != said:
                said = mirror.words
                output.note(said)
                gate.tell(said)
            if gate.trouble != trouble:
                trouble = gate.trouble
                output.note(trouble or "there is a way to JupyterLab again")
            await SystemClock().sleep(_LOOK)
    except SessionError as error:
        output.note(f"JupyterLab of {name} is over: {error}")
