"""The worker host: one program a node that runs the node's Dask workers.

Its processes form a tree of depth one::

    trunk (this program)   single-threaded; imports once, then only forks and reaps
    ├── supervisor         asyncio; one nanny a worker; drains on a signal and in time
    └── workers            forked on the supervisor's request

``python -m dask_hpc.boot.workers --pool NAME --directory DIR --slot TAG.INDEX --job ID
--end-time SECONDS --node N --began SECONDS``
"""

from __future__ import annotations

import argparse
import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dask_hpc._clock import SystemClock
from dask_hpc.batch.model import JobId
from dask_hpc.boot.assignment import Assignment
from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.cluster.slot import Slot
from dask_hpc.cluster.spec import DEFAULT_POOL

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the workers of a job until they are drained or the scheduler is gone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pool", default=DEFAULT_POOL)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--slot", type=Slot.parse, required=True)
    parser.add_argument("--job", type=JobId, default=JobId(""))
    parser.add_argument("--node", type=int, default=0)
    parser.add_argument("--began", type=float)
    parser.add_argument("--end-time", type=lambda text: float(text) if text else None)
    options = parser.parse_args(arguments)
    # The imports make half a million objects, none of them garbage: a sixth of their time would
    # go to looking for it.
    gc.disable()
    try:
        from dask_hpc.boot.node import run
    except ModuleNotFoundError as error:
        sys.stderr.write(
            f"error: {sys.executable} has no module {error.name}, which workers need\n"
            f"hint: {sys.executable} -m pip install distributed, or name another env\n"
        )
        return 1
    return run(
        Assignment(
            directory=ClusterDirectory(options.directory),
            pool=options.pool,
            slot=options.slot,
            job=options.job,
            node=options.node,
            began=options.began or SystemClock().time(),
            end_time=options.end_time,
        )
    )


if __name__ == "__main__":
    raise SystemExit(main())
