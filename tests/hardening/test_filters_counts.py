"""Who is counted for what, whoever relays it and however it ends: no count may drift."""

from __future__ import annotations

import struct
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from connectionhelpers import (
    Conversation,
    FakeTcpTransport,
    FakeTlsTransport,
    HandlerServer,
    SteadyClock,
    capturedFailures,
    get,
)
from hypothesis import given
from hypothesis import strategies as st
from proxyhost import Host
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IAddress
from twisted.python.failure import Failure

from txabstracthttp import HttpRequest, HttpServerConfiguration, HttpSocket
from txabstracthttp._addresses import peerKey
from txabstracthttp._admission import Admission
from txabstracthttp._proxy import ProxyFactory

PROXY = IPv4Address("TCP", "192.0.2.9", 40000)
SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"


def line(source: str) -> bytes:
    """The header of version 1."""
    six = ":" in source
    return f"PROXY TCP{6 if six else 4} {source} {'::1' if six else '0.0.0.0'} 1 2\r\n".encode()


def block4(source: bytes) -> bytes:
    """The header of version 2, for IPv4."""
    return (
        SIGNATURE + b"\x21\x11" + struct.pack("!H", 12) + source + b"\x7f\x00\x00\x01" + b"\x00\x01\x00\x02"
    )


def block6(source: bytes) -> bytes:
    """Likewise for IPv6."""
    return SIGNATURE + b"\x21\x21" + struct.pack("!H", 36) + source + bytes(16) + b"\x00\x01\x00\x02"


MAPPED = bytes(10) + b"\xff\xff" + bytes([198, 51, 100, 7])
NET = bytes.fromhex("20010db800000001")
UNIX2 = SIGNATURE + b"\x21\x31" + struct.pack("!H", 216) + b"/run/a\n".ljust(108, b"\0") + bytes(108)
LOCAL2 = SIGNATURE + b"\x20\x00\x00\x00"
UNKNOWN = b"PROXY UNKNOWN\r\n"


class Counting(HandlerServer):
    def __init__(self, **configuration: Any) -> None:
        self.clock = SteadyClock()
        super().__init__(answer, self.clock, HttpServerConfiguration(**configuration))
        self.proxies = ProxyFactory(self, self.clock, Host())

    def relayed(self, header: bytes) -> Relayed:
        """A connection through the proxy."""
        return Relayed(self.proxies, header)


def answer(request: HttpRequest, socket: HttpSocket) -> bool:
    if request.path == "/raise":
        raise RuntimeError("as it should")
    if request.path == "/begin":
        socket.write(b"x")
    elif request.path != "/wait":
        socket.respond("x")
    return True


class Relayed:
    """A connection of the proxy, whose header has come."""

    def __init__(self, factory: ProxyFactory, header: bytes) -> None:
        self.transport = FakeTcpTransport(PROXY)
        self.protocol: Any = factory.buildProtocol(PROXY)
        self.protocol.makeConnection(self.transport)
        self.protocol.dataReceived(header)

    def statuses(self, count: int = 1) -> list[int]:
        """Those of so many requests; of none, if it was refused before."""
        if not self.transport.writes:
            self.protocol.dataReceived(get() * count)
        data = self.transport.value
        self.transport.writes.clear()
        return [int(each.split(b" ")[0]) for each in data.split(b"HTTP/1.1 ")[1:]]

    def leave(self) -> None:
        self.protocol.connectionLost(Failure(ConnectionLost()))


class TestBehindAProxy:
    """By the real address, in either version of the header."""

    @pytest.mark.parametrize(
        ("header", "same", "other"),
        [
            (line("198.51.100.7"), block4(bytes([198, 51, 100, 7])), line("198.51.100.8")),
            (line("198.51.100.7"), line("::ffff:198.51.100.7"), line("::ffff:198.51.100.8")),
            (block4(bytes([198, 51, 100, 7])), block6(MAPPED), block6(MAPPED[:-1] + b"\x08")),
            (
                line("2001:db8:0:1::1"),
                block6(NET + b"\xff" * 8),
                block6(NET[:-1] + b"\x02" + bytes(8)),
            ),
            (LOCAL2, UNKNOWN, line("198.51.100.7")),
        ],
        ids=["versions", "mapped", "mapped in v2", "/64", "the proxy's own"],
    )
    @pytest.mark.parametrize("limit", ["rateLimitPerSecond", "maximumConnectionsPerHost"])
    def test_onePeer(self, limit: str, header: bytes, same: bytes, other: bytes) -> None:
        server = Counting(**{limit: 1})
        visitors = [server.relayed(each) for each in (header, same, other)]
        assert [each.statuses() for each in visitors] == [[200], [429], [200]]

    def test_theProxyIsNobody(self) -> None:
        """It relays for all, and is not judged for any of them."""
        server = Counting(blacklist=[PROXY.host], maximumConnectionsPerHost=1, rateLimitPerSecond=1)
        visitors = [server.relayed(line(f"198.51.100.{last}")) for last in range(20)]
        assert [each.statuses() for each in visitors] == [[200]] * 20
        assert server.relayed(LOCAL2).statuses() == [403]

    def test_unixPeers(self) -> None:
        """Exempt, but for `maximumConnections`; and what they are called harms nobody."""
        server = Counting(
            maximumConnections=2, maximumConnectionsPerHost=1, rateLimitPerSecond=1, whitelist=["10.0.0.0/8"]
        )
        visitors = [server.relayed(UNIX2) for _ in range(3)]
        assert [each.statuses(5) for each in visitors] == [[200] * 5, [200] * 5, [429]]
        visitors[0].leave()
        assert server.relayed(UNIX2).statuses() == [200]

    @pytest.mark.parametrize(
        "header", [b"GET / HTTP/1.1\r\n\r\n", line("x"), line("198.51.100.7")[:-1] + b"x"]
    )
    def test_withoutOneNothingIsCounted(self, header: bytes) -> None:
        server = Counting(maximumConnections=1)
        for _ in range(5):
            refused = server.relayed(header)
            assert refused.transport.aborted
            refused.leave()
        assert server.relayed(line("198.51.100.7")).statuses() == [200]


PEERS: list[IAddress] = [
    IPv4Address("TCP", "198.51.100.1", 1),
    IPv4Address("TCP", "198.51.100.2", 1),
    UNIXAddress(None),
]
REQUESTS = ["/", "/wait", "/raise", "/begin", "/missing"]
CONFIGURATIONS = [
    HttpServerConfiguration(maximumConnections=3, maximumConnectionsPerHost=2),
    HttpServerConfiguration(maximumConnections=1),
    HttpServerConfiguration(blacklist=["198.51.100.1"], maximumConnections=2),
    HttpServerConfiguration(whitelist=["198.51.100.2"]),
    HttpServerConfiguration(rateLimitPerSecond=1, maximumConnectionsPerHost=1),
]

steps = st.one_of(
    st.tuples(st.just("come"), st.integers(0, len(PEERS) - 1)),
    st.tuples(st.just("come secretly"), st.integers(0, len(PEERS) - 1)),
    st.tuples(st.just("leave"), st.integers(0, 9)),
    st.tuples(st.just("half-close"), st.integers(0, 9)),
    st.tuples(st.just("ask"), st.integers(0, 9)),
    st.tuples(st.just("rubbish"), st.integers(0, 9)),
    st.tuples(st.just("wait"), st.integers(0, 9)),
    st.tuples(st.just("configure"), st.integers(0, len(CONFIGURATIONS) - 1)),
)


class World:
    """A server and those who are connected to it, admitted or not."""

    def __init__(self) -> None:
        self.server = Counting(maximumConnections=3, maximumConnectionsPerHost=2)
        self.here: list[Conversation] = []
        self.asked = 0

    def do(self, what: str, number: int) -> None:
        """One step."""
        if what.startswith("come"):
            secure = what != "come"
            transport = (FakeTlsTransport if secure else FakeTcpTransport)(PEERS[number])
            self.here.append(Conversation(self.server, self.server.clock, transport))
        elif what == "configure":
            self.server.setConfiguration(CONFIGURATIONS[number])
        elif self.here:
            self.act(what, self.here[number % len(self.here)], number)

    def act(self, what: str, visitor: Conversation, number: int) -> None:
        """A step of somebody who is there."""
        if what == "leave":
            self.here.remove(visitor)
            visitor.leave()
        elif what == "half-close":
            visitor.halfClose()
        elif what == "ask":
            self.asked += 1
            visitor.send(get(REQUESTS[self.asked % len(REQUESTS)]))
        elif what == "rubbish":
            visitor.send(b"\0\0\r\n\r\n")
        else:
            visitor.advance(number)

    @property
    def admitted(self) -> list[Conversation]:
        """Those who were not refused."""
        return [each for each in self.here if each.connection._refusal is None]


@pytest.fixture(name="failures")
def fixture_failures() -> Iterator[list[Failure]]:
    with capturedFailures() as failures:
        yield failures
        failures.clear()


@pytest.mark.usefixtures("failures")
@given(st.lists(steps, max_size=40))
def test_noDrift(path: list[tuple[str, int]]) -> None:
    """Whatever happens: what is counted is who is there; and when all have left, it is nobody."""
    world = World()
    admission = world.server._site.admission
    for what, number in path:
        world.do(what, number)
        keys = [peerKey(each.transport.peer) for each in world.admitted]
        assert admission._connections == len(keys)
        assert admission._perPeer == Counter(key for key in keys if key is not None)
    for each in world.here:
        each.leave()
    assert (admission._connections, len(admission._perPeer)) == (0, 0)
    assert not world.server._site.connections


def raising(*_: object) -> None:
    raise RuntimeError("as it should")


@pytest.mark.parametrize("break_", ["exchangeFinished", "missingHandler"])
def test_observersThatRaise(break_: str, failures: list[Failure]) -> None:
    """Also the one who hears of refusals: he is logged, and the count is right."""
    server = Counting(maximumConnections=1)
    getattr(server, break_).connect(raising)
    connect: Callable[[], Conversation] = lambda: Conversation(  # noqa: E731
        server, server.clock, FakeTcpTransport(PEERS[0])
    )
    first, second = connect(), connect()
    assert second.statuses() == [429]
    first.send(get("/raise"))
    for each in (second, first):
        each.leave()
    third = connect()
    third.send(get())
    assert third.statuses() == [200]
    assert RuntimeError in [failure.type for failure in failures]


def passBy(server: Counting, count: int) -> None:
    """So many peers, each from a network of its own: they come, ask, and go."""
    for number in range(count):
        peer = IPv6Address("TCP", f"2001:db8:0:{number:x}::1", 1)
        visitor = Conversation(server, server.clock, FakeTcpTransport(peer))
        visitor.send(get())
        visitor.leave()


class TestWhatIsRemembered:
    def test_nothingOfThoseWhoHaveGone(self) -> None:
        server = Counting(rateLimitPerSecond=1, maximumConnectionsPerHost=1)
        passBy(server, 200)
        admission = server._site.admission
        assert (len(admission._perPeer), admission._connections) == (0, 0)
        assert len(admission._requests) == 200
        server.clock.advance(1)
        passBy(server, 1)
        assert len(admission._requests) == 1

    def test_nothingOfTheRefused(self) -> None:
        server = Counting(rateLimitPerSecond=1, blacklist=["2001:db8::/32"])
        passBy(server, 50)
        admission = server._site.admission
        assert (len(admission._requests), len(admission._perPeer)) == (0, 0)

    def test_littleOfThoseWhoAreMany(self) -> None:
        """One entry for each peer that asks within a second, and each needs a connection for that."""
        clock = SteadyClock()
        admission = Admission(HttpServerConfiguration(rateLimitPerSecond=1), clock.seconds)
        tracemalloc.start()
        try:
            for number in range(10_000):
                admission.request(IPv6Address("TCP", f"2001:db8:{number:x}::1", 1))
            size = tracemalloc.get_traced_memory()[0]
            clock.advance(1)
            admission.request(IPv6Address("TCP", "2001:db8::1", 1))
            left = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        assert size < 10_000 * 200
        assert left < size / 50
