"""What OpenLava said, and what the manual of LSF shows, as results."""

from __future__ import annotations

from dask_hpc.process.runner import Command, Result
from dask_hpc.testing import read_recording
from tests.batch.recorded import RECORDINGS


def openlava_said(name: str) -> Result:
    return read_recording(RECORDINGS / "lsf" / f"{name}.txt").result


def manual_says(name: str) -> Result:
    text = (RECORDINGS / "lsf" / f"manual-{name}.json").read_text(encoding="utf-8")
    return Result(command=Command(argv=("bjobs",)), exit_code=0, stdout=text, stderr="")
