"""Beds of a test module's own, free to be put to trouble: with limits, or with nodes that die."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.beds.beds import BedUnavailable, HostsBed, SgeBed, SlurmBed, make

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.beds.beds import Name


@contextmanager
def own_slurm(*options: str, extra: str = "", separate: bool = False) -> Iterator[SlurmBed]:
    """Give a Slurm beside that of the session, which this process and its children find.

    ``extra`` are more lines for its slurm.conf. ``separate`` hosts are found by `SlurmBed.run`
    alone; their nodes have the commands of Slurm.
    """
    name: Name = "slurm_net" if separate else "slurm"
    variables = {"BED_SLURM_EXTRA": extra, "BED_NODE_COMMANDS": "1"}
    with _own(name, *options, **variables) as bed:
        assert isinstance(bed, SlurmBed)
        yield bed


@contextmanager
def own_sge() -> Iterator[SgeBed]:
    """Give a Grid Engine of separate hosts, found by `SgeBed.run` alone."""
    with _own("sge_net") as bed:
        assert isinstance(bed, SgeBed)
        yield bed


@contextmanager
def _own(name: Name, *options: str, **variables: str) -> Iterator[HostsBed]:
    place = Path(tempfile.mkdtemp(prefix="dhbed", dir="/var/tmp"))
    place.chmod(0o755)  # its daemons run as users of their own
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in {"DASK_HPC_BEDS": str(place), **variables}.items():
            patch.setenv(variable, value)
        bed = make(name)
        assert isinstance(bed, HostsBed)
        for variable, value in bed.environ.items():
            patch.setenv(variable, value)
        try:
            _start(bed, *options)
            yield bed
        finally:
            bed.control("stop")
            shutil.rmtree(place)


def _start(bed: HostsBed, *options: str) -> None:
    try:
        bed.control("start", *options, timeout=600)  # the first time, with packages
    except BedUnavailable as failure:
        if failure.possible:
            raise
        pytest.skip(f"bed: {failure}")
