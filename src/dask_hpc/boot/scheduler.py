"""The scheduler's own job: scheduler and controller, alive without the notebook.

``python -m dask_hpc.boot.scheduler --directory DIR --slot TAG.INDEX --job ID --end-time SECONDS``
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dask_hpc._files import remove_tree
from dask_hpc.batch.model import JobId, Tag
from dask_hpc.boot.trunk import DRAIN_SIGNALS
from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.cluster.followon import find_follow_on, forget_follow_on
from dask_hpc.cluster.record import ClusterState, read_cluster, read_spec, write_cluster
from dask_hpc.cluster.slot import Slot
from dask_hpc.engine.schedulerfile import remove_scheduler_file
from dask_hpc.engine.start import controller_queue, start_scheduler
from dask_hpc.errors import HPCError

if TYPE_CHECKING:
    import signal
    from collections.abc import Sequence

    from dask_hpc.engine.scheduler import HPCScheduler


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the scheduler of a cluster until it is shut down, idle for long, or out of time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--slot", type=Slot.parse, required=True)
    parser.add_argument("--job", type=JobId, required=True)
    parser.add_argument("--end-time", type=lambda text: float(text) if text else None)
    options = parser.parse_args(arguments)
    try:
        asyncio.run(_run(options))
    except HPCError as error:
        sys.stderr.write(f"error: {error}\nhint: {error.hint}\n")
        return 1
    return 0


async def _run(options: argparse.Namespace) -> None:
    directory = ClusterDirectory(options.directory)
    scheduler = await start_scheduler(
        read_spec(directory), tag=options.slot.tag, job=options.job, end_time=options.end_time
    )
    told = listen_for_signals()
    await asyncio.wait(
        {told, asyncio.ensure_future(scheduler.finished())}, return_when=asyncio.FIRST_COMPLETED
    )
    reason = told.result() if told.done() else "it was shut down, or idle for too long"
    await scheduler.close(reason=reason)
    if not told.done():
        await cancel_follow_on(directory, tag=options.slot.tag)
    bury(directory, scheduler, reason=reason)


def listen_for_signals() -> asyncio.Future[str]:
    """Return what will say that this process was told to end, and how."""
    loop = asyncio.get_running_loop()
    told: asyncio.Future[str] = loop.create_future()
    for number in DRAIN_SIGNALS:
        loop.add_signal_handler(number, _tell, told, number)
    return told


def _tell(told: asyncio.Future[str], number: signal.Signals) -> None:
    if not told.done():
        told.set_result(f"its job got signal {number.name}")


async def cancel_follow_on(directory: ClusterDirectory, *, tag: Tag) -> None:
    """Cancel the job that was to follow this one: nobody needs the cluster any more."""
    with suppress(HPCError, OSError):
        if follow_on := find_follow_on(directory, after=tag):
            queue = controller_queue(read_spec(directory))
            found = await queue.status([follow_on.tag])
            await queue.cancel(list(found))
            forget_follow_on(directory)


def bury(directory: ClusterDirectory, scheduler: HPCScheduler, *, reason: str) -> None:
    """Say that the cluster ended, unless somebody removed it meanwhile.

    No secret stays, unless another job follows, which has the same.
    """
    try:
        record = read_cluster(directory)
    except HPCError:
        directory.session_token.unlink(missing_ok=True)
        remove_tree(directory.tls)
        return
    if not find_follow_on(directory, after=record.tag):
        remove_tree(directory.tls)
        directory.session_token.unlink(missing_ok=True)
    remove_scheduler_file(read_spec(directory).scheduler_file, nonce=record.nonce)
    if record.address in (scheduler.address, scheduler.contact_address):
        write_cluster(directory, replace(record, state=ClusterState.ENDED, reason=reason))


if __name__ == "__main__":
    raise SystemExit(main())
