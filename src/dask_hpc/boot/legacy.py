"""What a task leaves is removed, even if the task is killed."""

from __future__ import annotations

import logging
import shutil
import subprocess
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

logger = logging.getLogger("distributed.boot")

_HEIR = """trap '' HUP INT TERM USR1 USR2
read -r _ || exec rm -rf -- "$0"
"""


@contextmanager
def removed_in_any_case(directory: Path) -> Iterator[Path]:
    """Remove a directory at the end of the block, or when this process is killed before."""
    with removed_if_killed(directory):
        try:
            yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def removed_if_killed(directory: Path) -> Iterator[None]:
    """Remove a directory if this process is killed in the block.

    Launchers send SIGKILL a second after SIGTERM, or at once. A shell in a session of its own
    reads from a pipe that this process holds open as long as it lives: a line dismisses it.
    """
    heir = _heir_of(directory)
    try:
        yield
    finally:
        if heir is not None:
            with suppress(OSError):
                heir.communicate(b"\n")


def _heir_of(directory: Path) -> subprocess.Popen[bytes] | None:
    try:
        return subprocess.Popen(
            ["/bin/sh", "-c", _HEIR, str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:  # some libraries of MPI, and some sites, let no task start others
        logger.info("if this process is killed, %s stays: %s", directory, error)
        return None
