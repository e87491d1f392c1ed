"""The demo: it shows the request, and cannot be made to show anything else."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress

from txabstracthttp import HttpRequest, HttpServerConfiguration
from txabstracthttp.body import RequestBody
from txabstracthttp.demo import DemoServer
from txabstracthttp.request import ConnectionInfo
from txabstracthttp.wire.http1 import Http1Wire

PEER = IPv4Address("TCP", "192.0.2.7", 1234)
HERE = IPv4Address("TCP", "127.0.0.1", 8080)


class Socket:
    """Keeps what it is answered with."""

    def respond(
        self, body: str, status: int = 200, headers: Any = None, contentType: str | None = None
    ) -> None:
        self.body, self.status, self.headers, self.contentType = body, status, headers, contentType


class Page(HTMLParser):
    """The cells of all tables, by the names in front of them, and the tags that there were."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.cells: list[str] = []
        self.feed(text)
        self.close()
        self.rows = dict(zip(self.cells[::2], self.cells[1::2], strict=True))

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        if tag in {"th", "td"}:
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] in {"th", "td"}:
            self.cells[-1] += data.strip("\n")


def ask(
    octets: bytes, peer: IAddress = PEER, here: IAddress = HERE, isSecure: bool = False
) -> tuple[bool, Socket]:
    request: Any = Http1Wire(HttpServerConfiguration(), HttpRequest).receiveData(octets)[0]
    request.connection = ConnectionInfo(peer, here, isSecure)
    request.receiveContent(RequestBody.complete(octets.partition(b"\r\n\r\n")[2]))
    socket: Any = Socket()
    return DemoServer().handleRequest(request, socket), socket


def page(octets: bytes, **connection: Any) -> Page:
    handled, socket = ask(octets, **connection)
    assert handled is True
    assert socket.status == 200
    return Page(socket.body)


def test_whatItSaw() -> None:
    rows = page(
        b"POST /?a=1&b=x%20y HTTP/1.1\r\nHost: localhost\r\nX-Thing: one\r\nContent-Length: 5\r\n\r\nhello"
    ).rows
    assert rows == {
        "Method": "POST",
        "Target": "/?a=1&b=x%20y",
        "Path": "/",
        "Version": "HTTP/1.1",
        "From": "192.0.2.7:1234",
        "To": "127.0.0.1:8080",
        "Secure": "no",
        "Body": "5 bytes",
        "a": "1",
        "b": "x y",
        "Host": "localhost",
        "X-Thing": "one",
        "Content-Length": "5",
    }


def test_addresses() -> None:
    octets = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    rows = page(octets, peer=IPv6Address("TCP", "::1", 5), here=UNIXAddress("/x"), isSecure=True).rows
    assert (rows["From"], rows["To"], rows["Secure"]) == ("[::1]:5", "a Unix socket", "yes")


def test_nothingIsMarkup() -> None:
    evil = b"<script>alert('x')</script>&amp;\""
    plain = page(b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n")
    shown = page(b"GET /?q=%3Cb%3E HTTP/1.1\r\nHost: a\r\nX-Evil: " + evil + b"\r\n\r\n")
    assert set(shown.tags) == set(plain.tags)
    assert shown.rows["X-Evil"] == evil.decode()
    assert shown.rows["q"] == "<b>"


def test_nothingIsInvisible() -> None:
    shown = page(b"GET /?q=%00%0A%E2%80%AEa%C3%A4 HTTP/1.0\r\n\r\n")
    assert shown.rows["q"] == "\\x00\\n\\u202eaä"


def test_headersOfTheAnswer() -> None:
    _, socket = ask(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert socket.contentType == "text/html; charset=utf-8"
    assert socket.headers["X-Content-Type-Options"] == "nosniff"
    policy = socket.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    (style,) = re.findall("<style>(.*?)</style>", socket.body, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert "style=" not in socket.body


@pytest.mark.parametrize("target", [b"/index.html", b"//", b"/%2F", b"/favicon.ico"])
def test_nothingElse(target: bytes) -> None:
    assert ask(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n")[0] is False
