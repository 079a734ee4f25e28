"""How many jobs are meant by a number of workers, cores, bytes or jobs. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from dask_hpc._units import parse_bytes, parse_seconds
from dask_hpc.controller.adaptive import Bounds
from dask_hpc.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dask_hpc.cluster.spec import ClusterSpec


_MOST = 1000  # jobs of an adaptive cluster without a maximum


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """A size of a cluster, said in one of four ways. ``memory`` is in bytes or as ``"1TB"``."""

    workers: int | None = None
    jobs: int | None = None
    cores: int | None = None
    memory: str | int | None = None

    @property
    def is_given(self) -> bool:
        """Whether it says anything."""
        return any(
            value is not None for value in (self.workers, self.jobs, self.cores, self.memory)
        )


def jobs_at_least(amount: Amount, spec: ClusterSpec) -> int:
    """Return the jobs that bring this much, and never less.

    Raises
    ------
    ConfigError
        If nothing is said, several things are, or the number is negative.
    """
    return math.ceil(_jobs(amount, spec))


def jobs_at_most(amount: Amount, spec: ClusterSpec) -> int:
    """Return the jobs that bring this much, and never more."""
    return math.floor(_jobs(amount, spec))


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How an adaptive pool follows the work; see `Bounds`. Times are in seconds."""

    interval: float = 5.0
    wait_count: int = 3
    target_duration: float | None = None


def patience_of(
    interval: str | float, wait_count: int, *, target_duration: str | float | None
) -> Patience:
    """Return the patience that somebody asked for.

    Raises
    ------
    ConfigError
        If nobody would ever look at the work.
    """
    if wait_count < 1:
        raise ConfigError(f"wait_count {wait_count} is less than 1", hint="3 is the default")
    seconds = parse_seconds(interval, where="interval")
    if target_duration is None:
        return Patience(interval=seconds, wait_count=wait_count)
    target = parse_seconds(target_duration, where="target_duration")
    return Patience(interval=seconds, wait_count=wait_count, target_duration=target)


class Adaptation:
    """An adaptive cluster's bounds, in jobs. The scaling itself goes on beside the scheduler."""

    def __init__(self, bounds: Bounds, stop: Callable[[], Any]) -> None:
        self.minimum = bounds.minimum
        self.maximum = bounds.maximum
        self._stop = stop

    def stop(self) -> Any:
        """Stay at the present number of jobs."""
        return self._stop()


def bounds_of(low: Amount, high: Amount, *, spec: ClusterSpec, patience: Patience) -> Bounds:
    """Return two sizes as bounds in jobs: the lower rounded up, the upper one down.

    Raises
    ------
    ConfigError
        If the lower one is above the upper one.
    """
    bounds = Bounds(
        minimum=jobs_at_least(low, spec) if low.is_given else 0,
        maximum=jobs_at_most(high, spec) if high.is_given else _MOST,
        interval=patience.interval,
        wait_count=patience.wait_count,
        target_duration=patience.target_duration,
    )
    if bounds.minimum > bounds.maximum:
        raise ConfigError(
            f"minimum of {bounds.minimum} jobs is above the maximum of {bounds.maximum}",
            hint="a maximum is rounded down to whole jobs",
        )
    return bounds


def _jobs(amount: Amount, spec: ClusterSpec) -> Fraction:
    nodes = spec.worker.nodes
    ways = {
        "workers": (amount.workers, spec.workers_per_job),
        "jobs": (amount.jobs, 1),
        "cores": (amount.cores, spec.worker.cores * nodes),
        "memory": (_bytes(amount.memory), spec.worker.memory * nodes),
    }
    said = {word: way for word, way in ways.items() if way[0] is not None}
    if len(said) != 1:
        raise ConfigError(
            f"a size is said {'in several ways: ' + ', '.join(said) if said else 'in no way'}",
            hint="give one of workers, jobs, cores and memory",
        )
    ((word, (number, share)),) = said.items()
    if number is None or number < 0:
        raise ConfigError(f"{word} {number!r} is negative", hint="0 ends every job")
    return Fraction(number) / share


def _bytes(memory: str | int | None) -> int | None:
    return None if memory is None else parse_bytes(memory) if memory != 0 else 0
