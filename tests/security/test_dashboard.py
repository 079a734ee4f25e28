"""Another user of the same machine sees nothing of a dashboard, by whichever way."""

from __future__ import annotations

import json
import os
import socket
import urllib.error
import urllib.request
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from dask_hpc import HPCCluster

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import OtherUser
    from tests.integration.places import Place

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user"),
    pytest.mark.timeout(240),
]

# Runs as the other user: asks for an address with headers, and says what came back.
ASK = """
import json, sys, urllib.error, urllib.request
address, headers = sys.argv[1], json.loads(sys.argv[2])
try:
    answer = urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=10)
except urllib.error.HTTPError as error:
    answer = error
print(json.dumps([answer.status, answer.read().decode(errors="replace")]))
"""

UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}

CONNECT = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"

# Runs as the other user: speaks TLS without a certificate, and asks for the dashboard's tunnel.
KNOCK = """
import socket, ssl, sys
host, port = sys.argv[1].rsplit(":", 1)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
with socket.create_connection((host, int(port)), timeout=10) as plain:
    with context.wrap_socket(plain) as stream:
        stream.sendall(b"GET /status HTTP/1.0\\r\\n\\r\\n")
        print("IN" if stream.recv(100) else "refused")
"""


@pytest.fixture(scope="module", params=["here", "job"])
def cluster(place: Place, request: pytest.FixtureRequest) -> Iterator[HPCCluster]:
    """A cluster as it is without any setting about security."""
    with HPCCluster(**place.small, name=place.name(), scheduler=request.param) as cluster:
        yield cluster
        cluster.shutdown()


@pytest.fixture
def front(cluster: HPCCluster) -> str:
    """Where the pages of the dashboard are."""
    return cluster.dashboard_link.rpartition("/")[0]


def ask(other_user: OtherUser, address: str, **headers: str) -> tuple[int, str]:
    done = other_user("/usr/bin/python3", "-c", ASK, address, json.dumps(headers))
    assert done.returncode == 0, done.stderr
    status, text = json.loads(done.stdout)
    return status, text


def enter(cluster: HPCCluster) -> str:
    """Come by a link as its user does; return the cookie."""
    with urllib.request.urlopen(cluster.dashboard_link, timeout=20) as answer:
        return str(answer.headers["Set-Cookie"]).partition(";")[0]


def test_without_the_cookie_there_is_nothing_to_see(front: str, other_user: OtherUser) -> None:
    root = front.rpartition("/")[0]
    pages = ("", "/status", "/jobs", "/health", "/json/counts.json", "/static/js/bokeh.min.js")
    for address in (*(f"{front}{page}" for page in pages), *(f"{root}{page}" for page in pages)):
        status, text = ask(other_user, address)
        assert status == 403, address
        assert "The dashboard is for one user" in text


def test_websockets_are_refused_too(front: str, other_user: OtherUser) -> None:
    assert ask(other_user, f"{front}/jobs/ws", **UPGRADE)[0] == 403


def test_a_link_that_was_used_opens_nothing(cluster: HPCCluster, other_user: OtherUser) -> None:
    link = cluster.dashboard_link
    enter(cluster)
    status, text = ask(other_user, link)
    assert (status, "was used, or is old" in text) == (403, True)


def test_guessing_does_not_help(front: str, other_user: OtherUser) -> None:
    room = front.rpartition("/")[2]
    assert ask(other_user, f"{front}/status?token={'A' * 43}")[0] == 403
    assert ask(other_user, f"{front}/health", Cookie=f"dask-hpc-{room}={'A' * 43}")[0] == 403


def test_another_name_is_refused_even_to_the_user(
    cluster: HPCCluster, front: str, other_user: OtherUser
) -> None:
    cookie = enter(cluster)
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
        request = urllib.request.Request(f"{front}/health", headers={"Cookie": cookie, **headers})
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(request, timeout=20)
    request = urllib.request.Request(f"{front}/health", headers={"Cookie": cookie})
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.read() == b"ok"


def test_who_says_that_he_passes_something_on_must_be_this_process(
    front: str, other_user: OtherUser
) -> None:
    root = front.rpartition("/")[0]
    passed_on = {"Host": "localhost:8888", "X-ProxyContextPath": "/proxy/1"}
    assert ask(other_user, f"{root}/health", **passed_on)[0] == 403


def test_the_socket_is_refused(cluster: HPCCluster, place: Place, other_user: OtherUser) -> None:
    path = place.directory(cluster.name) / "dashboard.sock"
    done = other_user("/usr/bin/python3", "-c", CONNECT, path)
    assert "PermissionError" in done.stderr


def test_the_scheduler_lets_nobody_without_a_certificate_ask_for_it(
    cluster: HPCCluster, other_user: OtherUser
) -> None:
    address = cluster.scheduler_address.rpartition("/")[2]
    done = other_user("/usr/bin/python3", "-c", KNOCK, address)
    assert "IN" not in done.stdout
    assert done.stdout.strip() == "refused" or "Error" in done.stderr.splitlines()[-1]


def test_the_port_is_this_hosts_alone(front: str) -> None:
    port = urlsplit(front).port
    assert port
    others = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None)}
    for address in others - {"127.0.0.1", "::1"}:
        with socket.socket() as stream:
            stream.settimeout(2)
            assert stream.connect_ex((str(address), port)) != 0


def test_no_secret_of_it_is_on_disk_or_in_a_command_line(cluster: HPCCluster, place: Place) -> None:
    token = cluster.dashboard_link.rpartition("=")[2]
    key = enter(cluster).rpartition("=")[2]
    for path in place.directory(cluster.name).rglob("*"):
        if path.is_file() and "lib" not in path.parts:
            text = path.read_text(errors="replace")
            assert token not in text
            assert key not in text
    for process in place.processes():
        assert token not in f"{process.cmdline()}"
