"""In a notebook that a real JupyterHub has started, behind its real proxy."""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
import subprocess
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPRequest, HTTPResponse

from dask_hpc._clock import SystemClock
from tests.integration.places import place_at, wait_for
from tests.jupyter.guest import PATIENCE, Guest, own_settings
from tests.jupyter.test_lab import dashboard_is_seen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.beds.beds import Bed
    from tests.integration.places import Place

pytestmark = [pytest.mark.bed("hub"), pytest.mark.timeout(400)]

USER = "ada"
CONFIGURATION = """
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.hub_port = {hub_port}
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{api_port}"
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = "{home}/{{username}}"
c.Spawner.cmd = [{python!r}, "-m", "jupyterhub.singleuser", "--allow-root"]
c.Spawner.environment = {variables!r}
c.Spawner.start_timeout = c.Spawner.http_timeout = 120
c.JupyterHub.services = [dict(name="tests", api_token={token!r})]
c.JupyterHub.load_roles = [dict(
    name="tests", services=["tests"],
    scopes=["admin:users", "admin:servers", "access:servers", "tokens"],
)]
"""
CLUSTER = """
from dask_hpc import HPCCluster
cluster = HPCCluster(site="local", cores=2, processes=2, memory="600MB", walltime="10m")
cluster.scale(jobs=1)
cluster.wait_for_workers(2, timeout=100)
print(cluster.get_client().submit(sum, range(100)).result(), cluster.dashboard_link)
"""


@dataclass(slots=True)
class HubGuest(Guest):
    """A user of a JupyterHub, who is known by a token."""

    token: str = ""

    @property
    def room(self) -> str:
        """The address of the user's own server."""
        return f"{self.origin}/user/{USER}"

    def _headers(self) -> dict[str, str]:
        known = {"Authorization": f"token {self.token}"} if self.token else {}
        return {**Guest._headers(self), **known}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """A JupyterHub, and the token of whoever may do everything there."""

    address: str
    token: str

    async def ask(self, path: str, *, method: str = "POST") -> HTTPResponse:
        """Use its interface."""
        request = HTTPRequest(
            f"{self.address}/hub/api/{path}",
            method=method,
            headers={"Authorization": f"token {self.token}"},
            body=b"" if method == "POST" else None,
            request_timeout=PATIENCE,
        )
        return await AsyncHTTPClient(force_instance=True).fetch(request)

    async def server(self) -> HubGuest:
        """Start the server of the user; return the user in it."""
        await self.ask(f"users/{USER}")
        await self.ask(f"users/{USER}/server")
        clock = SystemClock()
        deadline = clock.monotonic() + PATIENCE
        while not json.loads((await self.ask(f"users/{USER}", method="GET")).body)["server"]:
            assert clock.monotonic() < deadline, "no server"
            await clock.sleep(0.2)
        return HubGuest(link=f"{self.address}/", token=self.token)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def is_up(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as found:
        found.sendall(b"GET /hub/api/ HTTP/1.0\r\n\r\n")
        return b"version" in found.makefile("rb").read()
    return False


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    with place_at(request, "local") as found:
        yield found


@pytest.fixture
def jupyterhub(hub: Bed, place: Place, tmp_path: Path) -> Iterator[Hub]:
    """A JupyterHub of its own, and nothing left of it."""
    assert hub.control("status")
    port, token = free_port(), secrets.token_hex(16)
    (tmp_path / "jupyterhub_config.py").write_text(
        CONFIGURATION.format(
            port=port,
            hub_port=free_port(),
            api_port=free_port(),
            home=tmp_path,
            python=sys.executable,
            token=token,
            variables={**place.environ, **own_settings(place)},
        )
    )
    with started(tmp_path) as process:
        wait_for(lambda: is_up(port) or process.poll() is not None, PATIENCE)
        assert process.poll() is None, (tmp_path / "hub.log").read_text()
        yield Hub(address=f"http://127.0.0.1:{port}", token=token)


@contextmanager
def started(directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    # Debian's modules are found by its own node alone.
    modules = "/usr/share/nodejs:/usr/lib/nodejs:/usr/share/javascript"
    with (directory / "hub.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterhub"],
            cwd=directory,
            env={**os.environ, "NODE_PATH": modules},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(PATIENCE)


async def test_a_cluster_and_its_dashboard_work_behind_the_proxy_of_a_hub(
    jupyterhub: Hub, place: Place
) -> None:
    guest = await jupyterhub.server()
    kernel = await guest.kernel()
    said = await kernel.run(CLUSTER)
    found = re.search(r"4950 (/user/ada/proxy/\S+)", said)  # after a progress bar
    assert found, said
    link = found[1]
    await dashboard_is_seen(guest, link)
    # Whoever is not this user sees none of it.
    stranger = HubGuest(link=guest.link, cookies=dict(guest.cookies))
    refused = await stranger.fetch(f"{guest.origin}{link.rpartition('/')[0]}/health")
    assert refused.code in (302, 403)
    assert refused.body != b"ok"
    assert await kernel.run("cluster.close(); print('closed')") == "closed\n"
    wait_for(lambda: not [job for job in place.all_jobs() if job.is_live])
