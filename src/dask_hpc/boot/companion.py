"""What lives beside a cluster's scheduler in its job: the Jupyter session, if one was asked for.

With it comes a port of the node for who has the cluster's keys, where nodes are reached otherwise
by nobody: it has to be there already, since nothing can be started then.

It needs nothing but the standard library, like the keeper.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from dask_hpc.boot.trunk import die_with_parent
from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.cluster.record import read_spec
from dask_hpc.errors import HPCError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_GRACE = 5.0  # seconds


@contextmanager
def companion(arguments: Sequence[str]) -> Iterator[None]:
    """Let the session live as long as the block; it gets the arguments of the scheduler."""
    programs = list(_wanted(arguments))
    with ExitStack() as stack:
        started = [
            stack.enter_context(
                subprocess.Popen([sys.executable, "-m", *words], preexec_fn=die_with_parent)
            )
            for words in programs
        ]
        try:
            yield
        finally:
            for each in started:
                each.terminate()
            for each in started:
                _end(each)


def _wanted(arguments: Sequence[str]) -> Iterator[tuple[str, ...]]:
    directory = ClusterDirectory(Path(arguments[arguments.index("--directory") + 1]))
    if not directory.session.exists():
        return
    yield ("dask_hpc.jupyter.server", *arguments)
    with suppress(HPCError):  # which the scheduler will say
        spec = read_spec(directory)
        if spec.secure and not spec.loopback:
            yield ("dask_hpc.remote.port", "open", "--directory", str(directory.path))


def _end(program: subprocess.Popen[bytes]) -> None:
    try:
        program.wait(_GRACE)
    except subprocess.TimeoutExpired:
        program.kill()
