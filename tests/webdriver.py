"""A real browser for tests: Chromium, driven over the W3C WebDriver protocol."""

from __future__ import annotations

__all__ = ["Browser", "browsing", "needsChromium"]

import json
import os
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

PATIENCE = 60.0
DRIVER = shutil.which("chromedriver")
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
#: What a WebDriver element is called in JSON (W3C WebDriver section 12.2).
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
_local = urllib.request.build_opener(urllib.request.ProxyHandler({}))

needsChromium = pytest.mark.skipif(
    DRIVER is None or BROWSER is None, reason="chromium and chromedriver are not installed"
)


class Browser:
    """One window.  Elements are named by CSS selectors."""

    def __init__(self, driver: str, capabilities: dict[str, Any]) -> None:
        self._session = f"{driver}/session"
        opened = self.call("POST", "", {"capabilities": {"alwaysMatch": capabilities}})
        self._session += f"/{opened['sessionId']}"

    def call(self, method: str, command: str, content: Any = None) -> Any:
        data = None if content is None else json.dumps(content).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self._session + command, data, headers, method=method)
        try:
            with _local.open(request, timeout=PATIENCE) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(json.load(error)["value"]["message"]) from None

    def open(self, url: str) -> None:
        self.call("POST", "/url", {"url": url})

    def run(self, script: str, *arguments: Any) -> Any:
        """What `script`, the body of a function, returns."""
        return self.call("POST", "/execute/sync", {"script": script, "args": arguments})

    def _element(self, selector: str) -> str:
        found = self.call("POST", "/element", {"using": "css selector", "value": selector})
        return f"/element/{found[_ELEMENT]}"

    def text(self, selector: str) -> str:
        """What of it can be seen."""
        return cast("str", self.call("GET", f"{self._element(selector)}/text"))

    def click(self, selector: str) -> None:
        self.call("POST", f"{self._element(selector)}/click", {})

    def type(self, selector: str, text: str) -> None:
        """Type; into a file chooser, the path of a file."""
        self.call("POST", f"{self._element(selector)}/value", {"text": text})

    def until(self, script: str, *arguments: Any) -> Any:
        """Wait until `script` returns something true, and return that."""
        deadline = time.monotonic() + PATIENCE
        while not (result := self.run(script, *arguments)):
            assert time.monotonic() < deadline, f"{script}\n{self.run('return document.body.innerText')}"
            time.sleep(0.02)
        return result

    def complaints(self) -> list[str]:
        """What has come to the console since the last call."""
        return [each["message"] for each in self.call("POST", "/se/log", {"type": "browser"})]

    def devTools(self, command: str, parameters: dict[str, Any]) -> Any:
        """What Chromium's own protocol can do and WebDriver cannot."""
        return self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def screenshot(self, path: Path) -> None:
        path.write_bytes(b64decode(self.call("GET", "/screenshot")))


@contextmanager
def browsing(folder: Path, *switches: str) -> Iterator[Browser]:
    """A browser of our own, with an empty profile in `folder`."""
    assert DRIVER is not None
    # In a process group of its own, so that nothing of it can be left over.
    process = subprocess.Popen(
        [DRIVER, "--port=0"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"HOME": str(folder)},
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        ready = next(line for line in process.stdout if "started successfully on port" in line)
        port = ready.rstrip(".\n").rpartition(" ")[2]
        browser = Browser(f"http://127.0.0.1:{port}", _capabilities(folder, switches))
        yield browser
        browser.call("DELETE", "")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _capabilities(folder: Path, switches: tuple[str, ...]) -> dict[str, Any]:
    # Chromium has no sandbox for root, and containers have little shared memory.
    always = ["--headless=new", "--disable-dev-shm-usage", "--no-proxy-server"]
    profile = f"--user-data-dir={folder / 'profile'}"
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    return {
        "acceptInsecureCerts": True,
        "goog:loggingPrefs": {"browser": "ALL"},
        "goog:chromeOptions": {"binary": BROWSER, "args": [*always, profile, *sandbox, *switches]},
    }
