"""How a command gets at clusters: one by name, or all of them at once."""

from __future__ import annotations

import asyncio
import difflib
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from dask_hpc.cli.view import ClusterView
from dask_hpc.cluster.directory import directories, directory_of
from dask_hpc.cluster.record import clusters
from dask_hpc.cluster.session import find_session
from dask_hpc.deploy.agent import tend_agent
from dask_hpc.deploy.reaching import settled
from dask_hpc.engine.client import ControllerClient, check_running, connected
from dask_hpc.errors import ClusterElsewhere, ClusterNotFound, ControllerUnreachable, HPCError
from dask_hpc.remote.far import far_cluster
from dask_hpc.remote.verdicts import recall

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from dask_hpc.cluster.directory import ClusterDirectory


def existing(name: str) -> ClusterDirectory:
    """Return the directory of a cluster.

    Raises
    ------
    ClusterNotFound
        If there is none of this name; the hint says the nearest one.
    ClusterElsewhere
        If it was started from here on a site that ssh reaches.
    """
    if "@" not in name and (directory := directory_of(name)).path.is_dir():
        return directory
    if cluster := far_cluster(name):
        raise ClusterElsewhere(
            f"cluster {cluster.name!r} is on the site {cluster.site!r}",
            site=cluster.site,
            hint=f"dask-hpc status {name} asks there",
        )
    names = [each.path.name for each in directories()]
    near = difflib.get_close_matches(name, names, n=1)
    raise ClusterNotFound(
        f"there is no cluster named {name!r}",
        hint=f"did you mean {near[0]!r}?" if near else "dask-hpc ls lists those that exist",
    )


@asynccontextmanager
async def controller_of(name: str) -> AsyncIterator[ControllerClient]:
    """Give the controller of the cluster of this name."""
    directory = existing(name)
    check_running(await settled(directory))
    async with connected(directory) as controller:
        yield controller


async def tended(name: str) -> str:
    """Start the agent of a cluster again if it needs one; return what there is to say about it."""
    return await tend_agent(existing(name))


async def view_of(name: str) -> ClusterView:
    """Return a cluster as it is now, whether it answers or not."""
    directory = existing(name)
    agent = await tend_agent(directory)
    record = await settled(directory)
    session = find_session(directory)
    known = recall(record.site) if session else None
    ways = known.found if known else ()
    view = ClusterView(record=record, agent=agent, session=session, ways=ways)
    try:
        check_running(record)
        async with connected(directory) as controller:
            return replace(view, report=await controller.report())
    except ControllerUnreachable as error:
        return replace(view, trouble=str(error))


async def all_views() -> list[ClusterView]:
    """Return every cluster, asked at the same time."""
    names = list(clusters())
    found = await asyncio.gather(*(view_of(name) for name in names), return_exceptions=True)
    views = []
    for view in found:
        if isinstance(view, ClusterView):
            views.append(view)
        elif not isinstance(view, HPCError):  # one that was ended meanwhile is no news
            raise view
    return views
