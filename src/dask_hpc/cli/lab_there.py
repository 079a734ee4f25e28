"""JupyterLab on a site that ssh reaches, in a browser here."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from dask_hpc._clock import SystemClock
from dask_hpc.cli.lab import detached, follow_lab
from dask_hpc.cluster.record import read_cluster
from dask_hpc.errors import ConfigError, SessionError
from dask_hpc.jupyter.mirror import Mirror
from dask_hpc.jupyter.session import SessionGate
from dask_hpc.remote.far import argv_there, far_site, mirror_of
from dask_hpc.remote.master import connect

if TYPE_CHECKING:
    from dask_hpc.cli.output import Output
    from dask_hpc.remote.far import FarCluster, FarSite

_LOOK = 0.2  # seconds


def open_there(output: Output, cluster: FarCluster) -> None:
    """Print a link to the JupyterLab of a cluster, and keep the way open until Ctrl-C.

    Raises
    ------
    SessionError
        If it was started without JupyterLab, or that will not come.
    """
    site = far_site(cluster.site)
    if site is None:
        raise ConfigError(f"site {cluster.site!r} is here", hint=f"dask-hpc attach {cluster.name}")
    connect(site.host)  # it may ask now, and not later behind a page
    asyncio.run(_open(output, cluster.name, site=site))


async def _open(output: Output, name: str, *, site: FarSite) -> None:
    def news() -> tuple[str, ...]:
        options = connect(site.host, prompts=False)
        return argv_there(site, ("relay", "--news", name), options=options)

    mirror = Mirror(mirror_of(name), news)
    following = asyncio.ensure_future(mirror.follow())
    try:
        await mirror.arrived()
        async with SessionGate(mirror.directory, routes=("ssh",)) as gate:
            if output.as_json:
                output.json({"name": name, "site": site.name, "link": gate.link})
            else:
                output.write(gate.link)
            await _follow_job(output, mirror, gate=gate)
            await follow_lab(output, gate, directory=mirror.directory)
            await _stay(output, mirror, gate=gate)
    except asyncio.CancelledError:
        detached(output, name)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


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
    name, said = mirror.directory.path.name, mirror.words
    output.note(f"Ctrl-C detaches, {name} goes on; dask-hpc down {name} ends it")
    try:
        while True:
            mirror.check()
            if mirror.words != said:
                said = mirror.words
                output.note(said)
                gate.tell(said)
            await SystemClock().sleep(_LOOK)
    except SessionError as error:
        output.note(f"JupyterLab of {name} is over: {error}")
