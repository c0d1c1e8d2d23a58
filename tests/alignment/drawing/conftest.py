"""A headless browser, driven by the DevTools protocol over two pipes: no port, no package."""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from select import select
from time import monotonic, sleep
from typing import Any

import pytest

SECONDS = 60
FLAGS = """
    --headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
    --disable-component-update --disable-sync --disable-extensions --disable-dev-shm-usage --hide-scrollbars
    --remote-debugging-pipe
"""
KEY_CODES = {"ArrowRight": 39, "ArrowLeft": 37, "ArrowDown": 40, "ArrowUp": 38, "Escape": 27}


class Browser:
    """One tab; what it asked the network for is in `requests`."""

    def __init__(self, program: str, profile: Path) -> None:
        (to_read, self._write), (self._read, to_write) = os.pipe(), os.pipe()
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self._number, self._rest = 0, b""
        # The browser reads from 3 and writes to 4.
        command = f'exec "$@" 3<&{to_read} 4>&{to_write}'
        options = [*FLAGS.split(), f"--user-data-dir={profile}", "about:blank"]
        self._process = subprocess.Popen(
            ["bash", "-c", command, "bash", program, *options],
            pass_fds=(to_read, to_write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        self._session: str | None = None
        [tab] = [each for each in self._tabs() if each["type"] == "page"]
        opened = self.call("Target.attachToTarget", targetId=tab["targetId"], flatten=True)
        self._session = opened["sessionId"]
        for domain in ("Page", "Runtime", "Network"):
            self.call(f"{domain}.enable")

    def _tabs(self) -> list[dict[str, Any]]:
        end = monotonic() + SECONDS
        while monotonic() < end:
            tabs = self.call("Target.getTargets")["targetInfos"]
            if any(tab["type"] == "page" for tab in tabs):
                return tabs
            sleep(0.05)
        raise TimeoutError("the browser opened no tab")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The answer to a command."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select([self._read], [], [], SECONDS)
            new = os.read(self._read, 1 << 20) if ready else b""
            if not new:
                raise TimeoutError("the browser says nothing more")
            self._rest += new
        raw, _, self._rest = self._rest.partition(b"\0")
        message = json.loads(raw)
        method, parameters = message.get("method"), message.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        if method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(parameters["exceptionDetails"]))
        return message

    def open(self, page: Path) -> None:
        """Load a page, to its end."""
        self.call("Page.navigate", url=page.as_uri())
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def value(self, expression: str) -> Any:
        """The value of an expression of JavaScript in the page."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait(self, expression: str) -> Any:
        """The value of an expression as soon as it is true."""
        end = monotonic() + SECONDS
        while monotonic() < end:
            if value := self.value(expression):
                return value
            sleep(0.03)
        raise TimeoutError(expression)

    def hover(self, selector: str) -> None:
        """Move the mouse over the middle of an element."""
        box = f"document.querySelector({json.dumps(selector)}).getBoundingClientRect()"
        x, y = self.value(f"(b => [(b.left + b.right) / 2, (b.top + b.bottom) / 2])({box})")
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def press(self, *keys: str) -> None:
        """Press and let go of keys, one after the other."""
        for key in keys:
            text = {"text": key} if len(key) == 1 else {}
            code = KEY_CODES.get(key, ord(key.upper()[0]))
            for kind in ("keyDown", "keyUp"):
                options = text if kind == "keyDown" else {}
                self.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **options)

    def resize(self, width: int, height: int, *, scale: float = 1) -> None:
        """Make the window as large as this."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=False,
        )

    def prefer(self, scheme: str) -> None:
        """Say that the person prefers `dark` or `light`."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def screenshot(self) -> bytes:
        """What is in the window, as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    def close(self) -> None:
        """End the browser."""
        self._process.terminate()
        self._process.wait(SECONDS)
        os.close(self._read)
        os.close(self._write)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser, if there is one."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("no chromium here: apt-get install chromium")
    one = Browser(program, tmp_path_factory.mktemp("profile"))
    yield one
    one.close()
