"""Headless Chromium over the DevTools protocol: what a person would do with a page, and what they would see.

Protocol: https://chromedevtools.github.io/devtools-protocol/ (Page, Runtime, Emulation, Input, Network).
"""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
    "--disable-default-apps", "--mute-audio", "--hide-scrollbars", "--disable-dev-shm-usage",
    "--remote-debugging-port=0", "about:blank",
)  # fmt: skip
_START_SECONDS = 30.0


def find_chromium() -> str | None:
    """The browser's path, or None where none is installed."""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


class Page:
    """One tab.

    Attributes:
        problems: Errors and uncaught exceptions the page has logged, and requests it made to other hosts.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.problems: list[str] = []
        self._socket = socket
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}

    async def listen(self) -> None:
        """Take in what the browser says, until it closes."""
        async for message in self._socket:
            said = json.loads(message.data)
            waiting = self._waiting.pop(said.get("id", 0), None)
            if waiting is not None and not waiting.done():
                waiting.set_result(said)
            elif "method" in said:
                self._note(said["method"], said["params"])

    def _note(self, method: str, params: Any) -> None:
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.problems.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.problems.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
        elif method == "Network.requestWillBeSent":
            url = params["request"]["url"]
            if not url.startswith(("http://127.0.0.1:", "data:")):
                self.problems.append(f"asked {url}")

    async def send(self, method: str, **params: Any) -> Any:
        """One DevTools command."""
        number = next(self._numbers)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": params})
        async with asyncio.timeout(20):
            answer = await self._waiting[number]
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    async def open(self, url: str, width: int = 1440, height: int = 900, scheme: str = "dark") -> None:
        """Go to ``url`` in a window of that size."""
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.send(f"{domain}.enable")
        await self.resize(width, height, scheme)
        await self.send("Page.navigate", url=url)
        await self.wait_for("document.readyState === 'complete'")

    async def resize(self, width: int, height: int, scheme: str = "dark") -> None:
        """Another window size, as on another device."""
        await self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 700
        )
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        await self.send("Emulation.setEmulatedMedia", features=features)

    async def evaluate(self, expression: str) -> Any:
        """The value of an expression in the page."""
        answer = await self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def text(self, selector: str) -> str:
        """What a person reads in an element; empty where it is hidden or absent."""
        found = await self.evaluate(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")
        return str(found)

    async def wait_for(self, expression: str, seconds: float = 15.0) -> Any:
        """Until an expression is true in the page."""
        found = None
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not found:
                    found = await self.evaluate(f"Boolean({expression})")
                    if not found:
                        await asyncio.sleep(0.05)
        body = "" if found else await self.evaluate("document.body.innerText")
        assert found, f"not true within {seconds:g} s: {expression}\n{body}\n{self.problems}"

    async def wait_for_text(self, selector: str, text: str, seconds: float = 15.0) -> None:
        """Until an element's text contains ``text``."""
        await self.wait_for(
            f"(document.querySelector({json.dumps(selector)})?.innerText ?? '').includes({json.dumps(text)})", seconds
        )

    async def click(self, selector: str) -> None:
        """Press the mouse where the element is; a covered element is not clicked through."""
        box = await self.evaluate(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            " e.scrollIntoView({block: 'center'}); const b = e.getBoundingClientRect();"
            " return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            await self.send("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    async def type(self, selector: str, text: str) -> None:
        """Type into a field."""
        await self.evaluate(f"document.querySelector({json.dumps(selector)}).focus()")
        await self.send("Input.insertText", text=text)

    async def screenshot(self, path: Path) -> None:
        """The window as a person sees it."""
        answer = await self.send("Page.captureScreenshot", format="png")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(answer["data"]))


@asynccontextmanager
async def browser(program: str, folder: Path) -> AsyncIterator[Page]:
    """A browser with an empty profile in ``folder``, ended with the block."""
    with (folder / "chromium.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: ASYNC220  (returns at once; the browser is ended with the block)
            [program, f"--user-data-dir={folder / 'profile'}", *_FLAGS], stdout=log, stderr=log, start_new_session=True
        )
    try:
        port = await _port_of(process, folder)
        async with aiohttp.ClientSession() as http:
            async with http.get(f"http://127.0.0.1:{port}/json/list") as answer:
                tabs = await answer.json(content_type=None)
            url = next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
            async with http.ws_connect(url, max_msg_size=0) as socket, asyncio.TaskGroup() as group:
                page = Page(socket)
                listening = group.create_task(page.listen())
                try:
                    yield page
                finally:
                    listening.cancel()
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.to_thread(process.wait, 10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def _port_of(process: subprocess.Popen[bytes], folder: Path) -> int:
    written = folder / "profile" / "DevToolsActivePort"
    async with asyncio.timeout(_START_SECONDS):
        while not written.exists() or not written.read_text().strip():
            assert process.poll() is None, (folder / "chromium.log").read_text(errors="replace")[-2000:]
            await asyncio.sleep(0.05)
    return int(written.read_text().split()[0])
