"""Filters hold on every way in: HTTP/1.1 and HTTP/2, in cleartext and over TLS, and WebSockets on both.

What an `Admission` decides is `tests/test_admission.py`'s business; here it is whom that reaches, and that
nothing of the application ever runs for those it refuses.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import http2websockets
import pytest
import websockethelpers
from connectionhelpers import (
    Conversation,
    FakeTcpTransport,
    FakeTlsTransport,
    FakeTransport,
    SteadyClock,
    get,
    post,
)
from http2helpers import PREFACE, SETTINGS, Http2Peer, StreamingServer, connect2, frame
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress

from txabstracthttp import HttpRequest, HttpServerConfiguration, HttpSocket, WebSocketUpgrade


def v4(last: int, port: int = 1) -> IPv4Address:
    return IPv4Address("TCP", f"198.51.100.{last}", port)


def v6(host: str) -> IPv6Address:
    return IPv6Address("TCP", host, 1)


GOOD, BAD, UNIX = v4(1), v4(66), UNIXAddress(None)
OPEN, FORBIDDEN = HttpServerConfiguration(), HttpServerConfiguration(blacklist=[BAD.host])


class Witness(StreamingServer):
    """Notes whatever the application is asked.

    :ivar ran: the hooks that were called.
    :ivar clock: what tells the time here.
    """

    def __init__(self, configuration: HttpServerConfiguration, *, verifies: bool = True) -> None:
        self.clock = SteadyClock()
        super().__init__(self._note, self.clock, configuration)
        self.ran: list[str] = []
        self.missingHandler.connect(lambda request, socket: self.ran.append("missingHandler"))
        self.newWebSocketConnection.connect(lambda: self.ran.append("newWebSocketConnection"))
        if verifies:
            self.addWebSocketUpgradeVerifier(self._verify)

    def _note(self, request: HttpRequest, socket: HttpSocket) -> bool:
        self.ran.append("handleRequest")
        if request.path == "/missing":
            return False
        if not request.isWebSocketUpgrade:
            socket.respond("served")
        return True

    def _verify(self, request: HttpRequest) -> WebSocketUpgrade:
        self.ran.append("verifier")
        return WebSocketUpgrade.accept()

    def streamsBody(self, request: HttpRequest) -> bool:
        self.ran.append("streamsBody")
        return True

    def meet(self, peer: IAddress, secure: bool = False, protocol: bytes | None = None) -> Conversation:
        """A connection of `peer`, which has said nothing yet but what TLS is about."""
        transport: FakeTransport = (FakeTlsTransport if secure else FakeTcpTransport)(peer)
        if secure:
            transport.negotiatedProtocol = protocol  # type: ignore[attr-defined]
        conversation = Conversation(self, self.clock, transport)
        if secure:
            conversation.connection.handshakeCompleted()
        return conversation


class Way(NamedTuple):
    """How a peer comes: over TLS or not, and what it speaks."""

    secure: bool
    isHttp2: bool

    def come(self, server: Witness, peer: IAddress) -> Conversation | Http2Peer:
        if self.isHttp2:
            return connect2(server, server.clock, secure=self.secure, peer=peer)
        return server.meet(peer, self.secure)


WAYS = {
    "h1": Way(False, False),
    "h1 over TLS": Way(True, False),
    "h2": Way(False, True),
    "h2 over TLS": Way(True, True),
}
KINDS = ["GET", "POST", "missing", "upgrade"]

ways = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


def ask(visitor: Conversation | Http2Peer, kind: str = "GET") -> int:
    """The status of a request of this kind."""
    if isinstance(visitor, Http2Peer):
        return _ask2(visitor, kind)
    visitor.send(
        {
            "GET": get(),
            "POST": post(b"content"),
            "missing": get("/missing"),
            "upgrade": websockethelpers.upgrade(),
        }[kind]
    )
    written = visitor.transport.value
    visitor.transport.writes.clear()
    return int(written.split(b" ")[1])


def _ask2(peer: Http2Peer, kind: str) -> int:
    if kind == "upgrade":
        return peer.answer(http2websockets.upgrade(peer)).status
    if kind == "POST":
        return peer.got(method="POST", body=b"content").status
    return peer.got("/missing" if kind == "missing" else "/").status


REASONS: dict[str, tuple[int, dict[str, Any]]] = {
    "blacklist": (403, {"blacklist": [BAD.host]}),
    "whitelist": (403, {"whitelist": [GOOD.host]}),
    "maximumConnections": (429, {"maximumConnections": 1}),
    "maximumConnectionsPerHost": (429, {"maximumConnectionsPerHost": 1}),
}

#: The head of a GET, as far as a peer gets that is not listened to.
HTTP2_OPENING = PREFACE + SETTINGS + frame(1, 5, 1, b"\x82")
OPENINGS = {
    "nothing": (),
    "a request": (get(),),
    "many": (get() * 100, get("/missing")),
    "content": (post(b"content"),),
    "an upgrade": (websockethelpers.upgrade(), websockethelpers.text("x")),
    "HTTP/2": (HTTP2_OPENING,),
    "rubbish": (b"\x00" * 1000,),
    "a trickle": tuple(bytes([each]) for each in get()),
}

openings = pytest.mark.parametrize("octets", OPENINGS.values(), ids=OPENINGS)


@pytest.mark.parametrize("reason", REASONS)
class TestRefusedConnections:
    """They are told so, and nothing of what they say is looked at."""

    def crowded(self, reason: str) -> Witness:
        server = Witness(HttpServerConfiguration(**REASONS[reason][1]))
        if reason in ("maximumConnections", "maximumConnectionsPerHost"):
            server.meet(BAD)
        return server

    @openings
    @pytest.mark.parametrize("secure", [False, True])
    def test_http1(self, secure: bool, octets: tuple[bytes, ...], reason: str) -> None:
        server = self.crowded(reason)
        refused = server.meet(BAD, secure)
        assert refused.transport.value.startswith(b"HTTP/1.1 %d " % REASONS[reason][0])
        self.saysNoMore(refused, octets)
        assert server.ran == []

    @openings
    def test_http2(self, octets: tuple[bytes, ...], reason: str) -> None:
        """Where it was negotiated: GOAWAY, in its own language."""
        server = self.crowded(reason)
        refused = server.meet(BAD, True, b"h2")
        kinds = frameKinds(refused.transport.value)
        assert kinds[-1] == 7
        assert 1 not in kinds
        self.saysNoMore(refused, octets)
        assert server.ran == []

    def saysNoMore(self, refused: Conversation, octets: tuple[bytes, ...]) -> None:
        refused.transport.writes.clear()
        refused.send(*octets)
        refused.advance(20)
        assert refused.transport.writes == []
        assert refused.transport.closed
        refused.leave()


def frameKinds(data: bytes) -> list[int]:
    """The types of the HTTP/2 frames that `data` is."""
    kinds = []
    while data:
        kinds.append(data[3])
        data = data[9 + int.from_bytes(data[:3], "big") :]
    return kinds


@ways
@pytest.mark.parametrize("kind", KINDS)
class TestRefusedRequests:
    """On connections that were open before."""

    def test_blacklistedMeanwhile(self, kind: str, way: Way) -> None:
        server = Witness(OPEN)
        visitor = way.come(server, BAD)
        assert ask(visitor) == 200
        server.ran.clear()
        server.setConfiguration(FORBIDDEN)
        assert ask(visitor, kind) == 403
        assert server.ran == []

    def test_notOnTheWhitelist(self, kind: str, way: Way) -> None:
        server = Witness(OPEN)
        visitor = way.come(server, BAD)
        server.setConfiguration(HttpServerConfiguration(whitelist=[GOOD.host]))
        assert ask(visitor, kind) == 403
        assert server.ran == []

    def test_tooMany(self, kind: str, way: Way) -> None:
        server = Witness(HttpServerConfiguration(rateLimitPerSecond=2))
        visitor = way.come(server, BAD)
        assert [ask(visitor), ask(visitor)] == [200, 200]
        server.ran.clear()
        assert ask(visitor, kind) == 429
        assert server.ran == []

    def test_eachKindCounts(self, kind: str, way: Way) -> None:
        server = Witness(HttpServerConfiguration(rateLimitPerSecond=1))
        assert ask(way.come(server, v4(7, 1)), kind) < 429
        assert ask(way.come(server, v4(7, 2))) == 429
        assert ask(way.come(server, v4(8))) == 200
        server.clock.advance(1)
        assert ask(way.come(server, v4(7, 3))) == 200


class TestOnePeer:
    """Whichever way it comes, it is the same peer."""

    @pytest.mark.parametrize(
        ("one", "same", "other"),
        [
            (v4(7, 1), v4(7, 2), v4(8)),
            (v4(7), v6("::ffff:198.51.100.7"), v6("::ffff:198.51.100.8")),
            (v6("2001:db8::1"), v6("2001:db8::ffff:0:0:1"), v6("2001:db8:0:1::1")),
            (v6("fe80::1%eth0"), v6("fe80::2%eth1"), v6("fe81::1")),
        ],
        ids=["port", "mapped", "/64", "scope"],
    )
    @ways
    def test_rate(self, way: Way, one: IAddress, same: IAddress, other: IAddress) -> None:
        server = Witness(HttpServerConfiguration(rateLimitPerSecond=1))
        assert ask(WAYS["h1"].come(server, one)) == 200
        assert ask(way.come(server, same)) == 429
        assert ask(way.come(server, other)) == 200

    @ways
    def test_unixPeersAreExempt(self, way: Way) -> None:
        configuration = HttpServerConfiguration(
            rateLimitPerSecond=1, maximumConnectionsPerHost=1, whitelist=["10.0.0.0/8"], blacklist=["::/0"]
        )
        server = Witness(configuration)
        visitors = [way.come(server, UNIX) for _ in range(3)]
        assert [ask(each) for each in visitors * 3] == [200] * 9

    @ways
    def test_butTheyAreConnections(self, way: Way) -> None:
        server = Witness(HttpServerConfiguration(maximumConnections=1))
        assert ask(way.come(server, UNIX)) == 200
        refused = server.meet(UNIX)
        assert refused.statuses() == [429]

    def test_otherNetworks(self) -> None:
        """Endpoints of other networks, such as I2P's, have hosts that are no IP addresses."""

        class Destination(UNIXAddress):
            host = "example.i2p"

        server = Witness(OPEN)
        assert ask(WAYS["h1"].come(server, Destination(None))) == 200


class TestWebSockets:
    def test_theyAreNotClosed(self) -> None:
        """A change of the filters is for requests and connections to come: a WebSocket is neither."""
        server = Witness(OPEN, verifies=False)
        conversation = server.meet(BAD)
        peer = websockethelpers.Peer(conversation)
        webSocket = websockethelpers.connect(peer)
        webSocket.textMessageReceived.connect(webSocket.sendTextMessage)
        server.setConfiguration(FORBIDDEN)
        peer.advance(0)
        peer.send(websockethelpers.text("still here"))
        assert peer.messages() == ["still here"]
        assert ask(server.meet(GOOD)) == 200

    @pytest.mark.parametrize("secure", [False, True])
    def test_norOnHttp2(self, secure: bool) -> None:
        """But further requests on that connection are refused, other WebSockets among them."""
        server = Witness(OPEN, verifies=False)
        peer = connect2(server, server.clock, secure=secure, peer=BAD)
        channel = http2websockets.Channel(peer)
        received: list[str] = []
        channel.webSocket.textMessageReceived.connect(received.append)
        peer.advance(0)
        server.setConfiguration(FORBIDDEN)
        server.ran.clear()
        assert [ask(peer, kind) for kind in KINDS] == [403] * 4
        channel.raw(websockethelpers.text("still here"))
        assert (received, server.ran, channel.reset) == (["still here"], [], None)

    def test_onHttp2TheConnectionCounts(self) -> None:
        server = Witness(HttpServerConfiguration(maximumConnections=1))
        peer = connect2(server, server.clock, peer=GOOD)
        channel = http2websockets.Channel(peer)
        assert server.meet(GOOD).statuses() == [429]
        peer.reset(channel.stream)
        assert server.meet(GOOD).statuses() == [429]
        peer.leave()
        assert ask(server.meet(GOOD)) == 200

    def test_onesThatWaitForAVerifierCount(self) -> None:
        server = Witness(HttpServerConfiguration(maximumConnectionsPerHost=1))
        server.addWebSocketUpgradeVerifier(lambda request: WebSocketUpgrade.deny())
        first = server.meet(GOOD)
        first.send(websockethelpers.upgrade()[:-1])
        assert server.meet(GOOD).statuses() == [429]
        first.leave()
        assert ask(server.meet(GOOD)) == 200

    @ways
    def test_messagesAreNoRequests(self, way: Way) -> None:
        server = Witness(HttpServerConfiguration(rateLimitPerSecond=1), verifies=False)
        visitor = way.come(server, GOOD)
        assert ask(visitor, "upgrade") in (101, 200)
        webSocket = server.nextPendingWebSocketConnection()
        assert webSocket is not None
        received: list[str] = []
        webSocket.textMessageReceived.connect(received.append)
        visitor.advance(0)
        many = websockethelpers.text("x") * 50
        if isinstance(visitor, Http2Peer):
            visitor.upload(1, many)
        else:
            visitor.send(many)
        assert received == ["x"] * 50


class TestSeveralServers:
    def test_aSharedConfigurationSharesNoCounts(self) -> None:
        shared = HttpServerConfiguration(
            maximumConnections=1, maximumConnectionsPerHost=1, rateLimitPerSecond=1
        )
        one, other = Witness(shared), Witness(shared)
        visitors = [one.meet(GOOD), other.meet(GOOD)]
        assert [ask(each) for each in visitors] == [200, 200]
        assert [one.meet(GOOD).statuses(), other.meet(GOOD).statuses()] == [[429], [429]]
        one.setConfiguration(OPEN)
        assert [ask(one.meet(GOOD)), other.meet(GOOD).statuses()] == [200, [429]]


class TestMalformedRequests:
    """They reach no hook either, but do they count?"""

    @pytest.mark.parametrize("secure", [False, True])
    def test_onHttp2(self, secure: bool) -> None:
        """The connection goes on behind the answer, so they would have no limit at all."""
        server = Witness(HttpServerConfiguration(rateLimitPerSecond=3))
        peer = connect2(server, server.clock, secure=secure, peer=BAD)
        statuses = [peer.got(method="GLORP").status for _ in range(20)]
        assert (statuses, server.ran) == ([501] * 3 + [429] * 17, [])

    @pytest.mark.parametrize("secure", [False, True])
    def test_onHttp1(self, secure: bool) -> None:
        """There each costs a connection."""
        server = Witness(HttpServerConfiguration(rateLimitPerSecond=3))
        visitor = server.meet(BAD, secure)
        visitor.send(get(method="GLORP") + get())
        assert (visitor.statuses(), server.ran, visitor.open) == ([501], [], False)
