"""Keeps a program in its job, as the scheduler: starts it again when it was killed or crashed.

It needs nothing but the standard library, and hardly any memory. The new scheduler takes up what
the journal says of the old one, and workers whose jobs go on come to it by the record.

``python -m dask_hpc.boot.keeper --directory DIR --slot TAG.INDEX --job ID --end-time SECONDS``
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from time import monotonic
from typing import TYPE_CHECKING

from dask_hpc import _envvars
from dask_hpc.boot.companion import companion
from dask_hpc.boot.trunk import DRAIN_SIGNALS, die_with_parent

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

_SAID = (0, 1, 2)  # exit codes of a program that ended as it meant to, or that cannot start
_CRASHES, _WINDOW = 3, 600.0  # so many in so many seconds are too many


class Keeper:
    """Runs one program again and again, until it ends by itself or crashes too often.

    Parameters
    ----------
    argv
        The program.
    what
        What it is, for the log.
    """

    def __init__(self, argv: Sequence[str], *, what: str = "the scheduler") -> None:
        self._argv = argv
        self._what = what
        self._child: subprocess.Popen[bytes] | None = None
        self._told = False
        self._environment = dict(os.environ)
        self._crashes: list[float] = []

    def run(self) -> int:
        """Return the exit code of the program, in the end."""
        for number in DRAIN_SIGNALS:
            signal.signal(number, self._pass_on)
        while True:
            code = self._run_once()
            if code in _SAID or self._told or self._has_crashed_often():
                return code if code >= 0 else 128 - code
            sys.stderr.write(f"{self._what} ended with {_ending(code)}: it is started again\n")
            # A crash that was asked for happens once.
            self._environment.pop(_envvars.CRASH_AT.name, None)

    @property
    def was_told(self) -> bool:
        """Whether it was told to end the program."""
        return self._told

    def _run_once(self) -> int:
        # In a process group of its own, signals would reach it from here alone; but a batch
        # system that ends process groups must find it.
        self._child = subprocess.Popen(
            self._argv,
            env=self._environment,
            preexec_fn=die_with_parent,
        )
        if self._told:  # while there was nobody to pass it on to
            self._child.terminate()
        return self._child.wait()

    def _pass_on(self, number: int, _: FrameType | None) -> None:
        self._told = True
        if self._child and self._child.poll() is None:
            self._child.send_signal(number)

    def _has_crashed_often(self) -> bool:
        now = monotonic()
        self._crashes = [*(then for then in self._crashes if now - then < _WINDOW), now]
        return len(self._crashes) > _CRASHES


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"


def main(arguments: Sequence[str]) -> int:
    """Keep a scheduler, which gets the same arguments, and beside it what its cluster has."""
    with companion(arguments):
        return Keeper([sys.executable, "-m", "dask_hpc.boot.scheduler", *arguments]).run()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
