"""A computation that outlives its jobs many times, and how much of the cluster was there for it."""

from __future__ import annotations

import operator
import os
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from distributed import Client, as_completed

from dask_hpc import HPCCluster

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from distributed import Future

    from tests.integration.places import Place

_TASK = 0.2  # seconds
_HELD = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The workers at one moment: all that are connected, and those that take work."""

    time: float
    connected: int
    ready: int


@dataclass(slots=True, kw_only=True)
class Soaked:
    """What a computation saw of its cluster, from the first moment that it was complete.

    ``wrong`` counts results that are not what they should be, ``blamed`` the deaths that tasks
    were blamed for, ``again`` how often a result was computed again that a worker had held.
    """

    workers: int
    samples: list[Sample] = field(default_factory=list)
    results: int = 0
    wrong: int = 0
    blamed: int = 0
    again: int = 0
    jobs: Counter[str] = field(default_factory=Counter)  # by how they ended

    def share(self, of: Callable[[Sample], int]) -> float:
        """Return how much of the wanted worker-seconds there was."""
        there = sum(
            min(of(sample), self.workers) * (after.time - sample.time)
            for sample, after in pairwise(self.samples)
        )
        return there / (self.workers * self.seconds)

    @property
    def seconds(self) -> float:
        """How long it was looked at."""
        return self.samples[-1].time - self.samples[0].time

    @property
    def connected(self) -> float:
        """The share of the wanted worker-seconds in which a worker was connected."""
        return self.share(lambda sample: sample.connected)

    @property
    def ready(self) -> float:
        """The share in which one took work."""
        return self.share(lambda sample: sample.ready)

    def __str__(self) -> str:
        """Return the figures in a line."""
        ends = ", ".join(f"{count} jobs: {end}" for end, count in self.jobs.items())
        return (
            f"{self.seconds:.0f} s, {self.results} results, {self.wrong} wrong, "
            f"{self.blamed} blamed, {self.again} computed again; of the wanted worker-seconds "
            f"{self.connected:.2%} connected, {self.ready:.2%} ready; {ends}"
        )


def soak(place: Place, *, jobs: int, seconds: float, **options: Any) -> Soaked:
    """Compute for some seconds on so many jobs, and tell how that went."""
    with (
        HPCCluster(**{**place.small, **options}, name=place.name()) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        cluster.scale(jobs=jobs)
        soaked = Soaked(workers=jobs * cluster.spec.workers_per_job)
        client.wait_for_workers(soaked.workers, timeout=120)
        held = client.map(_one_of_its_kind(), range(_HELD), pure=False)
        before = client.gather(held)
        with _sampled(client, soaked.samples):
            _compute(client, soaked, seconds)
        soaked.again = sum(map(operator.ne, client.gather(held), before))
        soaked.blamed = _blamed(client)
        soaked.jobs = Counter(_in_words(job.reason) for job in cluster.jobs())
        return soaked


def _compute(client: Client, soaked: Soaked, seconds: float) -> None:
    width = 3 * soaked.workers
    square = _square()
    futures: dict[Future, int] = {client.submit(square, n): n for n in range(width)}
    submitted = width
    begin = time.monotonic()
    work = as_completed(list(futures), loop=client.loop)
    for future in work:
        number = futures.pop(future)
        soaked.results += 1
        soaked.wrong += future.result() != number**2
        if time.monotonic() - begin < seconds:
            more = client.submit(square, submitted)
            futures[more] = submitted
            work.add(more)
            submitted += 1


@contextmanager
def _sampled(client: Client, samples: list[Sample]) -> Iterator[None]:
    """Look once a second, whatever the computation does."""
    over = threading.Event()

    def look() -> None:
        samples.append(_sample(client))
        while not over.wait(1):
            samples.append(_sample(client))

    with ThreadPoolExecutor() as pool:
        looking = pool.submit(look)
        try:
            yield
        finally:
            over.set()
            looking.result()


def _sample(client: Client) -> Sample:
    def count(dask_scheduler: Any) -> tuple[int, int]:
        states = [worker.status.name for worker in dask_scheduler.workers.values()]
        return len(states), states.count("running")

    connected, ready = client.run_on_scheduler(count)
    return Sample(time=time.monotonic(), connected=connected, ready=ready)


# Functions of functions travel whole: jobs cannot import this module.


def _square() -> Callable[[int], int]:
    def work(number: int) -> int:
        time.sleep(_TASK)
        return number**2

    return work


def _one_of_its_kind() -> Callable[[int], bytes]:
    def work(number: int) -> bytes:
        return bytes([number]) * 2**20 + os.urandom(8)

    return work


def _blamed(client: Client) -> int:
    def count(dask_scheduler: Any) -> int:
        tasks = dask_scheduler.tasks.values()
        return sum(task.suspicious + (task.state == "erred") for task in tasks)

    return client.run_on_scheduler(count)


def _in_words(reason: str) -> str:
    return "".join("N" if letter.isdigit() else letter for letter in reason) or "serves"
