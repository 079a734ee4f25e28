"""The agent of a cluster whose nodes may not submit: it is started here, tended, and ended.

Its program is `dask_hpc.remote.agent`, in the copy of the package that the cluster's jobs run, so
that both sides of a request are of one version.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from dask_hpc._clock import SystemClock, until
from dask_hpc._files import make_private_directory
from dask_hpc._hosts import is_alive
from dask_hpc.batch.programs import is_in_job, programs_of
from dask_hpc.cluster.record import ClusterState, read_cluster, read_spec
from dask_hpc.engine.start import queue_of
from dask_hpc.errors import HPCError, LaunchError
from dask_hpc.process.requests import AGENT, Requests, read_agent

if TYPE_CHECKING:
    from dask_hpc.cluster.directory import ClusterDirectory
    from dask_hpc.cluster.spec import ClusterSpec
    from dask_hpc.process.requests import AgentSeen

_SILENT = 30.0  # seconds without a sign of life
_START = 10.0  # seconds that it has to come up
_LEAVE, _KILL = 2.5, 0.5  # seconds that it has for its end


async def start_agent(directory: ClusterDirectory) -> None:
    """Start the agent of a cluster; it outlives this process, its session and its terminal.

    If one lives on this host already, the new one leaves at once.

    Raises
    ------
    LaunchError
        If it does not come up.
    """
    Requests(make_private_directory(directory.requests)).reopen()
    process = _start(directory)
    await until(
        lambda: process.poll() is not None or _is_up(directory), _START, clock=SystemClock()
    )
    if not _is_up(directory):
        raise LaunchError(
            f"the agent of {directory.path.name!r} did not start",
            hint=f"its log is {directory.logs / 'agent.log'}; "
            f"dask-hpc status {directory.path.name} tries again",
        )


def _is_up(directory: ClusterDirectory) -> bool:
    seen = read_agent(directory.requests)
    return seen is not None and is_alive(seen.process) is True


def _start(directory: ClusterDirectory) -> subprocess.Popen[bytes]:
    path = filter(None, (str(directory.code), os.environ.get("PYTHONPATH")))
    return subprocess.Popen(
        [
            *(sys.executable, "-P", "-m", "dask_hpc.remote.agent"),
            *("--directory", str(directory.path)),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        start_new_session=True,
    )


async def tend_agent(directory: ClusterDirectory) -> str:
    """Start a cluster's agent again if it has ended, and if this is where it can live.

    Returns
    -------
    str
        What there is to say about it; nothing if it lives, or if the cluster needs none.
    """
    try:
        spec, record = read_spec(directory), read_cluster(directory)
        if not spec.has_agent or record.state is ClusterState.ENDED:
            return ""
        seen = read_agent(directory.requests)
        trouble = _trouble(directory, seen)
        if not trouble or (seen and is_alive(seen.process)) or not submits_here(spec):
            return trouble
        await start_agent(directory)
    except (HPCError, OSError) as error:
        return f"the agent cannot be tended: {error}"
    return f"{trouble}, started again"


def _trouble(directory: ClusterDirectory, seen: AgentSeen | None) -> str:
    """Return in words what is wrong with an agent, or nothing."""
    if seen is None:
        return "the agent has ended"
    host, last = seen.process.host, seen.last_beat
    if is_alive(seen.process) is False:
        return f"the agent on {host} ended at {last}"
    if _is_silent(directory, seen):
        return f"the agent on {host} has not answered since {last}"
    return ""


def _is_silent(directory: ClusterDirectory, seen: AgentSeen) -> bool:
    return Requests(directory.requests).now() - seen.beat > _SILENT


def submits_here(spec: ClusterSpec) -> bool:
    """Whether the batch system of a cluster takes commands from this process.

    Where there is an agent, that is if this host has the commands, and this is not part of a job.
    """
    system = queue_of(spec).system
    return not spec.has_agent or not (programs_of(system).missing or is_in_job(system))


async def end_agent(directory: ClusterDirectory) -> None:
    """Let a cluster's agent begin nothing any more, and end it.

    On this host it gets a signal; elsewhere it finds out by itself within seconds, if it lives.
    """
    room, clock = directory.requests, SystemClock()
    with suppress(HPCError, OSError):
        seen = read_agent(room)
        Requests(room).close()
        if seen is None:
            return
        if is_alive(seen.process):
            _signal(seen, signal.SIGTERM)
        if is_alive(seen.process) is not None or not _is_silent(directory, seen):
            await until(lambda: _is_gone(directory, seen), _LEAVE, clock=clock)
        if is_alive(seen.process):
            _signal(seen, signal.SIGKILL)
            await until(lambda: not is_alive(seen.process), _KILL, clock=clock)
        (room / AGENT).unlink(missing_ok=True)


def _is_gone(directory: ClusterDirectory, seen: AgentSeen) -> bool:
    alive = is_alive(seen.process)
    # By listing: a single name may be answered from a cache (`process.requests`, rule 8).
    names = [path.name for path in directory.requests.iterdir()]
    return AGENT not in names if alive is None else not alive


def _signal(seen: AgentSeen, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(seen.process.pid, number)
