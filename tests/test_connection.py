"""One connection and its exchanges: keep-alive, responses on the wire, and configuration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from connectionhelpers import (
    FakeTransport,
    HandlerServer,
    Later,
    SteadyClock,
    capturedFailures,
    echoPath,
    get,
    post,
    serve,
)
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.python.failure import Failure

from txabstracthttp import (
    HttpRequest,
    HttpServerConfiguration,
    HttpSocket,
)


@pytest.fixture(autouse=True)
def failures() -> Iterator[list[Failure]]:
    with capturedFailures() as failures:
        yield failures


class TestComing:
    def test_nothingIsSaidUnasked(self) -> None:
        peer = serve(echoPath)
        peer.advance(1, 1)
        assert peer.transport.writes == []
        assert peer.open

    def test_producerAndNoDelay(self) -> None:
        peer = serve(echoPath)
        assert peer.transport.producer is peer.connection
        assert peer.transport.noDelay

    def test_noDelayIsForTcpAlone(self) -> None:
        peer = serve(echoPath, peer=UNIXAddress(None))
        assert not peer.transport.noDelay
        peer.send(get("/a"))
        assert peer.bodies() == [b"/a"]

    @pytest.mark.parametrize(
        "address", [IPv6Address("TCP", "::ffff:198.51.100.7", 1), IPv4Address("TCP", "198.51.100.7", 1)]
    )
    def test_addressesAreNormalised(self, address: IPv4Address | IPv6Address) -> None:
        seen: list[Any] = []

        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            seen[:] = [request.remoteAddress, socket.getPeer(), request.localAddress, socket.getHost()]
            socket.respond()
            return True

        peer = serve(handler, peer=address)
        peer.send(get())
        assert seen[:2] == [IPv4Address("TCP", "198.51.100.7", 1)] * 2
        assert seen[2:] == [peer.transport.getHost()] * 2

    @pytest.mark.parametrize("secure", [False, True])
    def test_isSecure(self, secure: bool) -> None:
        seen = []
        peer = serve(lambda request, socket: seen.append(request.isSecure) or True, secure=secure)
        if secure:
            peer.connection.handshakeCompleted()
        peer.send(get())
        assert seen == [secure]

    def test_octetByOctet(self) -> None:
        peer = serve(echoPath)
        data = get("/a") + post(b"xyz", target="/b")
        peer.send(*(data[i : i + 1] for i in range(len(data))))
        assert peer.bodies() == [b"/a", b"/b"]


class TestKeepAlive:
    def test_oneAfterTheOther(self) -> None:
        peer = serve(echoPath)
        for path in ("/a", "/b", "/c"):
            peer.send(get(path))
            response = peer.response()
            assert (response.body, response.all("connection")) == (path.encode(), [])
        assert peer.open

    def test_closeIsHonoured(self) -> None:
        peer = serve(echoPath)
        peer.send(get("/a", "Connection: close") + get("/b"))
        response = peer.response()
        assert (response.body, response.all("connection")) == (b"/a", ["close"])
        assert peer.halfClosed

    def test_http10ClosesByDefault(self) -> None:
        peer = serve(echoPath)
        peer.send(get("/a", version="1.0") + get("/b", version="1.0"))
        response = peer.response()
        assert (response.body, response.all("connection")) == (b"/a", ["close"])
        assert peer.halfClosed

    def test_http10WithKeepAlive(self) -> None:
        peer = serve(echoPath)
        peer.send(get("/a", "Connection: Keep-Alive", version="1.0"))
        response = peer.response()
        assert (response.body, response.all("connection")) == (b"/a", ["keep-alive"])
        peer.send(get("/b"))
        assert peer.bodies() == [b"/b"]
        assert peer.open

    def test_theStatusLineIsOurVersion(self) -> None:
        peer = serve(echoPath)
        peer.send(get(version="1.0"))
        assert peer.transport.value.startswith(b"HTTP/1.1 200 OK\r\n")

    def test_emptyLineInFront(self) -> None:
        peer = serve(echoPath)
        peer.send(get("/a") + b"\r\n" + get("/b"))
        assert peer.bodies() == [b"/a", b"/b"]


class TestResponsesOnTheWire:
    @pytest.mark.parametrize("status", [200, 404, 500])
    def test_headHasNoBody(self, status: int) -> None:
        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            socket.respond("hello", status)
            return True

        peer = serve(handler)
        peer.send(get(method="HEAD") + get())
        assert peer.transport.value.count(b"hello") == 1
        head, body = peer.responses("HEAD", "GET")
        assert (head.status, head.body, head.all("content-length")) == (status, b"", ["5"])
        assert (body.status, body.body, body.all("content-length")) == (status, b"hello", ["5"])

    @pytest.mark.parametrize(
        ("status", "lengths"), [(204, []), (304, []), (205, ["0"])], ids=["204", "304", "205"]
    )
    def test_withoutContent(self, status: int, lengths: list[str]) -> None:
        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            socket.respond("hello", status, {"ETag": '"1"'})
            return True

        peer = serve(handler)
        peer.send(get() + get())
        assert b"hello" not in peer.transport.value
        assert b"ransfer-" not in peer.transport.value
        first, second = peer.responses()
        assert (first.status, first.all("content-length"), first.all("etag")) == (status, lengths, ['"1"'])
        assert second == first
        assert peer.open

    def test_304MaySayWhatItWouldHaveSent(self) -> None:
        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            socket.respond(status=304, headers={"Content-Length": "1234"})
            return True

        peer = serve(handler)
        peer.send(get() + get())
        assert [each.all("content-length") for each in peer.responses()] == [["1234"]] * 2

    def test_emptyBody(self) -> None:
        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            socket.respond()
            return True

        peer = serve(handler)
        peer.send(get())
        response = peer.response()
        assert response.all("content-length") == ["0"]
        assert response.all("content-type") == []

    def test_reasonPhrase(self) -> None:
        peer = serve(lambda request, socket: socket.respond(status=int(request.path[1:])) or True)
        peer.send(get("/413") + get("/299"))
        assert b"HTTP/1.1 413 Content Too Large\r\n" in peer.transport.value
        assert b"HTTP/1.1 299 \r\n" in peer.transport.value


class TestSetConfiguration:
    def test_limitsHoldAtOnceOnOpenConnections(self) -> None:
        peer = serve(echoPath)
        peer.send(get("/12345"))
        peer.server.setConfiguration(HttpServerConfiguration(maximumUrlSize=5))
        peer.send(get("/1234") + get("/12345"))
        assert peer.statuses() == [200, 200, 414]

    def test_bodySizeHoldsForABodyUnderWay(self) -> None:
        peer = serve(echoPath)
        peer.send(get("/", "Transfer-Encoding: chunked", method="POST") + b"5\r\n12345\r\n")
        peer.server.setConfiguration(HttpServerConfiguration(maximumBodySize=8))
        peer.send(b"5\r\n12345\r\n")
        assert peer.statuses() == [413]

    def test_serverHeader(self) -> None:
        peer = serve(echoPath)
        peer.send(get())
        peer.server.setConfiguration(HttpServerConfiguration(serverHeader="x/1"))
        peer.send(get())
        peer.server.setConfiguration(HttpServerConfiguration())
        peer.send(get())
        assert [each.all("server") for each in peer.responses()] == [[], ["x/1"], []]

    def test_newConnectionsToo(self) -> None:
        peer = serve(echoPath)
        peer.server.setConfiguration(HttpServerConfiguration(maximumUrlSize=5))
        other = peer.another()
        other.send(get("/12345"))
        assert other.statuses() == [414]

    def test_keepAliveTimeoutOfTheNextWait(self) -> None:
        peer = serve(echoPath)
        peer.send(get())
        peer.server.setConfiguration(HttpServerConfiguration(keepAliveTimeout=3))
        peer.send(get())
        peer.advance(2.9)
        assert peer.open
        peer.advance(0.2)
        assert not peer.open


def test_exchangeFinishedTellsOfEachResponse() -> None:
    records = []
    peer = serve(echoPath)
    peer.server.exchangeFinished.connect(records.append)
    peer.send(get("/abc") + get("/d", method="HEAD") + b"what?\r\n\r\n")
    assert [(each.status, each.size) for each in records] == [(200, 4), (200, 0), (400, 16)]
    assert [each.request and each.request.path for each in records] == ["/abc", "/d", None]
    assert {each.remoteAddress for each in records} == {peer.transport.getPeer()}


def test_aServerServesManyConnections() -> None:
    later = Later()
    first = serve(later)
    second = first.another()
    first.send(get("/a"))
    second.send(get("/b"))
    later.answer(1)
    assert (first.transport.writes, second.bodies()) == ([], [b"/b"])
    later.answer(0)
    assert first.bodies() == [b"/a"]


def test_buildProtocolResolvesTheClock() -> None:
    clock = SteadyClock()
    server = HandlerServer(echoPath, clock, HttpServerConfiguration())
    connection = server.buildProtocol(IPv4Address("TCP", "192.0.2.1", 1))
    assert connection is not None
    connection.makeConnection(FakeTransport())
    assert clock.getDelayedCalls()
