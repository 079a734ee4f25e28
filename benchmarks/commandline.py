"""How long a person waits for the command line to say anything, in bare starts of Python."""

from __future__ import annotations

import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.harness import Contender, Goal, Measurement

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.harness import Quantities


def measurement() -> Measurement:
    """Return the measurement."""
    script = Path(sys.executable).with_name("dask-hpc")
    # Where the project is on a path and not installed, there is no script.
    ours = [str(script)] if script.exists() else [sys.executable, "-m", "dask_hpc.cli.main"]
    start = Contender(name="python -c pass", run=_bare(["-c", "pass"]), yardstick=True)
    return Measurement(
        name="Command line: dask-hpc --help",
        contenders=[
            Contender(name="dask-hpc --help", run=partial(_run, [*ours, "--help"])),
            start,
            Contender(
                name="dask worker --help",
                run=_bare(["-m", "distributed.cli.dask_worker", "--help"]),
            ),
        ],
        repeats=15,
        goals=[Goal(quantity="wall ms", at_most=6.0, beside=start.name)],
    )


def _bare(words: list[str]) -> Callable[[], Quantities]:
    return partial(_run, [sys.executable, *words])


def _run(argv: list[str]) -> Quantities:
    begin = time.perf_counter()
    subprocess.run(argv, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    return {"wall ms": (time.perf_counter() - begin) * 1000}
