"""The node's side of a worker host: makes ready what its workers share, then runs them."""

from __future__ import annotations

import asyncio
import functools
import gc
import importlib
import importlib.util
import logging
import shutil
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import dask
from distributed.versions import get_versions

from dask_hpc._clock import SystemClock
from dask_hpc._units import format_bytes
from dask_hpc.boot.arrival import Arrival
from dask_hpc.boot.classes import imported
from dask_hpc.boot.forked import work
from dask_hpc.boot.host import Post, Supervisor
from dask_hpc.boot.trunk import Trunk, has_threads
from dask_hpc.cluster import network
from dask_hpc.cluster.record import read_cluster, read_spec
from dask_hpc.cluster.storage import file_system_of, make_scratch, remark_on
from dask_hpc.engine.limits import make_ready_for_thousands, memory_of_job
from dask_hpc.engine.tls import cluster_security
from dask_hpc.errors import HPCError

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from dask_hpc.boot.assignment import Assignment
    from dask_hpc.cluster.spec import ClusterSpec

logger = logging.getLogger("distributed.worker_host")

# Without a disk, what is spilled stays in memory, or goes over the network: better to wait.
_WITHOUT_SPILLING = {
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": 0.80,
    "distributed.worker.memory.terminate": 0.95,
}
# The scratch directory is this job's own, and goes with it: nobody else's is to be found there.
_NOT_AGAIN = {"distributed.worker.use-file-locking": False}
_MARGIN_SHARE = 4  # of a job's time, at most one part in so many goes to leaving


def run(assignment: Assignment) -> int:
    """Run the workers of a node until they are drained or the scheduler is gone."""
    try:
        post = _prepare(assignment)
    except HPCError as error:
        return _fail(error)
    trace = assignment.scratch
    try:
        trace.unlink(missing_ok=True)  # of a host that was killed
        trace.symlink_to(post.scratch)
        return run_workers(post)
    except HPCError as error:
        return _fail(error)
    finally:
        shutil.rmtree(post.scratch, ignore_errors=True)
        trace.unlink(missing_ok=True)


def _prepare(assignment: Assignment) -> Post:
    directory = assignment.directory
    spec = read_spec(directory).of(assignment.pool)
    first = assignment.node * spec.processes
    # What is missing is said before anything takes time.
    if assignment.slot.tag != read_cluster(directory).tag:
        spec = replace(spec, is_one_job=False)  # a job that was added to it
    if spec.is_one_job and assignment.node == 0:
        spec = spec.beside_scheduler()
    security = cluster_security(directory.tls, secure=spec.secure)
    if spec.interface:
        network.named(network.look(), spec.interface)
    if spec.worker_class:
        imported(spec.worker_class)
    make_ready_for_thousands()
    warm_up()
    if not spec.spill:
        dask.config.set(_WITHOUT_SPILLING)
    memory_limit = _memory_limit(spec)
    return Post(
        spec=spec,
        slot=assignment.slot,
        first=first,
        arrival=Arrival(spec, assignment),
        security=security,
        scratch=_scratch(spec),
        memory_limit=memory_limit,
        drain_at=drain_time(
            assignment.end_time, now=SystemClock().time(), margin=spec.drain_margin
        ),
    )


def _fail(error: HPCError) -> int:
    sys.stderr.write(f"error: {error}\nhint: {error.hint}\n")
    return 1


def run_workers(post: Post) -> int:
    """Run the workers of a post until they are drained or the scheduler is gone."""
    spawns = post.spec.worker_class is not None  # nobody knows what its module does
    if not spawns and has_threads():  # of a BLAS that was told to use several, say
        logger.warning("an import left threads running: workers are spawned, which is slower")
        spawns = True
    if spawns:
        gc.enable()
        return _supervise(post, None)
    for arguments in (post.security.get_connection_args, post.security.get_listen_args):
        arguments("worker")  # made once here, for all who are forked
    trunk = Trunk(functools.partial(work, security=post.security))
    return trunk.run(functools.partial(_supervise, post))


def _supervise(post: Post, control: socket.socket | None) -> int:
    async def run() -> int:
        return await Supervisor(post, control).run()

    try:
        return asyncio.run(run())
    except HPCError as error:
        return _fail(error)


def drain_time(end_time: float | None, *, now: float, margin: float) -> float | None:
    """Return when to leave a job that ends then: a margin before, but not in its first part."""
    if end_time is None:
        return None
    return end_time - min(margin, max(0.0, end_time - now) / _MARGIN_SHARE)


def _scratch(spec: ClusterSpec) -> Path:
    """Return a private directory of this job's own on the node, for what workers spill."""
    scratch = make_scratch(spec.local_directory, spills=spec.spill)
    for words in scratch.passed:
        logger.warning("%s: takes %s", words, scratch.path.parent)
    remark = remark_on(scratch.path, file_system_of(scratch.path), spills=spec.spill)
    if remark:
        logger.warning("%s; hint: %s", remark.text, remark.hint)
    return scratch.path


def _memory_limit(spec: ClusterSpec) -> int:
    """Return the bytes of each worker: of what the job asked for, or of less if it has less."""
    asked = spec.worker.memory
    allowed = memory_of_job(asked)
    if allowed < asked:
        logger.warning(
            "this job may have %s, and asked for %s: workers share what it may have",
            format_bytes(allowed),
            format_bytes(asked),
        )
    return allowed // spec.processes


def warm_up() -> None:
    """Do once what every worker would do again: imports, and look-ups on disk."""
    for module in ("tornado.platform.asyncio", "distributed.http.routing"):
        importlib.import_module(module)
    for module in dask.config.get("distributed.worker.http.routes"):
        importlib.import_module(module)
    dask.config.set(_NOT_AGAIN)
    if importlib.util.find_spec("gilknocker") is None:
        dask.config.set({"distributed.admin.system-monitor.gil.enabled": False})
    get_versions()  # runs `uname -p` once; the answer is kept
    gc.freeze()
