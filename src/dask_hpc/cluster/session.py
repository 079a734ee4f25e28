"""The Jupyter session of a cluster, as a small record that its job and its user's side read."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from dask_hpc._files import read_private, read_record, write_private, write_record
from dask_hpc.errors import SessionError

if TYPE_CHECKING:
    from dask_hpc.cluster.directory import ClusterDirectory


class SessionState(StrEnum):
    """What a record says of its session."""

    WANTED = "wanted"
    STARTING = "starting"
    RUNNING = "running"
    FAILED = "failed"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A JupyterLab in the job of a cluster's scheduler.

    ``room`` is the path below which it has all its pages; nobody else can know it. ``root`` is the
    directory that it shows. ``node`` and ``socket`` are where it listens; ``token_file`` holds what
    it wants to be told. ``reason`` and ``hint`` say why it failed, and what to do.
    """

    state: SessionState
    room: str
    root: Path
    token_file: Path
    node: str = ""
    socket: Path | None = None
    reason: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPort:
    """A port of a session's node that opens to the cluster's keys; 0 and a reason if none does."""

    node: str
    port: int = 0
    reason: str = ""


def want_session(directory: ClusterDirectory, *, root: Path) -> Session:
    """Write down that a cluster is to have a session, before its job is submitted."""
    session = Session(
        state=SessionState.WANTED,
        room=f"{directory.path.name}-{secrets.token_hex(6)}",
        root=root,
        token_file=directory.session_token,
    )
    write_private(directory.session_token, secrets.token_urlsafe(32))
    write_session(directory, session)
    return session


def write_session(directory: ClusterDirectory, session: Session) -> None:
    """Replace the record."""
    write_record(directory.session, session)


def find_session(directory: ClusterDirectory) -> Session | None:
    """Return the session of a cluster, if it was started with one."""
    with suppress(FileNotFoundError):
        return read_record(directory.session, Session)
    return None


def read_session(directory: ClusterDirectory) -> Session:
    """Return the session of a cluster.

    Raises
    ------
    ClusterNotFound
        If there is no such cluster.
    SessionError
        If it was started without one.
    """
    directory.check()
    session = find_session(directory)
    if session is None:
        name = directory.path.name
        raise SessionError(
            f"cluster {name!r} was started without JupyterLab",
            hint="dask-hpc up --lab starts one with it",
        )
    return session


def note_use(directory: ClusterDirectory, when: float) -> None:
    """Write down when somebody last did something in a session, in seconds since the epoch."""
    directory.session_use.touch(mode=0o600)
    os.utime(directory.session_use, (when, when))


def last_use(directory: ClusterDirectory) -> float:
    """Return what `note_use` wrote last; 0 if nothing."""
    try:
        return directory.session_use.stat().st_mtime
    except OSError:
        return 0.0


def read_token(session: Session) -> str:
    """Return what a session wants to be told.

    Raises
    ------
    SessionError
        If it has ended.
    """
    try:
        return read_private(session.token_file)
    except FileNotFoundError:
        words = session.reason or "its token is gone"
        raise SessionError(f"JupyterLab has {session.state}: {words}", hint=session.hint) from None
