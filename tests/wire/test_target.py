"""Request targets and authorities (RFC 9112 section 3.2, RFC 9110 section 4.2)."""

from __future__ import annotations

from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txabstracthttp.errors import HttpError
from txabstracthttp.wire.target import checkTarget, isAuthority, splitTarget


class TestIsAuthority:
    @pytest.mark.parametrize(
        "value",
        [
            b"a",
            b"a:",
            b"a:0",
            b"a:65535",
            b"1.2.3.4:5",
            b"[::]",
            b"[::1]:80",
            b"[::ffff:1.2.3.4]",
            b"%41",
            b"a,b",
            b"-",
            b"_",
        ],
    )
    def test_is(self, value: bytes) -> None:
        assert isAuthority(value)

    @pytest.mark.parametrize(
        "value",
        [
            b"",
            b":",
            b":80",
            b"a:65536",
            b"a:100000",
            b"a:-1",
            b"a:1x",
            b"a:1:1",
            b"[",
            b"[]",
            b"[1]",
            b"[::1",
            b"::1",
            b"[::1]1",
            b"[::1%25a]",
            b"[v1.a]",
            b"[::g]",
            b"%",
            b"%4",
            b"%4g",
            b"a b",
            b"a\n",
            b"a:80\n",
            b"\xc3\xa4",
            b"u@a",
            b"a/",
            b"a?",
            b"a#",
            b"[1.2.3.4]",
            b"[::1.2.3.256]",
            b"[0:0:0:0:0:0:0:0:0]",
        ],
    )
    def test_isNot(self, value: bytes) -> None:
        assert not isAuthority(value)

    @given(st.binary(max_size=12))
    def test_anyOctets(self, value: bytes) -> None:
        assert isAuthority(value) in (True, False)
        if isAuthority(value):
            assert not set(value) & set(b' \t\r\n/?#@\\"<>')

    @given(st.ip_addresses(v=6), st.integers(0, 65535))
    def test_everyV6Address(self, address: IPv6Address, port: int) -> None:
        assert isAuthority(f"[{address}]:{port}".encode())
        assert isAuthority(f"[{address.exploded}]".encode())


class TestSplitTarget:
    @pytest.mark.parametrize(
        ("method", "target", "authority", "rest"),
        [
            ("GET", b"/", None, b"/"),
            ("GET", b"//a/b", None, b"//a/b"),
            ("GET", b"/http://a/", None, b"/http://a/"),
            ("GET", b"http://a", b"a", b"/"),
            ("GET", b"http://a/", b"a", b"/"),
            ("GET", b"http://a/b?c", b"a", b"/b?c"),
            ("GET", b"http://a?c", b"a", b"/?c"),
            ("GET", b"HTTPS://a:1/b", b"a:1", b"/b"),
            ("GET", b"http:///b", b"", b"/b"),
            ("GET", b"ftp://a/", None, b"ftp://a/"),
            ("OPTIONS", b"*", None, b"*"),
            ("OPTIONS", b"http://a", b"a", b"*"),
            ("OPTIONS", b"http://a/", b"a", b"/"),
            ("OPTIONS", b"http://a?c", b"a", b"/?c"),
            ("CONNECT", b"a:1", b"a:1", b""),
        ],
    )
    def test_parts(self, method: str, target: bytes, authority: bytes | None, rest: bytes) -> None:
        assert splitTarget(method, target) == (authority, rest)


class TestCheckTarget:
    @pytest.mark.parametrize(
        ("method", "target"),
        [
            ("GET", b"/"),
            ("GET", b"/?%00"),
            ("GET", b"http://a"),
            ("GET", b"hTTps://[::1]:1?"),
            ("OPTIONS", b"*"),
            ("OPTIONS", b"/"),
            ("OPTIONS", b"http://a"),
            ("CONNECT", b"a:1"),
            ("CONNECT", b"[::1]:1"),
        ],
    )
    def test_passes(self, method: str, target: bytes) -> None:
        checkTarget(method, target)

    @pytest.mark.parametrize(
        ("method", "target"),
        [
            ("GET", b"*"),
            ("GET", b"a"),
            ("GET", b"a:1"),
            ("GET", b"/%00"),
            ("GET", b"http://a/%00?"),
            ("GET", b"http://"),
            ("GET", b"http://a@b"),
            ("GET", b"ftp://a"),
            ("OPTIONS", b"a:1"),
            ("OPTIONS", b"**"),
            ("CONNECT", b"/"),
            ("CONNECT", b"*"),
            ("CONNECT", b"a"),
            ("CONNECT", b"443"),
            ("CONNECT", b"a:"),
            ("CONNECT", b":1"),
            ("CONNECT", b"[::1]"),
            ("CONNECT", b"a:99999"),
            ("CONNECT", b"http://a:1"),
        ],
    )
    def test_refuses(self, method: str, target: bytes) -> None:
        with pytest.raises(HttpError) as caught:
            checkTarget(method, target)
        assert caught.value.status == 400
