"""A whole program in one job: from the job's start to the script's first line with all workers.

Four nodes of eight workers, of which ours leaves one out for scheduler and script; so the rival,
dask-mpi with OpenMPI, gets as many tasks less. Ours is encrypted and supervised, the rival has
neither nannies nor a dashboard.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.beds.beds import BedUnavailable, MPIBed, make

from benchmarks.bed import CORES, NODES, place, slurm
from benchmarks.environment import PYTHON, VENV
from benchmarks.harness import Contender, Goal, Measurement, TurnFailed, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.harness import Quantities

WORKERS = NODES * CORES - 1
DASK_MPI = "dask-mpi==2026.3.0"
_NAME = DASK_MPI.replace("==", " ")
_SITE = VENV / "dask-mpi"  # apart: no other contender shall find it
_SECONDS = 200
_SCRIPT = f"""
import sys, time
from distributed import Client

if __name__ == "__main__":
    if sys.argv[2:]:
        from dask_mpi import initialize
        initialize(nthreads=1, memory_limit="1GiB", dashboard=False, local_directory=sys.argv[2])
    with Client() as client:
        client.wait_for_workers({WORKERS})
        with open(sys.argv[1], "w") as ready:
            ready.write(str(time.time()))
"""


def measurement() -> Measurement:
    """Return the measurement."""
    return Measurement(
        name=f"A script in one job of {NODES} nodes with {CORES} workers each",
        contenders=[Contender(name="dask-hpc run", run=_ours), Contender(name=_NAME, run=_theirs)],
        repeats=3,
        goals=[Goal(quantity="start s", at_most=0.35, beside=_NAME)],
        around=_bed,
        patience=_SECONDS + 40.0,
    )


@contextmanager
def _bed() -> Iterator[None]:
    with slurm():
        mpi = _mpi()
        try:
            mpi.control("start", timeout=900)
            _fetch()
        except (BedUnavailable, OSError, subprocess.CalledProcessError) as error:
            raise Unavailable(f"there is no dask-mpi: {error}") from error
        yield


def _mpi() -> MPIBed:
    bed = make("mpi")
    assert isinstance(bed, MPIBed)
    return bed


def _fetch() -> None:
    if not (_SITE / "dask_mpi").is_dir():
        words = ["--quiet", "--disable-pip-version-check", "--no-deps", "--target", str(_SITE)]
        subprocess.run([str(PYTHON), "-m", "pip", "install", *words, DASK_MPI], check=True)


def _ours() -> Quantities:
    size = (f"--nodes={NODES}", f"--cores={CORES}", f"--processes={CORES}", f"--memory={CORES}GiB")
    more = ("--site=slurm", "--walltime=30m", f"--local-directory={place()}")
    run = (sys.executable, "-m", "dask_hpc.cli.main", "run", *size, *more)
    return _measured([*run, f"--prologue={_clock()}", *_script()])


def _theirs() -> Quantities:
    mpi = _mpi()
    # All nodes are this machine: OpenMPI need not ask Slurm to get there.
    launch = mpi.argv("openmpi", WORKERS + 2)
    launch[1:1] = ["--mca", "plm", "isolated", "--mca", "ras", "^slurm"]
    words = " ".join([*launch, sys.executable, *_script(), str(place())])
    size = (f"--nodes={NODES}", f"--cpus-per-task={CORES}", f"--mem={CORES}G", "--time=30")
    log = f"--output={place() / 'dask-mpi.log'}"
    path = os.pathsep.join([str(_SITE), mpi.variables("openmpi", mpi4py=True)["PYTHONPATH"]])
    lines = f"{_clock()}; export PYTHONPATH={path}; exec {words}"
    return _measured(["sbatch", "--wait", "--quiet", *size, log, f"--wrap={lines}"])


def _clock() -> str:
    return f"date +%s.%N >{place() / 'begun'}"


def _script() -> tuple[str, str]:
    script = place() / "script.py"
    script.write_text(_SCRIPT, encoding="utf-8")
    return str(script), str(place() / "ready")


def _measured(argv: list[str]) -> Quantities:
    begun, ready = place() / "begun", place() / "ready"
    for path in (begun, ready):
        path.unlink(missing_ok=True)
    done = subprocess.run(
        argv,
        cwd=place(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    if not ready.is_file():
        raise TurnFailed(f"no script began: {(done.stdout + done.stderr).strip()[-300:]!r}")
    return {"start s": _time(ready) - _time(begun)}


def _time(path: Path) -> float:
    return float(path.read_text(encoding="utf-8"))
