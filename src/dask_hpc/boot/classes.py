"""Classes of workers that somebody names by a dotted path."""

from __future__ import annotations

from typing import Any

from distributed import Worker
from distributed.utils import import_term

from dask_hpc.boot.forked import QuietWorker
from dask_hpc.errors import ConfigError

# Ours in the place of these: it serves no HTTP, which every user of the node could read.
_PLAIN = {"distributed.Worker", "distributed.worker.Worker", "dask.distributed.Worker"}


def imported(name: str) -> Any:
    """Return the class of a name.

    Raises
    ------
    ConfigError
        If there is none.
    """
    if name in _PLAIN:
        return QuietWorker
    try:
        return import_term(name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"worker class {name!r} cannot be imported: {error}",
            hint="as in distributed.Nanny, distributed.Worker or dask_cuda.CUDAWorker",
        ) from None


def is_worker(name: str) -> bool:
    """Return whether a name is that of a worker; else it is of what starts workers by itself."""
    kind = imported(name)
    return isinstance(kind, type) and issubclass(kind, Worker)


def make(name: str, /, **options: Any) -> Worker:
    """Return a worker of a class in the process that was spawned for it: quiet, as all are."""
    kind: type[Worker] = imported(name)
    if not issubclass(kind, QuietWorker):
        kind = type(kind.__name__, (QuietWorker, kind), {})
    return kind(**options)
