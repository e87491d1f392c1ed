"""How a WebSocket ends: by the peer, by us, by the server, and by accident."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from connectionhelpers import FakeTransport, capturedFailures, results
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionAborted, ConnectionLost
from twisted.python.failure import Failure
from websockethelpers import (
    CLOSE,
    TEXT,
    Frame,
    Peer,
    another,
    binary,
    closing,
    connect,
    frame,
    offer,
    opened,
    ping,
    text,
)

from txabstracthttp import WebSocket, WebSocketClosed, WebSocketUpgrade


@pytest.fixture(autouse=True)
def failures() -> Iterator[list[Failure]]:
    with capturedFailures() as failures:
        yield failures


def watched(**options: Any) -> tuple[Peer, WebSocket, list[tuple[int, str]]]:
    """As `opened`, and what `disconnected` says."""
    peer, webSocket = opened(**options)
    ends: list[tuple[int, str]] = []
    webSocket.disconnected.connect(lambda code, reason: ends.append((code, reason)))
    return peer, webSocket, ends


class TestByThePeer:
    @pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1009, 1010, 1011, 1012, 1013, 3000, 4999])
    @pytest.mark.parametrize("reason", ["", "Grüße"])
    def test_itsCodeIsEchoed(self, code: int, reason: str) -> None:
        """RFC 6455 section 5.5.1."""
        peer, _, ends = watched()
        peer.send(closing(code, reason))
        assert peer.closed() == (code, reason)
        assert peer.conversation.halfClosed
        assert ends == []
        peer.leave()
        assert ends == [(code, reason)]

    def test_withoutCode(self) -> None:
        peer, _, ends = watched()
        peer.send(closing())
        assert peer.frames() == [Frame(CLOSE, b"")]
        peer.leave()
        assert ends == [(1005, "")]

    @pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535])
    def test_codesThatNobodySends(self, code: int) -> None:
        peer, _, _ = watched()
        peer.send(closing(code, "bye"))
        assert peer.closed()[0] == 1002

    @pytest.mark.parametrize("code", [999, 1005, 5000])
    def test_whatIsSaidOfThem(self, code: int) -> None:
        """A peer that breaks the rules has not closed properly, and certainly not with another code."""
        peer, _, ends = watched()
        peer.send(closing(code, "bye"))
        peer.leave()
        assert ends[0][0] in (1002, 1006)

    @pytest.mark.parametrize("payload", [b"x", b"\x03\xe8\xff", b"\x03\xe8" + b"\xc3"])
    def test_malformed(self, payload: bytes) -> None:
        peer, _, _ = watched()
        peer.send(frame(CLOSE, payload))
        assert peer.closed()[0] == (1002 if len(payload) == 1 else 1007)

    def test_nothingBehindItCounts(self) -> None:
        peer, webSocket, ends = watched()
        peer.send(text("a") + closing(1000) + text("b") + ping() + closing(4000))
        assert peer.frames() == [Frame(CLOSE, b"\x03\xe8")]
        peer.send(text("c"))
        peer.leave()
        assert (peer.frames(), ends) == ([], [(1000, "")])
        message, end = results(webSocket.receive(), webSocket.receive())
        assert message == ["a"]
        end[0].trap(WebSocketClosed)

    def test_weSendWhatWeHaveFirst(self) -> None:
        peer, webSocket, _ = watched()
        webSocket.textMessageReceived.connect(webSocket.sendTextMessage)
        peer.advance(0)
        peer.send(text("a") + closing())
        assert peer.frames() == [Frame(TEXT, b"a"), Frame(CLOSE, b"")]

    def test_itDoesNotHangUp(self) -> None:
        """After the closing handshake it is the server who closes, and who does not wait for ever."""
        peer, _, _ = watched()
        peer.send(closing())
        assert peer.conversation.halfClosed
        peer.advance(100)
        assert peer.transport.closed

    @pytest.mark.parametrize("reason", [ConnectionLost(), ConnectionAborted(), None])
    def test_withoutAWord(self, reason: Exception | None) -> None:
        peer, _, ends = watched()
        peer.leave(reason)
        assert [code for code, _ in ends] == [1006]
        assert peer.conversation.clock.getDelayedCalls() == []

    def test_halfClosed(self) -> None:
        """Half a WebSocket is none."""
        peer, _, ends = watched()
        peer.conversation.halfClose()
        assert peer.transport.closed
        peer.leave()
        assert [code for code, _ in ends] == [1006]

    def test_inTheMiddleOfAMessage(self) -> None:
        peer, webSocket, ends = watched()
        (message,) = results(webSocket.receive())
        peer.send(frame(TEXT, b"abc", fin=False))
        peer.leave(ConnectionLost())
        message[0].trap(WebSocketClosed)
        assert ends[0][0] == 1006


class TestByUs:
    @pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1011, 1012, 1013, 3000, 4000, 4999])
    def test_codes(self, code: int) -> None:
        peer, webSocket, ends = watched()
        (closed,) = results(webSocket.close(code, "Grüße"))
        assert peer.closed() == (code, "Grüße")
        assert peer.conversation.open
        peer.send(closing(code, "Grüße"))
        assert peer.conversation.halfClosed
        assert closed == []
        peer.leave()
        assert (closed, ends) == ([None], [(code, "Grüße")])

    def test_plainly(self) -> None:
        peer, webSocket, _ = watched()
        results(webSocket.close())
        assert peer.frames() == [Frame(CLOSE, b"\x03\xe8")]

    @pytest.mark.parametrize(
        "code", [0, 999, 1004, 1005, 1006, 1014, 1015, 1016, 2999, 5000, -1, 1000.0, "1000", None, True]
    )
    def test_noCodes(self, code: Any) -> None:
        peer, webSocket, _ = watched()
        with pytest.raises(ValueError, match="a close code is"):
            webSocket.close(code)
        assert peer.frames() == []
        assert peer.conversation.open

    @pytest.mark.parametrize("reason", ["x" * 124, "ä" * 62, "\ud800"])
    def test_noReasons(self, reason: str) -> None:
        peer, webSocket, _ = watched()
        with pytest.raises(ValueError):
            webSocket.close(1000, reason)
        assert peer.frames() == []
        results(webSocket.close(1000, "x" * 123))
        assert peer.closed() == (1000, "x" * 123)

    def test_twice(self) -> None:
        """One close frame, and both hear of the end."""
        peer, webSocket, _ = watched()
        outcomes = results(webSocket.close(4000), webSocket.close(4001))
        assert peer.closed() == (4000, "")
        peer.part(4000)
        assert outcomes == [[None], [None]]
        assert results(webSocket.close(), webSocket.close(1001, "again")) == [[None], [None]]
        assert peer.frames() == []

    def test_afterThePeer(self) -> None:
        peer, webSocket, ends = watched()
        peer.send(closing(4000))
        assert peer.closed() == (4000, "")
        (closed,) = results(webSocket.close(4001))
        peer.leave()
        assert (closed, ends, peer.frames()) == ([None], [(4000, "")], [])

    def test_atTheSameTime(self) -> None:
        peer, webSocket, ends = watched()
        results(webSocket.close(4000))
        peer.send(closing(4001))
        peer.leave()
        assert ends == [(4001, "")]
        assert peer.closed() == (4000, "")

    def test_nobodyNeedsToWait(self) -> None:
        peer, webSocket, ends = watched()
        waiter = webSocket.close()
        (outcome,) = results(waiter)
        waiter.cancel()
        outcome[0].trap(CancelledError)
        peer.frames()
        peer.part()
        assert ends == [(1000, "")]

    def test_messagesOnTheirWay(self) -> None:
        """What the peer had sent before it read ours still counts."""
        peer, webSocket, _ = watched()
        results(webSocket.close())
        peer.send(text("a") + closing())
        peer.leave()
        assert results(webSocket.receive()) == [["a"]]

    def test_aPeerThatDoesNotAnswer(self) -> None:
        peer, webSocket, ends = watched(closeTimeout=5)
        (closed,) = results(webSocket.close(4000))
        peer.advance(4.9)
        assert peer.conversation.open
        peer.advance(0.1)
        assert peer.transport.aborted
        peer.leave(ConnectionAborted())
        assert closed == [None]
        assert ends == [(1006, "the peer did not answer a close in time")]

    def test_norByTalkingOn(self) -> None:
        peer, webSocket, _ = watched(closeTimeout=5)
        results(webSocket.close())
        for _ in range(10):
            peer.send(text("more") + ping())
            peer.advance(0.5)
        assert peer.transport.aborted

    def test_itAnswersButDoesNotHangUp(self) -> None:
        peer, webSocket, ends = watched(closeTimeout=5)
        results(webSocket.close(4000))
        peer.send(closing(4000))
        peer.advance(100)
        assert peer.transport.closed
        peer.leave(ConnectionAborted())
        assert ends == [(4000, "")]

    def test_whatWasSentBeforeStillLeaves(self) -> None:
        peer, webSocket, _ = watched()
        peer.transport.stuck = True
        webSocket.sendBinaryMessage(bytes(100_000))
        results(webSocket.close())
        assert [each.opcode for each in peer.frames()] == [2, CLOSE]
        peer.transport.release()
        peer.send(closing())
        peer.advance(10)
        assert not peer.transport.aborted or "loseWriteConnection" in peer.transport.log

    @pytest.mark.parametrize("size", [pytest.param(50_000), 100_000], ids=["a little", "more"])
    def test_evenToASlowReader(self, size: int) -> None:
        """While octets leave, it is `writeTimeout` that decides, as with any other answer."""
        peer, webSocket, _ = watched(closeTimeout=5)
        peer.transport.stuck = True
        webSocket.sendBinaryMessage(bytes(size))
        results(webSocket.close())
        for _ in range(10):
            peer.advance(1)
            peer.transport.release(size // 10)
        assert not peer.transport.aborted

    def test_aSlowReaderThatDoesNotAnswer(self) -> None:
        """When it has taken everything, its time runs."""
        peer, webSocket, _ = watched(closeTimeout=5)
        peer.transport.stuck = True
        webSocket.sendBinaryMessage(bytes(100_000))
        results(webSocket.close())
        peer.advance(9)
        peer.transport.release()
        peer.advance(10)
        assert peer.transport.aborted

    def test_aFloodMeanwhile(self) -> None:
        """A peer that never closes must not fill our memory, however short the time."""
        peer, webSocket, _ = watched()
        sent = 0
        results(webSocket.close())
        while peer.transport.reading and sent < 200:
            peer.send(binary(bytes(10_000)))
            sent += 1
        peer.leave()
        kept = results(*[webSocket.receive() for _ in range(sent)])
        assert sum(isinstance(message, bytes) for (message,) in kept) < 20


class TestByTheServer:
    def test_1001(self) -> None:
        """RFC 6455 section 7.4.1: the server goes away."""
        peer, _, ends = watched()
        second = another(peer)
        connect(second)
        (closed,) = results(peer.server.close())
        assert (peer.closed(), second.closed()) == ((1001, ""), (1001, ""))
        assert peer.conversation.open
        peer.part(1001)
        assert (closed, ends) == ([], [(1001, "")])
        second.part(1001)
        assert closed == [None]

    def test_alsoThoseThatNobodyTook(self) -> None:
        peer = offer()
        peer.upgrade()
        peer.handshake()
        (closed,) = results(peer.server.close())
        assert peer.closed() == (1001, "")
        peer.part(1001)
        assert closed == [None]

    def test_notIfItIsClosingAlready(self) -> None:
        peer, webSocket, _ = watched()
        results(webSocket.close(4000), peer.server.close())
        assert peer.closed() == (4000, "")

    def test_thosePeersThatDoNotAnswer(self) -> None:
        peer, _, ends = watched(closeTimeout=5)
        results(peer.server.close())
        peer.advance(5)
        assert peer.transport.aborted
        peer.leave(ConnectionAborted())
        assert ends[0][0] == 1006

    @pytest.mark.parametrize("grace", [0, 3])
    def test_itsPatience(self, grace: float) -> None:
        peer, _, ends = watched(closeTimeout=100)
        (closed,) = results(peer.server.close(grace))
        peer.advance(grace)
        assert peer.transport.aborted
        assert closed == []
        peer.leave(ConnectionAborted())
        assert closed == [None]
        assert ends[0][0] == 1006

    def test_whoHearsOfItFirst(self) -> None:
        """Whoever waits for the end of the server may count on everybody else's having had theirs."""
        peer, webSocket, _ = watched()
        order: list[str] = []
        webSocket.disconnected.connect(lambda code, reason: order.append("WebSocket"))
        peer.server.close().addCallback(lambda _: order.append("server"))
        peer.part(1001)
        assert order == ["WebSocket", "server"]

    def test_whileAVerifierIsAwaited(self) -> None:
        """It may finish, but opens no WebSocket any more."""
        event: Deferred[WebSocketUpgrade] = Deferred()
        peer = offer()
        peer.server.addWebSocketUpgradeVerifier(lambda request: event)
        peer.upgrade()
        (closed,) = results(peer.server.close())
        event.callback(WebSocketUpgrade.accept())
        assert peer.response().status == 503
        peer.leave()
        assert closed == [None]

    def test_aVerifierThatNeverAnswers(self) -> None:
        """It is cancelled when the time is up."""
        event: Deferred[WebSocketUpgrade] = Deferred()
        peer = offer()
        peer.server.addWebSocketUpgradeVerifier(lambda request: event)
        peer.upgrade()
        results(peer.server.close(2))
        assert not event.called
        peer.advance(2)
        assert event.called
        assert peer.transport.aborted
        assert peer.transport.writes == []

    @pytest.mark.parametrize("when", ["observer", "waiter", "onOpen"])
    def test_whileItOpens(self, when: str) -> None:
        class Closer(WebSocket):
            def onOpen(self) -> None:
                if when == "onOpen":
                    peer.server.close()

        peer = offer()
        peer.server.webSocketProtocol = Closer
        if when == "observer":
            peer.server.newWebSocketConnection.connect(lambda: results(peer.server.close()))
        elif when == "waiter":
            peer.server.whenWebSocketConnected().addCallback(lambda _: results(peer.server.close()))
        peer.upgrade()
        assert peer.handshake().status == 101
        assert peer.closed() == (1001, "")


class TestWhileItIsDecided:
    @pytest.mark.parametrize("answer", [WebSocketUpgrade.accept(), WebSocketUpgrade.deny()])
    def test_theClientLeaves(self, answer: WebSocketUpgrade) -> None:
        event: Deferred[WebSocketUpgrade] = Deferred()
        emitted: list[None] = []
        peer = offer()
        peer.server.newWebSocketConnection.connect(lambda: emitted.append(None))
        (waiter,) = results(peer.server.whenWebSocketConnected())
        peer.server.addWebSocketUpgradeVerifier(lambda request: event)
        peer.upgrade()
        peer.leave(ConnectionLost())
        event.callback(answer)
        assert peer.transport.writes == []
        assert (emitted, waiter) == ([], [])
        assert not peer.server.hasPendingWebSocketConnections()

    def test_itSendsNoMore(self) -> None:
        """Whoever leaves says just this over TCP; half a WebSocket is none, whenever that is said."""
        event: Deferred[WebSocketUpgrade] = Deferred()
        peer = offer()
        peer.server.addWebSocketUpgradeVerifier(lambda request: event)
        peer.upgrade()
        peer.conversation.halfClose()
        event.callback(WebSocketUpgrade.accept())
        assert not peer.conversation.open


class TestTransport:
    def test_itsOwnEnd(self) -> None:
        """Autobahn's users know `transport`, too."""
        peer, webSocket, ends = watched()
        webSocket.transport.loseConnection()
        assert peer.conversation.halfClosed
        webSocket.transport.write(b"lost")
        assert peer.transport.value == b""
        peer.leave()
        assert ends[0][0] == 1006

    def test_abort(self) -> None:
        peer, webSocket, ends = watched()
        webSocket.transport.abortConnection()
        assert peer.transport.aborted
        peer.leave(ConnectionAborted())
        assert ends[0][0] == 1006

    def test_overTls(self) -> None:
        """There is no closing of one half there."""
        peer = offer(secure=True)
        peer.conversation.connection.handshakeCompleted()
        webSocket = connect(peer)
        results(webSocket.close())
        peer.send(closing())
        assert peer.transport.log.count("loseConnection") == 1
        assert isinstance(peer.transport, FakeTransport)
