"""Runs for the tests of the benchmarks: made up, as none of them measures anything."""

from __future__ import annotations

import math

from benchmarks.facts import Facts
from benchmarks.harness import Goal, Runs

FACTS = Facts(
    time=1_790_000_000.0,
    processor="Slow & Steady 3000",
    cores=2,
    memory=24 * 2**30,
    system="Linux",
    python="3.11.7",
    load=0.25,
    versions={"dask-hpc": "0.1.0", "distributed": "2026.8.0"},
)
NODE = Runs(
    name="16 workers on a node",
    values={
        "worker host": {"wall s": [0.7, 0.9, 0.8], "CPU s": [1.0, 1.0, 1.0]},
        "dask worker": {"wall s": [4.0, 3.0, 8.0], "CPU s": [5.0, 4.0, 5.0]},
    },
    goals=(
        Goal(quantity="wall s", at_most=0.20, beside="dask worker"),
        Goal(quantity="CPU s", at_most=0.12, beside="dask worker"),
    ),
    loads=[0.2, 0.4, 0.3],
)
LOST = Runs(
    name="Lost job",
    values={"ours": {"after scancel s": [0.5, 1.5]}, "theirs": {"after scancel s": [math.inf]}},
    goals=(Goal(quantity="after scancel s", at_most=1.0),),
    loads=[0.1, 0.1],
)
HELP = Runs(
    name="Command line",
    values={
        "--help": {"wall ms": [60.0]},
        "python": {"wall ms": [12.0]},
        "dask": {"wall ms": [300.0]},
    },
    goals=(Goal(quantity="wall ms", at_most=6.0, beside="python"),),
    yardsticks=("python",),
    loads=[0.1],
)
MISSING = Runs(name="Ask", values={}, failures=["there is no Slurm: only root can start it"])
ALL = [NODE, LOST, HELP, MISSING]
