"""The page of the chat example in a real Chromium: people talk, and nobody can make it do anything else."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from blockingwebsocket import BlockingWebSocket
from webdriver import PATIENCE, Browser, browsing, needsChromium

ROOT = Path(__file__).resolve().parent.parent
CHAT = ROOT / "docs" / "examples" / "chat.py"

pytestmark = [
    needsChromium,
    pytest.mark.skipif(not CHAT.exists(), reason="the examples are not here"),
]

LINES = "return [...document.querySelectorAll('#log li')].map(each => each.textContent)"
SAID = """return [...document.querySelectorAll('#log li:not(.note)')].map(
    line => [...line.children].slice(1).map(each => each.textContent))"""
PEOPLE = "return [...document.querySelectorAll('#people li')].map(each => each.textContent)"
STATUS = "return document.querySelector('#status').textContent"
MARKUP = "<img src=x onerror=alert(1)><script>alert(2)</script> & co"


@contextmanager
def serving(port: int = 0) -> Iterator[int]:
    """The chat in a process of its own; its port."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", str(CHAT), str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.stderr.read() if process.stderr else ""
        yield int(line.rstrip("/\n").rpartition(":")[2])
    finally:
        process.terminate()
        try:
            errors = process.communicate(timeout=PATIENCE)[1]
        finally:
            process.kill()
    assert "Traceback" not in errors, errors


@pytest.fixture
def chat() -> Iterator[int]:
    with serving() as port:
        yield port


@pytest.fixture(scope="module")
def theBrowser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browsing(tmp_path_factory.mktemp("chat")) as browser:
        yield browser


@pytest.fixture
def browser(theBrowser: Browser) -> Iterator[Browser]:
    theBrowser.complaints()
    yield theBrowser
    # Before the server goes, which the page would complain of.
    theBrowser.open("about:blank")


def enter(browser: Browser, port: int, name: str) -> None:
    browser.open(f"http://127.0.0.1:{port}/")
    browser.type("#name", name)
    browser.click("#door button")
    browser.until("return document.querySelector('#status').textContent.startsWith('You are ')")


def say(browser: Browser, text: str) -> None:
    browser.type("#text", text)
    browser.click("#say button")


class Visitor(BlockingWebSocket):
    """Somebody without a browser."""

    def __init__(self, port: int, name: str) -> None:
        super().__init__(port, "/room", f"Origin: http://127.0.0.1:{port}")
        self.send(json.dumps({"name": name}))
        self.hear("you")

    def hear(self, kind: str) -> dict[str, Any]:
        """The next message of a kind; what comes before is passed over."""
        while True:
            message: dict[str, Any] = json.loads(self.receive())
            if message["kind"] == kind:
                return message

    def say(self, text: str) -> None:
        """Say something to everybody."""
        self.send(json.dumps({"text": text}))


def test_conversation(browser: Browser, chat: int) -> None:
    with Visitor(chat, "Bob") as bob:
        assert bob.hear("came")["name"] == "Bob"
        enter(browser, chat, "Alice")
        assert bob.hear("came")["name"] == "Alice"
        assert browser.run(STATUS) == "You are Alice."
        browser.until("return document.querySelectorAll('#people li').length === 2")
        assert browser.run(PEOPLE) == ["Bob", "Alice"]
        say(browser, "hello, Bob")
        assert bob.hear("said")["text"] == "hello, Bob"
        assert browser.run("return document.querySelector('#text').value") == ""
        bob.say("hello, Alice")
        browser.until("return document.querySelectorAll('#log b').length === 2")
        assert browser.run(LINES)[0] == "Alice came in."
        assert browser.run(SAID) == [["Alice", "hello, Bob"], ["Bob", "hello, Alice"]]
        own = "return [...document.querySelectorAll('#log li.own')].map(each => each.lastChild.textContent)"
        assert browser.run(own) == ["hello, Bob"]
        bob.close()
    browser.until("return document.querySelector('#log').lastChild.textContent === 'Bob left.'")
    assert browser.run(PEOPLE) == ["Alice"]
    assert browser.complaints() == []


def test_markupIsText(browser: Browser, chat: int) -> None:
    with Visitor(chat, MARKUP) as mallory:
        mallory.say(MARKUP)
        mallory.hear("said")
        enter(browser, chat, MARKUP)
        say(browser, MARKUP)
        mallory.hear("said")
        browser.until("return document.querySelectorAll('#log b').length === 2")
        name = MARKUP[:24].strip()
        assert browser.run(SAID) == [[name, MARKUP], [f"{name} 2", MARKUP]]
        assert browser.run(PEOPLE) == [name, f"{name} 2"]
    kinds = (
        "return [...new Set([...document.querySelectorAll('#room *')].map(each => each.localName))].sort()"
    )
    expected = ["aside", "b", "button", "form", "h2", "input", "label", "li", "ol", "span", "time", "ul"]
    assert browser.run(kinds) == expected
    assert browser.complaints() == []


def test_policy(browser: Browser, chat: int) -> None:
    """Even if somebody got markup into the page, it would do nothing."""
    enter(browser, chat, "Alice")
    assert browser.complaints() == []
    for attack, word in (
        ("element('script', 'window.stolen = 1')", "script-src"),
        ("Object.assign(element('img', ''), { src: '/chat.css' })", "img-src"),
        ("element('style', 'body { display: none }')", "style-src"),
        ("Object.assign(element('iframe', ''), { src: '/' })", "default-src"),
    ):
        browser.run(f"document.body.append({attack})")
        time.sleep(0.2)
        complaints = browser.complaints()
        assert complaints
        assert all("Content Security Policy" in each and word in each for each in complaints)
    assert browser.run("return window.stolen === undefined && document.body.clientHeight > 0")


def test_nowhereElse(browser: Browser, chat: int) -> None:
    enter(browser, chat, "Alice")
    script = f"try {{ await fetch('http://localhost:{chat}/') }} catch (error) {{ return error.name }}"
    assert browser.run(f"return (async () => {{ {script} }})()") == "TypeError"
    (complaint,) = [each for each in browser.complaints() if "connect-src" in each]
    assert "Content Security Policy" in complaint


def test_theServerIsAway(browser: Browser) -> None:
    with serving() as port:
        enter(browser, port, "Alice")
        say(browser, "before")
        browser.until("return document.querySelectorAll('#log b').length === 1")
        assert browser.complaints() == []
    trouble = browser.until("return document.querySelector('#status.trouble')?.textContent")
    assert trouble.startswith("The connection is gone. Trying again in ")
    assert browser.run("return document.querySelector('#text').disabled")
    with serving(port) as again:
        assert again == port
        browser.until("return document.querySelector('#status').textContent === 'You are Alice.'")
        say(browser, "after")
        browser.until("return document.querySelectorAll('#log b').length === 1")
        # The server that has come back knows nothing of the one that went.
        assert browser.run(SAID) == [["Alice", "after"]]
        assert browser.run(PEOPLE) == ["Alice"]
        browser.open("about:blank")


def test_theServersWord(browser: Browser, chat: int) -> None:
    """The reason for a goodbye is shown; then the page comes back by itself."""
    enter(browser, chat, "Alice")
    browser.run("socket.send('no message')")
    trouble = browser.until("return document.querySelector('#status.trouble')?.textContent")
    assert trouble == "That was no message of a chat. Trying again in 1 s."
    browser.until("return document.querySelector('#status').textContent === 'You are Alice.'")
    assert browser.run("return document.querySelector('#status.trouble')") is None
    assert browser.complaints() == []


def test_scrolling(browser: Browser, chat: int) -> None:
    """The last line can be seen, unless somebody reads further up."""
    enter(browser, chat, "Alice")
    left = "return log.scrollHeight - log.scrollTop - log.clientHeight"
    many = "for (let n = 0; n < 600; n++) handlers.said({ name: 'Bob', text: `line ${n}`, time: 0 });"
    browser.run(many)
    assert browser.run(left) < 2
    assert browser.run("return log.children.length") == 500
    browser.run("log.scrollTop = 100;")
    browser.run(many.replace("600", "3"))
    assert browser.run(left) > 1000


@pytest.mark.parametrize("width", [320, 1200])
def test_narrowAndWide(browser: Browser, chat: int, width: int) -> None:
    browser.devTools(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 640, "deviceScaleFactor": 1, "mobile": False},
    )
    try:
        enter(browser, chat, "A" * 24)
        say(browser, "x" * 500)
        browser.until("return document.querySelectorAll('#log b').length === 1")
        measures = "return [document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
        assert browser.run(measures) == [width, 640]
        assert browser.run("return say.getBoundingClientRect().bottom") <= 640
    finally:
        browser.devTools("Emulation.clearDeviceMetricsOverride", {})
    assert browser.complaints() == []
