"""A port of a session's node: who holds the cluster's keys comes to its socket, and nobody else."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import subprocess
import sys
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import pytest

from dask_hpc._files import make_private_directory, read_record, write_record
from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.cluster.record import ClusterRecord, ClusterState, write_cluster
from dask_hpc.cluster.session import Session, SessionPort, SessionState, write_session
from dask_hpc.cluster.spec import Home
from dask_hpc.errors import TunnelError
from dask_hpc.remote.line import RelayLine
from dask_hpc.remote.port import listen
from dask_hpc.security.certificates import create_certificates
from tests.beds.beds import CHECKOUT
from tests.boot.stage import eventually
from tests.cluster.specs import a_spec
from tests.remote.test_relay import echo, receive

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

PORT = (sys.executable, "-m", "dask_hpc.remote.port")
ENV = {**os.environ, "PYTHONPATH": str(CHECKOUT / "src")}
ADDRESS = "tls://127.0.0.1:9"


@pytest.fixture
def directory(home: Path) -> ClusterDirectory:
    """A cluster with certificates, whose session is a socket that sends back what it gets."""
    found = ClusterDirectory(make_private_directory(home / "clusters" / "rain"))
    create_certificates(found.tls, name="rain")
    write_record(found.spec, a_spec(name="rain", directory=found.path))
    write_cluster(
        found,
        ClusterRecord(
            name="rain",
            site="fake",
            home=Home.JOB,
            state=ClusterState.RUNNING,
            created=0,
            address=ADDRESS,
            addresses=(ADDRESS,),
        ),
    )
    write_session(
        found,
        Session(
            state=SessionState.RUNNING,
            room="rain-1",
            root=home,
            token_file=found.session_token,
            node=socket.gethostname().partition(".")[0],
            socket=home / "echo.sock",
        ),
    )
    return found


@contextmanager
def opened(directory: ClusterDirectory) -> Iterator[subprocess.Popen[str]]:
    words = ("open", "--directory", str(directory.path), "--slot", "what-else.0")
    with subprocess.Popen([*PORT, *words], env=ENV, stderr=subprocess.PIPE, text=True) as program:
        try:
            yield program
        finally:
            program.kill()


@asynccontextmanager
async def port_of(directory: ClusterDirectory) -> AsyncIterator[int]:
    with opened(directory):
        await eventually(directory.session_port.exists)
        yield read_record(directory.session_port, SessionPort).port


def line_to(directory: ClusterDirectory) -> RelayLine:
    return RelayLine([*PORT, "reach", "--directory", str(directory.path)], env=ENV)


async def test_who_has_the_keys_is_let_in(directory: ClusterDirectory, home: Path) -> None:
    async with echo(home), port_of(directory):
        line = line_to(directory)
        await line.start(30)
        channels = [await line.open() for _ in range(4)]
        for number, channel in enumerate(channels):
            text = bytes([number]) * 300_000
            sending = asyncio.ensure_future(channel.write(text))
            assert await receive(channel, len(text)) == text
            await sending
        await channels[0].write(b"")
        assert await asyncio.wait_for(channels[0].read(), 30) == b""
        await channels[1].write(b"and the others go on")
        assert await receive(channels[1], 20)
        await line.close()


@pytest.mark.parametrize("whose", ["none", "another cluster's", "no TLS"])
async def test_who_has_not_is_told_nothing(
    directory: ClusterDirectory, home: Path, whose: str
) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if whose == "another cluster's":
        other = create_certificates(home / "other", name="rain")
        context.load_cert_chain(other.directory / "client.pem", other.directory / "client-key.pem")
    async with echo(home), port_of(directory) as port:
        said = b""
        try:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=None if whose == "no TLS" else context
            )
            writer.write(b"hello there, let me in\n")
            said = await asyncio.wait_for(reader.read(), 30)
            writer.close()
        except OSError:
            pass
        assert b"hello" not in said


async def test_a_port_that_is_not_the_clusters_is_not_believed(
    directory: ClusterDirectory, home: Path
) -> None:
    """Somebody else may listen there after the node's end."""
    other = create_certificates(home / "other", name="rain").directory
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(other / "scheduler.pem", other / "scheduler-key.pem")
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=context)
    async with server:
        own = SessionPort(
            node=socket.gethostname().partition(".")[0], port=server.sockets[0].getsockname()[1]
        )
        write_record(directory.session_port, own)
        with pytest.raises(TunnelError, match="certificate verify failed"):
            await line_to(directory).start(30)


async def test_an_address_that_does_not_answer_is_named(directory: ClusterDirectory) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    node = socket.gethostname().partition(".")[0]
    write_record(directory.session_port, SessionPort(node=node, port=port))
    with pytest.raises(TunnelError, match=rf"127\.0\.0\.1 port {port}: .*refused") as failure:
        await line_to(directory).start(30)
    assert "ports names those that it lets through" in failure.value.hint


async def test_why_there_is_none_is_told(directory: ClusterDirectory) -> None:
    with pytest.raises(TunnelError, match="no port leads to it: its node has not opened one"):
        await line_to(directory).start(30)
    for settings, words in (
        ({"secure": False}, "the cluster has no certificates"),
        ({"loopback": True}, "it is on this machine alone"),
    ):
        spec = a_spec(name="rain", directory=directory.path, **settings)
        write_record(directory.spec, spec)
        with pytest.raises(TunnelError, match=f"no port leads to it: {words}"):
            await line_to(directory).start(30)


async def test_a_range_without_a_free_port_is_told_where_it_is_looked_for(
    directory: ClusterDirectory,
) -> None:
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        spec = a_spec(name="rain", directory=directory.path, ports=f"{port}:{port}")
        write_record(directory.spec, spec)
        with opened(directory) as program:
            _, said = program.communicate(timeout=60)
        assert program.returncode == 1
        assert f"every port of {port}:{port} is in use on " in said
        with pytest.raises(TunnelError, match=rf"no port leads to it: every port of {port}"):
            await line_to(directory).start(30)


def test_it_listens_where_the_settings_say() -> None:
    with listen(a_spec(scheduler_interface="lo")) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
    with listen(a_spec(ports=f"{port}:{port}")) as listener:
        assert listener.getsockname()[1] == port
