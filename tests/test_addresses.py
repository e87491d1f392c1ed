"""Peers' addresses, as filters and caps see them."""

from __future__ import annotations

from ipaddress import IPv4Address as IPv4
from ipaddress import IPv6Address as IPv6

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import HostnameAddress, IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress

from txabstracthttp._addresses import ipOf, normalise, peerKey


def v4(host: str = "192.0.2.1") -> IPv4Address:
    return IPv4Address("TCP", host, 5000)


def v6(host: str) -> IPv6Address:
    return IPv6Address("TCP", host, 5000)


class TestNormalise:
    @pytest.mark.parametrize(
        "host",
        [
            "::ffff:192.0.2.1",
            "::FFFF:192.0.2.1",
            "::ffff:c000:201",
            "0:0:0:0:0:ffff:192.0.2.1",
            "0000:0000:0000:0000:0000:FFFF:C000:0201",
        ],
    )
    def test_mappedIsIPv4(self, host: str) -> None:
        assert normalise(v6(host)) == v4()

    @pytest.mark.parametrize(
        "address",
        [
            v4(),
            v6("2001:db8::1"),
            v6("::1"),
            v6("::ffff:0:192.0.2.1"),
            v6("::192.0.2.1"),
            v6("64:ff9b::192.0.2.1"),
            v6("2001:db8::ffff:1"),
            v6("fe80::ffff:1%eth0"),
            UNIXAddress(b"/run/x"),
            UNIXAddress(None),
        ],
    )
    def test_othersStay(self, address: IAddress) -> None:
        assert normalise(address) is address

    @given(st.ip_addresses(v=4), st.integers(0, 65535))
    def test_always(self, ip: IPv4, port: int) -> None:
        mapped = IPv6Address("TCP", f"::ffff:{ip}", port)
        assert normalise(mapped) == IPv4Address("TCP", str(ip), port)


class TestIpOf:
    def test_each(self) -> None:
        assert ipOf(v4()) == IPv4("192.0.2.1")
        assert ipOf(v6("2001:db8::1")) == IPv6("2001:db8::1")
        assert ipOf(UNIXAddress(b"/run/x")) is None
        assert ipOf(UNIXAddress(None)) is None

    def test_theScopeIsNotOfInterest(self) -> None:
        """No network in a configuration has one."""
        assert ipOf(v6("fe80::1%eth0")) == IPv6("fe80::1")

    def test_namesAreNone(self) -> None:
        """Endpoints of other networks, such as I2P's, have hosts of their own."""
        assert ipOf(IPv4Address("TCP", "localhost", 1)) is None
        assert ipOf(HostnameAddress(b"localhost", 1)) is None


class TestPeerKey:
    def test_v4IsAPeer(self) -> None:
        assert peerKey(v4()) == peerKey(IPv4Address("TCP", "192.0.2.1", 1))
        assert peerKey(v4()) != peerKey(v4("192.0.2.2"))

    @pytest.mark.parametrize(
        ("host", "same"),
        [
            ("2001:db8::2", True),
            ("2001:db8:0:0:ffff:ffff:ffff:ffff", True),
            ("2001:db8:0:1::1", False),
            ("2001:db9::1", False),
        ],
    )
    def test_v6IsANetwork(self, host: str, same: bool) -> None:
        assert (peerKey(v6("2001:db8::1")) == peerKey(v6(host))) is same

    def test_unixIsNone(self) -> None:
        assert peerKey(UNIXAddress(b"/run/x")) is None

    @given(st.ip_addresses(v=4), st.ip_addresses(v=6))
    def test_familiesNeverMeet(self, one: IPv4, other: IPv6) -> None:
        assert peerKey(v4(str(one))) != peerKey(v6(str(other)))
