"""What can stand under the name ``dask_mpi``: its functions, and its connections, which are plain.

Programs that were written for dask-mpi connect to its scheduler without certificates, and find
its dashboard at port 8787.
"""

from __future__ import annotations

from typing import Any

from dask_hpc import mpi
from dask_hpc.compat.words import named
from dask_hpc.mpi import WorldTooSmallException, send_close_signal

__all__ = ["WorldTooSmallException", "execute", "initialize", "send_close_signal"]

# In the order of dask-mpi 2026.3.0.
_INITIALIZE = (
    *("interface", "nthreads", "local_directory", "memory_limit", "nanny", "dashboard"),
    *("dashboard_address", "protocol", "worker_class", "worker_options", "comm", "exit"),
)
_EXECUTE = (
    *("client_function", "client_args", "client_kwargs", "client_rank", "scheduler"),
    *("scheduler_rank", "scheduler_address", "scheduler_port", "scheduler_file", "interface"),
    *("nthreads", "local_directory", "memory_limit", "nanny", "dashboard", "dashboard_address"),
    *("protocol", "exclusive_workers", "worker_class", "worker_options", "worker_name", "comm"),
)
_PLAIN = {"secure": False, "dashboard_address": ":8787"}


def initialize(*places: Any, **options: Any) -> bool:
    """Do as `dask_hpc.mpi.initialize`, with dask-mpi's places of arguments and its defaults."""
    return mpi.initialize(**{**_PLAIN, **named(_INITIALIZE, places, options=options)})


def execute(*places: Any, **options: Any) -> None:
    """Do as `dask_hpc.mpi.execute`, with dask-mpi's places of arguments and its defaults."""
    mpi.execute(**{**_PLAIN, **named(_EXECUTE, places, options=options)})
