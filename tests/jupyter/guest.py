"""Whoever opens the link to a JupyterLab: what a browser asks for, and a notebook of a kernel."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tornado.httpclient import AsyncHTTPClient, HTTPRequest, HTTPResponse
from tornado.websocket import WebSocketClientConnection, websocket_connect

from dask_hpc._clock import SystemClock
from dask_hpc.cluster.record import read_cluster, write_cluster
from tests.integration.places import PROGRAM

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dask_hpc.cluster.directory import ClusterDirectory
    from tests.integration.places import Place

PATIENCE = 120.0  # seconds


@dataclass(slots=True)
class Guest:
    """Follows a link, and then has the cookies that were set."""

    link: str
    cookies: dict[str, str] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        """The server's address, without a path."""
        parts = urlsplit(self.link)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def room(self) -> str:
        """The address below which all pages are."""
        return f"{self.origin}/{urlsplit(self.link).path.split('/')[1]}"

    async def fetch(self, url: str, *, method: str = "GET", body: Any = None) -> HTTPResponse:
        """Ask for an address, with all cookies; redirections are not followed."""
        request = HTTPRequest(
            url,
            method=method,
            headers=self._headers(),
            body=None if body is None else json.dumps(body),
            follow_redirects=False,
            request_timeout=PATIENCE,
            allow_nonstandard_methods=True,
        )
        answer = await AsyncHTTPClient(force_instance=True).fetch(request, raise_error=False)
        for line in answer.headers.get_list("Set-Cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer

    async def enter(self) -> HTTPResponse:
        """Use the link."""
        return await self.fetch(self.link)

    async def api(self, path: str, *, method: str = "GET", body: Any = None) -> Any:
        """Return what Jupyter's own interface answers, in a while if it is just starting."""
        clock = SystemClock()
        deadline = clock.monotonic() + PATIENCE
        while True:
            answer = await self.fetch(f"{self.room}/api/{path}", method=method, body=body)
            if answer.code != 503 or clock.monotonic() > deadline:
                break
            await clock.sleep(0.2)
        assert answer.code < 300, (answer.code, answer.body)
        return json.loads(answer.body or b"null")

    async def websocket(self, path: str) -> WebSocketClientConnection:
        """Open a websocket of Jupyter."""
        url = f"{self.room}/{path}".replace("http://", "ws://")
        headers = {**self._headers(), "Origin": self.origin}
        return await websocket_connect(HTTPRequest(url, headers=headers))

    async def kernel(self) -> Kernel:
        """Start a kernel."""
        number = (await self.api("kernels", method="POST", body={"name": "python3"}))["id"]
        return await self.rejoin(number)

    async def rejoin(self, number: str) -> Kernel:
        """Talk to a kernel that there is."""
        return Kernel(await self.websocket(f"api/kernels/{number}/channels"), number)

    def _headers(self) -> dict[str, str]:
        said = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return {"Cookie": said} if said else {}


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel that a notebook talks to."""

    socket: WebSocketClientConnection
    number: str

    async def run(self, code: str) -> str:
        """Run a cell; return what it printed, or showed, or how it failed."""
        number = uuid.uuid4().hex
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {},
                   "allow_stdin": False, "stop_on_error": True}  # fmt: skip
        header = {"msg_id": number, "username": "guest", "session": number,
                  "msg_type": "execute_request", "version": "5.3"}  # fmt: skip
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content,
                   "channel": "shell", "buffers": []}  # fmt: skip
        await self.socket.write_message(json.dumps(message))
        return await asyncio.wait_for(self._answer(number), PATIENCE)

    async def _answer(self, number: str) -> str:
        said = ""
        while True:
            text = await self.socket.read_message()
            assert text is not None, "the kernel has gone"
            message = json.loads(text)
            if message["parent_header"].get("msg_id") != number:
                continue
            content = message["content"]
            said += content.get("text", "")
            said += content.get("data", {}).get("text/plain", "")
            said += "\n".join(content.get("traceback", ()))
            if content.get("execution_state") == "idle":
                return said


@contextmanager
def ending(directory: ClusterDirectory, *, left: float) -> Iterator[None]:
    """Let the record of a cluster say that its job ends in so many seconds."""
    record = read_cluster(directory)
    write_cluster(directory, replace(record, end_time=time.time() + left))
    yield
    write_cluster(directory, record)


def own_settings(place: Place) -> dict[str, str]:
    """Return what keeps Jupyter away from the settings and traces of whoever runs the tests."""
    settings = place.home / "jupyter/lab/user-settings/@jupyterlab/apputils-extension"
    settings.mkdir(parents=True, exist_ok=True)
    (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false"}')
    return {
        "JUPYTER_CONFIG_DIR": str(place.home / "jupyter"),
        "JUPYTER_DATA_DIR": str(place.home / "jupyter-data"),
        "IPYTHONDIR": str(place.home / "ipython"),
    }


@contextmanager
def opened(
    place: Place, *words: str, **options: Any
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run a command that prints a link to JupyterLab and stays; give the link."""
    options = {"stdin": subprocess.DEVNULL, "env": own_settings(place), **options}
    with place.start(*PROGRAM, *words, **options) as process:
        try:
            assert process.stdout
            link = process.stdout.readline().strip()
            assert link.startswith("http://127.0.0.1:"), process.communicate(timeout=PATIENCE)
            yield link, process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            process.communicate(timeout=PATIENCE)
