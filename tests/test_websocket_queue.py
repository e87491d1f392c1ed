"""WebSockets that wait to be taken: the queue, the signal, the waiters, the bound, and clients that leave."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from connectionhelpers import capturedFailures, get, results, serve, take
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from websockethelpers import Peer, accepting, another, closing, connect, offer, opened, text

from txabstracthttp import HttpServerConfiguration, WebSocket, WebSocketClosed, WebSocketUpgrade


@pytest.fixture(autouse=True)
def failures() -> Iterator[list[Failure]]:
    with capturedFailures() as failures:
        yield failures


def pending(peer: Peer) -> list[str]:
    """The paths of all that wait to be taken, by taking them."""
    taken = iter(peer.server.nextPendingWebSocketConnection, None)
    return [each.request.path for each in taken]


def crowd(count: int, **limits: Any) -> tuple[Peer, list[Peer]]:
    """A peer that has not asked yet, behind so many that have; nobody takes a WebSocket."""
    first = offer(**limits)
    others = [another(first) for _ in range(count)]
    for number, each in enumerate(others):
        each.upgrade(target=f"/{number}")
        assert each.handshake().status == 101
    return first, others


class TestTaking:
    def test_inTheirOrder(self) -> None:
        peer, _ = crowd(3)
        assert peer.server.hasPendingWebSocketConnections()
        assert pending(peer) == ["/0", "/1", "/2"]
        assert not peer.server.hasPendingWebSocketConnections()
        assert peer.server.nextPendingWebSocketConnection() is None

    def test_theSignal(self) -> None:
        """Without arguments, once for each, and when it can be taken."""
        taken: list[Any] = []
        peer = Peer(serve(accepting))
        signal = peer.server.newWebSocketConnection
        assert signal is peer.server.newWebSocketConnection
        signal.connect(lambda *args: taken.append((args, peer.server.nextPendingWebSocketConnection())))
        for each in (peer, another(peer)):
            each.upgrade()
        assert [args for args, _ in taken] == [(), ()]
        assert len({webSocket for _, webSocket in taken if webSocket is not None}) == 2

    def test_noSignalForARefusal(self) -> None:
        emitted: list[None] = []
        peer = Peer(serve(lambda request, socket: False))
        peer.server.newWebSocketConnection.connect(lambda: emitted.append(None))
        peer.upgrade()
        assert peer.response().status == 404
        assert emitted == []
        assert not peer.server.hasPendingWebSocketConnections()

    def test_itIsOpenWhenItIsTaken(self) -> None:
        """Whoever takes it may write at once, and the peer gets the answer first."""
        peer = offer()
        peer.server.whenWebSocketConnected().addCallback(lambda each: each.sendTextMessage("welcome"))
        peer.upgrade(early=text("hello"))
        assert peer.handshake().status == 101
        assert peer.messages() == ["welcome"]

    def test_aFailingObserver(self, failures: list[Failure]) -> None:
        peer = Peer(serve(accepting))
        peer.server.newWebSocketConnection.connect(lambda: 1 / 0)
        webSocket = connect(peer)
        assert take(failures) == [ZeroDivisionError]
        peer.send(text("x"))
        assert results(webSocket.receive()) == [["x"]]


class TestWaiting:
    def test_laterAndNow(self) -> None:
        peer = Peer(serve(accepting))
        (later,) = results(peer.server.whenWebSocketConnected())
        assert later == []
        peer.upgrade(target="/0")
        assert [each.request.path for each in later] == ["/0"]
        another(peer).upgrade(target="/1")
        (now,) = results(peer.server.whenWebSocketConnected())
        assert [each.request.path for each in now] == ["/1"]

    def test_inTheirOrder(self) -> None:
        peer = Peer(serve(accepting))
        outcomes = results(*[peer.server.whenWebSocketConnected() for _ in range(3)])
        for number in range(2):
            another(peer).upgrade(target=f"/{number}")
        assert [[each.request.path for each in outcome] for outcome in outcomes] == [["/0"], ["/1"], []]

    def test_beforeTheSignal(self) -> None:
        """The waiter has it when the signal is emitted; so there may be nothing left for an observer."""
        order: list[Any] = []
        peer = Peer(serve(accepting))
        peer.server.newWebSocketConnection.connect(
            lambda: order.append(peer.server.nextPendingWebSocketConnection())
        )
        peer.server.whenWebSocketConnected().addCallback(order.append)
        peer.upgrade()
        another(peer).upgrade(target="/second")
        assert [each and each.request.path for each in order] == ["/chat", None, "/second"]

    def test_cancellingLosesNone(self) -> None:
        peer = Peer(serve(accepting))
        waiters = [peer.server.whenWebSocketConnected() for _ in range(3)]
        outcomes = results(*waiters)
        waiters[0].cancel()
        waiters[2].cancel()
        peer.upgrade(target="/0")
        another(peer).upgrade(target="/1")
        assert [each.request.path for each in outcomes[1]] == ["/0"]
        assert [outcomes[place][0].type for place in (0, 2)] == [CancelledError, CancelledError]
        assert pending(peer) == ["/1"]

    def test_timeoutsLoseNone(self) -> None:
        peer = Peer(serve(accepting))
        (outcome,) = results(peer.server.whenWebSocketConnected().addTimeout(5, peer.conversation.clock))
        peer.advance(5)
        peer.upgrade()
        assert len(outcome) == 1
        assert pending(peer) == ["/chat"]

    def test_inALoop(self) -> None:
        """What an application is most likely to write."""
        taken: list[str] = []
        peer = Peer(serve(accepting))

        async def consume() -> None:
            while True:
                webSocket = await peer.server.whenWebSocketConnected()
                taken.append(webSocket.request.path)

        consuming = Deferred.fromCoroutine(consume())
        results(consuming)
        for number in range(40):
            another(peer).upgrade(target=f"/{number}")
        assert taken == [f"/{number}" for number in range(40)]
        consuming.cancel()

    def test_byTheSignalsOwnWait(self) -> None:
        peer = Peer(serve(accepting))
        (emitted,) = results(peer.server.newWebSocketConnection.next())
        peer.upgrade()
        assert emitted == [None]
        assert pending(peer) == ["/chat"]


class TestBound:
    def test_the31st(self) -> None:
        """It gets an answer, in full, and no WebSocket; the others keep theirs."""
        peer, _ = crowd(30)
        emitted: list[None] = []
        peer.server.newWebSocketConnection.connect(lambda: emitted.append(None))
        peer.upgrade(early=get("/smuggled"))
        response = peer.response()
        assert (response.status, response.body) == (503, b"503 Service Unavailable\n")
        assert emitted == []
        assert pending(peer) == [f"/{number}" for number in range(30)]

    def test_roomAgain(self) -> None:
        peer, _ = crowd(30)
        assert peer.server.nextPendingWebSocketConnection() is not None
        peer.upgrade(target="/30")
        assert peer.handshake().status == 101
        assert pending(peer) == [f"/{number}" for number in range(1, 31)]

    @pytest.mark.parametrize(("limit", "count"), [(0, 0), (1, 1), (5, 5), (None, 50)])
    def test_otherLimits(self, limit: int | None, count: int) -> None:
        peer, _ = crowd(count, maximumPendingWebSockets=limit)
        peer.upgrade()
        if limit is None:
            assert peer.handshake().status == 101
        else:
            assert peer.response().status == 503

    def test_aWaiterNeedsNoRoom(self) -> None:
        peer = offer(maximumPendingWebSockets=0)
        outcomes = results(*[peer.server.whenWebSocketConnected() for _ in range(2)])
        for status in (101, 101, 503):
            each = another(peer)
            each.upgrade()
            assert (each.handshake if status == 101 else each.response)().status == status
        assert [len(outcome) for outcome in outcomes] == [1, 1]

    def test_whoIsRefusedAnywayIsToldWhy(self) -> None:
        peer, _ = crowd(1, maximumPendingWebSockets=1)
        peer.server.addWebSocketUpgradeVerifier(lambda request: WebSocketUpgrade.deny(401))
        peer.upgrade()
        assert peer.response().status == 401

    def test_aLimitThatChanges(self) -> None:
        peer, _ = crowd(3)
        peer.server.setConfiguration(HttpServerConfiguration(maximumPendingWebSockets=3))
        peer.upgrade()
        assert peer.response().status == 503
        assert pending(peer) == ["/0", "/1", "/2"]


class TestLeaving:
    @pytest.mark.parametrize("clean", [False, True])
    def test_whoLeavesIsPurged(self, clean: bool) -> None:
        peer, others = crowd(3)
        if clean:
            others[1].part()
        else:
            others[1].leave(ConnectionLost())
        assert pending(peer) == ["/0", "/2"]

    def test_unlessItLeftSomethingToRead(self) -> None:
        peer, others = crowd(2)
        others[0].send(text("last words"), closing(1000, "bye"))
        others[0].leave()
        webSocket = peer.server.nextPendingWebSocketConnection()
        assert webSocket is not None
        assert webSocket.request.path == "/0"
        message, end = results(webSocket.receive(), webSocket.receive())
        assert message == ["last words"]
        end[0].trap(WebSocketClosed)
        assert (end[0].value.code, end[0].value.reason) == (1000, "bye")

    def test_aWaiterGetsThatToo(self) -> None:
        peer, others = crowd(1)
        others[0].send(text("last words"))
        others[0].leave()
        ((webSocket,),) = results(peer.server.whenWebSocketConnected())
        assert results(webSocket.receive()) == [["last words"]]

    def test_whoWasTakenIsNobodysBusiness(self) -> None:
        peer, webSocket = opened()
        another(peer).upgrade(target="/other")
        peer.leave()
        assert pending(peer) == ["/other"]
        assert webSocket.isClosed

    def test_aFullQueueDoesNotKeepTheDead(self) -> None:
        """They go for those who are alive, the oldest first, and not before."""
        peer, others = crowd(3, maximumPendingWebSockets=3)
        for number in (0, 2):
            others[number].send(text("unread"))
            others[number].leave()
        for number in (3, 4):
            each = another(peer)
            each.upgrade(target=f"/{number}")
            assert each.handshake().status == 101
            if number == 3:
                assert peer.server.hasPendingWebSocketConnections()
        peer.upgrade()
        assert peer.response().status == 503
        assert pending(peer) == ["/1", "/3", "/4"]

    def test_onlyAsManyAsIsNeeded(self) -> None:
        peer, others = crowd(3, maximumPendingWebSockets=3)
        for each in others:
            each.send(text("unread"))
            each.leave()
        peer.upgrade(target="/3")
        assert pending(peer) == ["/1", "/2", "/3"]

    def test_theDeadDoNotComeBack(self) -> None:
        peer, others = crowd(1)
        others[0].send(text("unread"))
        others[0].leave()
        peer.server.setConfiguration(HttpServerConfiguration(maximumPendingWebSockets=0))
        peer.upgrade()
        assert peer.response().status == 503
        assert pending(peer) == []

    def test_withinTheSignal(self) -> None:
        """An observer that closes it at once, and the peer that leaves at once."""
        peer = Peer(serve(accepting))
        closed: list[WebSocket] = []

        @peer.server.newWebSocketConnection.connect
        def observer() -> None:
            webSocket = peer.server.nextPendingWebSocketConnection()
            assert webSocket is not None
            webSocket.close(4001, "full")
            closed.append(webSocket)

        peer.upgrade(early=text("ignored"))
        assert peer.handshake().status == 101
        assert peer.closed() == (4001, "full")
        peer.part(4001)
        assert closed[0].isClosed


class TestMemory:
    def test_nothingIsLeft(self) -> None:
        peer = offer()
        references: list[weakref.ref[Any]] = []

        def live(clean: bool) -> None:
            each = another(peer)
            webSocket = connect(each)
            webSocket.textMessageReceived.connect(lambda message: None)
            webSocket.disconnected.connect(lambda code, reason: None)
            each.send(text("x"))
            references.extend([weakref.ref(webSocket), weakref.ref(each.conversation.connection)])
            each.part() if clean else each.leave()

        live(True)
        live(False)
        peer.advance(1)
        gc.collect()
        assert [reference() for reference in references] == [None] * 4
        # The one is for the request of the peer that has not asked for anything.
        assert len(peer.conversation.clock.getDelayedCalls()) == 1

    def test_norOfThoseThatWerePurged(self) -> None:
        made: list[weakref.ref[Any]] = []

        class Noted(WebSocket):
            def __init__(self) -> None:
                super().__init__()
                made.append(weakref.ref(self))

        peer = offer()
        peer.server.webSocketProtocol = Noted
        others = [another(peer) for _ in range(3)]
        while others:
            others[-1].upgrade()
            others.pop().leave()
        gc.collect()
        assert [reference() for reference in made] == [None] * 3

    def test_norOfOneThatWasNeverOpened(self) -> None:
        made: list[weakref.ref[Any]] = []
        event: Deferred[None] = Deferred()

        class Slow(WebSocket):
            def onConnect(self, request: Any) -> Any:
                made.append(weakref.ref(self))
                return event

        peer = offer()
        peer.server.webSocketProtocol = Slow
        peer.upgrade()
        peer.leave(ConnectionLost())
        event.callback(None)
        gc.collect()
        assert [reference() for reference in made] == [None]
