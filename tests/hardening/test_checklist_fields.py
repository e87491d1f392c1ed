"""Rows of the checklist about fields that no other test holds: what is not believed, what they may cost."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from time import process_time
from typing import Any

import pytest
from connectionhelpers import PEER, echoPath, get, serve
from http2helpers import serve2
from twisted.logger import capturedLogs

from txabstracthttp import HttpRequest, HttpSocket

#: What proxies say, and strangers who pretend to be one.
PRETENDED = [
    "X-Forwarded-For: 198.51.100.7",
    "X-Forwarded-Host: evil.example",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Port: 443",
    "X-Real-IP: 198.51.100.7",
    "X-Original-URL: /admin",
    "X-HTTP-Method-Override: DELETE",
    'Forwarded: for=198.51.100.7;host=evil.example;proto="https"',
    "Proxy: http://evil.example",
]


class Remembering:
    """A handler that keeps what it was asked."""

    def __init__(self) -> None:
        self.requests: list[HttpRequest] = []

    def __call__(self, request: HttpRequest, socket: HttpSocket) -> bool:
        self.requests.append(request)
        socket.respond("")
        return True


def overHttp1(*fields: str) -> HttpRequest:
    """A request, as the application sees it."""
    handler = Remembering()
    serve(handler).send(get("/x", *fields))
    return handler.requests[0]


def overHttp2(*fields: str) -> HttpRequest:
    """The same on a stream."""
    handler = Remembering()
    serve2(handler).ask("/x", *fields)
    return handler.requests[0]


over = pytest.mark.parametrize("ask", [overHttp1, overHttp2])


@over
class TestPretence:
    def test_nothingOfItIsBelieved(self, ask: Callable[..., HttpRequest]) -> None:
        honest, pretended = ask(), ask(*PRETENDED)
        assert pretended.remoteAddress == honest.remoteAddress == PEER
        assert not pretended.isSecure
        assert pretended.url == honest.url
        assert (pretended.method, pretended.path) == ("GET", "/x")

    def test_butItCanBeRead(self, ask: Callable[..., HttpRequest]) -> None:
        request = ask(*PRETENDED)
        assert [request.value(line.partition(":")[0]) for line in PRETENDED] == [
            line.partition(": ")[2] for line in PRETENDED
        ]

    def test_underscoresAreNoDashes(self, ask: Callable[..., HttpRequest]) -> None:
        request = ask("X_Forwarded_For: a", "Content_Length: 5", "X-Real-Ip: b")
        assert (request.value("X-Forwarded-For"), request.value("X_Forwarded_For")) == ("", "a")
        assert (request.value("Content-Length"), request.contentLength) == ("", 0)
        assert "x_real_ip" not in request.headers

    def test_twiceIsNotOnce(self, ask: Callable[..., HttpRequest]) -> None:
        # Whoever looks at the last one of them must see all.
        request = ask("X-Forwarded-For: a", "X-Forwarded-For: b")
        assert request.headers.getAll("x-forwarded-for") == ["a", "b"]
        assert request.value("X-Forwarded-For") == "a, b"


def seconds(act: Callable[[], Any]) -> float:
    """How much processor time `act` takes, at the fastest."""
    best = float("inf")
    for _ in range(5):
        began = process_time()
        act()
        best = min(best, process_time() - began)
    return best


class TestCosts:
    """Eight times as much takes eight times as long; where it went with the square, that would be 64."""

    @staticmethod
    def fields(line: str, count: int) -> None:
        handler = Remembering()
        peer = serve(handler, maximumHeaderFieldCount=None, maximumTotalHeaderSize=None)
        peer.send(get("/", *[line] * count))
        (request,) = handler.requests
        name = line.partition(":")[0]
        assert len(request.value(name).split(", ")) == len(request.headers.getAll(name)) == count

    @staticmethod
    def target(piece: str, count: int) -> None:
        handler = Remembering()
        serve(handler, maximumUrlSize=None).send(get("/" + piece * count))
        (request,) = handler.requests
        assert request.path
        assert request.query.getAll("b") == []

    @pytest.mark.parametrize("line", ["X: y", "Cookie: a=b", "Connection: a"])
    def test_repeatedFields(self, line: str) -> None:
        few, many = (seconds(partial(self.fields, line, count)) for count in (4000, 32_000))
        assert many < 24 * few

    @pytest.mark.parametrize("piece", ["%41", "%", "%zz", "%c3", "?a=%41&", "?&", "/.."])
    def test_targets(self, piece: str) -> None:
        few, many = (seconds(partial(self.target, piece, count)) for count in (8000, 64_000))
        assert many < 24 * few


class TestQuiet:
    @pytest.mark.parametrize(
        "request_",
        [b"\0", get("foo"), get("/", "X"), get("/", "Content-Length: " + "9" * 5000), get(method="BREW")],
        ids=["garbage", "target", "field", "length", "method"],
    )
    def test_strangersDoNotFillTheLog(self, request_: bytes) -> None:
        """A line for each malformed request would be the peer's to order, by the million."""
        peer = serve(echoPath)
        with capturedLogs() as events:
            for _ in range(20):
                another = peer.another()
                another.send(request_)
                assert not another.open
        assert events == []
