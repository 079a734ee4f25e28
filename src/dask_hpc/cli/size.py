"""The size of a cluster as it is typed: ``40``, or ``0:40``. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dask_hpc.controller.adaptive import Bounds
from dask_hpc.deploy.amounts import Amount, jobs_at_least, jobs_at_most
from dask_hpc.errors import ConfigError

if TYPE_CHECKING:
    from dask_hpc.cluster.spec import ClusterSpec

_SIZE = re.compile(r"(\d+)(?::(\d+))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """A number of workers, or (with ``most``) the bounds of one."""

    least: int
    most: int | None = None

    def jobs(self, spec: ClusterSpec) -> int:
        """Return the jobs that bring the workers."""
        return jobs_at_least(Amount(workers=self.least), spec)

    def bounds(self, spec: ClusterSpec) -> Bounds | None:
        """Return the bounds in jobs, if these are bounds."""
        if self.most is None:
            return None
        most = jobs_at_most(Amount(workers=self.most), spec)
        return Bounds(minimum=self.jobs(spec), maximum=max(most, self.jobs(spec)))


def size_of(text: str, *, where: str) -> Size:
    """Return the size that somebody typed.

    Raises
    ------
    ConfigError
        If it is none.
    """
    match = _SIZE.fullmatch(text)
    least, most = (int(match[1]), int(match[2]) if match[2] else None) if match else (-1, None)
    if least < 0 or (most is not None and most < least):
        raise ConfigError(
            f"{where} {text!r} is not a size", hint="a number of workers, 40, or bounds, 0:40"
        )
    return Size(least=least, most=most)


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeWish:
    """How large a cluster shall be at its start, said in one of three ways."""

    workers: int | None = None
    jobs_wanted: int | None = None
    adapt: Size | None = None

    def jobs(self, spec: ClusterSpec) -> tuple[int, int | None]:
        """Return the jobs to begin with, and the most if the cluster adapts."""
        if self.adapt:
            bounds = self.adapt.bounds(spec)
            return (bounds.minimum, bounds.maximum) if bounds else (self.adapt.jobs(spec), None)
        if self.workers is not None:
            return jobs_at_least(Amount(workers=self.workers), spec), None
        return jobs_at_least(
            Amount(jobs=1 if self.jobs_wanted is None else self.jobs_wanted), spec
        ), None


def wish_of(*, workers: int | None, jobs: int | None, adapt: str | None) -> SizeWish:
    """Return what ``--workers``, ``--jobs`` and ``--adapt`` say.

    Raises
    ------
    ConfigError
        If more than one of them says something.
    """
    given = {"--workers": workers, "--jobs": jobs, "--adapt": adapt}
    said = [name for name, value in given.items() if value is not None]
    if len(said) > 1:
        raise ConfigError(f"{' and '.join(said)} both say the size", hint="give one of them")
    size = size_of(adapt, where="--adapt") if adapt is not None else None
    if size and size.most is None:
        raise ConfigError(f"--adapt {adapt!r} is not bounds", hint="a least and a most, 0:40")
    return SizeWish(workers=workers, jobs_wanted=jobs, adapt=size)
