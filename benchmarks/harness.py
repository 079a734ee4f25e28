"""Contenders that take turns, the medians of what they measured, and a table of their ratios."""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import distributed

RESULTS = Path(__file__).with_name("results")

Quantities = Mapping[str, float]  # by name with unit: {"wall s": 0.7}


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One way to do it. ``run`` does it once and returns what it cost."""

    name: str
    run: Callable[[], Quantities]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What is measured. Ours stands first; the others are what it is compared with."""

    name: str
    contenders: Sequence[Contender]
    repeats: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """What every run of a measurement cost: by contender and quantity, in order."""

    name: str
    values: Mapping[str, Mapping[str, list[float]]]
    loads: list[float] = field(default_factory=list)  # of the machine, before each turn

    @property
    def quantities(self) -> list[str]:
        """Everything that was measured, in the order of our own."""
        return list(next(iter(self.values.values())))

    def median(self, contender: str, quantity: str) -> float:
        """Return the middle one of a contender's values."""
        return statistics.median(self.values[contender][quantity])


def measure(measurement: Measurement) -> Runs:
    """Let the contenders take turns, so that a busy minute of the machine hits all of them."""
    values: dict[str, dict[str, list[float]]] = {one.name: {} for one in measurement.contenders}
    loads = []
    for turn in range(measurement.repeats):
        loads.append(os.getloadavg()[0])
        for contender in measurement.contenders:
            say(f"{measurement.name}: {contender.name}, {turn + 1} of {measurement.repeats}")
            for quantity, value in contender.run().items():
                values[contender.name].setdefault(quantity, []).append(value)
    return Runs(name=measurement.name, values=values, loads=loads)


def table(runs: Runs) -> list[str]:
    """Return a line for each quantity and rival: the medians and their ratio."""
    ours, *others = runs.values
    lines = [f"{runs.name} (load {min(runs.loads):.1f} to {max(runs.loads):.1f})"]
    for other in others:
        lines.append(f"  {ours} | {other}")
        for quantity in runs.quantities:
            mine, theirs = runs.median(ours, quantity), runs.median(other, quantity)
            lines.append(
                f"    {quantity:12s} {_number(mine):>9s} {_number(theirs):>9s}"
                f"   ratio {_number(mine / theirs):>7s}   1 : {_number(theirs / mine)}"
            )
    return lines


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def save(found: Sequence[Runs]) -> Path:
    """Keep every value, with what it was measured on; return the file."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / time.strftime("%Y%m%d-%H%M%S.json")
    facts = {
        "time": time.time(),
        "machine": platform.platform(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "distributed": distributed.__version__,
        "runs": [asdict(runs) for runs in found],
    }
    path.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return path


def say(text: str) -> None:
    """Show where it is, on a terminal only."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{text}")
        sys.stderr.flush()
