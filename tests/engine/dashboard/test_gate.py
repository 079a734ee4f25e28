"""A port that shows the dashboard of a scheduler to one browser."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psutil
import pytest
import pytest_asyncio
from distributed.comm import connect
from tornado.httpclient import HTTPClientError

from dask_hpc.engine.dashboard.gate import DashboardGate, _is_own, gate_of
from dask_hpc.engine.dashboard.tunnel import DashboardRoute
from tests.boot.stage import eventually
from tests.engine.dashboard.visitor import House, Visitor, housing, visiting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house() -> AsyncIterator[House]:
    """A scheduler for the tests of this module."""
    async with housing() as house:
        yield house


@pytest_asyncio.fixture(loop_scope="module")
async def visitor(house: House) -> AsyncIterator[Visitor]:
    async with house.visited() as found:
        yield found


async def test_it_shows_pages_to_who_came_by_a_link(visitor: Visitor) -> None:
    assert (await visitor.get("health")).code == 403
    answer = await visitor.enter()
    assert answer.code == 200
    assert f'content="0; url={urlsplit(visitor.front).path}/status"' in answer.body.decode()
    assert answer.headers["Cache-Control"] == "no-store"
    health = await visitor.get("health")
    assert (health.code, health.body) == (200, b"ok")
    assert (await visitor.get("json/counts.json")).code == 200


async def test_a_cluster_that_is_not_encrypted_has_a_gate_all_the_same() -> None:
    async with visiting(secure=False) as visitor:
        assert (await visitor.get("health")).code == 403
        await visitor.enter()
        assert (await visitor.get("health")).body == b"ok"


async def test_a_link_is_used_up(visitor: Visitor) -> None:
    link = visitor.gate.link
    await visitor.enter()
    visitor.cookie = ""
    assert (await visitor.fetch(link)).code == 403


async def test_long_pages_come_whole(visitor: Visitor) -> None:
    # What was written when a connection ends may not be lost.
    await visitor.enter()
    pages = await asyncio.gather(*(visitor.get("statics/js/anime.min.js") for _ in range(8)))
    assert {page.code for page in pages} == {200}
    sizes = {(len(page.body), int(page.headers["Content-Length"])) for page in pages}
    ((size, said),) = sizes
    assert size == said > 10_000


async def test_what_is_asked_for_under_another_name_is_refused(visitor: Visitor) -> None:
    await visitor.enter()
    assert (await visitor.get("health", Host="evil.example")).code == 403
    assert (await visitor.get("health")).code == 200


async def test_each_request_of_a_connection_is_judged(visitor: Visitor) -> None:
    await visitor.enter()
    parts = urlsplit(visitor.front)
    assert parts.hostname
    good = (
        f"GET {parts.path}/health HTTP/1.1\r\nHost: {parts.netloc}\r\nCookie: {visitor.cookie}\r\n"
    )
    bad = f"GET {parts.path}/json/counts.json HTTP/1.1\r\nHost: {parts.netloc}\r\n"
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(f"{good}Connection: keep-alive\r\n\r\n{bad}\r\n".encode())
    said = await asyncio.wait_for(reader.read(), 30)
    writer.close()
    assert said.startswith(b"HTTP/1.1 200 OK")
    assert said.endswith(b"ok")
    assert b"workers" not in said


@pytest.mark.parametrize(
    "words",
    [
        b"spam\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/1.1\r\nno header\r\n\r\n",
        b"\xff\x00\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_told_so(visitor: Visitor, words: bytes) -> None:
    reader, writer = await asyncio.open_connection(*_address(visitor))
    writer.write(words)
    said = await asyncio.wait_for(reader.read(), 30)
    writer.close()
    assert said.startswith((b"HTTP/1.1 400", b"HTTP/1.1 403"))


async def test_a_head_without_end_is_cut_off(visitor: Visitor) -> None:
    reader, writer = await asyncio.open_connection(*_address(visitor))
    with suppress(ConnectionError):
        for _ in range(1000):
            writer.write(b"x" * 65536)
            await writer.drain()
    with suppress(ConnectionError):
        assert await asyncio.wait_for(reader.read(), 30) == b""
    writer.close()
    await eventually(lambda: not visitor.gate._visits)


def _address(visitor: Visitor) -> tuple[str, int]:
    parts = urlsplit(visitor.front)
    assert parts.hostname
    assert parts.port
    return parts.hostname, parts.port


async def test_it_listens_on_this_host_alone(visitor: Visitor) -> None:
    port = _address(visitor)[1]
    found = psutil.Process().net_connections("inet")
    listening = {
        each.laddr.ip
        for each in found
        if each.laddr.port == port and each.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


async def test_a_server_of_this_process_may_pass_pages_on(visitor: Visitor) -> None:
    # As Jupyter's does with Dask's extension: it sends the name under which it was asked itself.
    front = visitor.front.rpartition("/")[0]
    assert (await visitor.fetch(f"{front}/health", Host="localhost:8888")).body == b"ok"
    assert (await visitor.fetch(f"{front}/health")).code == 403


async def test_a_closed_gate_lets_nobody_in_and_ends_what_goes_on(visitor: Visitor) -> None:
    reader, writer = await asyncio.open_connection(*_address(visitor))
    writer.write(b"GET / HT")
    await eventually(lambda: bool(visitor.gate._visits))
    await visitor.gate.close()
    assert await asyncio.wait_for(reader.read(), 30) == b""
    writer.close()
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncio.open_connection(*_address(visitor))


async def test_who_comes_before_it_is_open_waits(visitor: Visitor) -> None:
    gate = gate_of(visitor.directory)
    asking = asyncio.ensure_future(visitor.fetch(gate.link))
    await asyncio.wait({asking}, timeout=0.1)
    assert not asking.done()
    await gate.open()
    assert (await asking).code == 200
    await gate.close()


async def test_a_gate_that_never_opened_can_be_closed(visitor: Visitor) -> None:
    gate = gate_of(visitor.directory)
    await gate.close()
    await gate.open()
    assert gate._server is None


async def test_a_scheduler_that_is_gone_is_told(visitor: Visitor) -> None:
    assert isinstance(visitor.gate._route, DashboardRoute)
    connection = visitor.gate._route.connection
    route = DashboardRoute(scheduler="tls://127.0.0.1:1", connection=connection, seconds=0.3)
    gate = DashboardGate("rain", route)
    await gate.open()
    lost = Visitor(scheduler=visitor.scheduler, directory=visitor.directory, gate=gate)
    await lost.enter()
    answer = await lost.get("health")
    await gate.close()
    assert (answer.code, b"does not answer" in answer.body) == (502, True)


async def test_nothing_is_left_open_after_visits(visitor: Visitor) -> None:
    await visitor.enter()
    before = len(visitor.scheduler._comms)
    for _ in range(5):
        await visitor.get("health")
    await eventually(lambda: len(visitor.scheduler._comms) == before and not visitor.gate._visits)


async def test_the_tunnel_needs_the_certificates(visitor: Visitor) -> None:
    with pytest.raises(OSError, match=r"Connection reset|Timed out|closed"):
        await connect(visitor.scheduler.address.replace("tls", "tcp"), timeout=0.5)


@pytest.mark.slow
async def test_bokeh_speaks_through_it(visitor: Visitor) -> None:
    pytest.importorskip("bokeh")
    with pytest.raises(HTTPClientError, match="403"):
        await visitor.websocket("jobs/ws")
    await visitor.enter()
    with pytest.raises(HTTPClientError, match="403"):
        await visitor.websocket("jobs/ws", Origin="http://evil.example")
    await visitor.get("jobs")
    page = await visitor.get("jobs")
    token = page.body.decode().partition('"token":"')[2].partition('"')[0]
    assert token
    stream = await visitor.websocket("jobs/ws", session=token)
    head = await asyncio.wait_for(stream.read_message(), 20)
    assert head is not None
    assert json.loads(head)["msgtype"] == "ACK"
    stream.close()


async def test_a_socket_of_this_process_is_known_from_others() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        own = listener.getsockname()
        with socket.create_connection(own) as caller:
            assert _is_own(caller.getsockname(), own)
            assert not _is_own(("127.0.0.1", 1), own)
