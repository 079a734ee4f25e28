"""Keeps JupyterLab beside the scheduler of a cluster: starts it again when it was killed.

It makes the private directory on the node in which the sockets are, and takes it away again.

``python -m dask_hpc.jupyter.server --directory DIR --slot TAG.INDEX --job ID --end-time SECONDS``
"""

from __future__ import annotations

import argparse
import sys
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from dask_hpc._files import read_tail, remove_tree
from dask_hpc._hosts import host_name
from dask_hpc.boot.keeper import Keeper
from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.cluster.followon import find_follow_on
from dask_hpc.cluster.session import Session, SessionState, read_session, write_session
from dask_hpc.cluster.slot import Slot
from dask_hpc.cluster.storage import make_scratch
from dask_hpc.errors import HPCError, SessionError
from dask_hpc.software.contents import check_lab

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dask_hpc.cluster.followon import FollowOn

# Of the hundred bytes of a socket's name, those of kernels need the rest.
_LONGEST = 48
_SHORT = "/tmp"  # noqa: S108 - make_scratch makes it private


def main(arguments: Sequence[str] | None = None) -> int:
    """Keep the session of a cluster until it is told to end, or ends by itself."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--slot", type=Slot.parse, required=True)
    options, _ = parser.parse_known_args(arguments)
    directory = ClusterDirectory(options.directory)
    try:
        session = _begin(directory)
        try:
            if find_spec("jupyterlab") is None:
                check_lab(sys.executable)  # which says so; to ask it first would take longer
            _keep(directory, session, slot=options.slot)
        except HPCError as error:
            _end(directory, SessionState.FAILED, reason=str(error), hint=error.hint)
            raise
    except HPCError as error:
        sys.stderr.write(f"error: {error}\nhint: {error.hint}\n")
        return 1
    if follow_on := find_follow_on(directory, after=options.slot.tag):
        _pause(directory, follow_on)
    else:
        _end(directory, SessionState.ENDED, reason="it was shut down")
    return 0


def _keep(directory: ClusterDirectory, session: Session, *, slot: Slot) -> None:
    with _room(directory, slot) as room:
        begun = replace(
            session, state=SessionState.STARTING, node=host_name(), socket=room / "lab.sock"
        )
        write_session(directory, begun)
        words = ("-m", "dask_hpc.jupyter.lab", "--directory", str(directory.path))
        keeper = Keeper([sys.executable, *words], what="JupyterLab")
        code = keeper.run()
    if code and not keeper.was_told:
        log = directory.logs / f"{slot}.log"
        raise SessionError(
            f"JupyterLab ended with exit code {code}", hint=f"see {log}: {read_tail(log, lines=3)}"
        )


@contextmanager
def _room(directory: ClusterDirectory, slot: Slot) -> Iterator[Path]:
    """Give a directory of this node that nobody else can enter, and which does not stay."""
    room = make_scratch(None, spills=False).path
    if len(str(room)) > _LONGEST:
        remove_tree(room)
        room = make_scratch(_SHORT, spills=False).path
    trace = directory.scratch_of(slot, "lab")
    try:
        trace.unlink(missing_ok=True)
        trace.symlink_to(room)  # for who cleans up after a job that was killed
        yield room
    finally:
        remove_tree(room)
        trace.unlink(missing_ok=True)


def _begin(directory: ClusterDirectory) -> Session:
    """Return the session; in a job that follows another one, nothing holds of where it was."""
    session = replace(read_session(directory), state=SessionState.STARTING, node="", socket=None)
    write_session(directory, session)
    return session


def _end(directory: ClusterDirectory, state: SessionState, *, reason: str, hint: str = "") -> None:
    """Say that the session is over, unless the whole cluster was removed; keep no secret."""
    directory.session_token.unlink(missing_ok=True)
    with suppress(HPCError, OSError):
        session = read_session(directory)
        write_session(directory, replace(session, state=state, reason=reason, hint=hint))


def _pause(directory: ClusterDirectory, follow_on: FollowOn) -> None:
    """Say that the session goes on in another job."""
    with suppress(HPCError, OSError):
        session = read_session(directory)
        reason = f"its job has ended, and job {follow_on.job} follows"
        write_session(
            directory,
            replace(session, state=SessionState.WANTED, node="", socket=None, reason=reason),
        )


if __name__ == "__main__":
    raise SystemExit(main())
