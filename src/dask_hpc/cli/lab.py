"""JupyterLab of a cluster, from the command line: the link, the wait, the stay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dask_hpc.cli.progress import follow_scheduler
from dask_hpc.cluster.record import read_cluster, read_spec
from dask_hpc.errors import SessionError
from dask_hpc.jupyter.session import is_followed, until_over, wait_for_lab

if TYPE_CHECKING:
    from dask_hpc.cli.output import Output
    from dask_hpc.cluster.directory import ClusterDirectory
    from dask_hpc.jupyter.session import SessionGate


async def follow_lab(output: Output, gate: SessionGate, *, directory: ClusterDirectory) -> None:
    """Wait for JupyterLab, saying so here and on its page.

    Raises
    ------
    SessionError
        If it will not come.
    """
    with output.waiting("waiting for JupyterLab") as line:

        def tell(words: str) -> None:
            line.update(words)
            gate.tell(words)

        try:
            session = await wait_for_lab(directory, tell)
        except SessionError as error:
            gate.tell(str(error), hint=error.hint, is_over=True)
            raise
    output.note(f"JupyterLab runs on {session.node}")


async def stay(output: Output, gate: SessionGate, *, directory: ClusterDirectory) -> None:
    """Keep the way to JupyterLab open until that is over, also in jobs that follow, or Ctrl-C."""
    name = directory.path.name
    output.note(f"Ctrl-C detaches, {name} goes on; dask-hpc down {name} ends it")
    while True:
        reason = await until_over(directory)
        output.note(f"JupyterLab of {name} is over: {reason}")
        if not is_followed(directory):
            return
        record, spec = read_cluster(directory), read_spec(directory)
        output.note(f"it begins again in job {record.job}")
        gate.tell(f"{reason}; it begins again in job {record.job}")
        await follow_scheduler(output, spec, submitted=record, tell=gate.tell)
        await follow_lab(output, gate, directory=directory)


def detached(output: Output, name: str) -> None:
    """Say how to come back."""
    output.note(f"detached: {name} goes on")
    output.note(f"come back with dask-hpc attach {name}, end it with dask-hpc down {name}")
