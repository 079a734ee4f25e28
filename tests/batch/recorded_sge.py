"""What a real Grid Engine said, as results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dask_hpc.testing import read_recording
from tests.batch.recorded import RECORDINGS

if TYPE_CHECKING:
    from dask_hpc.process.runner import Result


def sge_said(name: str) -> Result:
    return read_recording(RECORDINGS / "sge" / f"{name}.txt").result
