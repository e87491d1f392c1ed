"""The handshake of a WebSocket in octets: what is refused, what is said, and what the two ends agree upon."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from connectionhelpers import capturedFailures, echoPath, get, results, serve, take
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from websockethelpers import (
    ACCEPT,
    KEY,
    TEXT,
    Peer,
    connect,
    frame,
    offer,
    opened,
    text,
    upgrade,
)

from txabstracthttp import (
    ExchangeRecord,
    HttpRequest,
    HttpServerConfiguration,
    HttpSocket,
    WebSocketUpgrade,
)


@pytest.fixture(autouse=True)
def failures() -> Iterator[list[Failure]]:
    with capturedFailures() as failures:
        yield failures


def untouched(request: HttpRequest, socket: HttpSocket) -> bool:
    raise AssertionError("nobody should have asked")


def accepted(upgrade: WebSocketUpgrade, *fields: str) -> Peer:
    """A peer that asked for a WebSocket, with a verifier that answers with `upgrade`."""
    peer = Peer(serve(untouched))
    peer.server.addWebSocketUpgradeVerifier(lambda request: upgrade)
    peer.upgrade(*fields)
    return peer


class TestRefusals:
    @pytest.mark.parametrize(
        "request_",
        [
            upgrade(version="8"),
            upgrade(version="x"),
            upgrade(key="short"),
            upgrade("/chat", "Origin: https://evil.example"),
        ],
    )
    @pytest.mark.parametrize("withVerifier", [False, True])
    def test_nobodyIsAsked(self, request_: bytes, withVerifier: bool) -> None:
        """What stands behind a refused upgrade is never looked at, even if it comes later."""

        def verifier(request: HttpRequest) -> WebSocketUpgrade:
            raise AssertionError("nobody should have asked")

        peer = offer(untouched)
        if withVerifier:
            peer.server.addWebSocketUpgradeVerifier(verifier)
        peer.send(request_ + get("/smuggled"))
        assert peer.response().status in (400, 403, 426)
        peer.send(get("/smuggled"))
        assert peer.transport.writes == []

    @pytest.mark.parametrize("version", ["0", "7", "8", "12", "14", "99", "255"])
    def test_otherVersions(self, version: str) -> None:
        """RFC 6455 section 4.2.2, RFC 9110 section 15.5.22."""
        peer = offer(untouched)
        peer.send(upgrade(version=version))
        handshake = peer.handshake()
        assert handshake.status == 426
        assert handshake.all("Sec-WebSocket-Version") == ["13"]
        assert handshake.all("Upgrade") == ["websocket"]
        assert "upgrade" in ", ".join(handshake.all("Connection")).lower()
        assert "close" in ", ".join(handshake.all("Connection"))
        assert not peer.conversation.open

    @pytest.mark.parametrize(
        "request_",
        [
            upgrade(version=""),
            upgrade(version="13, 8"),
            upgrade(version="+13"),
            upgrade("/chat", "Sec-WebSocket-Version: 13"),
            upgrade(key=""),
            upgrade(key="dGhlIHNhbXBsZSBub25j"),
            upgrade(key=KEY + "="),
            upgrade(key=KEY.replace("Q==", "R==")),
            upgrade(key=KEY[1:]),
            upgrade("/chat", f"Sec-WebSocket-Key: {KEY}"),
            upgrade("/chat", "Sec-WebSocket-Protocol: a b"),
            upgrade("/chat", "Sec-WebSocket-Extensions: ;"),
            upgrade("/chat", "Content-Length: 3") + b"abc",
            upgrade("/chat", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
            upgrade().replace(b"GET", b"POST", 1),
            upgrade().replace(f"Sec-WebSocket-Key: {KEY}\r\n".encode(), b""),
            upgrade().replace(b"Sec-WebSocket-Version: 13\r\n", b""),
        ],
    )
    def test_malformed(self, request_: bytes) -> None:
        peer = offer(untouched)
        peer.send(request_)
        assert peer.response().status == 400

    def test_http10HasNoUpgrades(self) -> None:
        """RFC 9110 section 7.8: it is an ordinary request then."""
        peer = offer(echoPath)
        peer.send(upgrade().replace(b"HTTP/1.1", b"HTTP/1.0", 1))
        assert peer.conversation.response().body == b"/chat"

    @pytest.mark.parametrize(
        ("origin", "allowed", "isAllowed"),
        [
            (None, None, True),
            ("http://example.com", None, True),
            ("https://EXAMPLE.com", None, True),
            ("http://example.com:8080", None, False),
            ("http://example.com.evil.example", None, False),
            ("https://evil.example", None, False),
            ("null", None, False),
            ("", None, False),
            (None, ["https://a.example"], False),
            ("https://a.example", ["https://a.example"], True),
            ("http://a.example", ["https://a.example"], False),
            ("http://example.com", ["https://a.example"], False),
            ("null", ["null"], True),
            ("https://evil.example", ["*"], True),
            (None, ["*"], True),
            ("http://example.com", [], False),
        ],
    )
    def test_origins(self, origin: str | None, allowed: list[str] | None, isAllowed: bool) -> None:
        """RFC 6455 section 10.2; without it any page could open a WebSocket in the name of its visitor."""
        peer = offer(allowedOrigins=allowed)
        peer.upgrade(*([] if origin is None else [f"Origin: {origin}"]))
        if isAllowed:
            assert peer.handshake().status == 101
        else:
            assert peer.response().status == 403

    def test_twoOrigins(self) -> None:
        peer = offer(untouched, allowedOrigins=["*"])
        peer.upgrade("Origin: http://example.com", "Origin: http://evil.example")
        assert peer.response().status == 400


class TestOctets:
    def test_exactly(self) -> None:
        """RFC 6455 section 1.3."""
        peer = offer()
        peer.upgrade()
        lines = peer.transport.value.split(b"\r\n")
        assert lines.pop(1).startswith(b"Date: ")
        assert lines == [
            b"HTTP/1.1 101 Switching Protocols",
            b"Upgrade: websocket",
            b"Connection: Upgrade",
            b"Sec-WebSocket-Accept: " + ACCEPT.encode(),
            b"",
            b"",
        ]

    def test_serverField(self) -> None:
        peer = offer(serverHeader="ours/1")
        peer.upgrade()
        assert peer.handshake().all("Server") == ["ours/1"]

    @pytest.mark.parametrize("name", ["Upgrade: WebSocket", "upgrade: h2c, websocket", "UPGRADE: WEBSOCKET"])
    @pytest.mark.parametrize("connection", ["Connection: keep-alive, Upgrade", "connection: UPGRADE"])
    def test_otherWaysToSayIt(self, name: str, connection: str) -> None:
        data = upgrade().replace(b"Upgrade: websocket", name.encode())
        peer = offer()
        peer.send(data.replace(b"Connection: Upgrade", connection.encode()))
        assert peer.handshake().status == 101

    @pytest.mark.parametrize("secure", [False, True])
    def test_byTheOctet(self, secure: bool) -> None:
        peer = offer(secure=secure)
        peer.send(*[bytes([octet]) for octet in upgrade() + text("early")])
        assert peer.handshake().status == 101
        webSocket = peer.server.nextPendingWebSocketConnection()
        assert webSocket is not None
        assert results(webSocket.receive()) == [["early"]]

    def test_octetsBehindItAreMessages(self) -> None:
        webSocket = connect(offer(), early=text("a") + frame(2, b"b") + text("c"))
        assert results(*[webSocket.receive() for _ in range(4)]) == [["a"], [b"b"], ["c"], []]

    @pytest.mark.parametrize("end", [3, 7])
    def test_partOfAFrameBehindIt(self, end: int) -> None:
        data = text("abc")
        peer = offer()
        webSocket = connect(peer, early=data[:end])
        (message,) = results(webSocket.receive())
        peer.send(data[end:])
        assert message == ["abc"]

    def test_octetsWhileItIsDecided(self) -> None:
        """However many come, they are kept, and then read from their beginning."""
        event: Deferred[bool] = Deferred()
        peer = offer(lambda request, socket: event)
        peer.upgrade(early=text("0"))
        for number in range(1, 100):
            peer.send(text(str(number) * 1000))
        assert not peer.transport.reading
        event.callback(True)
        webSocket = peer.server.nextPendingWebSocketConnection()
        assert webSocket is not None
        got = [each[0] for each in results(*[webSocket.receive() for _ in range(100)])]
        assert got == ["0", *[str(number) * 1000 for number in range(1, 100)]]
        assert peer.transport.reading

    def test_theAccessLog(self) -> None:
        records: list[ExchangeRecord] = []
        peer = offer()
        peer.server.exchangeFinished.connect(records.append)
        peer.upgrade()
        assert [(each.status, each.size) for each in records] == [(101, 0)]
        assert records[0].request is not None
        assert records[0].request.path == "/chat"
        peer.send(text("x"))
        peer.leave()
        assert len(records) == 1

    def test_nothingOfHttpStays(self) -> None:
        """Neither the deadline for the next request, nor that of the handler."""
        limits: dict[str, Any] = {
            "keepAliveTimeout": 1,
            "headerTimeout": 1,
            "handlerTimeout": 1,
            "bodyTimeout": 1,
        }
        peer, webSocket = opened(webSocketPingInterval=0, **limits)
        peer.advance(100)
        assert peer.conversation.open
        assert peer.conversation.clock.getDelayedCalls() == []
        peer.send(text("still here"))
        assert results(webSocket.receive()) == [["still here"]]


class TestSubprotocols:
    @pytest.mark.parametrize("chosen", ["chat", "superchat"])
    def test_oneOfThose(self, chosen: str) -> None:
        peer = accepted(WebSocketUpgrade.accept(chosen), "Sec-WebSocket-Protocol: chat, superchat")
        assert peer.handshake().all("Sec-WebSocket-Protocol") == [chosen]
        webSocket = peer.server.nextPendingWebSocketConnection()
        assert webSocket is not None
        assert webSocket.subprotocol == chosen

    def test_inSeveralFields(self) -> None:
        fields = ("Sec-WebSocket-Protocol: a", "Sec-WebSocket-Protocol: b,c")
        peer = accepted(WebSocketUpgrade.accept("c"), *fields)
        assert peer.handshake().all("Sec-WebSocket-Protocol") == ["c"]

    def test_noneOfThem(self) -> None:
        for fields in (["Sec-WebSocket-Protocol: chat"], []):
            assert opened(*fields)[1].subprotocol is None

    @pytest.mark.parametrize("fields", [[], ["Sec-WebSocket-Protocol: chat, SuperChat"]])
    def test_notOffered(self, fields: list[str], failures: list[Failure]) -> None:
        """A client fails a connection with a subprotocol that it did not ask for: better to say so."""
        peer = accepted(WebSocketUpgrade.accept("superchat"), *fields)
        assert peer.response().status == 500
        assert take(failures) == [ValueError]
        assert not peer.server.hasPendingWebSocketConnections()

    @pytest.mark.parametrize("name", ["", "a b", "a,b", "a\r\nX: y", "ä", "a\0", b"chat", 5])
    def test_noToken(self, name: Any) -> None:
        with pytest.raises(ValueError, match="a subprotocol is a token"):
            WebSocketUpgrade.accept(name)


class TestFields:
    def test_more(self) -> None:
        peer = accepted(WebSocketUpgrade.accept(headers=[("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]))
        handshake = peer.handshake()
        assert (handshake.status, handshake.all("Set-Cookie")) == (101, ["a=1", "b=2"])

    @pytest.mark.parametrize(
        "fields",
        [
            {"X": "a\r\nY: b"},
            {"X": "a\nb"},
            {"X": "a\0"},
            {"X\r\nY": "a"},
            {"X Y": "a"},
            {"": "a"},
            {"ä": "a"},
        ],
    )
    def test_whatMustNotBeSent(self, fields: dict[str, str]) -> None:
        with pytest.raises(ValueError):
            WebSocketUpgrade.accept(headers=fields)

    @pytest.mark.parametrize(
        "name",
        [
            "Connection",
            "upgrade",
            "Sec-WebSocket-Accept",
            "sec-websocket-protocol",
            "Sec-WebSocket-Extensions",
            "Sec-WebSocket-Version",
            "Content-Length",
            "Transfer-Encoding",
        ],
    )
    def test_whatTheHandshakeSaysItself(self, name: str) -> None:
        with pytest.raises(ValueError, match="for the handshake to say"):
            WebSocketUpgrade.accept(headers={name: "x"})

    def test_aVerifierThatTries(self, failures: list[Failure]) -> None:
        """What a client sends must not get into the head of the answer."""
        peer = Peer(serve(untouched))
        peer.server.addWebSocketUpgradeVerifier(
            lambda request: WebSocketUpgrade.accept(headers={"X-Room": request.query["room"]})
        )
        peer.upgrade(target="/chat?room=a%0d%0aSet-Cookie:%20b=1")
        response = peer.response()
        assert (response.status, response.all("Set-Cookie")) == (500, [])
        assert take(failures) == [ValueError]


DEFLATE = "permessage-deflate"


class TestDeflate:
    """RFC 7692."""

    def offers(self, offers: str, **options: Any) -> list[str]:
        peer = offer(**{"perMessageDeflate": True, **options})
        peer.upgrade(f"Sec-WebSocket-Extensions: {offers}")
        handshake = peer.handshake()
        assert handshake.status == 101
        return handshake.all("Sec-WebSocket-Extensions")

    @pytest.mark.parametrize(
        ("offers", "agreed"),
        [
            (DEFLATE, DEFLATE),
            (f"{DEFLATE}; client_max_window_bits", DEFLATE),
            (f"{DEFLATE}; client_max_window_bits=12", DEFLATE),
            (f"{DEFLATE}; client_no_context_takeover", DEFLATE),
            (f"{DEFLATE}; server_no_context_takeover", f"{DEFLATE}; server_no_context_takeover"),
            (f"{DEFLATE}; server_max_window_bits=10", f"{DEFLATE}; server_max_window_bits=10"),
            (f'{DEFLATE}; server_max_window_bits="10"', f"{DEFLATE}; server_max_window_bits=10"),
            (f"x-unknown; a=b, {DEFLATE}", DEFLATE),
            (f"{DEFLATE}; server_max_window_bits=8, {DEFLATE}", DEFLATE),
            (
                f"{DEFLATE}; x=1, {DEFLATE}; server_max_window_bits=11",
                f"{DEFLATE}; server_max_window_bits=11",
            ),
        ],
    )
    def test_agreed(self, offers: str, agreed: str) -> None:
        assert self.offers(offers) == [agreed]

    @pytest.mark.parametrize(
        "offers",
        [
            f"{DEFLATE}; server_max_window_bits=8",
            f"{DEFLATE}; client_max_window_bits=8",
            f"{DEFLATE}; server_max_window_bits=16",
            f"{DEFLATE}; server_max_window_bits",
            f"{DEFLATE}; server_max_window_bits=10; server_max_window_bits=10",
            f"{DEFLATE}; server_no_context_takeover=1",
            f"{DEFLATE}; unknown",
            "x-webkit-deflate-frame",
            "permessage-bzip2",
        ],
    )
    def test_declined(self, offers: str) -> None:
        """Section 7: what we cannot do is declined, and the WebSocket opens without."""
        assert self.offers(offers) == []

    def test_off(self) -> None:
        assert self.offers(DEFLATE, perMessageDeflate=False) == []
        assert not HttpServerConfiguration().perMessageDeflate

    def test_messages(self) -> None:
        peer, webSocket = opened(f"Sec-WebSocket-Extensions: {DEFLATE}", perMessageDeflate=True)
        compressor = zlib.compressobj(wbits=-15)
        for message in ("abc" * 100, "abc" * 100, ""):
            data = compressor.compress(message.encode()) + compressor.flush(zlib.Z_SYNC_FLUSH)
            peer.send(frame(TEXT, data.removesuffix(b"\0\0\xff\xff"), rsv=4))
            assert results(webSocket.receive()) == [[message]]
        peer.send(text("plain"))
        assert results(webSocket.receive()) == [["plain"]]
        decompressor = zlib.decompressobj(wbits=-15)
        for _ in range(2):
            webSocket.sendTextMessage("abc" * 100)
            (sent,) = peer.frames()
            assert (sent.opcode, sent.rsv, sent.fin) == (TEXT, 4, True)
            assert len(sent.payload) < 20
            assert decompressor.decompress(sent.payload + b"\0\0\xff\xff") == b"abc" * 100

    def test_rsvWithoutIt(self) -> None:
        peer, _ = opened(f"Sec-WebSocket-Extensions: {DEFLATE}")
        peer.send(frame(TEXT, b"abc", rsv=4))
        assert peer.closed()[0] == 1002
