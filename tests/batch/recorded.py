"""What batch systems said, or could have said, as results; and what every refusal is told with."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from dask_hpc.errors import SubmitRejected
from dask_hpc.process.runner import Command, Result
from dask_hpc.testing import read_recording

if TYPE_CHECKING:
    from dask_hpc.batch.system import BatchSystem

RECORDINGS = Path(__file__).parents[1] / "recordings"


def _recorded(system: str, name: str) -> Result:
    return read_recording(RECORDINGS / system / f"{name}.txt").result


slurm_said: Final = partial(_recorded, "slurm")
pbs_said: Final = partial(_recorded, "openpbs")
torque_said: Final = partial(_recorded, "torque")
sge_said: Final = partial(_recorded, "sge")
oar_said: Final = partial(_recorded, "oar")
htcondor_said: Final = partial(_recorded, "htcondor")
openlava_said: Final = partial(_recorded, "lsf")


def manual_says(name: str) -> Result:
    """Return what the manual of LSF shows."""
    text = (RECORDINGS / "lsf" / f"manual-{name}.json").read_text(encoding="utf-8")
    return Result(command=Command(argv=("bjobs",)), exit_code=0, stdout=text, stderr="")


class Saying:
    """Results of a program, or of another one, that nobody recorded."""

    def __init__(self, program: str) -> None:
        self._program = program

    def __call__(
        self, stdout: str, *, stderr: str = "", exit_code: int = 0, program: str = ""
    ) -> Result:
        """Return one."""
        command = Command(argv=(program or self._program,))
        return Result(command=command, exit_code=exit_code, stdout=stdout, stderr=stderr)


def refusal(system: BatchSystem, result: Result, *, words: str, hint: str) -> str:
    """Return what is told of a refused submission, which has these words and this hint."""
    with pytest.raises(SubmitRejected) as caught:
        system.read_submit(result)
    error = caught.value
    assert type(error) is SubmitRejected, error
    assert words in str(error), error
    assert hint in error.hint, error.hint
    assert error.result is result
    assert not error.transient
    return str(error)
