"""Peers that leave, half or whole, servers that close, and what is kept of either."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from connectionhelpers import PEER, Conversation, Later, capturedFailures, echoPath, get, post, serve
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionAborted, ConnectionLost
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from txabstracthttp import HttpRequest, HttpServerConfiguration, HttpSocket
from txabstracthttp._connection import PARTING as HANDSHAKE_PARTING
from txabstracthttp._http1 import PARTING


@pytest.fixture(autouse=True)
def failures() -> Iterator[list[Failure]]:
    with capturedFailures() as failures:
        yield failures


def whenClosed(peer: Conversation, grace: float | None = None) -> list[Any]:
    """Close the server; what `close` has said so far."""
    results: list[Any] = []
    peer.server.close(grace).addBoth(results.append)
    return results


class TestHalfClose:
    def test_idle(self) -> None:
        peer = serve(echoPath)
        peer.send(get())
        peer.halfClose()
        assert peer.transport.closed
        assert peer.statuses() == [200]

    def test_silent(self) -> None:
        peer = serve(echoPath)
        peer.halfClose()
        assert peer.transport.closed
        assert peer.transport.writes == []

    def test_lateAnswer(self) -> None:
        later = Later()
        peer = serve(later)
        peer.send(get("/a"))
        peer.halfClose()
        peer.advance(1000)
        assert peer.open
        later.answer()
        assert peer.bodies() == [b"/a"]
        assert peer.transport.closed

    def test_pipelinedAnswers(self) -> None:
        later = Later()
        peer = serve(later)
        peer.send(get("/a") + get("/b") + get("/c"))
        peer.halfClose()
        for _ in range(3):
            assert peer.open
            later.answer()
        assert peer.bodies() == [b"/a", b"/b", b"/c"]
        assert peer.transport.closed
        assert peer.transport.lost == []

    def test_aPipelinedOneThatWasCutShort(self) -> None:
        later = Later()
        peer = serve(later)
        peer.send(get("/a") + get("/b")[:10])
        peer.halfClose()
        later.answer()
        assert peer.statuses() == [200, 400]
        assert peer.transport.closed

    @pytest.mark.parametrize("data", [get()[:10], post(b"abc")[:-1]], ids=["head", "body"])
    def test_cutShort(self, data: bytes) -> None:
        peer = serve(echoPath)
        peer.send(data)
        peer.halfClose()
        assert peer.statuses() == [400]
        assert peer.transport.closed

    def test_whileAnswersWaitForThePeerToRead(self) -> None:
        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            socket.respond(b"x" * 100_000)
            return True

        peer = serve(handler)
        peer.transport.stuck = True
        peer.send(get() * 3)
        peer.halfClose()
        for _ in range(3):
            peer.transport.release()
        assert peer.statuses() == [200] * 3
        assert peer.transport.closed

    def test_whileTheLastAnswerWaitsForThePeerToRead(self) -> None:
        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            socket.respond(b"x" * 100_000)
            return True

        peer = serve(handler)
        peer.transport.stuck = True
        peer.send(get())
        peer.halfClose()
        peer.transport.release()
        assert peer.statuses() == [200]
        assert peer.transport.closed

    def test_handlersStillTakeTheirTime(self) -> None:
        """Nothing says the peer has gone."""
        later = Later()
        peer = serve(later)
        peer.send(get())
        waiting = later.sockets[0].notifyFinish()
        peer.halfClose()
        assert not later.sockets[0].isResponseCanceled
        assert not waiting.called
        later.answer()
        assert waiting.called


class TestClientLeaves:
    def test_answeringDoesNothing(self) -> None:
        later = Later()
        peer = serve(later)
        peer.send(get() + get())
        assert not later.sockets[0].isResponseCanceled
        peer.leave(ConnectionLost())
        socket = later.sockets[0]
        assert socket.isResponseCanceled
        socket.respond("nobody hears")
        socket.respond("nor now")
        socket.loseConnection()
        assert len(later.sockets) == 1
        assert "write" not in peer.transport.log
        assert not peer.transport.closed

    def test_abortingDoesNothing(self) -> None:
        later = Later()
        peer = serve(later)
        peer.send(get())
        peer.leave(ConnectionLost())
        later.sockets[0].abortConnection()
        assert not peer.transport.aborted

    def test_aHeadThatWaitedForTheEndOfTheTurn(self) -> None:
        later = Later()
        peer = serve(later)
        peer.send(get())
        later.sockets[0].begin()
        peer.leave(ConnectionLost())
        peer.advance(0)
        assert "write" not in peer.transport.log
        assert peer.clock.getDelayedCalls() == []

    def test_answersBeforeAreNotCanceled(self) -> None:
        later = Later()
        peer = serve(later)
        peer.send(get())
        later.answer()
        peer.leave(ConnectionLost())
        assert not later.sockets[0].isResponseCanceled

    def test_awaitedHandlersGoOn(self) -> None:
        event: Deferred[None] = Deferred()
        ends: list[bool] = []

        async def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            await event
            ends.append(socket.isResponseCanceled)
            socket.respond()
            return True

        peer = serve(handler)
        peer.send(get())
        peer.leave(ConnectionLost())
        event.callback(None)
        assert ends == [True]

    def test_inTheMiddleOfABody(self) -> None:
        peer = serve(echoPath)
        peer.send(post(b"abc")[:-1])
        peer.leave(ConnectionLost())
        assert peer.transport.writes == []
        assert peer.clock.getDelayedCalls() == []

    def test_theConnectionIsForgotten(self) -> None:
        peer = serve(echoPath)
        other = peer.another()
        other.send(get())
        other.leave()
        connection = weakref.ref(other.connection)
        del other
        gc.collect()
        assert connection() is None


class TestServerCloses:
    def test_nothingToWaitFor(self) -> None:
        peer = serve(echoPath)
        peer.leave()
        assert whenClosed(peer) == [None]
        assert peer.clock.getDelayedCalls() == []

    @pytest.mark.parametrize("used", [False, True])
    def test_idleConnectionsClose(self, used: bool) -> None:
        peer = serve(echoPath)
        if used:
            peer.send(get())
        results = whenClosed(peer)
        assert peer.open
        peer.advance(PARTING)
        assert peer.halfClosed
        assert peer.statuses() == [200] * used
        assert results == []
        peer.leave()
        assert results == [None]

    def test_whatWasOnItsWayIsServed(self) -> None:
        peer = serve(echoPath)
        peer.send(get())
        whenClosed(peer)
        peer.advance(PARTING / 2)
        peer.send(get("/a"))
        responses = peer.responses()
        assert [each.all("connection") for each in responses] == [[], ["close"]]
        assert peer.halfClosed

    def test_evenIfItTakesItsTime(self) -> None:
        later = Later()
        peer = serve(later)
        whenClosed(peer)
        peer.send(get("/a"))
        peer.advance(PARTING * 2)
        assert peer.open
        later.answer()
        assert peer.response().all("connection") == ["close"]
        assert peer.halfClosed

    def test_busyOnesSayClose(self) -> None:
        later = Later()
        peer = serve(later)
        peer.send(get("/a") + get("/b"))
        results = whenClosed(peer)
        assert peer.open
        later.answer()
        response = peer.response()
        assert (response.body, response.all("connection")) == (b"/a", ["close"])
        assert peer.halfClosed
        assert len(later.sockets) == 1
        peer.leave()
        assert results == [None]

    @pytest.mark.parametrize("cut", [10, -1], ids=["head", "body"])
    def test_requestsUnderWayAreServed(self, cut: int) -> None:
        peer = serve(echoPath)
        whole = post(b"abc", target="/a")
        peer.send(whole[:cut])
        whenClosed(peer)
        assert peer.open
        peer.send(whole[cut:] + get())
        response = peer.response()
        assert (response.body, response.all("connection")) == (b"/a", ["close"])
        assert peer.halfClosed

    def test_handshakesAreSoonCutOff(self) -> None:
        peer = serve(echoPath, secure=True)
        whenClosed(peer)
        assert not peer.transport.aborted
        peer.advance(HANDSHAKE_PARTING)
        assert peer.transport.aborted

    def test_aHandshakeThatIsDoneInTime(self) -> None:
        peer = serve(echoPath, secure=True)
        whenClosed(peer)
        peer.connection.handshakeCompleted()
        peer.send(get("/a"))
        response = peer.response()
        assert (response.body, response.all("connection")) == (b"/a", ["close"])
        assert not peer.open

    def test_noNewConnections(self) -> None:
        peer = serve(echoPath)
        whenClosed(peer)
        late = StringTransport()
        peer.server.buildProtocol(PEER).makeConnection(late)
        assert late.disconnecting
        assert late.value() == b""

    @pytest.mark.parametrize("secure", [False, True])
    def test_aHandlerMayCloseItsServer(self, secure: bool) -> None:
        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            peer.server.close()
            socket.respond("bye")
            return True

        peer = serve(handler, secure=secure)
        if secure:
            peer.connection.handshakeCompleted()
        peer.send(get() + get())
        assert peer.bodies() == [b"bye"]
        assert peer.transport.lost == []
        assert not peer.open

    @pytest.mark.parametrize("secure", [False, True])
    def test_evenWhenItHasAnswered(self, secure: bool) -> None:
        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            socket.respond("bye")
            peer.server.close()
            return True

        peer = serve(handler, secure=secure)
        if secure:
            peer.connection.handshakeCompleted()
        peer.send(get())
        assert peer.transport.lost == []
        assert peer.bodies() == [b"bye"]
        peer.advance(PARTING)
        assert not peer.open

    def test_whatIsLeftIsAborted(self) -> None:
        later = Later()
        peer = serve(later)
        peer.send(get())
        finished: list[Any] = []
        later.sockets[0].notifyFinish().addBoth(finished.append)
        results = whenClosed(peer, 3)
        peer.advance(2.9)
        assert not peer.transport.aborted
        peer.advance(0.2)
        assert peer.transport.aborted
        assert finished[0].check(ConnectionAborted)
        assert later.sockets[0].isResponseCanceled
        later.answer()
        assert "write" not in peer.transport.log
        peer.leave(ConnectionAborted())
        assert results == [None]
        assert peer.clock.getDelayedCalls() == []

    def test_drainTimeoutIsTheDefault(self) -> None:
        peer = serve(Later(), drainTimeout=7)
        peer.send(get())
        whenClosed(peer)
        peer.advance(6.9)
        assert not peer.transport.aborted
        peer.advance(0.2)
        assert peer.transport.aborted

    def test_awaitedHandlersAreCancelledThen(self) -> None:
        ends: list[type[BaseException]] = []

        async def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            try:
                await Deferred()
            except BaseException as error:
                ends.append(type(error))
                raise
            return True

        peer = serve(handler)
        peer.send(get())
        whenClosed(peer, 3)
        peer.advance(2.9)
        assert ends == []
        peer.advance(0.2)
        assert ends == [CancelledError]
        assert "write" not in peer.transport.log

    def test_lingeringOnesAreAbortedToo(self) -> None:
        peer = serve(echoPath)
        whenClosed(peer, 1)
        peer.advance(1)
        assert peer.transport.aborted


class TestTransportOrder:
    """`unregisterProducer` before `loseConnection`, or Twisted waits for the producer for ever."""

    @pytest.mark.parametrize("secure", [False, True])
    def test_unregisterThenLose(self, secure: bool) -> None:
        peer = serve(echoPath, secure=secure)
        if secure:
            peer.connection.handshakeCompleted()
        peer.send(get("/", "Connection: close"))
        peer.advance(3)
        log = peer.transport.log
        assert log.index("write") < log.index("unregisterProducer") < log.index("loseConnection")

    def test_closeTimeoutAborts(self) -> None:
        peer = serve(echoPath, secure=True, closeTimeout=4)
        peer.connection.handshakeCompleted()
        peer.send(get("/", "Connection: close"))
        assert peer.transport.log[-1] == "loseConnection"
        peer.advance(3.9)
        assert not peer.transport.aborted
        peer.advance(0.2)
        assert peer.transport.aborted

    def test_withoutHalfClosing(self) -> None:
        """What is no `IHalfCloseableDescriptor` is closed at once."""
        from connectionhelpers import FakeTransport

        peer = serve(echoPath)
        other = peer.another(transport=FakeTransport())
        other.send(get("/a", "Connection: close"))
        assert other.bodies() == [b"/a"]
        assert other.transport.log[-1] == "loseConnection"


def test_aClosedServerKeepsItsConfiguration() -> None:
    peer = serve(echoPath)
    whenClosed(peer)
    peer.server.setConfiguration(HttpServerConfiguration(closeTimeout=1))
    assert peer.server.configuration.closeTimeout == 1
