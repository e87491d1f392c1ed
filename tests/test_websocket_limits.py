"""Bounds: how large a message may be, and for how long a peer may be silent."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from connectionhelpers import capturedFailures, results
from twisted.internet.error import ConnectionAborted
from twisted.python.failure import Failure
from websockethelpers import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    TEXT,
    Frame,
    binary,
    closing,
    frame,
    opened,
    ping,
    pong,
    text,
)

from txabstracthttp import HttpServerConfiguration, WebSocket

KIB, MIB = 1024, 1024 * 1024


@pytest.fixture(autouse=True)
def failures() -> Iterator[list[Failure]]:
    with capturedFailures() as failures:
        yield failures


def deflate(data: bytes) -> bytes:
    """`data` as a compressed message (RFC 7692 section 7.2.1)."""
    compressor = zlib.compressobj(9, wbits=-15)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\0\0\xff\xff")


def refuseToSpin(webSocket: WebSocket) -> None:
    """Raise what would else go on for ever."""
    receive, calls = webSocket._dataReceived, itertools.count()

    def counted(data: bytes) -> None:
        assert next(calls) < 1000, "it spins"
        receive(data)

    webSocket._dataReceived = counted  # type: ignore[method-assign]


BOMB = deflate(bytes(20 * MIB))


class TestSizes:
    @pytest.mark.parametrize("limit", [0, 1, 125, 126, 1000, 65536, 100_000])
    def test_inclusive(self, limit: int) -> None:
        peer, webSocket = opened(maximumWebSocketMessageSize=limit)
        peer.send(binary(bytes(limit)))
        assert peer.frames() == []
        peer.send(binary(bytes(limit + 1)))
        assert peer.closed()[0] == 1009
        message, more = results(webSocket.receive(), webSocket.receive())
        assert (message, more) == ([bytes(limit)], [])

    def test_none(self) -> None:
        peer, webSocket = opened(maximumWebSocketMessageSize=None)
        peer.send(binary(bytes(2 * MIB)))
        ((message,),) = results(webSocket.receive())
        assert len(message) == 2 * MIB

    def test_theDefault(self) -> None:
        peer, _ = opened()
        peer.send(frame(BINARY, bytes(MIB), fin=False), frame(CONTINUATION, b"x"))
        assert peer.closed()[0] == 1009

    def test_ofAllFragments(self) -> None:
        peer, webSocket = opened(maximumWebSocketMessageSize=10)
        peer.send(frame(TEXT, b"x" * 5, fin=False), frame(CONTINUATION, b"x" * 5, fin=False))
        assert peer.frames() == []
        peer.send(frame(CONTINUATION, b"x"))
        assert peer.closed()[0] == 1009
        assert results(webSocket.receive()) == [[]]

    def test_beforeItComes(self) -> None:
        """What says that it will be too large is not waited for."""
        peer, _ = opened(maximumWebSocketMessageSize=10)
        peer.send(binary(bytes(100_000))[:14])
        assert peer.closed()[0] == 1009

    @pytest.mark.parametrize("limit", [1000, 20 * MIB])
    def test_inflated(self, limit: int) -> None:
        """20 MB in 20 kB; what counts is what comes out (RFC 7692 section 8)."""
        options: dict[str, Any] = {"perMessageDeflate": True, "maximumWebSocketMessageSize": limit}
        peer, webSocket = opened("Sec-WebSocket-Extensions: permessage-deflate", **options)
        assert len(BOMB) < 30_000
        peer.send(frame(BINARY, BOMB, rsv=4))
        (message,) = results(webSocket.receive())
        if limit == 1000:
            assert peer.closed()[0] == 1009
            assert message == []
        else:
            assert len(message[0]) == 20 * MIB

    @pytest.mark.parametrize("pieces", ["one", "two", "many"])
    @pytest.mark.parametrize("deflated", [BOMB, b"\xff\xff\xff"])
    def test_whatFollows(self, deflated: bytes, pieces: str) -> None:
        """The rest of such a frame is skipped, and the peer may still close."""
        peer, webSocket = opened("Sec-WebSocket-Extensions: permessage-deflate", perMessageDeflate=True)
        refuseToSpin(webSocket)
        octets = frame(BINARY, deflated, rsv=4) + text("ignored") + closing(1009)
        size = {"one": len(octets), "two": len(octets) - 5, "many": 1000}[pieces]
        peer.send(*[octets[start : start + size] for start in range(0, len(octets), size)])
        assert [each.opcode for each in peer.frames()] == [CLOSE]
        assert peer.conversation.halfClosed

    def test_notDeflated(self) -> None:
        peer, _ = opened("Sec-WebSocket-Extensions: permessage-deflate", perMessageDeflate=True)
        peer.send(frame(BINARY, b"\xff\xff\xff", rsv=4))
        assert peer.closed()[0] == 1007

    def test_manySmallParts(self) -> None:
        """A message in empty fragments, and a frame by the octet, cost no object for each."""
        peer, webSocket = opened()
        peer.send(frame(TEXT, b"a", fin=False), *[frame(CONTINUATION, fin=False)] * 3000)
        for octet in frame(CONTINUATION, b"b" * 2000):
            peer.send(bytes([octet]))
            assert len(webSocket.message_data) + len(webSocket.frame_data or ()) <= 1100
        assert results(webSocket.receive()) == [["a" + "b" * 2000]]

    @pytest.mark.parametrize(
        "octets",
        [
            frame(3),
            frame(11),
            frame(TEXT, rsv=1),
            frame(CONTINUATION, b"x"),
            frame(TEXT, b"a", fin=False) + text("b"),
            frame(PING, fin=False),
            frame(PING, bytes(126)),
            b"\x81\x01a",
            b"\x81\xfe\x00\x01\0\0\0\0a",
            b"\x82\xff\x80" + bytes(20),
        ],
    )
    def test_brokenRules(self, octets: bytes) -> None:
        """RFC 6455 section 5."""
        peer, _ = opened()
        peer.send(octets)
        assert peer.closed()[0] == 1002

    @pytest.mark.parametrize("octets", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"x" * 600 + b"\xc3\x28"])
    def test_noUtf8(self, octets: bytes) -> None:
        peer, webSocket = opened()
        peer.send(frame(TEXT, octets))
        assert peer.closed()[0] == 1007
        assert results(webSocket.receive()) == [[]]

    def test_ofWhatWeSend(self) -> None:
        """The limit protects us from the peer, who has its own for us."""
        peer, webSocket = opened(maximumWebSocketMessageSize=10)
        webSocket.sendTextMessage("more than ten")
        assert peer.messages() == ["more than ten"]


class TestPings:
    LIMITS: dict[str, Any] = {"webSocketPingInterval": 20, "webSocketPingTimeout": 10}

    def test_anIdlePeer(self) -> None:
        peer, _ = opened(**self.LIMITS)
        peer.advance(19.9)
        assert peer.frames() == []
        peer.advance(0.1)
        assert peer.frames() == [Frame(PING, b"")]
        peer.send(pong())
        for _ in range(10):
            peer.advance(20)
            if peer.frames():
                peer.send(pong())
        assert peer.conversation.open

    def test_aDeadPeer(self) -> None:
        peer, webSocket = opened(**self.LIMITS)
        (end,) = results(webSocket.disconnected.next())
        peer.advance(29.9)
        assert peer.frames() == [Frame(PING, b"")]
        assert peer.conversation.open
        peer.advance(0.1)
        assert peer.transport.aborted
        peer.leave(ConnectionAborted())
        assert end == [(1006, "the peer did not answer a ping in time")]
        assert peer.conversation.clock.getDelayedCalls() == []

    @pytest.mark.parametrize(("interval", "timeout"), [(20, 20), (5, 20), (1, 30), (7, 10)])
    def test_howeverOftenItIsAsked(self, interval: float, timeout: float) -> None:
        """The time for a pong runs from the ping that it is for, also with the defaults."""
        peer, _ = opened(webSocketPingInterval=interval, webSocketPingTimeout=timeout)
        peer.advance(interval + timeout - 0.1)
        assert peer.conversation.open
        peer.advance(0.1)
        assert peer.transport.aborted

    @pytest.mark.parametrize("octets", [text("x"), ping(), pong(b"another"), frame(TEXT, b"x", fin=False)])
    def test_anythingIsASignOfLife(self, octets: bytes) -> None:
        peer, _ = opened(**self.LIMITS)
        peer.advance(20)
        assert peer.frames() == [Frame(PING, b"")]
        peer.advance(9)
        peer.send(octets)
        peer.frames()
        peer.advance(10)
        assert peer.conversation.open

    def test_aBusyPeerIsNotAsked(self) -> None:
        peer, webSocket = opened(**self.LIMITS)
        webSocket.textMessageReceived.connect(lambda message: None)
        for _ in range(20):
            peer.advance(10)
            peer.send(text("x"))
        assert peer.frames() == []

    def test_off(self) -> None:
        peer, _ = opened(webSocketPingInterval=0)
        peer.advance(10_000)
        assert peer.frames() == []
        assert peer.conversation.open

    def test_whoIsNotReadFromIsNotBlamed(self) -> None:
        """Its pong is behind messages that our own reader does not take."""
        peer, webSocket = opened(**self.LIMITS)
        peer.send(binary(bytes(100_000)))
        assert not peer.transport.reading
        peer.advance(500)
        assert peer.conversation.open
        results(webSocket.receive())
        assert peer.transport.reading
        peer.frames()
        peer.advance(100)
        assert peer.transport.aborted

    def test_whoDoesNotReadIsNotAsked(self) -> None:
        """There is no room for a ping, and `writeTimeout` rules."""
        peer, webSocket = opened(**self.LIMITS, writeTimeout=300)
        peer.transport.stuck = True
        webSocket.sendBinaryMessage(bytes(100_000))
        peer.frames()
        peer.advance(200)
        assert peer.frames() == []
        assert not peer.transport.aborted

    def test_aPingBeforeALongDownload(self) -> None:
        """While the peer takes what it is sent, it is not read from, and its pong not seen."""
        peer, webSocket = opened(**self.LIMITS)
        peer.advance(20)
        assert peer.frames() == [Frame(PING, b"")]
        peer.transport.stuck = True
        webSocket.sendBinaryMessage(bytes(100_000))
        for _ in range(20):
            peer.advance(1)
            peer.transport.release(4000)
        assert not peer.transport.aborted

    def test_notWhileItCloses(self) -> None:
        peer, webSocket = opened(**self.LIMITS, closeTimeout=100)
        results(webSocket.close())
        assert peer.closed()[0] == 1000
        peer.advance(50)
        assert peer.frames() == []
        peer.send(closing())
        peer.leave()
        assert peer.conversation.clock.getDelayedCalls() == []

    def test_autobahnsOwnTimersAreOff(self) -> None:
        """They would run on the process's loop, and not on ours."""
        _, webSocket = opened(**self.LIMITS)
        factory: Any = webSocket.factory
        assert (factory.autoPingInterval, factory.openHandshakeTimeout) == (0, 0)
        assert factory.closeHandshakeTimeout == 0
        assert webSocket.autoPingPendingCall is None
        assert webSocket.openHandshakeTimeoutCall is None


def test_theDefaultsAreSafe() -> None:
    limits = HttpServerConfiguration()
    assert limits.maximumPendingWebSockets == 30
    assert limits.maximumWebSocketMessageSize == MIB
    assert (limits.webSocketPingInterval, limits.webSocketPingTimeout) == (20, 20)
    assert limits.allowedOrigins is None
    assert limits.perMessageDeflate is False
