"""Applications that fail, and limits that change, while WebSockets are open."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from connectionhelpers import capturedFailures, results, take
from twisted.internet.defer import Deferred, fail
from twisted.logger import LogEvent, LogLevel, capturedLogs, formatEvent
from twisted.python.failure import Failure
from websockethelpers import (
    CLOSE,
    PING,
    TEXT,
    Frame,
    Peer,
    another,
    binary,
    connect,
    offer,
    opened,
    ping,
    pong,
    text,
)

from txabstracthttp import HttpServerConfiguration, WebSocket

INTERNAL_ERROR = Frame(CLOSE, b"\x03\xf3internal error")


class Oops(Exception):
    """What goes wrong here."""


@pytest.fixture(autouse=True)
def failures() -> Iterator[list[Failure]]:
    with capturedFailures() as failures:
        yield failures


def failing(name: str, how: str) -> type[WebSocket]:
    """A class that fails when it hears of `name`; `calls` counts how often it did."""

    async def coroutine() -> None:
        raise Oops("a secret")

    def callback(self: Any, *args: Any) -> Any:
        self.calls += 1
        if how == "raise":
            raise Oops("a secret")
        return coroutine() if how == "coroutine" else fail(Oops("a secret"))

    return type("Failing", (WebSocket,), {name: callback, "calls": 0})


def proveLife(peer: Peer) -> None:
    """The server goes on: another WebSocket opens and works."""
    other = another(peer)
    peer.server.webSocketProtocol = None
    webSocket = connect(other)
    other.send(text("alive"))
    assert results(webSocket.receive()) == [["alive"]]


@pytest.mark.parametrize("how", ["raise", "coroutine", "Deferred"])
class TestCallbacks:
    """The failure of one is logged once, and ends its WebSocket with 1011 and nothing else."""

    @pytest.mark.parametrize(
        ("name", "octets"), [("onMessage", text("x")), ("onPing", ping(b"x")), ("onPong", pong(b"x"))]
    )
    def test_whatComes(self, name: str, octets: bytes, how: str, failures: list[Failure]) -> None:
        peer, webSocket = opened(kind=failing(name, how))
        (end,) = results(webSocket.disconnected.next())
        peer.send(octets)
        assert take(failures) == [Oops]
        assert peer.frames() == [INTERNAL_ERROR]
        peer.part(1011, "internal error")
        assert end == [(1011, "internal error")]
        assert peer.frames() == []
        proveLife(peer)

    @pytest.mark.parametrize(
        ("name", "octets"),
        [("onMessage", text("x")), ("onPing", ping(b"x")), ("onPong", pong(b"x"))],
    )
    def test_once(self, name: str, octets: bytes, how: str, failures: list[Failure]) -> None:
        """Else a peer could fill the log with tracebacks."""
        peer, _ = opened(kind=failing(name, how))
        peer.send(octets * 3)
        assert take(failures) == [Oops]

    @pytest.mark.parametrize("how2", ["whole", "in two"])
    def test_longMessages(self, how: str, how2: str, failures: list[Failure]) -> None:
        """These come by another way than short ones."""
        octets = binary(bytes(100_000))
        peer, _ = opened(kind=failing("onMessage", how))
        peer.send(*[octets] if how2 == "whole" else [octets[:50_000], octets[50_000:]], text("x"))
        assert take(failures) == [Oops]
        assert peer.frames() == [INTERNAL_ERROR]

    def test_onOpen(self, how: str, failures: list[Failure]) -> None:
        peer = offer()
        peer.server.webSocketProtocol = failing("onOpen", how)
        peer.upgrade(early=text("x"))
        assert take(failures) == [Oops]
        assert peer.handshake().status == 101
        assert peer.frames() == [INTERNAL_ERROR]
        peer.part(1011)
        proveLife(peer)

    def test_onClose(self, how: str, failures: list[Failure]) -> None:
        peer, webSocket = opened(kind=failing("onClose", how))
        outcomes = results(webSocket.disconnected.next(), webSocket.close(), webSocket.receive())
        peer.part()
        assert take(failures) == [Oops]
        assert outcomes[:2] == [[(1000, "")], [None]]
        assert len(outcomes[2]) == 1
        proveLife(peer)

    def test_whatIsLogged(self, how: str, failures: list[Failure]) -> None:
        peer, _ = opened(kind=failing("onMessage", how))
        with capturedLogs() as events:
            peer.send(text("x"))
        assert take(failures) == [Oops]
        logged: list[LogEvent] = [each for each in events if each["log_level"] is LogLevel.critical]
        (event,) = logged
        line = formatEvent(event)
        assert "/chat" in line
        assert "192.0.2.1" in line

    def test_whileItCloses(self, how: str, failures: list[Failure]) -> None:
        """There is one close frame, whatever goes wrong."""
        peer, webSocket = opened(kind=failing("onMessage", how))
        results(webSocket.close(4000))
        peer.send(text("x"))
        assert take(failures) == [Oops]
        assert peer.closed() == (4000, "")


class TestLateFailures:
    def test_ofACoroutine(self, failures: list[Failure]) -> None:
        event: Deferred[None] = Deferred()

        class Slow(WebSocket):
            async def onMessage(self, payload: bytes, isBinary: bool) -> None:  # type: ignore[override]
                await event

        peer, _ = opened(kind=Slow)
        peer.send(text("x"))
        assert peer.frames() == []
        event.errback(Oops())
        assert take(failures) == [Oops]
        assert peer.frames() == [INTERNAL_ERROR]

    def test_afterTheEnd(self, failures: list[Failure]) -> None:
        event: Deferred[None] = Deferred()

        class Slow(WebSocket):
            async def onMessage(self, payload: bytes, isBinary: bool) -> None:  # type: ignore[override]
                await event

        peer, _ = opened(kind=Slow)
        peer.send(text("x"))
        peer.part()
        event.errback(Oops())
        assert take(failures) == [Oops]

    def test_asyncioFutures(self) -> None:
        loop = asyncio.new_event_loop()
        future: asyncio.Future[None] = loop.create_future()

        class Slow(WebSocket):
            async def onMessage(self, payload: bytes, isBinary: bool) -> None:  # type: ignore[override]
                await Deferred.fromFuture(future)
                self.sendTextMessage("done")

        peer, _ = opened(kind=Slow)
        peer.send(text("x"))
        future.set_result(None)
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        assert peer.messages() == ["done"]


class TestObservers:
    """They are as those of any signal: logged, and stop nobody."""

    @pytest.mark.parametrize("how", ["raise", "coroutine"])
    def test_ofMessages(self, how: str, failures: list[Failure]) -> None:
        def observer(message: str) -> None:
            raise Oops

        async def coroutine(message: str) -> None:
            raise Oops

        got: list[str] = []
        peer, webSocket = opened()
        webSocket.textMessageReceived.connect(observer if how == "raise" else coroutine)
        webSocket.textMessageReceived.connect(got.append)
        peer.send(text("early"))
        peer.advance(0)
        peer.send(text("late"))
        assert take(failures) == [Oops, Oops]
        assert got == ["early", "late"]
        assert peer.frames() == []
        assert peer.conversation.open

    def test_ofTheEnd(self, failures: list[Failure]) -> None:
        def observer(code: int, reason: str) -> None:
            raise Oops

        peer, webSocket = opened()
        webSocket.disconnected.connect(observer)
        outcomes = results(webSocket.disconnected.next(), webSocket.close(), peer.server.close())
        peer.part()
        assert take(failures) == [Oops]
        assert outcomes == [[(1000, "")], [None], [None]]

    def test_aReaderThatFails(self, failures: list[Failure]) -> None:
        """That is between the application and its Deferred."""
        peer, webSocket = opened()
        (outcome,) = results(webSocket.receive().addCallback(lambda message: 1 / 0))
        peer.send(text("a") + text("b"))
        assert outcome[0].type is ZeroDivisionError
        assert results(webSocket.receive()) == [["b"]]


class TestReentrancy:
    def test_closingWithinAMessage(self) -> None:
        class Closing(WebSocket):
            def onMessage(self, payload: bytes, isBinary: bool) -> None:
                self.close(4000)
                got.append(payload)

        got: list[bytes] = []
        peer, _ = opened(kind=Closing)
        peer.send(text("a") + text("b"))
        assert got == [b"a", b"b"]
        assert peer.closed() == (4000, "")

    def test_droppingWithinAMessage(self) -> None:
        class Dropping(WebSocket):
            def onMessage(self, payload: bytes, isBinary: bool) -> None:
                got.append(payload)
                self.dropConnection(abort=True)

        got: list[bytes] = []
        peer, _ = opened(kind=Dropping)
        peer.send(text("a") + text("b"))
        assert got == [b"a"]
        assert peer.transport.aborted
        peer.leave()

    def test_closingTheServerWithinAMessage(self) -> None:
        class Closing(WebSocket):
            def onMessage(self, payload: bytes, isBinary: bool) -> None:
                closed.extend(results(peer.server.close()))

        closed: list[list[Any]] = []
        peer, _ = opened(kind=Closing)
        peer.send(text("a"))
        assert peer.closed() == (1001, "")
        peer.part(1001)
        assert closed == [[None]]

    def test_receivingWithinASignal(self) -> None:
        """An observer that sends to everybody, one of whom is gone."""
        peer, webSocket = opened()
        other = another(peer)
        second = connect(other)
        everybody = [second, webSocket]

        @webSocket.textMessageReceived.connect
        def broadcast(message: str) -> None:
            for each in everybody:
                each.sendTextMessage(message)

        second.disconnected.connect(lambda code, reason: everybody.remove(second))
        peer.advance(0)
        peer.send(text("a"))
        other.part()
        peer.send(text("b"))
        assert peer.messages() == ["a", "b"]


class TestConfiguration:
    """`setConfiguration` is for connections that are open, too."""

    def test_nothingEnds(self) -> None:
        peer, webSocket = opened()
        peer.server.setConfiguration(
            HttpServerConfiguration(
                keepAliveTimeout=0,
                headerTimeout=0.1,
                handlerTimeout=0.1,
                maximumPendingWebSockets=0,
                allowedOrigins=[],
                maximumBodySize=0,
            )
        )
        peer.advance(10)
        peer.send(text("a"))
        assert results(webSocket.receive()) == [["a"]]
        assert peer.conversation.open

    def test_forTheNextOnes(self) -> None:
        peer, _ = opened()
        peer.server.setConfiguration(
            HttpServerConfiguration(maximumWebSocketMessageSize=3, serverHeader="x", perMessageDeflate=True)
        )
        other = another(peer)
        other.upgrade("Sec-WebSocket-Extensions: permessage-deflate")
        handshake = other.handshake()
        assert handshake.all("Server") == ["x"]
        assert handshake.all("Sec-WebSocket-Extensions") == ["permessage-deflate"]
        other.send(text("four"))
        assert other.closed()[0] == 1009

    def test_writeTimeout(self) -> None:
        peer, webSocket = opened(webSocketPingInterval=0)
        peer.server.setConfiguration(HttpServerConfiguration(writeTimeout=4))
        peer.transport.stuck = True
        webSocket.sendBinaryMessage(bytes(100_000))
        # That of the handshake is looked at before it is noticed.
        peer.advance(12)
        assert peer.transport.aborted

    def test_theirSizes(self) -> None:
        peer, _ = opened()
        peer.server.setConfiguration(HttpServerConfiguration(maximumWebSocketMessageSize=3))
        peer.send(text("abc"))
        assert peer.frames() == []
        peer.send(text("four"))
        assert peer.closed()[0] == 1009

    def test_theirPings(self) -> None:
        peer, _ = opened()
        peer.server.setConfiguration(HttpServerConfiguration(webSocketPingInterval=2, webSocketPingTimeout=1))
        peer.advance(22)
        assert Frame(PING, b"") in peer.frames()
        assert peer.transport.aborted

    def test_pingsThatWereOff(self) -> None:
        peer, _ = opened(webSocketPingInterval=0)
        peer.server.setConfiguration(HttpServerConfiguration(webSocketPingInterval=2))
        peer.advance(2)
        assert peer.frames() == [Frame(PING, b"")]

    def test_pingsThatWereOn(self) -> None:
        peer, _ = opened()
        peer.server.setConfiguration(HttpServerConfiguration(webSocketPingInterval=0))
        peer.advance(1000)
        assert peer.frames() == []

    @pytest.mark.parametrize(
        ("first", "interval"),
        [("limits", 20), ("limits", 0), ("close", 20), pytest.param("close", 0)],
    )
    def test_theirClosing(self, first: str, interval: float) -> None:
        peer, webSocket = opened(closeTimeout=100, webSocketPingInterval=interval)
        if first == "close":
            results(webSocket.close())
        peer.server.setConfiguration(HttpServerConfiguration(closeTimeout=1, webSocketPingInterval=interval))
        results(webSocket.close())
        peer.advance(1)
        assert peer.transport.aborted

    @pytest.mark.parametrize("when", ["onConnect", "onOpen", "observer"])
    def test_whileItOpens(self, when: str) -> None:
        class Slow(WebSocket):
            def onConnect(self, request: Any) -> Any:
                return event

            def onOpen(self) -> None:
                change("onOpen")

        def change(now: str) -> None:
            if when == now:
                peer.server.setConfiguration(HttpServerConfiguration(maximumWebSocketMessageSize=3))

        event: Deferred[None] = Deferred()
        peer = offer()
        peer.server.newWebSocketConnection.connect(lambda: change("observer"))
        peer.server.webSocketProtocol = Slow
        peer.upgrade()
        change("onConnect")
        event.callback(None)
        assert peer.handshake().status == 101
        peer.send(text("four"))
        assert peer.closed()[0] == 1009

    def test_theyCountAsConnections(self) -> None:
        peer, _ = opened(maximumConnections=1)
        other = another(peer)
        assert other.response().status == 429
        other.leave()
        peer.part()
        connect(another(peer))

    def test_theyAreNotRequests(self) -> None:
        """What comes through a WebSocket has no rate of requests."""
        peer, webSocket = opened(rateLimitPerSecond=1)
        peer.send(*[text("x")] * 100)
        assert len(results(*[webSocket.receive() for _ in range(100)])) == 100
        webSocket.sendTextMessage("y")
        assert peer.frames() == [Frame(TEXT, b"y")]
