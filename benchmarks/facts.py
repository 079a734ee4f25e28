"""What a run was measured on, and the file in which all its values are kept."""

from __future__ import annotations

import importlib.metadata
import json
import math
import os
import platform
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.harness import Goal, Runs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

RESULTS = Path(__file__).with_name("results")
# What is compared, and what makes every import of distributed longer where it is.
_TOLD = ("dask-hpc", "distributed", "dask-jobqueue", "numpy", "pandas", "bokeh")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """When and where it was measured; ``load`` is the machine's load average at the start."""

    time: float
    processor: str
    cores: int
    memory: int
    system: str
    python: str
    load: float
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def date(self) -> str:
        """The day, as 2026-11-20."""
        return time.strftime("%Y-%m-%d", time.gmtime(self.time))

    @property
    def machine(self) -> str:
        """The machine in a line."""
        size = f"{self.cores} cores, {self.memory / 2**30:.0f} GiB"
        return f"{self.processor}, {size}, load {self.load:.1f} at the start"

    @property
    def software(self) -> str:
        """The software in a line."""
        named = [f"{name} {version}" for name, version in self.versions.items()]
        return ", ".join([*named, f"Python {self.python}"])


def look() -> Facts:
    """Return the facts of this moment."""
    return Facts(
        time=time.time(),
        processor=_processor(Path("/proc/cpuinfo").read_text(encoding="utf-8")),
        cores=os.cpu_count() or 1,
        memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        system=platform.platform(),
        python=platform.python_version(),
        load=os.getloadavg()[0],
        versions=dict(_versions()),
    )


def _versions() -> Iterator[tuple[str, str]]:
    for name in _TOLD:
        with suppress(importlib.metadata.PackageNotFoundError):
            yield name, importlib.metadata.version(name)


def _processor(text: str) -> str:
    lines = (line.partition(":") for line in text.splitlines())
    models = (value.strip() for name, _, value in lines if name.strip() == "model name")
    return next(models, platform.machine())


def save(facts: Facts, found: Sequence[Runs], *, place: Path = RESULTS) -> Path:
    """Keep every value, with what it was measured on; return the file."""
    place.mkdir(exist_ok=True)
    path = place / time.strftime("%Y%m%d-%H%M%S.json", time.gmtime(facts.time))
    kept = {**asdict(facts), "runs": [asdict(runs) for runs in found]}
    path.write_text(json.dumps(_finite(kept), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return path


def load(path: Path) -> tuple[Facts, list[Runs]]:
    """Return what `save` kept."""
    kept = json.loads(path.read_text(encoding="utf-8"))
    runs = [_runs(one) for one in kept.pop("runs")]
    return Facts(**kept), runs


def _runs(kept: dict[str, Any]) -> Runs:
    values = {
        name: {
            quantity: [math.inf if one is None else one for one in found]
            for quantity, found in quantities.items()
        }
        for name, quantities in kept["values"].items()
    }
    goals = tuple(Goal(**goal) for goal in kept["goals"])
    yardsticks = tuple(kept["yardsticks"])
    return Runs(**{**kept, "values": values, "goals": goals, "yardsticks": yardsticks})


def _finite(value: Any) -> Any:
    """Return a value of JSON, in which what never came is nothing: it knows no infinity."""
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
