"""What real systems of the PBS family said, as results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dask_hpc.testing import read_recording
from tests.batch.recorded import RECORDINGS

if TYPE_CHECKING:
    from dask_hpc.process.runner import Result


def pbs_said(name: str) -> Result:
    return read_recording(RECORDINGS / "openpbs" / f"{name}.txt").result


def torque_said(name: str) -> Result:
    return read_recording(RECORDINGS / "torque" / f"{name}.txt").result
