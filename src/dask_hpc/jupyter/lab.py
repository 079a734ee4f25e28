"""JupyterLab itself, on a unix socket, as the session of a cluster.

Its token comes from a file, and goes into no command line and no environment.

``python -m dask_hpc.jupyter.lab --directory DIR``
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import signal
import time
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dask_hpc import _envvars
from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.cluster.followon import find_follow_on
from dask_hpc.cluster.record import read_cluster, read_spec
from dask_hpc.cluster.session import (
    Session,
    SessionState,
    note_use,
    read_session,
    read_token,
    write_session,
)
from dask_hpc.cluster.surroundings import client_environment
from dask_hpc.errors import HPCError, SessionError
from dask_hpc.jupyter.notice import notice_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dask_hpc.jupyter.notice import Notice

_LOOK = 0.5  # seconds, until the scheduler has an address
_USE = 20.0  # seconds between two looks at what somebody does
_FRONTEND = str(Path(__file__).parent / "frontend")
_DEAF = (signal.SIGUSR1, signal.SIGUSR2)  # warnings of batch systems


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until told to end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, required=True)
    directory = ClusterDirectory(parser.parse_args(arguments).directory)
    os.umask(0o077)
    for number in _DEAF:
        signal.signal(number, lambda *_: None)
    session = read_session(directory)
    os.environ.update(surroundings(directory, session))

    from jupyterlab.labapp import LabApp

    server = LabApp.initialize_server(words(session, read_token(session)))
    _serve_notices(server, directory)
    server.io_loop.add_callback(_announce, directory)
    server.io_loop.add_callback(_watch_use, server, directory)
    server.io_loop.add_callback(_find_scheduler, server, directory)
    server.start()


def words(session: Session, token: str) -> list[str]:
    """Return the command line that JupyterLab believes to have; nobody sees it.

    A command line, because the user's own configuration gives way to nothing else.
    """
    settings: dict[str, object] = {
        "ServerApp.sock": session.socket,
        "ServerApp.sock_mode": "0600",
        "ServerApp.base_url": f"/{session.room}/",
        "ServerApp.root_dir": session.root if session.root.is_dir() else Path.home(),
        "ServerApp.open_browser": False,
        "ServerApp.allow_root": os.geteuid() == 0,
        "ServerApp.log_level": "WARN",
        "LabApp.log_level": "WARN",
        "IdentityProvider.token": token,
        # Ports of a node are open to all its users.
        "KernelManager.transport": "ipc",
        "KernelManager.shutdown_wait_time": 2.0,
        # A home that many nodes share locks slowly, or hangs.
        "NotebookNotary.db_file": ":memory:",
    }
    return [f"--{name}={value}" for name, value in settings.items()]


def surroundings(directory: ClusterDirectory, session: Session) -> dict[str, str]:
    """Return the variables of JupyterLab and of its kernels."""
    name = directory.path.name
    found = {
        _envvars.HOME.name: str(directory.path.parent.parent),
        _envvars.CLUSTER.name: name,
        "JUPYTER_RUNTIME_DIR": str(_room(session)),
        # Before what the user has: what JupyterLab says is in an extension of ours.
        "JUPYTER_PATH": os.pathsep.join(filter(None, (_FRONTEND, os.environ.get("JUPYTER_PATH")))),
    }
    if _has("jupyter_server_proxy"):
        found[_envvars.JUPYTER.name] = f"/{session.room}/"
        found["DASK_DISTRIBUTED__DASHBOARD__LINK"] = f"/{session.room}/proxy/{{port}}/status"
    if _has("dask_labextension") and _has("msgspec"):
        found |= {
            "DASK_LABEXTENSION__FACTORY__MODULE": "dask_hpc.jupyter.labextension",
            "DASK_LABEXTENSION__FACTORY__CLASS": "SessionCluster",
            "DASK_LABEXTENSION__FACTORY__ARGS": "[]",
            "DASK_LABEXTENSION__FACTORY__KWARGS": "{}",
            "DASK_LABEXTENSION__DEFAULT__WORKERS": "None",
            "DASK_LABEXTENSION__INITIAL": json.dumps([{"name": name}]),
        }
    return found


def _has(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _room(session: Session) -> Path:
    if session.socket is None:
        raise SessionError("the session has no room: dask_hpc.jupyter.server makes it")
    return session.socket.parent


def _announce(directory: ClusterDirectory) -> None:
    """Say that it serves: what runs on its loop runs after the socket was opened."""
    note_use(directory, time.time())
    write_session(directory, replace(read_session(directory), state=SessionState.RUNNING))


def _watch_use(server: Any, directory: ClusterDirectory) -> None:
    """Write down again and again when somebody last did something, for who ends idle clusters."""
    states = [kernel["execution_state"] for kernel in server.kernel_manager.list_kernels()]
    is_busy = "busy" in states or any(map(runs_program, _terminals(server)))
    last = server.web_app.last_activity().timestamp()
    with suppress(OSError):
        note_use(directory, time.time() if is_busy else last)
    server.io_loop.call_later(_USE, _watch_use, server, directory)


def _terminals(server: Any) -> list[Any]:
    manager = server.web_app.settings.get("terminal_manager")
    return [each.ptyproc for each in manager.terminals.values()] if manager else []


def runs_program(terminal: Any) -> bool:
    """Whether the shell of a terminal has something in the foreground, watched or not."""
    with suppress(OSError, ValueError):
        return os.tcgetpgrp(terminal.fd) != terminal.pid
    return False


def _serve_notices(server: Any, directory: ClusterDirectory) -> None:
    """Answer the extension that asks in the browser whether there is something to say."""
    from jupyter_server.base.handlers import APIHandler
    from tornado.web import authenticated

    begun = time.time()

    class Notices(APIHandler):
        _track_activity = False  # a tab that is open is no use

        @authenticated
        def get(self) -> None:
            self.finish(asdict(notice) if (notice := _notice(directory, begun=begun)) else {})

    server.web_app.add_handlers(".*$", [(f"{server.base_url}dask-hpc/notice", Notices)])


def _notice(directory: ClusterDirectory, *, begun: float) -> Notice | None:
    with suppress(HPCError, OSError):
        record = read_cluster(directory)
        follow_on = find_follow_on(directory, after=record.tag)
        return notice_of(
            record.name,
            ends=record.end_time,
            begun=begun,
            now=time.time(),
            next_job=follow_on.job if follow_on else "",
        )
    return None


def _find_scheduler(server: Any, directory: ClusterDirectory) -> None:
    """Let ``Client()`` in kernels find the cluster, as soon as it has an address."""
    with suppress(HPCError, OSError):
        if address := read_cluster(directory).address:
            os.environ.update(client_environment(read_spec(directory), address))
            return
    server.io_loop.call_later(_LOOK, _find_scheduler, server, directory)


if __name__ == "__main__":
    main()
