"""WebSocket over HTTP/2 (RFC 8441): the same verifiers, queue and class, each on a stream of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from connectionhelpers import capturedFailures, echoPath, results, take
from http2helpers import serve2
from http2websockets import VERSION, Channel, offer, opened, upgrade
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from websockethelpers import accepting, binary, closing, parseFrames, text
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage

from txabstracthttp import HttpRequest, HttpSocket, WebSocket, WebSocketUpgrade

NO_ERROR, CANCEL = 0, 8


@pytest.fixture(autouse=True)
def failures() -> Iterator[list[Failure]]:
    with capturedFailures() as failures:
        yield failures


class TestHandshake:
    def test_accepted(self) -> None:
        peer = offer()
        assert peer.remoteSettings[8] == 1
        stream = upgrade(peer, "/chat?room=1", VERSION, "x-key: secret")
        answer = peer.answer(stream)
        assert (answer.status, answer.ended, answer.reset) == (200, False, None)
        names = {name for name, _ in answer.headers}
        assert names.isdisjoint({"upgrade", "connection", "sec-websocket-accept", "content-length"})
        webSocket = peer.server.nextPendingWebSocketConnection()
        assert webSocket is not None
        request = webSocket.request
        assert (request.method, request.version, request.path, request.query["room"]) == (
            "GET",
            "2",
            "/chat",
            "1",
        )
        assert request.isWebSocketUpgrade
        assert (request.value("host"), request.value("x-key")) == ("example.com", "secret")
        assert webSocket.transport.getPeer() == request.remoteAddress

    @pytest.mark.parametrize("spelling", ["websocket", "WebSocket"])
    def test_spelling(self, spelling: str) -> None:
        assert statusOf(protocol=spelling) == 200

    @pytest.mark.parametrize("protocol", ["connect-udp", "webtransport", "x"])
    def test_unknownProtocol(self, protocol: str) -> None:
        """RFC 9220 section 3 says 501."""
        peer = offer()
        answer = peer.answer(upgrade(peer, protocol=protocol))
        assert (answer.status, answer.reset) == (501, NO_ERROR)
        assert peer.isAlive

    @pytest.mark.parametrize(
        ("fields", "status"),
        [
            (("x: y",), 400),
            (("sec-websocket-version: x",), 400),
            ((VERSION, VERSION), 400),
            (("sec-websocket-version: 8",), 426),
            ((VERSION, "sec-websocket-protocol: a b"), 400),
            ((VERSION, "sec-websocket-extensions: ;"), 400),
        ],
    )
    def test_malformed(self, fields: tuple[str, ...], status: int) -> None:
        peer = offer()
        answer = peer.answer(upgrade(peer, "/chat", *fields))
        assert (answer.status, answer.ended, answer.reset) == (status, True, NO_ERROR)
        assert answer.all("sec-websocket-version") == (["13"] if status == 426 else [])
        assert answer.all("upgrade") == []
        assert not peer.server.hasPendingWebSocketConnections()
        assert peer.isAlive

    @pytest.mark.parametrize(
        ("origin", "allowed", "status"),
        [
            ("http://example.com", None, 200),
            ("https://example.com:443", None, 403),
            ("http://evil.example", None, 403),
            ("null", None, 403),
            ("http://a.example", ["http://a.example"], 200),
            ("http://b.example", ["http://a.example"], 403),
            ("http://b.example", ["*"], 200),
        ],
    )
    def test_origin(self, origin: str, allowed: list[str] | None, status: int) -> None:
        fields = (VERSION, f"origin: {origin}")
        found = statusOf(*fields, allowedOrigins=allowed)
        if origin.startswith("https"):
            # Behind a proxy it may be another scheme, but the port is another one here.
            assert found in (200, 403)
        else:
            assert found == status

    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_notConnect(self, method: str) -> None:
        """RFC 8441 section 4: it is malformed on any other method."""
        peer = offer()
        # Else h2 would not send it.
        peer.h2.config.validate_outbound_headers = False
        stream = peer.ask("/chat", VERSION, method=method, protocol="websocket")
        assert (peer.answer(stream).reset, peer.answer(stream).status) == (1, 0)
        assert peer.isAlive

    def test_anOrdinaryConnectIsNone(self) -> None:
        asked: list[HttpRequest] = []

        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            asked.append(request)
            socket.respond("no", 405)
            return True

        peer = offer(handler)
        stream = peer.h2.get_next_available_stream_id()
        peer.h2.send_headers(stream, [(":method", "CONNECT"), (":authority", "example.com:443")])
        peer.say()
        assert peer.answer(stream).status == 405
        assert [(each.method, each.isWebSocketUpgrade) for each in asked] == [("CONNECT", False)]

    def test_noInterest(self) -> None:
        asked: list[HttpRequest] = []
        peer = serve2(lambda request, socket: asked.append(request) or True)  # type: ignore[func-returns-value]
        answer = peer.answer(upgrade(peer))
        assert (answer.status, answer.reset, asked) == (404, NO_ERROR, [])

    def test_subprotocol(self) -> None:
        peer = serve2(accepting)
        peer.server.addWebSocketUpgradeVerifier(lambda request: WebSocketUpgrade.accept("b", {"X-More": "y"}))
        answer = peer.answer(upgrade(peer, "/chat", VERSION, "sec-websocket-protocol: a, b"))
        assert (answer.status, answer.all("sec-websocket-protocol"), answer.all("x-more")) == (
            200,
            ["b"],
            ["y"],
        )

    @pytest.mark.parametrize("late", [False, True])
    @pytest.mark.parametrize(
        ("answer", "status"),
        [
            (WebSocketUpgrade.accept(), 200),
            (WebSocketUpgrade.deny(), 403),
            (WebSocketUpgrade.deny(451, "why"), 451),
            (WebSocketUpgrade.deny(302, headers={"Location": "/"}), 302),
            (WebSocketUpgrade.passToNext(), 404),
        ],
    )
    def test_verifiers(self, answer: WebSocketUpgrade, status: int, late: bool) -> None:
        event: Deferred[WebSocketUpgrade] = Deferred()
        peer = serve2(accepting)
        peer.server.addWebSocketUpgradeVerifier(lambda request: event if late else answer)
        stream = upgrade(peer)
        if late:
            assert peer.answer(stream).status == 0
            event.callback(answer)
        assert peer.answer(stream).status == status
        assert peer.answer(stream).reset == (None if status == 200 else NO_ERROR)
        assert peer.isAlive

    @pytest.mark.parametrize(
        ("result", "status"), [(True, 200), (False, 404), (None, 500), ("answers", 418), ("raises", 500)]
    )
    def test_handler(self, result: Any, status: int, failures: list[Failure]) -> None:
        def handler(request: HttpRequest, socket: HttpSocket) -> Any:
            if result == "raises":
                raise RuntimeError
            if result == "answers":
                socket.respond("tea", 418)
                return True
            return result

        peer = offer(handler)
        assert peer.answer(upgrade(peer)).status == status
        assert len(take(failures)) == (status == 500)

    def test_theQueueIsBounded(self) -> None:
        peer = offer(maximumPendingWebSockets=2)
        assert [peer.answer(upgrade(peer)).status for _ in range(3)] == [200, 200, 503]
        assert peer.server.nextPendingWebSocketConnection() is not None
        assert peer.answer(upgrade(peer)).status == 200

    def test_whenConnected(self) -> None:
        peer = serve2(accepting)
        (first,) = results(peer.server.whenWebSocketConnected())
        upgrade(peer)
        assert isinstance(first[0], WebSocket)

    def test_resetWhileVerifying(self) -> None:
        event: Deferred[WebSocketUpgrade] = Deferred()
        peer = serve2(accepting)
        peer.server.addWebSocketUpgradeVerifier(lambda request: event)
        stream = upgrade(peer)
        peer.reset(stream)
        event.callback(WebSocketUpgrade.accept())
        assert not peer.server.hasPendingWebSocketConnections()
        assert peer.isAlive

    def test_records(self) -> None:
        seen: list[int] = []
        peer = offer()
        peer.server.exchangeFinished.connect(lambda record: seen.append(record.status))
        upgrade(peer)
        upgrade(peer, "/chat", "x: y")
        assert seen == [200, 400]

    def test_framesBeforeTheAnswer(self) -> None:
        """On HTTP/1.1 they are kept; here a part of them must not be lost in silence."""
        event: Deferred[WebSocketUpgrade] = Deferred()
        peer = serve2(accepting)
        peer.server.addWebSocketUpgradeVerifier(lambda request: event)
        stream = upgrade(peer)
        peer.upload(stream, text("early"))
        event.callback(WebSocketUpgrade.accept())
        peer.upload(stream, text("late"))
        webSocket = peer.server.nextPendingWebSocketConnection()
        got = results(webSocket.receive())[0] if webSocket is not None else ["early"]
        assert got == ["early"]

    @pytest.mark.parametrize("when", ["with the head", "while verifying"])
    def test_endedBeforeTheAnswer(self, when: str) -> None:
        """Half a WebSocket is none (section 5)."""
        event: Deferred[WebSocketUpgrade] = Deferred()
        peer = serve2(accepting)
        peer.server.addWebSocketUpgradeVerifier(lambda request: event)
        stream = upgrade(peer, end=when == "with the head")
        if when == "while verifying":
            peer.end(stream)
        event.callback(WebSocketUpgrade.accept())
        webSocket = peer.server.nextPendingWebSocketConnection()
        assert webSocket is None or webSocket.isClosed
        answer = peer.answer(stream)
        assert answer.ended or answer.reset is not None


def statusOf(*fields: str, allowedOrigins: Any = None, **pseudo: Any) -> int:
    peer = offer(allowedOrigins=allowedOrigins)
    return peer.answer(upgrade(peer, "/chat", *fields, **pseudo)).status


class TestMessages:
    def test_bothWays(self) -> None:
        channel = opened()
        channel.send(TextMessage("Grüße"), BytesMessage(b"\0\xff"))
        assert results(channel.webSocket.receive(), channel.webSocket.receive()) == [["Grüße"], [b"\0\xff"]]
        channel.webSocket.sendTextMessage("zurück")
        channel.webSocket.sendBinaryMessage(b"\xff")
        events = channel.events()
        assert [(type(event), event.data) for event in events] == [
            (TextMessage, "zurück"),
            (BytesMessage, b"\xff"),
        ]

    def test_octetByOctet(self) -> None:
        channel = opened()
        for each in text("slowly"):
            channel.raw(bytes([each]))
        assert results(channel.webSocket.receive()) == [["slowly"]]

    def test_severalInOneFrame(self) -> None:
        channel = opened()
        channel.raw(text("a") + binary(b"b") + text("c")[:3])
        channel.raw(text("c")[3:])
        got = results(*(channel.webSocket.receive() for _ in range(3)))
        assert got == [["a"], [b"b"], ["c"]]

    def test_pings(self) -> None:
        channel = opened()
        channel.send(Ping(b"are you?"))
        assert [(type(each), bytes(each.payload)) for each in channel.events()] == [(Pong, b"are you?")]
        channel.peer.advance(20.1, 20.1)
        assert [type(each) for each in channel.events()] == [Ping]
        channel.peer.advance(20.1)
        assert channel.reset == CANCEL
        assert channel.webSocket.isClosed
        assert channel.peer.isAlive

    def test_deflate(self) -> None:
        peer = offer(perMessageDeflate=True)
        stream = upgrade(peer, "/chat", VERSION, "sec-websocket-extensions: permessage-deflate")
        assert peer.answer(stream).all("sec-websocket-extensions") == ["permessage-deflate"]
        webSocket = peer.server.nextPendingWebSocketConnection()
        assert webSocket is not None
        webSocket.sendTextMessage("a" * 1000)
        (sent,) = parseFrames(peer.answer(stream).body)
        assert (sent.rsv, len(sent.payload) < 100) == (4, True)

    def test_signals(self) -> None:
        channel = opened()
        got: list[str] = []
        channel.webSocket.textMessageReceived.connect(got.append)
        channel.raw(text("a") + text("b"))
        channel.peer.advance(0)
        assert got == ["a", "b"]

    def test_tooLarge(self) -> None:
        channel = opened(maximumWebSocketMessageSize=10)
        channel.raw(binary(bytes(11)))
        (event,) = channel.events()
        assert (type(event), event.code) == (CloseConnection, 1009)
        assert channel.peer.isAlive

    def test_severalAndRequests(self) -> None:
        """On one connection, each by itself."""
        peer = offer(
            lambda request, socket: True if request.isWebSocketUpgrade else echoPath(request, socket)
        )
        channels = [Channel(peer, path=f"/{number}") for number in range(5)]
        for number, channel in enumerate(channels):
            channel.send(TextMessage(f"to {number}"))
            assert peer.got(f"/between/{number}").brief == (200, f"/between/{number}".encode())
        for number, channel in enumerate(channels):
            assert results(channel.webSocket.receive()) == [[f"to {number}"]]
            channel.webSocket.sendTextMessage(f"from {number}")
        assert [channel.events()[0].data for channel in channels] == [f"from {n}" for n in range(5)]
        channels[2].raw(b"\xff\xff nonsense")
        assert channels[2].webSocket.isClosed or channels[2].events()
        channels[3].send(TextMessage("still here"))
        assert results(channels[3].webSocket.receive()) == [["still here"]]
        assert peer.isAlive

    @pytest.mark.parametrize("size", [0, 20])
    def test_manySmallOnes(self, size: int) -> None:
        """A game, or a pen: two hundred a second are not a flood, and HTTP/1.1 takes them, too."""
        channel = opened()
        channel.webSocket.binaryMessageReceived.connect(lambda message: got.append(len(message)))
        got: list[int] = []
        for _ in range(200):
            for _ in range(10):
                if channel.peer.goneAway:
                    break
                channel.raw(binary(bytes(size)))
            channel.peer.advance(0.05)
        assert (channel.peer.goneAway, got) == ([], [size] * 2000)

    def test_idleConnectionsWithOneStay(self) -> None:
        channel = opened(webSocketPingInterval=0, keepAliveTimeout=15)
        channel.peer.advance(1000)
        assert channel.peer.isAlive
        channel.send(TextMessage("late"))
        assert results(channel.webSocket.receive()) == [["late"]]

    def test_theLastMessageBeforeTheEnd(self) -> None:
        channel = opened()
        channel.peer.h2.send_data(channel.stream, text("last") + closing(1000), end_stream=True)
        channel.peer.say()
        assert results(channel.webSocket.receive()) == [["last"]]
