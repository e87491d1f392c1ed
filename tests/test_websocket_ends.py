"""How WebSockets end where somebody makes it hard: each was a bug once."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from autobahn.twisted.websocket import WebSocketServerProtocol
from connectionhelpers import capturedFailures, results, take
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from websockethelpers import BINARY, closing, connect, frame, offer, opened, text

from txabstracthttp import WebSocket, WebSocketClosed, _channel


@pytest.fixture(autouse=True)
def failures() -> Iterator[list[Failure]]:
    with capturedFailures() as failures:
        yield failures


class ByName(WebSocketServerProtocol):
    """Calls what it overrides by the name of its base, as many do."""

    def __init__(self) -> None:
        WebSocketServerProtocol.__init__(self)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        WebSocketServerProtocol.connectionLost(self, reason)


def test_basesThatAreCalledByName() -> None:
    peer, webSocket = opened(kind=ByName)
    message, end = results(webSocket.receive(), webSocket.close())
    peer.leave(ConnectionLost())
    message[0].trap(WebSocketClosed)
    assert end == [None]
    assert peer.conversation.clock.getDelayedCalls() == []


def test_once() -> None:
    peer, webSocket = opened()
    ends: list[Any] = []
    webSocket.disconnected.connect(lambda code, reason: ends.append(code))
    results(peer.server.close(0))
    peer.leave(ConnectionLost())
    assert ends == [1006]


def test_behindTheLastMessages() -> None:
    """Who takes it from the queue when it has ended hears of the end, too, and at the end."""
    peer = offer()
    peer.server.newWebSocketConnection.connect(lambda: None)
    peer.upgrade()
    peer.handshake()
    peer.send(text("last words") + closing())
    peer.leave()
    webSocket = peer.server.nextPendingWebSocketConnection()
    assert webSocket is not None
    told: list[Any] = []
    webSocket.textMessageReceived.connect(told.append)
    webSocket.disconnected.connect(lambda code, reason: told.append(code))
    peer.advance(0)
    assert told == ["last words", 1005]


def test_aFinalBlock() -> None:
    """RFC 7692 section 7.2.3.4: a block may be the last one, and then comes the next message."""

    def final(data: bytes) -> bytes:
        compressor = zlib.compressobj(wbits=-15)
        return compressor.compress(data) + compressor.flush() + b"\0"

    peer, webSocket = opened("Sec-WebSocket-Extensions: permessage-deflate", perMessageDeflate=True)
    peer.send(frame(BINARY, final(b"first"), rsv=4) + frame(BINARY, final(b"second"), rsv=4))
    assert results(webSocket.receive(), webSocket.receive()) == [[b"first"], [b"second"]]
    peer.send(frame(BINARY, final(b"x") + bytes(1000), rsv=4))
    assert peer.closed()[0] == 1007


@pytest.mark.parametrize("name", ["onMessageBegin", "onMessageFrameData", "onMessageEnd"])
def test_partsThatFail(name: str, failures: list[Failure]) -> None:
    def fail(self: WebSocket, *arguments: Any) -> None:
        raise ZeroDivisionError

    peer, _ = opened(kind=type("Failing", (WebSocket,), {name: fail}))
    peer.send(text("a") + text("b"))
    assert take(failures) == [ZeroDivisionError]
    assert peer.closed()[0] == 1011


class Producer:
    def __init__(self) -> None:
        self.told: list[str] = []

    def resumeProducing(self) -> None:
        self.told.append("resume")

    def stopProducing(self) -> None:
        self.told.append("stop")


@pytest.mark.parametrize("how", ["closing", "closed"])
def test_producersThatCome(how: str) -> None:
    peer, webSocket = opened()
    results(webSocket.close())
    if how == "closed":
        peer.part()
    producer = Producer()
    webSocket.registerProducer(producer, False)
    peer.advance(0)
    assert producer.told == ["stop"]


def test_producersThatAreThere() -> None:
    _, webSocket = opened()
    producer = Producer()
    webSocket.registerProducer(producer, False)
    results(webSocket.close())
    assert producer.told[-1] == "stop"


def test_closedByWhoKeepsTheLog() -> None:
    peer = offer()
    peer.server.exchangeFinished.connect(lambda record: results(peer.server.close()) and None)
    peer.upgrade()
    assert peer.handshake().status == 101
    assert peer.closed() == (1001, "")


def test_manySmallMessages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Octets are not all that messages cost: a peer that does not read gets no million of them."""
    monkeypatch.setattr(_channel, "MOST_WAITING", 100)
    peer, webSocket = opened()
    peer.transport.stuck = True
    webSocket.sendBinaryMessage(bytes(100_000))
    for _ in range(100):
        webSocket.sendTextMessage("x")
    assert not peer.transport.aborted
    webSocket.sendTextMessage("x")
    assert peer.transport.aborted


def test_listenersThatHaveGone() -> None:
    peer, webSocket = opened()

    def listen(payload: bytes, is_binary: bool) -> None: ...

    webSocket.on("message", listen)
    webSocket.off("message", listen)
    peer.send(text("a"))
    assert results(webSocket.receive()) == [["a"]]


@pytest.mark.parametrize("answer", [(None,), (None, None), ("chat", None)])
def test_whatOnConnectMayReturn(answer: Any) -> None:
    peer = offer()
    peer.server.webSocketProtocol = type("K", (WebSocket,), {"onConnect": lambda self, request: answer})
    webSocket = connect(peer, "Sec-WebSocket-Protocol: chat")
    assert webSocket.subprotocol == answer[0]
