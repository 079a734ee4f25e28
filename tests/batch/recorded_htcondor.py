"""What a real HTCondor said, as results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dask_hpc.testing import read_recording

if TYPE_CHECKING:
    from dask_hpc.process.runner import Result

RECORDINGS = Path(__file__).parents[1] / "recordings" / "htcondor"


def htcondor_said(name: str) -> Result:
    return read_recording(RECORDINGS / f"{name}.txt").result
