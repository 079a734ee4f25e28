"""A real Slurm of the benchmarks' own: four nodes of eight processors, which only seem to be."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests.beds.beds import SCRIPTS, BedUnavailable, SlurmBed, make

from benchmarks.harness import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

NODES, CORES, MEMORY = 4, 8, "16384"  # MiB of a node
GIB = 2**30
_STATE = "/var/lib/dask-hpc-bench"


@contextmanager
def slurm() -> Iterator[SlurmBed]:
    """Enter with a Slurm that nobody else uses, which this process and its children find.

    Raises
    ------
    Unavailable
        If it cannot be here.
    """
    os.environ["DASK_HPC_BEDS"] = os.environ.get("DASK_HPC_BENCH_BED", _STATE)
    bed = make("slurm")
    assert isinstance(bed, SlurmBed)
    with private_home():  # for longer than the jobs, which write there
        try:
            _start(bed)
            os.environ.update(bed.environ)
            yield bed
        finally:
            _stop(bed)  # and with the nodes every process of every job


def _start(bed: SlurmBed) -> None:
    _stop(bed)  # what a run left that was killed
    try:
        bed.control("start", "--cpus", str(CORES), "--mem", MEMORY, timeout=900)
    except (BedUnavailable, OSError) as error:
        raise Unavailable(f"there is no Slurm: {error}") from error


def _stop(bed: SlurmBed) -> None:
    with suppress(BedUnavailable, OSError):  # where it cannot start it cannot stop
        bed.control("stop")


def install(program: str) -> None:
    """See to it that a program of Debian's package of the same name is here.

    Raises
    ------
    Unavailable
        If it cannot be.
    """
    if shutil.which(program):
        return
    lines = f". {SCRIPTS / 'lib.sh'}; need_root; make_state; apt_install {program}"
    done = subprocess.run(["bash", "-c", lines], capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [""])[-1]
        raise Unavailable(f"there is no {program}: {said}")


@contextmanager
def private_home() -> Iterator[Path]:
    """Keep out of the way of the clusters and the settings of whoever measures."""
    place = Path(tempfile.mkdtemp(prefix="dhb", dir="/tmp"))
    os.environ["DASK_HPC_HOME"] = str(place / "h")
    os.environ["DASK_CONFIG"] = str(place / "config")
    os.environ["XDG_CONFIG_HOME"] = str(place / "config")
    os.environ["DASK_HPC_BENCH_PLACE"] = str(place)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def place() -> Path:
    """Return the directory that goes with the measurement."""
    return Path(os.environ["DASK_HPC_BENCH_PLACE"])
