"""A real browser without a window, told what to do over its own protocol of developers' tools."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import shutil
import tempfile
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import psutil
from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from dask_hpc._clock import SystemClock, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

_QUIET = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
          "--disable-background-networking", "--disable-component-update", "--disable-sync",
          "--disable-dev-shm-usage", "--window-size=1300,760")  # fmt: skip
_PATIENCE = 120.0  # seconds: two slow cores draw a page


@dataclass(slots=True)
class Page:
    """A page of a browser."""

    port: int
    socket: WebSocketClientConnection
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    async def call(self, method: str, **parameters: Any) -> Any:
        """Ask the browser for something."""
        number = next(self._numbers)
        await self.socket.write_message(
            json.dumps({"id": number, "method": method, "params": parameters})
        )
        while True:
            said = await asyncio.wait_for(self.socket.read_message(), _PATIENCE)
            assert said is not None, "the browser has ended"
            answer = json.loads(said)
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]

    async def tab(self, url: str) -> Page:
        """Open an address in a tab of its own."""
        new = f"http://127.0.0.1:{self.port}/json/new?{quote(url, safe='')}"
        answer = await AsyncHTTPClient().fetch(HTTPRequest(new, method="PUT", body=b""))
        return await _page(self.port, json.loads(answer.body))

    async def go(self, url: str) -> None:
        """Open an address."""
        await self.call("Page.navigate", url=url)

    async def value(self, expression: str) -> Any:
        """Return what an expression of JavaScript is worth, after its promise if it is one."""
        answer = await self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def wait_for(self, expression: str, *, what: str = "") -> Any:
        """Wait until an expression is true, over pages that come and go; return its value."""
        clock = SystemClock()
        deadline = clock.monotonic() + _PATIENCE
        while True:
            answer = await self.call(
                "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
            )
            if found := answer["result"].get("value"):
                return found
            assert clock.monotonic() < deadline, (what or expression, await self.text())
            await clock.sleep(0.2)

    async def click(self, selector: str) -> None:
        """Press and release the mouse in the middle of an element."""
        place = f"""(() => {{
            const box = document.querySelector({json.dumps(selector)}).getBoundingClientRect();
            return [box.x + box.width / 2, box.y + box.height / 2];
        }})()"""
        x, y = await self.value(place)
        for kind in ("mousePressed", "mouseReleased"):
            await self.call(
                "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1
            )

    async def text(self) -> str:
        """Return what is to be read."""
        return str(await self.value("document.body ? document.body.innerText : ''"))

    async def picture(self, path: Path) -> None:
        """Keep what is to be seen."""
        shot = await self.call("Page.captureScreenshot", format="png")
        await asyncio.to_thread(path.write_bytes, base64.b64decode(shot["data"]))


@asynccontextmanager
async def browser(
    *, run: Callable[..., list[str]] = lambda *argv: [*argv], parent: Path | None = None
) -> AsyncIterator[Page]:
    """Give a page of a new browser; the bed ``chromium`` installs it.

    ``run`` returns the command line that runs one somewhere else, where a directory in ``parent``
    is seen.
    """
    program = shutil.which("chromium")
    assert program, "there is no chromium"
    with _profile(parent) as profile:
        argv = [program, *_QUIET, f"--user-data-dir={profile}", "--remote-debugging-port=0"]
        quiet = asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(
            *run(*argv, "about:blank"), stdin=quiet, stdout=quiet, stderr=quiet
        )
        try:
            told = profile / "DevToolsActivePort"
            assert await until(lambda: _lines(told) > 1, 60, clock=SystemClock())
            port = int(told.read_text().split()[0])
            listing = await AsyncHTTPClient().fetch(f"http://127.0.0.1:{port}/json")
            (target,) = [each for each in json.loads(listing.body) if each["type"] == "page"]
            yield await _page(port, target)
        finally:
            # What runs it somewhere else does not pass a signal on.
            for each in psutil.Process(process.pid).children():
                each.terminate()
            with suppress(ProcessLookupError):
                process.terminate()
            await process.wait()


@contextmanager
def _profile(parent: Path | None) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="dh", dir=parent, ignore_cleanup_errors=True) as path:
        if parent:  # there it may be another user who writes
            Path(path).chmod(0o777)
        yield Path(path)


async def _page(port: int, target: dict[str, Any]) -> Page:
    address = target["webSocketDebuggerUrl"]
    return Page(port, await websocket_connect(address, max_message_size=2**27))


def _lines(path: Path) -> int:
    return len(path.read_text().split()) if path.exists() else 0
