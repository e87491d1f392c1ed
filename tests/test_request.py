"""HttpRequest: what an application sees of what the wire read."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, quote, unquote_to_bytes

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address

from txabstracthttp import HttpRequest, HttpServerConfiguration
from txabstracthttp._events import PeerError
from txabstracthttp.request import ConnectionInfo, HttpQuery
from txabstracthttp.wire.http1 import Http1Wire

PEER, LOCAL = IPv4Address("TCP", "192.0.2.1", 1), IPv4Address("TCP", "192.0.2.80", 80)


class Refused(Exception):
    """The wire let no request through."""


def read(
    target: bytes | str = b"/",
    *fields: str,
    method: str = "GET",
    host: str = "example.com",
    version: str = "1.1",
    secure: bool = False,
) -> HttpRequest:
    """The request that the wire makes of this."""
    target = target.encode("ascii") if isinstance(target, str) else target
    lines = "".join(f"{field}\r\n" for field in ([f"Host: {host}"] if host else []) + list(fields))
    head = b"%b %b HTTP/%b\r\n" % (method.encode(), target, version.encode()) + lines.encode("latin-1")
    wire = Http1Wire(HttpServerConfiguration(), HttpRequest)
    request = wire.receiveData(head + b"\r\n")[0]
    if isinstance(request, PeerError):
        raise Refused(request.error)
    assert isinstance(request, HttpRequest)
    request.connection = ConnectionInfo(PEER, LOCAL, secure)
    return request


#: Anything that may stand in a target behind the first slash.
visible = st.text(st.sampled_from("abc/.%2F0&=+?;~[]{}|\\^`\"<>'()$!*,:@-_ZEe9"), max_size=20)
percents = st.lists(st.integers(1, 255), max_size=8).map(lambda each: "".join(f"%{i:02x}" for i in each))


class TestHead:
    def test_asReceived(self) -> None:
        request = read("/a?b", "X: 1", method="PROPFIND")
        assert (request.method, request.target, request.version) == ("PROPFIND", b"/a?b", "1.1")
        assert read(version="1.0").version == "1.0"

    def test_addresses(self) -> None:
        request = read()
        assert (request.remoteAddress, request.localAddress) == (PEER, LOCAL)
        assert (request.isSecure, request.peerCertificate) == (False, None)
        assert read(secure=True).isSecure

    def test_repr(self) -> None:
        assert repr(read("/a?b", method="POST")) == "<HttpRequest POST /a?b HTTP/1.1>"

    def test_headers(self) -> None:
        request = read("/", "X-A: 1", "x-a:  2 ", "B: \xe9")
        assert request.headers.items() == [("Host", "example.com"), ("X-A", "1"), ("x-a", "2"), ("B", "é")]
        assert request.headers is request.headers
        with pytest.raises(TypeError):
            request.headers.add("X", "y")

    def test_value(self) -> None:
        request = read("/", "X-A: 1", "x-a: 2")
        assert [request.value(name) for name in ("X-A", "x-A", "host", "absent")] == [
            "1, 2",
            "1, 2",
            "example.com",
            "",
        ]

    def test_withoutContent(self) -> None:
        request = read()
        assert (request.body, request.trailers.items()) == (b"", [])


class TestPath:
    @pytest.mark.parametrize(
        ("target", "path"),
        [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a?b=c", "/a"),
            ("/a?", "/a"),
            ("/?a", "/"),
            ("/%41", "/A"),
            ("/%c3%a9", "/é"),
            ("/%C3%A9", "/é"),
            ("/%2541", "/%41"),
            ("/a%2Fb", "/a/b"),
            ("/%2e%2e/x", "/../x"),
            ("/../x", "/../x"),
            ("//evil.example/x", "//evil.example/x"),
            ("/a+b", "/a+b"),
            ("/%", "/%"),
            ("/%4", "/%4"),
            ("/%zz%41", "/%zzA"),
            ("/%u0041", "/%u0041"),
            ("/%ff", "/\ufffd"),
            ("/%c3%28", "/\ufffd("),
            ("/%ed%a0%80", "/\ufffd\ufffd\ufffd"),
            ("/%01%7f%0d%0a", "/\x01\x7f\r\n"),
            ("/a;b=c", "/a;b=c"),
            ("http://other.example/a?b", "/a"),
            ("HTTPS://other.example:8443/%41", "/A"),
            ("http://other.example", "/"),
            ("http://other.example?a=b", "/"),
        ],
    )
    def test_decodedOnce(self, target: str, path: str) -> None:
        request = read(target)
        assert request.path == path
        assert request.path == path

    def test_asterisk(self) -> None:
        request = read("*", method="OPTIONS")
        assert (request.path, list(request.query)) == ("*", [])
        assert read("http://example.com", method="OPTIONS").path == "*"

    def test_connect(self) -> None:
        request = read("example.com:443", method="CONNECT", host="example.com:443")
        assert (request.path, list(request.query)) == ("", [])

    @pytest.mark.parametrize("target", ["/%00", "/a/%00b", "/a%00?b"])
    def test_nulIsRefused(self, target: str) -> None:
        with pytest.raises(Refused, match="400"):
            read(target)

    def test_nulInTheQueryIsData(self) -> None:
        assert read("/?a=%00").query["a"] == "\x00"

    @given(st.text(max_size=20).filter(lambda text: "\x00" not in text))
    def test_roundTrip(self, path: str) -> None:
        assume(path.encode("utf-8", "ignore").decode() == path)
        assert read("/" + quote(path, safe="")).path == "/" + path

    @given(visible, percents)
    @example("%2", "5")
    def test_asTheStandardLibraryDecodes(self, one: str, other: str) -> None:
        target = f"/{one}{other}"
        assume("%00" not in target)
        expected = unquote_to_bytes(target.partition("?")[0]).decode("utf-8", "replace")
        assert read(target).path == expected

    @given(visible)
    def test_withoutPercentsNothingChanges(self, text: str) -> None:
        target = "/" + text.replace("%", "")
        request = read(target)
        assert request.path == target.partition("?")[0]
        assert "\x00" not in request.path


class TestQuery:
    def test_values(self) -> None:
        query = read("/?a=1&b=2&a=3&c&d=&=e&&f=1=2").query
        assert query.items() == [
            ("a", "1"),
            ("b", "2"),
            ("a", "3"),
            ("c", ""),
            ("d", ""),
            ("", "e"),
            ("f", "1=2"),
        ]
        assert query["a"] == "1"
        assert query.getAll("a") == ["1", "3"]
        assert query.get("a") == "1"
        assert query.get("z") is None
        assert query.get("z", "-") == "-"
        assert query.getAll("z") == []
        assert ("a" in query, "z" in query) == (True, False)
        assert list(query) == ["a", "b", "a", "c", "d", "", "f"]
        assert len(query) == 7
        with pytest.raises(KeyError):
            query["z"]

    def test_namesAreCaseSensitive(self) -> None:
        assert "A" not in read("/?a=1").query

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("a+b", "a b"),
            ("a%20b", "a b"),
            ("a%2Bb", "a+b"),
            ("%c3%a9", "é"),
            ("%ff", "\ufffd"),
            ("%zz%", "%zz%"),
            ("%2541", "%41"),
            ("a;b", "a;b"),
            ("a?b/c", "a?b/c"),
        ],
    )
    def test_decoding(self, text: str, value: str) -> None:
        assert read(f"/?x={text}").query["x"] == value
        assert read(f"/?{text}=x").query.items() == [(value, "x")]

    @pytest.mark.parametrize("target", ["/", "/?", "/?&", "/?&&&"])
    def test_empty(self, target: str) -> None:
        query = read(target).query
        assert (query.items(), len(query), list(query)) == ([], 0, [])

    def test_itemsAreTheCallersOwn(self) -> None:
        query = HttpQuery("a=1")
        query.items().clear()
        assert query.items() == [("a", "1")]

    def test_repr(self) -> None:
        assert repr(HttpQuery("a=1")) == "HttpQuery([('a', '1')])"

    @given(st.lists(st.tuples(st.text(min_size=1), st.text())))
    def test_roundTrip(self, items: list[tuple[str, str]]) -> None:
        text = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in items)
        assert HttpQuery(text).items() == items

    @given(visible)
    def test_asTheStandardLibraryDecodes(self, text: str) -> None:
        assert HttpQuery(text).items() == parse_qsl(text, keep_blank_values=True)

    def test_manyParametersAreRead(self) -> None:
        query = read("/?" + "&".join(["a"] * 30_000)).query
        assert len(query) == 30_000


class TestUrl:
    @pytest.mark.parametrize(
        ("target", "host", "secure", "url"),
        [
            ("/a?b=c", "example.com", False, "http://example.com/a?b=c"),
            ("/", "example.com:8080", False, "http://example.com:8080/"),
            ("/", "example.com:443", True, "https://example.com/"),
            ("/%41%2f", "example.com", False, "http://example.com/%41%2f"),
            ("http://other.example/x", "example.com", False, "http://other.example/x"),
            ("//evil.example/x", "example.com", False, "http://example.com//evil.example/x"),
            ("/a:b@c", "example.com", False, "http://example.com/a:b@c"),
        ],
    )
    def test_absolute(self, target: str, host: str, secure: bool, url: str) -> None:
        from hyperlink import DecodedURL

        result = read(target, host=host, secure=secure).url
        assert isinstance(result, DecodedURL)
        assert result.to_uri().to_text() == url

    def test_v6(self) -> None:
        url = read("/a", host="[2001:db8::1]:8080", secure=True).url
        assert (url.scheme, url.host, url.port) == ("https", "2001:db8::1", 8080)

    def test_asterisk(self) -> None:
        assert read("*", method="OPTIONS").url.to_text() == "http://example.com"

    def test_connect(self) -> None:
        request = read("example.com:443", method="CONNECT", host="example.com:443")
        assert (request.url.host, request.url.port) == ("example.com", 443)

    def test_withoutHost(self) -> None:
        assert read("/a", host="", version="1.0").url.path == ("a",)

    @pytest.mark.parametrize(
        "host", ["example.com:", "[::1]:", "EXAMPLE.com:00080", "a%20b", "-", "1.2.3.4.5"]
    )
    def test_unusualAuthorities(self, host: str) -> None:
        """Whatever the wire let through has a URL."""
        assert read("/a", host=host).url.path == ("a",)

    @given(
        visible | percents,
        st.from_regex(re.compile(r"[a-z0-9.\-_~!$&'()*+,;=%]{1,12}(:[0-9]{0,5})?"), fullmatch=True),
    )
    @example("%ff", "example.com")
    def test_always(self, text: str, host: str) -> None:
        try:
            request = read("/" + text, host=host)
        except Refused:
            return
        url = request.url
        assert (url.scheme, bool(url.host)) == ("http", True)
        assert url.to_text().startswith("http://")
        try:
            assert url.path
        except UnicodeDecodeError:
            # Hyperlink decodes strictly, where `path` has U+FFFD.
            assert "\ufffd" in request.path


class TestWebSocketUpgrade:
    @pytest.mark.parametrize(
        ("fields", "upgrade"),
        [
            (["Connection: Upgrade", "Upgrade: websocket"], True),
            (["connection: keep-alive, upgrade", "upgrade: WebSocket"], True),
            (["Connection: upgrade", "Upgrade: h2c, websocket"], True),
            (["Connection: upgrade", "Upgrade: h2c", "Upgrade: websocket"], True),
            (["Upgrade: websocket"], False),
            (["Connection: Upgrade"], False),
            (["Connection: Upgrade", "Upgrade: h2c"], False),
            (["Connection: Upgrade", "Upgrade: websockets"], False),
            (["Connection: keep-alive", "Upgrade: websocket"], False),
            ([], False),
        ],
    )
    def test_fields(self, fields: list[str], upgrade: bool) -> None:
        assert read("/", *fields).isWebSocketUpgrade is upgrade

    def test_http10HasNone(self) -> None:
        request = read("/", "Connection: Upgrade", "Upgrade: websocket", version="1.0")
        assert not request.isWebSocketUpgrade

    def test_connectIsNone(self) -> None:
        request = read("example.com:1", "Upgrade: websocket", "Connection: upgrade", method="CONNECT")
        assert not request.isWebSocketUpgrade


def test_nothingElseFitsIn() -> None:
    """One object for each request: no dict of its own."""
    request: Any = read()
    with pytest.raises(AttributeError):
        request.user = "me"
