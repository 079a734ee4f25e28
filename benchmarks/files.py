"""What each further worker of a node asks of the file system, until the scheduler knows it.

On a shared file system each of these calls may go to one server, for every worker of every node.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import environment
from benchmarks.bed import install
from benchmarks.harness import Contender, Goal, Measurement
from benchmarks.node import all_come, dask_worker, kill_below, started, worker_host

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractAsyncContextManager

    from distributed import Scheduler

    from benchmarks.harness import Quantities

    Node = Callable[[int], AbstractAsyncContextManager[tuple[Scheduler, list[str]]]]

MANY = 16
_KERNEL = ("/proc", "/sys", "/dev")  # answered by the node itself
_CALL = re.compile(r'\d+ +(\w+)\([^"]*(?:"((?:[^"\\]|\\.)*)")?')


@dataclass(frozen=True, slots=True)
class Call:
    """A call that names a file; of an open one, the name is empty."""

    name: str
    path: str

    @property
    def leaves_the_node(self) -> bool:
        """Whether a file system on disk or elsewhere has to answer."""
        return not self.path.startswith(_KERNEL)


def measurement() -> Measurement:
    """Return the measurement."""
    return Measurement(
        name="File-system calls for each further worker of a node",
        contenders=[
            Contender(name="worker host, TLS", run=partial(_run, worker_host)),
            Contender(name="dask worker, no TLS", run=partial(_run, dask_worker)),
        ],
        repeats=3,
        goals=[Goal(quantity="all of them calls", at_most=100)],
        around=_strace,
    )


def _run(node: Node) -> Quantities:
    one, many = (asyncio.run(traced(node, workers)) for workers in (1, MANY))
    outside = [sum(call.leaves_the_node for call in calls) for calls in (one, many)]
    return {
        "all of them calls": (len(many) - len(one)) / (MANY - 1),
        "outside /proc and /sys calls": (outside[1] - outside[0]) / (MANY - 1),
    }


async def traced(node: Node, workers: int) -> list[Call]:
    """Return the calls of a node until all its workers are known."""
    with tempfile.TemporaryDirectory(prefix="dask-hpc-bench-") as place:
        trace = Path(place) / "trace"
        strace = ["strace", "-f", "--seccomp-bpf", "-qq", "-e", "trace=%file", "-e", "signal=none"]
        async with node(workers) as (scheduler, argv):
            with started([*strace, "-o", str(trace), *argv]) as process:
                await all_come(scheduler, workers)
                kill_below(process.pid)
                process.wait(30)  # it writes what it has kept back
        return list(calls_of(trace.read_text(encoding="utf-8", errors="replace").splitlines()))


def calls_of(lines: Iterable[str]) -> Iterator[Call]:
    """Return the calls in a trace; the second half of one that was cut in two is none."""
    for line in lines:
        if match := _CALL.match(line):
            yield Call(match[1], match[2] or "")


def further(one: Iterable[Call], many: Iterable[Call], *, workers: int) -> list[tuple[str, float]]:
    """Return what each further worker calls, the most frequent first; numbers are left out."""
    counts = Counter(map(_kind, many))
    counts.subtract(map(_kind, one))
    each = [(kind, count / (workers - 1)) for kind, count in counts.items() if count]
    return sorted(each, key=lambda found: -found[1])


def _kind(call: Call) -> str:
    path = re.sub("-[a-z0-9_]{8}(?=/|$)", "-…", call.path)  # a name for this one time
    return f"{call.name} {re.sub('[0-9]+', 'N', path)}"


@contextmanager
def _strace() -> Iterator[None]:
    install("strace")
    yield


if __name__ == "__main__":
    environment.enter("benchmarks.files")
    one_worker, many_workers = (asyncio.run(traced(worker_host, count)) for count in (1, MANY))
    for what, how_many in further(one_worker, many_workers, workers=MANY)[:60]:
        print(f"{how_many:7.2f}  {what}")
