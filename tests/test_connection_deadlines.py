"""What a peer must do in time, and what becomes of it otherwise."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from connectionhelpers import (
    Conversation,
    capturedFailures,
    get,
    post,
    serve,
)
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


def ok(request: HttpRequest, socket: HttpSocket) -> bool:
    socket.respond(request.body)
    return True


def big(request: HttpRequest, socket: HttpSocket) -> bool:
    socket.respond(b"x" * 1000)
    return True


class TestHandshake:
    def test_silentPeersAreAborted(self) -> None:
        peer = serve(ok, secure=True, handshakeTimeout=4)
        peer.advance(3.9)
        assert not peer.transport.closed
        peer.advance(0.2)
        assert peer.transport.aborted

    def test_afterItTheHeadIsWaitedFor(self) -> None:
        peer = serve(ok, secure=True, handshakeTimeout=4, headerTimeout=7)
        peer.advance(3)
        peer.connection.handshakeCompleted()
        peer.advance(6.9)
        assert not peer.transport.closed
        peer.advance(0.2)
        assert peer.transport.closed
        assert peer.transport.writes == []

    def test_plainConnectionsHaveNone(self) -> None:
        peer = serve(ok, handshakeTimeout=1, headerTimeout=10)
        peer.advance(9)
        assert peer.open

    def test_aSecondHandshakeIsNone(self) -> None:
        peer = serve(ok, secure=True, headerTimeout=5)
        peer.connection.handshakeCompleted()
        peer.advance(3)
        peer.connection.handshakeCompleted()
        peer.advance(3)
        assert peer.transport.closed


class TestHead:
    def test_silentPeersAreClosedWithoutAnAnswer(self) -> None:
        peer = serve(ok, headerTimeout=5)
        peer.advance(4.9)
        assert peer.open
        peer.advance(0.2)
        assert peer.halfClosed
        assert peer.transport.writes == []

    def test_trickling(self) -> None:
        """The deadline is one for the whole head, however busy the peer looks."""
        peer = serve(ok, headerTimeout=5)
        peer.advance(3)
        for octet in get()[:19]:
            peer.send(bytes([octet]))
            peer.advance(0.1)
        assert peer.open
        peer.send(b"x")
        peer.advance(0.2)
        assert peer.statuses() == [408]
        assert peer.halfClosed

    def test_tricklingEmptyLines(self) -> None:
        peer = serve(ok, headerTimeout=5, keepAliveTimeout=5)
        peer.send(b"\r")
        peer.advance(4)
        peer.send(b"\n")
        peer.advance(4)
        peer.send(b"\r")
        assert not peer.open

    def test_ofASecondRequest(self) -> None:
        """It runs from the first octet on; the wait before that is idleness."""
        peer = serve(ok, headerTimeout=5, keepAliveTimeout=20)
        peer.send(get())
        peer.advance(19)
        peer.send(b"G")
        peer.advance(4.9)
        assert peer.open
        peer.send(b"ET")
        peer.advance(0.2)
        assert peer.statuses() == [200, 408]

    def test_ofOneThatWasSentAhead(self) -> None:
        """Nobody can blame the peer for the time its first request took."""
        sockets: list[HttpSocket] = []
        peer = serve(lambda request, socket: sockets.append(socket) or True, headerTimeout=5)
        peer.send(get() + b"GET / HT")
        peer.advance(100)
        assert peer.open
        sockets[0].respond()
        peer.advance(4.9)
        assert peer.open
        peer.advance(0.2)
        assert peer.statuses() == [200, 408]

    def test_aPromptPeerHasNothingToFear(self) -> None:
        peer = serve(ok, headerTimeout=5, keepAliveTimeout=5)
        for _ in range(10):
            peer.advance(2)
            peer.send(get()[:10])
            peer.advance(2)
            peer.send(get()[10:])
        assert peer.statuses() == [200] * 10


class TestIdle:
    def test_keepAliveTimeout(self) -> None:
        peer = serve(ok, keepAliveTimeout=7, headerTimeout=3)
        peer.send(get())
        peer.advance(6.9)
        assert peer.open
        peer.advance(0.2)
        assert peer.halfClosed
        assert peer.statuses() == [200]

    def test_eachExchangeStartsItAnew(self) -> None:
        peer = serve(ok, keepAliveTimeout=7)
        for _ in range(5):
            peer.send(get())
            peer.advance(5)
        assert peer.open
        peer.advance(2.1)
        assert not peer.open

    def test_aSlowHandlerIsNotIdle(self) -> None:
        sockets: list[HttpSocket] = []
        peer = serve(lambda request, socket: sockets.append(socket) or True, keepAliveTimeout=7)
        peer.send(get())
        peer.advance(1000)
        sockets[0].respond("at last")
        assert peer.bodies() == [b"at last"]
        peer.advance(6.9)
        assert peer.open
        peer.advance(0.2)
        assert not peer.open

    def test_zeroClosesAfterTheAnswer(self) -> None:
        peer = serve(ok, keepAliveTimeout=0)
        peer.send(get())
        peer.advance(0)
        assert peer.statuses() == [200]
        assert not peer.open

    def test_whileThePeerReadsItIsNotIdle(self) -> None:
        peer = serve(big, keepAliveTimeout=7, writeTimeout=30)
        peer.transport.stuck = True
        peer.send(get())
        peer.advance(20)
        assert peer.open
        peer.transport.release()
        peer.advance(7.1)
        assert not peer.open

    def test_zeroDoesNotSpinWhileThePeerReads(self) -> None:
        peer = serve(big, keepAliveTimeout=0)
        peer.transport.stuck = True
        peer.send(get())
        peer.advance(1)
        assert peer.statuses() == [200]


class TestBody:
    def half(self, **configuration: float) -> Conversation:
        peer = serve(ok, **{"bodyTimeout": 10, "minimumBodyRate": 0, **configuration})
        peer.send(post(b"x" * 100)[:-50])
        return peer

    def test_inactivity(self) -> None:
        peer = self.half()
        peer.advance(9.9)
        assert peer.open
        peer.advance(0.2)
        assert peer.statuses() == [408]
        assert peer.halfClosed

    def test_activity(self) -> None:
        peer = self.half()
        for _ in range(49):
            peer.advance(9)
            peer.send(b"x")
        peer.send(b"x")
        assert [each.status for each in peer.responses()] == [200]

    def test_neverBegun(self) -> None:
        peer = serve(ok, bodyTimeout=10)
        peer.send(get("/", "Content-Length: 5", "Expect: 100-continue", method="POST"))
        peer.advance(9.9)
        assert peer.open
        peer.advance(0.2)
        assert peer.statuses() == [100, 408]

    def test_headAndIdleAreNotOfInterestMeanwhile(self) -> None:
        peer = self.half(headerTimeout=1, keepAliveTimeout=1)
        peer.advance(9)
        assert peer.open

    def test_rate(self) -> None:
        peer = serve(ok, bodyTimeout=5, minimumBodyRate=100)
        peer.send(post(b"x" * 100_000)[:-100_000])
        for _ in range(10):
            peer.advance(0.99)
            peer.send(b"x" * 99)
        assert peer.open
        peer.advance(0.2)
        assert peer.statuses() == [408]

    def test_rateThatSuffices(self) -> None:
        peer = serve(ok, bodyTimeout=5, minimumBodyRate=100)
        head, body = post(b"x" * 5000)[:-5000], b"x" * 5000
        peer.send(head)
        for i in range(50):
            peer.advance(0.99)
            peer.send(body[i * 100 : i * 100 + 100])
        assert peer.statuses() == [200]

    def test_rateIsOfEachWindow(self) -> None:
        """Haste at the beginning is no credit for later."""
        peer = serve(ok, bodyTimeout=5, minimumBodyRate=100)
        peer.send(post(b"x" * 100_000)[:-100_000], b"x" * 50_000)
        for _ in range(4):
            peer.advance(4)
            peer.send(b"x")
        assert peer.open
        peer.advance(3.9)
        peer.send(b"x")
        peer.advance(0.2)
        assert peer.statuses() == [408]

    def test_rateOff(self) -> None:
        peer = serve(ok, bodyTimeout=5, minimumBodyRate=0)
        peer.send(post(b"x" * 100)[:-100])
        for _ in range(100):
            peer.advance(4)
            peer.send(b"x")
        assert peer.statuses() == [200]

    def test_bothEndWithTheBody(self) -> None:
        sockets: list[HttpSocket] = []
        peer = serve(lambda request, socket: sockets.append(socket) or True, bodyTimeout=1)
        peer.send(post(b"x" * 1000))
        peer.advance(100)
        assert peer.open
        sockets[0].respond()
        assert peer.statuses() == [200]


def test_nothingIsLeftWhenAConnectionIsGone() -> None:
    peer = serve(lambda request, socket: True, handlerTimeout=5)
    peer.send(get())
    peer.leave()
    assert peer.clock.getDelayedCalls() == []


def test_thereIsOneTimerForAll() -> None:
    """However many requests come, and whatever is waited for."""
    peer = serve(ok, handlerTimeout=5)
    for _ in range(100):
        peer.send(get() + post(b"abc"), get()[:5], get()[5:])
        assert len(peer.clock.getDelayedCalls()) == 1


def test_configuredTimesHoldFromTheNextWaitOn() -> None:
    peer = serve(ok, bodyTimeout=5)
    peer.server.setConfiguration(HttpServerConfiguration(bodyTimeout=2))
    peer.send(post(b"abc")[:-1])
    peer.advance(2)
    assert peer.statuses() == [408]
