"""What is known of the ways to the nodes of a site: which one was taken, and why not the others."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dask_hpc import _envvars
from dask_hpc._clock import SystemClock
from dask_hpc._files import make_private_directory, read_record, write_record
from dask_hpc.errors import HPCError

if TYPE_CHECKING:
    from pathlib import Path

_FRESH = 7 * 86400.0  # seconds: sites change
_MOMENT = 10.0  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a way leads there, why or why not, and what would change that."""

    route: str
    works: bool
    reason: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.route}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdicts:
    """What was found out at a time, in seconds since the epoch, in the order of the trials."""

    time: float
    found: tuple[Verdict, ...]

    @property
    def taken(self) -> str:
        """The way that is taken: the first that works; nothing if none does."""
        return next((each.route for each in self.found if each.works), "")

    @property
    def refused(self) -> tuple[Verdict, ...]:
        """Those that do not work."""
        return tuple(each for each in self.found if not each.works)


def remember(site: str, found: tuple[Verdict, ...]) -> None:
    """Write down what was found out of a site, for the next time; it is no harm if that fails."""
    with suppress(HPCError, OSError):
        path = _path(site)
        make_private_directory(path.parent)
        write_record(path, Verdicts(time=SystemClock().time(), found=found))


def recall(site: str) -> Verdicts | None:
    """Return what is known of a site, if it is not too old."""
    with suppress(HPCError, OSError):
        found = read_record(_path(site), Verdicts)
        if 0 <= SystemClock().time() - found.time < _FRESH:
            return found
    return None


def refused_lately(site: str) -> tuple[Verdict, ...]:
    """Return what speaks against each way, if none worked a moment ago: a page asks for ever."""
    known = recall(site)
    is_old = known is None or SystemClock().time() - known.time > _MOMENT
    return known.found if known and not is_old and not known.taken else ()


def _path(site: str) -> Path:
    return _envvars.home() / "routes" / f"{site}.json"
