"""No handler can tell the difference, either, by what it is asked and by what it reads."""

from __future__ import annotations

from typing import Any

import pytest
from http2play import Act, Asking, same
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from txabstracthttp import HttpRequest, HttpSocket

BIG = bytes(range(256)) * 1200
POST = Asking("POST", "/form?a=1&a=2", ("X-Note: one",), (b"abc",))


class Oops(Exception):
    """What goes wrong here."""


def answering(*arguments: Any) -> Act:
    """A handler that answers, and reads nothing."""

    def act(request: HttpRequest, socket: HttpSocket, clock: Clock) -> bool:
        socket.respond(*arguments)
        return True

    return act


class Into(Protocol):
    """Answers with what it was given."""

    def __init__(self, socket: HttpSocket) -> None:
        self._socket = socket
        self._got = b""

    def dataReceived(self, data: bytes) -> None:
        self._got += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._socket.respond(self._got, headers={"X-End": type(reason.value).__name__})


def read(way: str) -> Act:
    """A handler that answers with the content of its request, and with its trailers."""

    async def wait(request: HttpRequest, socket: HttpSocket) -> bool:
        content = b""
        if way == "content":
            content = await request.content()
        else:
            async for piece in request:
                content += piece
        socket.respond(content, headers=[(f"X-{name}", value) for name, value in request.trailers.items()])
        return True

    def act(request: HttpRequest, socket: HttpSocket, clock: Clock) -> Any:
        if way == "body":
            socket.respond(request.body, headers=list(request.trailers.items()))
        elif way == "deliverBody":
            request.deliverBody(Into(socket))
        else:
            return wait(request, socket)
        return True

    return act


CONTENTS = {
    "none": Asking("POST"),
    "some": POST,
    "pieces": POST._replace(pieces=(b"a", b"bc", b"def")),
    "unknown length": POST._replace(chunked=True, pieces=(b"abc", b"def")),
    "trailers": POST._replace(trailers=(("x-sum", "7"),)),
    "expected": POST._replace(fields=("Expect: 100-continue",)),
    "60 KB": POST._replace(pieces=(BIG[:60_000],)),
    "much": POST._replace(pieces=(BIG,)),
    "much of unknown length": POST._replace(pieces=(BIG,), chunked=True),
}


class TestContent:
    @pytest.mark.parametrize("way", ["body", "deliverBody", "content", "async for"])
    @pytest.mark.parametrize("name", CONTENTS)
    def test_buffered(self, name: str, way: str) -> None:
        assert same(read(way), CONTENTS[name]).body == b"".join(CONTENTS[name].pieces)

    @pytest.mark.parametrize("way", ["deliverBody", "content", "async for"])
    @pytest.mark.parametrize("name", CONTENTS)
    def test_streamed(self, name: str, way: str) -> None:
        seen = same(read(way), CONTENTS[name], policy=True)
        assert seen.body == b"".join(CONTENTS[name].pieces)

    @pytest.mark.parametrize("policy", [True, 10])
    def test_unread(self, policy: bool | int) -> None:
        seen = same(answering("no"), POST, policy=policy)
        assert (seen.status, seen.body) == (200, b"no")

    def test_expectedAndNotRead(self) -> None:
        seen = same(answering("no", 403), CONTENTS["expected"], policy=True)
        assert (seen.status, seen.interim) == (403, [])

    @pytest.mark.parametrize("asking", [POST, POST._replace(chunked=True)])
    @pytest.mark.parametrize("policy", [False, 2])
    def test_tooMuch(self, asking: Asking, policy: Any) -> None:
        seen = same(read("content"), asking, policy=policy, maximumBodySize=2)
        assert seen.status == 413

    def test_streamsBodyFails(self) -> None:
        def policy(request: HttpRequest) -> bool:
            raise Oops

        seen = same(answering("x"), POST, policy=policy)
        assert (seen.status, seen.failures) == (500, ["Oops"])


class TestRequest:
    """What a handler is told."""

    FIELDS = (
        "Cookie: a=1; b=2",
        "X-Two: 1",
        "X-Two: 2",
        "Accept: */*",
        "X-Latin: caf\xe9".encode("latin-1").decode("ascii", "replace").replace("\ufffd", "e"),
    )

    @pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "PROPFIND"])
    @pytest.mark.parametrize(
        "path", ["/", "/a%20b%2Fc?x=1&x=%C3%A4&y+z", "/%zz/..//a?", "/%ff", "/a;b=c?d=e=f"]
    )
    def test_attributes(self, path: str, method: str) -> None:
        def act(request: HttpRequest, socket: HttpSocket, clock: Clock) -> bool:
            seen.append(
                (
                    (
                        request.method,
                        request.target,
                        request.path,
                        request.query.items(),
                        request.url.to_text(),
                    ),
                    sorted((name.lower(), value) for name, value in request.headers.items()),
                    (
                        request.value("x-TWO"),
                        request.value("cookie"),
                        request.value("Host"),
                        request.value("none"),
                    ),
                    (request.remoteAddress, request.localAddress, request.isSecure, request.peerCertificate),
                    (request.isWebSocketUpgrade, request.body, list(request.trailers.items())),
                    (socket.getPeer(), socket.getHost(), socket.request is request),
                )
            )
            versions.append(request.version)
            socket.respond()
            return True

        seen: list[Any] = []
        versions: list[str] = []
        same(act, Asking(method, path, self.FIELDS))
        assert seen[0] == seen[1]
        assert versions == ["1.1", "2"]
