"""Admission: networks, caps and rates, without any connection."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress
from twisted.internet.task import Clock

from txabstracthttp import HttpServerConfiguration
from txabstracthttp._admission import Admission

UNIX = UNIXAddress(None)


def v4(last: int = 1, port: int = 1) -> IPv4Address:
    return IPv4Address("TCP", f"198.51.100.{last}", port)


def v6(host: str) -> IPv6Address:
    return IPv6Address("TCP", host, 1)


class Door:
    """An admission and its clock."""

    def __init__(self, **configuration: Any) -> None:
        self.clock = Clock()
        self.admission = Admission(HttpServerConfiguration(**configuration), self.clock.seconds)

    def connect(self, *peers: IAddress) -> list[int | None]:
        return [self.admission.connect(peer) for peer in peers]

    def request(self, peer: IAddress, count: int = 1) -> list[int | None]:
        return [self.admission.request(peer) for _ in range(count)]


def test_everybodyMay() -> None:
    door = Door()
    assert door.connect(v4(), v4(), v6("::1"), UNIX) == [None] * 4
    assert door.request(v4(), 1000) == [None] * 1000


class TestNetworks:
    def test_blacklist(self) -> None:
        door = Door(blacklist=["198.51.100.0/25", "2001:db8::/32"])
        peers = [v4(1), v4(127), v4(128), v6("2001:db8::1"), v6("2001:db9::1"), UNIX]
        assert door.connect(*peers) == [403, 403, None, 403, None, None]
        assert [door.admission.request(peer) for peer in peers] == [403, 403, None, 403, None, None]

    def test_whitelist(self) -> None:
        door = Door(whitelist=["198.51.100.0/25", "2001:db8::/32"])
        peers = [v4(1), v4(127), v4(128), v6("2001:db8::1"), v6("2001:db9::1"), UNIX]
        assert door.connect(*peers) == [None, None, 403, None, 403, None]

    def test_whitelistOverBlacklist(self) -> None:
        door = Door(whitelist=["198.51.100.1"], blacklist=["198.51.100.1", "198.51.100.2"])
        assert door.connect(v4(1), v4(2), v4(3)) == [None, 403, 403]

    def test_scopes(self) -> None:
        assert Door(blacklist=["fe80::/10"]).connect(v6("fe80::1%eth0")) == [403]

    def test_theRefusedDoNotCount(self) -> None:
        door = Door(blacklist=["198.51.100.1"], maximumConnections=1, maximumConnectionsPerHost=1)
        assert door.connect(v4(1), v4(1), v4(2)) == [403, 403, None]


class TestCaps:
    def test_total(self) -> None:
        door = Door(maximumConnections=3)
        assert door.connect(v4(1), v6("::1"), UNIX, v4(2)) == [None, None, None, 429]
        door.admission.disconnect(UNIX)
        assert door.connect(v4(2), v4(3)) == [None, 429]

    def test_perHost(self) -> None:
        door = Door(maximumConnectionsPerHost=2)
        assert door.connect(v4(1), v4(1, 2), v4(1, 3), v4(2)) == [None, None, 429, None]
        door.admission.disconnect(v4(1, 2))
        assert door.connect(v4(1, 4), v4(1, 5)) == [None, 429]

    def test_perNetwork(self) -> None:
        door = Door(maximumConnectionsPerHost=1)
        assert door.connect(v6("2001:db8::1"), v6("2001:db8::2"), v6("2001:db8:0:1::1")) == [None, 429, None]

    def test_unixPeersAreNoHost(self) -> None:
        assert Door(maximumConnectionsPerHost=1).connect(UNIX, UNIX, UNIX) == [None] * 3

    def test_raisedAndLowered(self) -> None:
        door = Door(maximumConnections=1)
        assert door.connect(v4(), v4()) == [None, 429]
        door.admission.configure(HttpServerConfiguration(maximumConnections=3))
        assert door.connect(v4(), v4(), v4()) == [None, None, 429]
        door.admission.configure(HttpServerConfiguration(maximumConnections=2))
        door.admission.disconnect(v4())
        assert door.connect(v4()) == [429]
        door.admission.disconnect(v4())
        assert door.connect(v4()) == [None]

    def test_countedBeforeThereWasACap(self) -> None:
        door = Door()
        door.connect(v4(), v4())
        door.admission.configure(HttpServerConfiguration(maximumConnectionsPerHost=2))
        assert door.connect(v4(), v4(2)) == [429, None]

    def test_whoHasGoneIsForgotten(self) -> None:
        """What is remembered must not grow with all the peers there ever were."""
        door = Door(maximumConnectionsPerHost=2)
        for last in range(200):
            door.connect(v4(last), v4(last), v4(last))
            door.admission.disconnect(v4(last))
            door.admission.disconnect(v4(last))
        assert len(door.admission._perPeer) == 0

    @given(st.lists(st.tuples(st.booleans(), st.integers(1, 3)), max_size=40))
    def test_neverMoreThanAllowed(self, steps: list[tuple[bool, int]]) -> None:
        door = Door(maximumConnections=4, maximumConnectionsPerHost=2)
        here: list[int] = []
        for comes, last in steps:
            if comes:
                allowed = len(here) < 4 and here.count(last) < 2
                assert door.connect(v4(last)) == [None if allowed else 429]
                here += [last] * allowed
            elif last in here:
                door.admission.disconnect(v4(last))
                here.remove(last)


class TestRate:
    def test_perWindow(self) -> None:
        door = Door(rateLimitPerSecond=3)
        assert door.request(v4(), 5) == [None] * 3 + [429] * 2
        door.clock.advance(0.99)
        assert door.request(v4()) == [429]
        door.clock.advance(0.01)
        assert door.request(v4(), 4) == [None] * 3 + [429]

    def test_longAfter(self) -> None:
        door = Door(rateLimitPerSecond=1)
        door.clock.advance(1000.5)
        assert door.request(v4(), 2) == [None, 429]
        door.clock.advance(1000.5)
        assert door.request(v4(), 2) == [None, 429]

    def test_perPeer(self) -> None:
        door = Door(rateLimitPerSecond=1)
        peers = [v4(1, 1), v4(1, 2), v4(2), v6("2001:db8::1"), v6("2001:db8::2"), v6("2001:db8:1::1")]
        assert [door.request(peer) for peer in peers] == [[None], [429], [None], [None], [429], [None]]

    def test_unixPeersPass(self) -> None:
        assert Door(rateLimitPerSecond=1).request(UNIX, 100) == [None] * 100

    def test_connectionsAreNotCounted(self) -> None:
        door = Door(rateLimitPerSecond=1)
        assert door.connect(*[v4()] * 10) == [None] * 10

    def test_theForbiddenStayForbidden(self) -> None:
        assert Door(rateLimitPerSecond=1, blacklist=["198.51.100.1"]).request(v4(), 3) == [403] * 3

    def test_whatIsRememberedAgesOut(self) -> None:
        door = Door(rateLimitPerSecond=1)
        for last in range(200):
            door.request(v4(last))
        door.clock.advance(1)
        door.request(v4())
        assert len(door.admission._requests) == 1

    def test_aClockThatGoesBack(self) -> None:
        """A reactor's clock should not, but must not lock anybody out."""
        now = [1000.0]
        admission = Admission(HttpServerConfiguration(rateLimitPerSecond=1), lambda: now[0])
        assert [admission.request(v4()), admission.request(v4())] == [None, 429]
        now[0] = 10.0
        assert admission.request(v4()) is None

    @given(st.lists(st.floats(0, 0.4), max_size=60), st.integers(1, 4))
    def test_neverMoreThanTwiceAsManyInAnySecond(self, pauses: list[float], limit: int) -> None:
        """Fixed windows: a burst at the end of one and the start of the next."""
        door = Door(rateLimitPerSecond=limit)
        granted = []
        for pause in pauses:
            door.clock.advance(pause)
            if door.request(v4()) == [None]:
                granted.append(door.clock.seconds())
        for start in granted:
            assert sum(start <= when < start + 1 for when in granted) <= 2 * limit


@pytest.mark.parametrize(
    ("configuration", "judges"),
    [
        ({}, False),
        ({"maximumConnections": 1}, False),
        ({"rateLimitPerSecond": 1}, True),
        ({"whitelist": ["::1"]}, True),
        ({"blacklist": ["::1"]}, True),
    ],
)
def test_judgesRequestsOnlyWhereItMust(configuration: dict[str, Any], judges: bool) -> None:
    admission = Admission(HttpServerConfiguration(), Clock().seconds)
    admission.configure(HttpServerConfiguration(**configuration))
    assert admission.judgesRequests is judges
