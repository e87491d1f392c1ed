"""Which version of HTTP a connection speaks (RFC 9113 section 3), and what of its requests is refused."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from connectionhelpers import (
    Conversation,
    FakeTlsTransport,
    capturedFailures,
    echoPath,
    get,
    post,
    serve,
)
from http2helpers import PREFACE, SETTINGS, Client, connect2, frame, serve2
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure


@pytest.fixture(autouse=True)
def failures() -> Iterator[list[Failure]]:
    with capturedFailures() as failures:
        yield failures


def opening(path: str = "/first") -> bytes:
    """All that a client says for one request, beginning with the preface."""
    client = Client()
    client.initiate_connection()
    head = [(":method", "GET"), (":scheme", "http"), (":path", path), (":authority", "example.com")]
    client.send_headers(1, head, end_stream=True)
    data: bytes = client.data_to_send()
    return data


def isHttp2(peer: Conversation) -> bool:
    """Whether SETTINGS was said, and said first (section 3.4)."""
    return peer.transport.value[3:5] == b"\4\0"


class TestPriorKnowledge:
    @pytest.mark.parametrize("size", [1, 2, 3, 5, 14, 23, 24, 25, 1000])
    def test_inPieces(self, size: int) -> None:
        paths: list[str] = []

        def handler(request: Any, socket: Any) -> bool:
            paths.append(request.path)
            socket.respond()
            return True

        peer = serve(handler)
        data = opening()
        peer.send(*(data[place : place + size] for place in range(0, len(data), size)))
        assert isHttp2(peer)
        assert paths == ["/first"]

    def test_settingsAreSaidAtOnce(self) -> None:
        """Behind the preface, and before anything else comes of the peer."""
        peer = serve(echoPath)
        peer.send(PREFACE[:-1])
        assert peer.transport.value == b""
        peer.send(PREFACE[-1:])
        assert isHttp2(peer)

    @pytest.mark.parametrize("size", range(1, 25))
    def test_notQuiteThePreface(self, size: int) -> None:
        """Another octet instead of each of it: it is HTTP/1, and mostly a bad one."""
        peer = serve(echoPath)
        peer.send(PREFACE[: size - 1] + (b"X" if PREFACE[size - 1 : size] != b"X" else b"Y") + b"\r\n\r\n")
        assert peer.transport.value.startswith(b"HTTP/1.1 ")
        assert not isHttp2(peer)

    @pytest.mark.parametrize("data", [b"PRI * HTTP/2.0\r\n\r\nX", b"PRI * HTTP/2.0\r\nHost: a\r\n\r\n"])
    def test_thatIsNoRequest(self, data: bytes) -> None:
        peer = serve(echoPath)
        peer.send(data)
        assert peer.statuses() == [400]
        assert not peer.open

    @pytest.mark.parametrize("method", ["POST", "PUT", "PROPFIND", "PATCH", "PURGE"])
    @pytest.mark.parametrize("pieces", [1, 2])
    def test_methodsThatBeginLikeIt(self, method: str, pieces: int) -> None:
        peer = serve(lambda request, socket: socket.respond(request.method) or True)  # type: ignore[func-returns-value]
        data = get("/x", method=method) + get("/y", method=method)
        peer.send(*([data] if pieces == 1 else [data[:1], data[1:2], data[2:]]))
        assert peer.bodies() == [method.encode()] * 2

    def test_contentWithIt(self) -> None:
        peer = serve(lambda request, socket: socket.respond(request.body) or True)  # type: ignore[func-returns-value]
        data = post(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        peer.send(*(bytes([each]) for each in data))
        peer.send(data)
        assert peer.bodies() == [PREFACE] * 2

    def test_onlyAtTheBeginning(self) -> None:
        peer = serve(echoPath)
        peer.send(get("/x") + opening())
        assert peer.statuses() == [200, 400]
        assert not peer.open

    def test_wholeAnswersComeOfHalfAWord(self) -> None:
        """`P` is nothing yet; the rest makes it a request."""
        peer = serve(echoPath)
        peer.send(b"P")
        peer.advance(5)
        assert (peer.transport.value, peer.open) == (b"", True)
        peer.send(post(b"abc", target="/x")[1:])
        assert peer.bodies() == [b"/x"]

    @pytest.mark.parametrize("size", [1, 2, 3, 16, 23])
    def test_halfAPrefaceAndThenNothing(self, size: int) -> None:
        peer = serve(echoPath, headerTimeout=10)
        peer.send(PREFACE[:size])
        peer.advance(9.9)
        assert peer.open
        peer.advance(0.2)
        assert peer.statuses() == [408]
        peer.send(PREFACE[size:], SETTINGS)
        assert peer.transport.value == b""
        assert not peer.open

    def test_aTotalDeadline(self) -> None:
        peer = serve(echoPath, headerTimeout=10)
        for each in range(11):
            peer.send(PREFACE[each : each + 1])
            peer.advance(1)
        assert peer.statuses() == [408]

    def test_silence(self) -> None:
        peer = serve(echoPath, headerTimeout=10, keepAliveTimeout=100)
        peer.advance(10.1)
        assert (peer.transport.value, peer.open) == (b"", False)

    @pytest.mark.parametrize("size", [1, 14, 23])
    def test_drainedInTheMiddle(self, size: int) -> None:
        """As with half a head of HTTP/1: what was begun may be finished, and that is all."""
        peer = serve(echoPath)
        peer.send(opening()[:size])
        peer.server.close()
        peer.send(opening()[size:], frame(6, 1, 0, b"draining"))
        peer.advance(1)
        assert not peer.open

    @pytest.mark.parametrize("size", [1, 14, 23])
    def test_halfClosedInTheMiddle(self, size: int) -> None:
        peer = serve(echoPath)
        peer.send(PREFACE[:size])
        peer.halfClose()
        assert peer.statuses() == [400]
        assert not peer.open

    def test_goneInTheMiddle(self) -> None:
        peer = serve(echoPath)
        peer.send(PREFACE[:10])
        peer.leave(ConnectionDone())
        assert [call for call in peer.clock.getDelayedCalls() if call.active()] == []

    def test_somethingElseThanSettings(self) -> None:
        """Section 3.4: the first frame is SETTINGS."""
        peer = serve2(echoPath, client={"replying": False})
        raw = serve(echoPath)
        raw.send(PREFACE + frame(6, 0, 0, b"12345678"))
        assert not raw.open
        assert peer.isAlive

    def test_noUpgradeByField(self) -> None:
        """RFC 9113 section 3.1: what RFC 7540 had is no more; the request is an ordinary one."""
        peer = serve(echoPath)
        peer.send(
            get("/x", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")
        )
        assert peer.bodies() == [b"/x"]


class TestAlpn:
    """Where TLS has negotiated it, on a fake one; `test_http2_end_to_end` has true ones."""

    def begin(self, negotiated: bytes | None) -> tuple[Conversation, FakeTlsTransport]:
        peer = serve(echoPath, secure=True)
        transport: Any = peer.transport
        transport.negotiatedProtocol = negotiated
        return peer, transport

    def test_h2(self) -> None:
        peer, _ = self.begin(b"h2")
        peer.connection.handshakeCompleted()
        assert isHttp2(peer)

    @pytest.mark.parametrize("negotiated", [b"http/1.1", None, b""])
    def test_others(self, negotiated: bytes | None) -> None:
        peer, _ = self.begin(negotiated)
        peer.connection.handshakeCompleted()
        peer.send(get("/x"))
        assert peer.bodies() == [b"/x"]

    @pytest.mark.parametrize("negotiated", [b"http/1.1", None])
    def test_prefaceWithoutIt(self, negotiated: bytes | None) -> None:
        """Section 3.3: over TLS, it is ALPN that says so."""
        peer, _ = self.begin(negotiated)
        peer.connection.handshakeCompleted()
        peer.send(opening())
        assert peer.statuses() == [400]

    def test_http1BehindH2(self) -> None:
        """What was agreed upon is HTTP/2, and this is not."""
        peer, _ = self.begin(b"h2")
        peer.connection.handshakeCompleted()
        peer.send(get("/x"))
        assert isHttp2(peer)
        assert b"HTTP/1.1" not in peer.transport.value
        assert not peer.open

    def test_dataBeforeAnybodyToldOfTheHandshake(self) -> None:
        """Wrappers may not; the first octets show that it is over."""
        peer, _ = self.begin(b"h2")
        peer.send(opening())
        assert isHttp2(peer)

    def test_refusedOnes(self) -> None:
        """`maximumConnections`: over TLS a client of HTTP/2 is told in its own language."""
        first = serve2(echoPath, secure=True, maximumConnections=1)
        assert first.got().status == 200
        second = connect2(first.server, first.clock, secure=True)  # type: ignore[arg-type]
        assert [code for code, _ in second.goneAway] == [0]
        assert not second.conversation.open
        first.leave()
        third = connect2(first.server, first.clock, secure=True)  # type: ignore[arg-type]
        assert third.got().status == 200

    def test_refusedWithoutTls(self) -> None:
        first = serve(echoPath, maximumConnections=1)
        second = first.another()
        assert second.statuses() == [429]
        second.send(opening())
        assert second.transport.value == b""


LAZY = """
import sys
sys.path[:0] = sys.argv[1:]
from connectionhelpers import Later, echoPath, get, serve
from txabstracthttp import AbstractHttpServer
assert not LOADED(), LOADED()
peer = serve(echoPath)
peer.send(get("/x"))
assert peer.bodies() == [b"/x"]
assert not LOADED(), LOADED()
peer = serve(echoPath)
peer.send(b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n")
assert peer.transport.value
assert LOADED()
print("lazy")
"""


class TestImports:
    def test_lazily(self) -> None:
        """Nobody who speaks HTTP/1 alone pays for it."""
        loaded = "LOADED = lambda: [name for name in sys.modules if name.split('.')[0] in ('h2', 'hpack')]"
        script = LAZY.replace("import sys\n", f"import sys\n{loaded}\n", 1)
        command = [sys.executable, "-c", script, *sys.path]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert (done.stdout, done.returncode) == ("lazy\n", 0), done.stderr


class TestRefusals:
    """Limits are the same as on HTTP/1.1; a stream is refused, and not its connection."""

    @pytest.mark.parametrize(
        ("limits", "path", "fields", "status"),
        [
            ({"maximumUrlSize": 10}, "/" + "a" * 9, (), 200),
            ({"maximumUrlSize": 10}, "/" + "a" * 10, (), 414),
            ({"maximumHeaderFieldSize": 20}, "/", ("x: " + "a" * 18,), 200),
            ({"maximumHeaderFieldSize": 20}, "/", ("x: " + "a" * 19,), 431),
            ({"maximumHeaderFieldCount": 3}, "/", ("x: a", "y: b"), 200),
            ({"maximumHeaderFieldCount": 3}, "/", ("x: a", "y: b", "z: c"), 431),
            # A Host takes 16 of them.
            ({"maximumTotalHeaderSize": 100}, "/", ("x: " + "a" * 82,), 200),
            ({"maximumTotalHeaderSize": 100}, "/", ("x: " + "a" * 83,), 431),
        ],
    )
    def test_heads(self, limits: dict[str, Any], path: str, fields: tuple[str, ...], status: int) -> None:
        http1 = serve(echoPath, **limits)
        http1.send(get(path, *fields))
        assert http1.statuses() == [status]
        peer = serve2(echoPath, **limits)
        answer = peer.got(path, *fields)
        assert (answer.status, answer.ended, answer.reset) == (status, True, None)
        assert peer.isAlive
        assert peer.got("/").status == 200

    @pytest.mark.parametrize("limits", [{"maximumUrlSize": 10}, {"rateLimitPerSecond": 1}])
    def test_head(self, limits: dict[str, Any]) -> None:
        """HEAD has no content, whatever its answer is (RFC 9110 section 9.3.2)."""
        peer = serve2(echoPath, **limits)
        peer.got("/")
        answer = peer.got("/" + "a" * 10, method="HEAD")
        assert (answer.status in (414, 429), answer.body, answer.ended) == (True, b"", True)

    @pytest.mark.parametrize(("declared", "status"), [(3, 200), (4, 413)])
    def test_announcedContent(self, declared: int, status: int) -> None:
        peer = serve2(echoPath, maximumBodySize=3)
        stream = peer.ask("/", f"content-length: {declared}", method="POST", body=b"abcd"[:declared])
        assert peer.answer(stream).status == status
        assert peer.isAlive

    @pytest.mark.parametrize(("size", "status"), [(3, 200), (4, 413)])
    def test_content(self, size: int, status: int) -> None:
        peer = serve2(echoPath, maximumBodySize=3)
        assert peer.got("/", method="POST", body=bytes(size)).status == status
        assert peer.isAlive

    def test_rate(self) -> None:
        peer = serve2(echoPath, rateLimitPerSecond=2)
        assert [peer.got().status for _ in range(4)] == [200, 200, 429, 429]
        peer.advance(1)
        assert peer.got().status == 200
        assert peer.isAlive

    @pytest.mark.parametrize(
        ("filters", "status"),
        [
            ({"blacklist": ["192.0.2.0/24"]}, 403),
            ({"whitelist": ["10.0.0.0/8"]}, 403),
            ({"whitelist": ["192.0.2.1"]}, 200),
        ],
    )
    def test_filtersOnOpenConnections(self, filters: dict[str, Any], status: int) -> None:
        from txabstracthttp import HttpServerConfiguration

        peer = serve2(echoPath)
        assert peer.got().status == 200
        peer.server.setConfiguration(HttpServerConfiguration(**filters))
        assert peer.got().status == status
        assert peer.isAlive

    def test_records(self) -> None:
        """What is refused is in the access log, too."""
        seen: list[tuple[Any, int, int]] = []
        peer = serve2(echoPath, maximumUrlSize=10, maximumBodySize=3)
        peer.server.exchangeFinished.connect(
            lambda record: seen.append((record.request and record.request.path, record.status, record.size))
        )
        peer.got("/ok")
        peer.got("/" + "a" * 10)
        peer.got("/post", method="POST", body=b"abcd")
        peer.got("/head", method="HEAD")
        assert [each[:2] for each in seen] == [("/ok", 200), (None, 414), ("/post", 413), ("/head", 200)]
        assert [each[2] for each in seen] == [
            3,
            len(b"414 URI Too Long\n"),
            len(b"413 Content Too Large\n"),
            0,
        ]
