"""What part of its node a task has that shares it with others. Pure but for `look_at_node`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dask.system
import distributed.system
import psutil

from dask_hpc.engine.limits import memory_of_job

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """What tasks share: processors and bytes; ``bound`` are the processors this one may use."""

    processors: int
    bound: int
    memory: int

    def threads(self, tasks: int) -> int:
        """Return the threads of one of so many tasks.

        A task that was bound to processors of its own has those.
        """
        return max(1, min(self.bound, self.processors // tasks))

    def memory_of(self, tasks: int) -> int:
        """Return the bytes of one of so many tasks."""
        return self.memory // tasks


def look_at_node(environ: Mapping[str, str] = os.environ) -> Node:
    """Return what this job has of the node that this runs on."""
    bound = len(psutil.Process().cpu_affinity() or ()) or os.cpu_count() or 1
    given = environ.get("SLURM_CPUS_ON_NODE", "")
    processors = int(given) if given.isdecimal() else os.cpu_count() or 1
    quota = dask.system.CPU_COUNT
    if quota < bound:  # a quota, which all tasks share
        processors = min(processors, quota)
    return Node(
        processors=processors,
        bound=bound,
        memory=memory_of_job(int(distributed.system.MEMORY_LIMIT)),
    )
