"""What lives beside a cluster's scheduler in its job: the Jupyter session, if one was asked for.

It needs nothing but the standard library, like the keeper.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dask_hpc.boot.trunk import die_with_parent
from dask_hpc.cluster.directory import ClusterDirectory

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_GRACE = 5.0  # seconds


@contextmanager
def companion(arguments: Sequence[str]) -> Iterator[None]:
    """Let the session live as long as the block; it gets the arguments of the scheduler."""
    if not _is_wanted(arguments):
        yield
        return
    argv = [sys.executable, "-m", "dask_hpc.jupyter.server", *arguments]
    with subprocess.Popen(argv, preexec_fn=die_with_parent) as session:
        try:
            yield
        finally:
            session.terminate()
            _end(session)


def _is_wanted(arguments: Sequence[str]) -> bool:
    directory = arguments[arguments.index("--directory") + 1]
    return ClusterDirectory(Path(directory)).session.exists()


def _end(session: subprocess.Popen[bytes]) -> None:
    try:
        session.wait(_GRACE)
    except subprocess.TimeoutExpired:
        session.kill()
