"""A Slurm of a test module's own: with accounting and limits, and free to be put to trouble."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.beds.beds import BedUnavailable, SlurmBed, make

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def own_slurm(*options: str, extra: str = "", separate: bool = False) -> Iterator[SlurmBed]:
    """Give a Slurm beside that of the session, which this process and its children find.

    ``extra`` are more lines for its slurm.conf. ``separate`` hosts are found by `SlurmBed.run`
    alone; their nodes have the commands of Slurm.
    """
    place = Path(tempfile.mkdtemp(prefix="dhbed", dir="/var/tmp"))
    place.chmod(0o755)  # its daemons run as users of their own
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DASK_HPC_BEDS", str(place))
        patch.setenv("BED_SLURM_EXTRA", extra)
        patch.setenv("BED_NODE_COMMANDS", "1")
        bed = make("slurm_net" if separate else "slurm")
        assert isinstance(bed, SlurmBed)
        for name, value in bed.environ.items():
            patch.setenv(name, value)
        try:
            _start(bed, *options)
            yield bed
        finally:
            bed.control("stop")
            shutil.rmtree(place)


def _start(bed: SlurmBed, *options: str) -> None:
    try:
        bed.control("start", *options, timeout=600)  # the first time, with packages
    except BedUnavailable as failure:
        if failure.possible:
            raise
        pytest.skip(f"bed: {failure}")
