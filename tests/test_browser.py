"""The demo page in a real Chromium: it does what it shows, and the console has nothing to complain of."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tlsmaterial import material
from webdriver import PATIENCE, Browser, browsing, needsChromium

pytestmark = needsChromium

MIB = 1024 * 1024
HERE = "interface=127.0.0.1"

#: One that takes less than its page says: the limit was lowered since.
SMALL = """
from txabstracthttp.demo import DemoServer

class Lowered(DemoServer):
    def streamsBody(self, request):
        return request.path == "/upload" and 500_000
"""

IS_DONE = "return !document.querySelector('#upload-result').hidden"
COUNT = "return Number(document.querySelector('#echo-count').textContent)"
HEIGHTS = "return [...document.querySelectorAll('#echo-chart rect')].map(bar => bar.height.baseVal.value)"
SAID = "return document.querySelector('#upload-status').textContent"


class Site:
    """The demo in a process of its own.

    :ivar plain: where it is.
    :ivar secure: where it is, too.
    """

    def __init__(self, folder: Path, *words: str) -> None:
        pem = material()
        # An idle Chromium does not hear that TLS is to end.
        (folder / "short.toml").write_text("closeTimeout = 0.5\n")
        secure = f"ssl:0:{HERE}:privateKey={pem.key}:certKey={pem.certificate}"
        endpoints = [f"--listen=tcp:0:{HERE}", f"--listen={secure}"]
        self._output, self._log = folder / "output", folder / "access.log"
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "txabstracthttp", *endpoints, *words),
                    *("--configuration=short.toml", "--access-log=access.log"),
                ],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.plain, self.secure = self._urls()

    @property
    def said(self) -> str:
        return self._output.read_text()

    @property
    def served(self) -> list[str]:
        """What the access log says."""
        return self._log.read_text().splitlines()

    def _urls(self) -> list[str]:
        deadline = time.monotonic() + PATIENCE
        while len(urls := re.findall(r"serving on (https?://\S+)", self.said)) < 2:
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.02)
        return urls

    def stop(self) -> None:
        self.process.terminate()
        try:
            assert self.process.wait(PATIENCE) == 0, self.said
        finally:
            self.process.kill()
            self.process.wait()
        assert "Traceback" not in self.said, self.said


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("site"))
    yield site
    site.stop()


@pytest.fixture(scope="module")
def theBrowser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browsing(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture
def browser(theBrowser: Browser) -> Iterator[Browser]:
    """The one browser; nobody has reason to complain of what the test shows it."""
    theBrowser.complaints()
    yield theBrowser
    complaints = theBrowser.complaints()
    theBrowser.open("about:blank")
    assert complaints == []


@pytest.fixture(params=["plain", "secure"])
def url(request: pytest.FixtureRequest, site: Site) -> str:
    return str(getattr(site, request.param))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "some file.bin"
    path.write_bytes(os.urandom(5 * MIB + 1))
    return path


def table(browser: Browser) -> dict[str, str]:
    """The rows of the page; names in lower case, since HTTP/2 has them so."""
    rows = browser.run("return [...document.querySelectorAll('tr')].map(row => row.innerText.split('\\t'))")
    return {name.lower(): value for name, value in rows}


def milliseconds(text: str) -> float:
    found = re.fullmatch(r"([\d.]+) (ms|s)", text)
    assert found, text
    return float(found[1]) * (1 if found[2] == "ms" else 1000)


class TestRequest:
    def test_whatItSaw(self, browser: Browser, url: str) -> None:
        browser.open(f"{url}?a=%3Cb%3E")
        assert browser.run("return document.title") == "txabstracthttp"
        rows = table(browser)
        spoken = browser.run("return performance.getEntriesByType('navigation')[0].nextHopProtocol")
        assert rows["version"] == {"http/1.1": "HTTP/1.1", "h2": "HTTP/2"}[spoken]
        assert (rows["method"], rows["a"]) == ("GET", "<b>")
        assert rows["from"].startswith("127.0.0.1:")
        assert rows["user-agent"] == browser.run("return navigator.userAgent")
        if url.startswith("https:"):
            assert rows["secure"] == "yes"
            assert re.fullmatch(r"TLSv1\.3, TLS_\w+", rows["tls"])
        else:
            assert rows["secure"] == "no"
            assert "tls" not in rows

    def test_thePolicyIsInForce(self, browser: Browser, site: Site) -> None:
        """What is inline does not run, and Chromium says so; so these tests would notice."""
        browser.open(site.plain)
        browser.run("document.body.setAttribute('style', 'color: red')")
        (complaint,) = browser.complaints()
        assert "Content Security Policy" in complaint
        assert browser.run("return getComputedStyle(document.body).color") != "rgb(255, 0, 0)"
        with pytest.raises(AssertionError, match="TrustedScript"):
            browser.run("document.body.setAttribute('onclick', 'document.title = 1')")
        browser.complaints()

    @pytest.mark.parametrize("width", [320, 390, 800, 1400])
    def test_fits(self, browser: Browser, site: Site, width: int) -> None:
        """Nothing must be scrolled sideways, however long what the peer sent."""
        metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
        browser.devTools("Emulation.setDeviceMetricsOverride", metrics)
        try:
            for target in ("", f"?{'x' * 500}", "docs/", "docs/HttpServerConfiguration"):
                browser.open(site.plain + target)
                needed, there = browser.run("""
                    const {scrollWidth, clientWidth} = document.documentElement;
                    return [scrollWidth, clientWidth];
                """)
                assert needed <= there <= width, target
        finally:
            browser.devTools("Emulation.clearDeviceMetricsOverride", {})

    def test_withoutScripts(self, browser: Browser, site: Site) -> None:
        browser.devTools("Emulation.setScriptExecutionDisabled", {"value": True})
        try:
            browser.open(site.plain)
            assert "HTTP/1.1" in browser.text("table")
            assert "JavaScript" in browser.text("noscript")
            assert browser.text(".live") == ""
            assert browser.text(".shell") == f"curl -T FILE {site.plain}upload"
        finally:
            browser.devTools("Emulation.setScriptExecutionDisabled", {"value": False})


class TestEcho:
    def until(self, browser: Browser, count: int) -> None:
        browser.until(
            "return Number(document.querySelector('#echo-count').textContent) >= arguments[0]", count
        )

    def test_onTheConnectionThatThereIs(self, browser: Browser, site: Site) -> None:
        """RFC 8441: Chromium opens it as a stream of HTTP/2."""
        browser.open(site.secure)
        self.until(browser, 3)
        assert any('"GET /echo HTTP/2.0" 200 ' in line for line in site.served), site.served

    def test_roundTrips(self, browser: Browser, url: str) -> None:
        browser.open(url)
        self.until(browser, 3)
        assert browser.text("#echo-status") == "Connected"
        for which in ("#echo-last", "#echo-average"):
            assert 0 < milliseconds(browser.text(which)) < 5000
        heights = (
            "return [...document.querySelectorAll('#echo-chart rect')].map(bar => bar.height.baseVal.value)"
        )
        bars = browser.run(heights)
        assert len(bars) >= 3
        assert max(bars) == 64
        assert min(bars) >= 1
        assert "round trips; the highest bar is" in browser.text("#echo-scale")

    @pytest.mark.parametrize("kind", ["text", "binary"])
    def test_aMessageOfMine(self, browser: Browser, url: str, kind: str) -> None:
        browser.open(url)
        self.until(browser, 1)
        browser.click(f"[value={kind}]")
        browser.run("document.querySelector('#echo-size').value = '262144'")
        browser.type("#echo-message", "Grüße <b>\ue007")  # and Enter
        said = browser.until("return document.querySelector('#echo-said').textContent")
        end = "as text" if kind == "text" else "as 11 bytes of binary"
        assert re.fullmatch(rf"“Grüße <b>” came back after [\d.]+ m?s, {end}\.", said), said
        self.until(browser, int(browser.text("#echo-count")) + 2)

    def test_toggle(self, browser: Browser, url: str) -> None:
        browser.open(url)
        self.until(browser, 1)
        browser.click("#echo-toggle")
        status = "return document.querySelector('#echo-status').textContent === arguments[0]"
        browser.until(status, "Disconnected")
        assert browser.text("#echo-toggle") == "Connect"
        assert browser.run("return document.querySelector('#echo-send').disabled")
        browser.click("#echo-toggle")
        browser.until(status, "Connected")
        self.until(browser, 1)


class TestUpload:
    def test_progressAndDigest(self, browser: Browser, url: str, file: Path) -> None:
        browser.open(url)
        browser.run("""
            const bar = document.querySelector('#upload-bar');
            window.seen = [];
            const look = () => seen.push([bar.value, document.querySelector('#upload-progress').textContent]);
            new MutationObserver(look).observe(document.querySelector('#upload-moving'), {
                childList: true, subtree: true, characterData: true});
        """)
        # Slow enough for several looks.
        slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 8 * MIB}
        browser.devTools("Network.enable", {})
        browser.devTools("Network.emulateNetworkConditions", slow)
        browser.type("#upload-file", str(file))
        browser.until(IS_DONE)
        browser.devTools("Network.disable", {})
        assert browser.text("#upload-digest") == hashlib.sha256(file.read_bytes()).hexdigest()
        assert browser.text("#upload-size") == "5 MiB"
        assert milliseconds(browser.text("#upload-time")) > 0
        assert browser.text("#upload-rate").endswith("iB/s")
        assert browser.text("#upload-status") == "“some file.bin” has arrived."
        seen = browser.run("return seen")
        parts = [part for part, _ in seen]
        assert parts == sorted(parts)
        assert (parts[0], parts[-1]) == (0, 1)
        assert len([part for part in parts if 0 < part < 1]) >= 2, seen
        assert seen[-1][1].startswith("100 %: 5 MiB of 5 MiB")

    def test_dropped(self, browser: Browser, url: str) -> None:
        browser.open(url)
        browser.run("""
            const files = new DataTransfer();
            files.items.add(new File(['abc'], 'dropped.txt'));
            const options = {dataTransfer: files, bubbles: true, cancelable: true};
            const drop = () => new DragEvent('drop', options);
            window.beside = document.querySelector('h1').dispatchEvent(drop());
            window.inside = document.querySelector('#upload-drop').dispatchEvent(drop());
        """)
        browser.until(IS_DONE)
        assert browser.run("return [beside, inside]") == [False, False], "the browser would open the file"
        assert browser.text("#upload-digest") == hashlib.sha256(b"abc").hexdigest()

    def test_empty(self, browser: Browser, site: Site, tmp_path: Path) -> None:
        (tmp_path / "empty").touch()
        browser.open(site.plain)
        browser.type("#upload-file", str(tmp_path / "empty"))
        browser.until(IS_DONE)
        assert browser.text("#upload-digest") == hashlib.sha256().hexdigest()

    def test_cancelled(self, browser: Browser, site: Site, file: Path) -> None:
        browser.open(site.plain)
        slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": MIB / 8}
        browser.devTools("Network.enable", {})
        browser.devTools("Network.emulateNetworkConditions", slow)
        browser.type("#upload-file", str(file))
        browser.click("#upload-cancel")
        assert browser.until(SAID) == "“some file.bin” has not arrived. Cancelled."
        browser.devTools("Network.disable", {})
        assert not browser.run(IS_DONE)
        assert browser.run("return document.querySelector('#upload-moving').hidden")

    def test_moreThanThePageAllows(self, browser: Browser, site: Site, file: Path) -> None:
        """It is not even tried."""
        browser.open(site.plain)
        browser.run("document.querySelector('#upload-box').dataset.limit = 1024")
        browser.type("#upload-file", str(file))
        assert browser.until(SAID) == "“some file.bin” has 5 MiB, and this server takes up to 1 KiB."


@pytest.mark.parametrize("scheme", ["plain", "secure"])
def test_moreThanTheServerTakes(theBrowser: Browser, tmp_path: Path, file: Path, scheme: str) -> None:
    (tmp_path / "small.py").write_text(SMALL)
    site = Site(tmp_path, "--server=small:Lowered")
    theBrowser.open(getattr(site, scheme))
    theBrowser.type("#upload-file", str(file))
    assert theBrowser.until(SAID) == "“some file.bin” has 5 MiB, which is more than this server takes."
    theBrowser.open("about:blank")
    site.stop()
    (complaint,) = theBrowser.complaints()
    assert "413" in complaint


def test_theServerGoes(theBrowser: Browser, tmp_path: Path) -> None:
    site = Site(tmp_path)
    theBrowser.open(site.plain)
    theBrowser.until(COUNT + " >= 2")
    site.stop()
    theBrowser.until("return document.querySelector('#echo-status').dataset.state === 'lost'")
    assert theBrowser.text("#echo-status") == "Disconnected: 1001 the server goes"
    assert theBrowser.text("#echo-toggle") == "Connect"
    # Whatever else was on its way then may have failed.
    theBrowser.complaints()
