"""Requests that no handler ever sees: malformed ones, those over a limit, and those from the wrong peer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from connectionhelpers import Conversation, capturedFailures, get, post, serve
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress
from twisted.python.failure import Failure

from txabstracthttp import HttpRequest, HttpServerConfiguration, HttpSocket


@pytest.fixture(autouse=True)
def failures() -> Iterator[list[Failure]]:
    with capturedFailures() as failures:
        yield failures


def forbidden(request: HttpRequest, socket: HttpSocket) -> bool:
    raise AssertionError("no handler may see this")


def ok(request: HttpRequest, socket: HttpSocket) -> bool:
    socket.respond(request.path)
    return True


def v4(last: int, port: int = 1) -> IPv4Address:
    return IPv4Address("TCP", f"198.51.100.{last}", port)


def v6(host: str, port: int = 1) -> IPv6Address:
    return IPv6Address("TCP", host, port)


class TestMalformed:
    @pytest.mark.parametrize(
        ("status", "data"),
        [
            (400, b"what?\r\n\r\n"),
            (400, b"GET / HTTP/1.1\r\n\r\n"),
            (400, get("/%00")),
            (400, b"GET / HTTP/0.9\r\n\r\n"),
            (400, b"GET / HTTP/2.0\r\n\r\n"),
            (400, get("*")),
            (400, get("http://user@example.com/")),
            (400, get("/", "Host: again.example")),
            (400, get("/", "Content-Length: 3", "Transfer-Encoding: chunked", method="POST")),
            (400, get("/", "Content-Length: +3", method="POST")),
            (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n"),
            (414, get("/" + "x" * 100)),
            (431, get("/", "X: " + "x" * 200)),
            (431, get("/", *["X: x"] * 9)),
            (431, get("/", *["X: " + "x" * 100] * 4)),
            (501, get("/", "Transfer-Encoding: gzip, chunked", method="POST")),
            (501, get("/", method="GLORP")),
            (505, get("/", version="1.2")),
            (505, get("/", version="3.0")),
            (417, get("/", "Content-Length: 1", "Expect: much", method="POST")),
            (413, get("/", "Content-Length: 50", method="POST")),
        ],
    )
    def test_answeredAndClosed(self, status: int, data: bytes) -> None:
        peer = serve(
            forbidden,
            maximumUrlSize=100,
            maximumHeaderFieldSize=200,
            maximumHeaderFieldCount=8,
            maximumTotalHeaderSize=300,
            maximumBodySize=49,
        )
        peer.send(data + get())
        response = peer.response()
        assert response.status == status
        assert response.all("connection") == ["close"]
        assert response.body.startswith(str(status).encode())
        assert peer.halfClosed
        peer.send(get())
        assert peer.transport.writes == []

    def test_errorPagesReflectNothingAndDoNothing(self) -> None:
        peer = serve(forbidden)
        peer.send(get("/<script>", "X-Evil: <script>", method="GLORP"))
        assert b"script" not in peer.transport.value
        response = peer.response()
        assert response.all("content-type") == ["text/plain; charset=utf-8"]
        assert response.all("x-content-type-options") == ["nosniff"]
        assert response.all("content-security-policy") == ["default-src 'none'"]
        assert len(response.all("date")) == 1

    def test_headGetsNoBody(self) -> None:
        peer = serve(forbidden, maximumBodySize=2)
        peer.send(get("/", "Content-Length: 3", method="HEAD"))
        response = peer.response("HEAD")
        assert (response.status, response.body) == (413, b"")

    def test_theServerFieldIsOnThemToo(self) -> None:
        peer = serve(forbidden, serverHeader="x/1")
        peer.send(b"what?\r\n\r\n")
        assert peer.response().all("server") == ["x/1"]


class TestNetworks:
    def test_blacklistedAtAccept(self) -> None:
        peer = serve(forbidden, peer=v4(7), blacklist=["198.51.100.0/24"])
        assert peer.statuses() == [403]
        assert peer.halfClosed
        peer.send(get())
        assert peer.transport.writes == []

    def test_othersAreNot(self) -> None:
        peer = serve(ok, peer=v4(7), blacklist=["198.51.100.128/25"])
        peer.send(get())
        assert peer.statuses() == [200]

    def test_whitelisted(self) -> None:
        peer = serve(ok, peer=v4(7), whitelist=["198.51.100.7"])
        peer.send(get())
        assert peer.statuses() == [200]
        assert peer.another(v4(8)).statuses() == [403]

    def test_theWhitelistRulesOverTheBlacklist(self) -> None:
        peer = serve(ok, peer=v4(7), whitelist=["198.51.100.7"], blacklist=["198.51.100.0/24"])
        peer.send(get())
        assert peer.statuses() == [200]
        assert peer.another(v4(8)).statuses() == [403]
        assert peer.another(IPv4Address("TCP", "203.0.113.1", 1)).statuses() == [403]

    @pytest.mark.parametrize("host", ["::ffff:198.51.100.7", "::FFFF:198.51.100.7"])
    def test_mappedPeersAreIPv4(self, host: str) -> None:
        assert serve(forbidden, peer=v6(host), blacklist=["198.51.100.0/24"]).statuses() == [403]

    def test_mappedNetworksAreIPv4(self) -> None:
        assert serve(forbidden, peer=v4(7), blacklist=["::ffff:198.51.100.0/120"]).statuses() == [403]

    def test_v6(self) -> None:
        peer = serve(ok, peer=v6("2001:db8::1"), blacklist=["2001:db8:1::/48"])
        peer.send(get())
        assert peer.statuses() == [200]
        assert peer.another(v6("2001:db8:1::1")).statuses() == [403]

    def test_unixPeersPass(self) -> None:
        peer = serve(ok, peer=UNIXAddress(None), whitelist=["10.0.0.0/8"], rateLimitPerSecond=1)
        peer.send(get() * 10)
        assert peer.statuses() == [200] * 10

    def test_perRequestWhenSetLater(self) -> None:
        """`setConfiguration` applies at once, and to those who are in."""
        peer = serve(ok, peer=v4(7))
        peer.send(get())
        peer.server.handler = forbidden  # type: ignore[attr-defined]
        peer.server.setConfiguration(HttpServerConfiguration(blacklist=["198.51.100.7"]))
        peer.send(get() * 2)
        assert peer.statuses() == [200, 403]
        assert peer.halfClosed

    def test_beforeTheBodyIsRead(self) -> None:
        peer = serve(ok, peer=v4(7))
        peer.server.setConfiguration(HttpServerConfiguration(blacklist=["198.51.100.7"]))
        peer.send(get("/", "Content-Length: 3", "Expect: 100-continue", method="POST"))
        assert peer.statuses() == [403]

    def test_overTlsAfterTheHandshake(self) -> None:
        peer = serve(forbidden, peer=v4(7), secure=True, blacklist=["198.51.100.7"])
        assert peer.transport.writes == []
        peer.connection.handshakeCompleted()
        assert peer.statuses() == [403]
        assert peer.transport.closed
        assert peer.transport.lost == []


class TestRate:
    def test_perSecond(self) -> None:
        peer = serve(ok, rateLimitPerSecond=3)
        peer.send(get() * 3)
        assert peer.statuses() == [200] * 3
        assert peer.open
        peer.send(get() * 2)
        assert peer.statuses() == [429]
        assert peer.halfClosed

    def test_theNextSecond(self) -> None:
        peer = serve(ok, rateLimitPerSecond=2)
        for _ in range(3):
            peer.send(get() * 2)
            peer.advance(1)
        assert peer.statuses() == [200] * 6

    def test_allConnectionsOfAPeerTogether(self) -> None:
        peer = serve(ok, peer=v4(7, 1), rateLimitPerSecond=2)
        peer.send(get() * 2)
        other = peer.another(v4(7, 2))
        other.send(get())
        assert other.statuses() == [429]
        stranger = peer.another(v4(8))
        stranger.send(get())
        assert stranger.statuses() == [200]

    def test_refusedBeforeTheBody(self) -> None:
        peer = serve(ok, rateLimitPerSecond=1)
        peer.send(post(b"abc") + post(b"abc"))
        assert peer.statuses() == [200, 429]

    def test_unansweredOnesCount(self) -> None:
        peer = serve(lambda request, socket: False, rateLimitPerSecond=2)
        peer.send(get() * 3)
        assert peer.statuses() == [404, 404, 429]

    def test_switchedOnLater(self) -> None:
        peer = serve(ok)
        peer.send(get() * 5)
        peer.server.setConfiguration(HttpServerConfiguration(rateLimitPerSecond=1))
        peer.send(get() * 2)
        assert peer.statuses() == [200] * 6 + [429]


def isAdmitted(peer: Conversation) -> bool:
    """Whether it may ask; else it has been told 429."""
    if peer.open:
        assert peer.transport.writes == []
        return True
    assert peer.statuses() == [429]
    return False


class TestCaps:
    def test_maximumConnections(self) -> None:
        first = serve(ok, peer=v4(1), maximumConnections=2)
        second, third = first.another(v4(2)), first.another(v4(3))
        assert [isAdmitted(each) for each in (first, second, third)] == [True, True, False]
        third.send(get())
        assert third.transport.writes == []
        third.leave()
        assert not isAdmitted(first.another(v4(4)))
        second.leave()
        assert isAdmitted(first.another(v4(5)))
        assert not isAdmitted(first.another(v4(6)))

    def test_unixPeersCountThere(self) -> None:
        first = serve(ok, peer=UNIXAddress(None), maximumConnections=1)
        assert not isAdmitted(first.another(UNIXAddress(None)))

    @pytest.mark.parametrize(
        ("one", "same", "other"),
        [
            (v4(1, 1), v4(1, 2), v4(2)),
            (v6("2001:db8::1"), v6("2001:db8::ffff:1:2:3"), v6("2001:db8:0:1::1")),
            (v6("::ffff:198.51.100.1"), v4(1, 2), v6("::ffff:198.51.100.2")),
        ],
        ids=["v4", "v6", "mapped"],
    )
    def test_perHost(self, one: IAddress, same: IAddress, other: IAddress) -> None:
        first = serve(ok, peer=one, maximumConnectionsPerHost=1)
        assert isAdmitted(first)
        refused = first.another(same)
        assert not isAdmitted(refused)
        assert isAdmitted(first.another(other))
        refused.leave()
        assert not isAdmitted(first.another(same))
        first.leave()
        assert isAdmitted(first.another(same))

    def test_unixPeersAreNoHost(self) -> None:
        first = serve(ok, peer=UNIXAddress(None), maximumConnectionsPerHost=1)
        assert all(isAdmitted(first.another(UNIXAddress(None))) for _ in range(5))

    def test_aLoweredCapClosesNobody(self) -> None:
        first = serve(ok, peer=v4(1))
        second = first.another(v4(2))
        first.server.setConfiguration(HttpServerConfiguration(maximumConnections=1))
        assert not isAdmitted(first.another(v4(3)))
        first.send(get())
        second.send(get())
        assert first.statuses() + second.statuses() == [200, 200]

    def test_handshakesCount(self) -> None:
        """Those who never end theirs must not get round the cap."""
        first = serve(ok, secure=True, maximumConnections=1)
        second = first.another()
        second.connection.handshakeCompleted()
        assert second.statuses() == [429]
        first.connection.handshakeCompleted()
        assert isAdmitted(first)
        second.leave()
        # It was never counted in, so it is not counted out.
        assert not isAdmitted(first.another())
