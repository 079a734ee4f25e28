"""The worker host: one program a node that runs the node's Dask workers.

Its processes form a tree of depth one::

    trunk (this program)   single-threaded; imports once, then only forks and reaps
    ├── supervisor         asyncio; one nanny a worker; drains on a signal and in time
    └── workers            forked on the supervisor's request

``python -m dask_hpc.boot.workers --directory DIR --slot TAG.INDEX --job ID --end-time SECONDS``
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import gc
import importlib
import logging
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import dask
from distributed.versions import get_versions

from dask_hpc._clock import SystemClock
from dask_hpc.boot.forked import work
from dask_hpc.boot.host import Post, Supervisor
from dask_hpc.boot.trunk import Trunk, has_threads
from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.cluster.record import read_cluster, read_spec
from dask_hpc.cluster.slot import Slot
from dask_hpc.engine.limits import check_interface
from dask_hpc.engine.tls import cluster_security
from dask_hpc.errors import HPCError

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from dask_hpc.cluster.spec import ClusterSpec

logger = logging.getLogger("distributed.worker_host")

_MARGIN_SHARE = 4  # of a job's time, at most one part in so many goes to leaving


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the workers of a job until they are drained or the scheduler is gone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--slot", type=Slot.parse, required=True)
    parser.add_argument("--job", default="")
    parser.add_argument("--end-time", type=lambda text: float(text) if text else None)
    options = parser.parse_args(arguments)
    gc.disable()
    try:
        return _run(options)
    except HPCError as error:
        sys.stderr.write(f"error: {error}\nhint: {error.hint}\n")
        return 1


def _run(options: argparse.Namespace) -> int:
    directory = ClusterDirectory(options.directory)
    spec, record = read_spec(directory), read_cluster(directory)
    security = cluster_security(directory.tls, secure=spec.secure)
    check_interface(spec.interface)
    _warm_up()
    scratch = _scratch(spec)
    trace = directory.scratch_of(options.slot)
    post = Post(
        spec=spec,
        slot=options.slot,
        scheduler=record.address,
        security=security,
        scratch=scratch,
        drain_at=drain_time(options.end_time, now=SystemClock().time(), margin=spec.drain_margin),
    )
    try:
        trace.unlink(missing_ok=True)  # of a node of the same job, or of a host that was killed
        trace.symlink_to(scratch)
        return _run_workers(post)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        trace.unlink(missing_ok=True)


def _run_workers(post: Post) -> int:
    if has_threads():  # of a BLAS that was told to use several, say
        logger.warning("an import left threads running: workers are spawned, which is slower")
        gc.enable()
        return _supervise(post, None)
    return Trunk(work).run(functools.partial(_supervise, post))


def _supervise(post: Post, control: socket.socket | None) -> int:
    async def run() -> int:
        return await Supervisor(post, control).run()

    return asyncio.run(run())


def drain_time(end_time: float | None, *, now: float, margin: float) -> float | None:
    """Return when to leave a job that ends then: a margin before, but not in its first part."""
    if end_time is None:
        return None
    return end_time - min(margin, max(0.0, end_time - now) / _MARGIN_SHARE)


def _scratch(spec: ClusterSpec) -> Path:
    """Return a private directory of this job's own on the node, for what workers spill."""
    parent = os.path.expandvars(spec.local_directory or os.environ.get("TMPDIR") or "/tmp")  # noqa: S108 - mkdtemp makes it private
    Path(parent).mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix="dask-hpc-", dir=parent))


def _warm_up() -> None:
    """Do once what every worker would do again: imports, and look-ups on disk."""
    for module in ("tornado.platform.asyncio", "distributed.http.routing"):
        importlib.import_module(module)
    for module in dask.config.get("distributed.worker.http.routes"):
        importlib.import_module(module)
    get_versions()  # runs `uname -p` once; the answer is kept
    gc.freeze()


if __name__ == "__main__":
    raise SystemExit(main())
