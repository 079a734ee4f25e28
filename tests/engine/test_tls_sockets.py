"""A connection that breaks is no matter of the next one, whatever Python and OpenSSL are here."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from dask_hpc.engine.tls import cluster_security
from dask_hpc.engine.tls_sockets import TidySocket
from dask_hpc.security.certificates import create_certificates

if TYPE_CHECKING:
    from pathlib import Path

    from dask_hpc.engine.tls import ClusterSecurity


@pytest.fixture
def security(tmp_path: Path) -> ClusterSecurity:
    create_certificates(tmp_path / "tls", name="climate")
    return cluster_security(tmp_path / "tls", secure=True)


def connected(security: ClusterSecurity) -> tuple[ssl.SSLSocket, ssl.SSLSocket]:
    """Return the two ends of a connection; neither waits."""
    listening = security.get_listen_args("scheduler")["ssl_context"]
    connecting = security.get_connection_args("worker")["ssl_context"]
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    ends = (
        listening.wrap_socket(ours, server_side=True, do_handshake_on_connect=False),
        connecting.wrap_socket(theirs, do_handshake_on_connect=False),
    )
    todo = list(ends)
    while todo:
        for end in tuple(todo):
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
                todo.remove(end)
    return ends


def break_one(security: ClusterSecurity) -> None:
    ours, theirs = connected(security)
    theirs.close()
    failures = 0
    with ours:
        for _ in range(3):
            try:
                ours.send(b"a word")
            except OSError:  # each release says it in another way
                failures += 1
    assert failures


def test_connections_of_a_cluster_are_such(security: ClusterSecurity) -> None:
    for end in connected(security):
        with end:
            assert isinstance(end, TidySocket)


def test_after_a_broken_connection_the_others_go_on(security: ClusterSecurity) -> None:
    ours, theirs = connected(security)
    with ours, theirs:
        for number in range(3):
            break_one(security)
            with pytest.raises(ssl.SSLWantReadError):
                ours.recv_into(bytearray(10))
            theirs.send(f"word {number}".encode())
            assert ours.recv(10) == f"word {number}".encode()
