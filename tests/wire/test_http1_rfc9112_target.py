"""RFC 9112 section 3.2: the request target in its four forms, and Host."""

from __future__ import annotations

import pytest
from wirehelpers import GET, accepted, get, parse, refused


class TestSection32RequestTarget:
    @pytest.mark.parametrize(
        "target", [b"foo", b"foo/bar", b"?q", b".", b"..", b"%2F", b"a:443", b"\\", b'"/"']
    )
    def test_noForm(self, target: bytes) -> None:
        assert refused(get(target=target)) == 400

    @pytest.mark.parametrize("target", [b"/#", b"/#a", b"/a?b#c", b"#a", b"http://a/#b"])
    def test_fragment(self, target: bytes) -> None:
        assert refused(get(target=target)) == 400

    @pytest.mark.parametrize("octet", [*range(0x21), *range(0x7F, 0x100)])
    def test_visibleAsciiOnly(self, octet: int) -> None:
        assert refused(get(target=b"/a%cb" % octet)) == 400

    @pytest.mark.parametrize("octet", [c for c in range(0x21, 0x7F) if c != ord("#")])
    def test_allOfVisibleAscii(self, octet: int) -> None:
        assert accepted(get(target=b"/a%cb" % octet)).target == b"/a%cb" % octet

    def test_rawUtf8(self) -> None:
        assert refused(get(target="/é".encode())) == 400


class TestSection32Host:
    def test_missing(self) -> None:
        assert refused(b"GET / HTTP/1.1\r\n\r\n") == 400
        assert refused(b"GET / HTTP/1.1\r\nX: y\r\n\r\n") == 400
        assert refused(b"GET http://a/ HTTP/1.1\r\n\r\n") == 400

    def test_notAskedOfHttp10(self) -> None:
        assert accepted(b"GET / HTTP/1.0\r\n\r\n").authority == b""
        assert accepted(b"GET http://b/ HTTP/1.0\r\n\r\n").authority == b"b"

    @pytest.mark.parametrize("second", [b"Host: a", b"Host: b", b"host: a", b"HOST:"])
    @pytest.mark.parametrize("version", [b"1.0", b"1.1"])
    def test_two(self, second: bytes, version: bytes) -> None:
        assert refused(get(second + b"\r\n", version=version)) == 400
        assert refused(get(b"X: y\r\n" + second + b"\r\n", version=version)) == 400

    @pytest.mark.parametrize(
        "host",
        [
            b"",
            b" ",
            b"a b",
            b"a/b",
            b"a/b?c",
            b"a?b",
            b"a#b",
            b"a@b",
            b"u:p@b",
            b"@b",
            b":80",
            b"a:b",
            b"a:99999",
            b"a:65536",
            b"a:000080",
            b"a:-1",
            b"a:+1",
            b"a: 80",
            b"a :80",
            b"a:80:80",
            b"::1",
            b"[::1",
            b"::1]",
            b"[]",
            b"[a]",
            b"[::1]a",
            b"[::1]:a",
            b"[:::1]",
            b"[fe80::1%eth0]",
            b"[127.0.0.1]",
            b"a%2",
            b"a%gg",
            b"%",
            b"a\\b",
            b"a\tb",
            b"<script>",
            b'a"b',
            b"\xc3\xa4",
            b"a\x80",
            b"http://a",
        ],
    )
    @pytest.mark.parametrize("version", [b"1.0", b"1.1"])
    def test_malformed(self, host: bytes, version: bytes) -> None:
        assert refused(b"GET / HTTP/" + version + b"\r\nHost: " + host + b"\r\n\r\n") == 400

    @pytest.mark.parametrize(
        "host",
        [
            b"a",
            b"A.Example",
            b"a.example:80",
            b"a:",
            b"a:0",
            b"a:65535",
            b"127.0.0.1",
            b"127.0.0.1:8080",
            b"[::1]",
            b"[::1]:443",
            b"[2001:DB8::192.0.2.1]",
            b"xn--bcher-kva.example",
            b"a_b",
            b"a%20b",
            b"a!$&'()*+,;=~",
            b"a.",
            b"1",
        ],
    )
    def test_wellFormed(self, host: bytes) -> None:
        request = accepted(b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
        assert (request.authority, request.fields) == (host, [(b"Host", host)])

    def test_whiteSpaceAroundIt(self) -> None:
        assert accepted(b"GET / HTTP/1.1\r\nhOsT:\t a \t\r\n\r\n").authority == b"a"


class TestSection321OriginForm:
    @pytest.mark.parametrize(
        "target",
        [
            b"/",
            b"//",
            b"//evil/",
            b"/a/b?c=d&e",
            b"/?",
            b"/??",
            b"/a%20b",
            b"/%",
            b"/%zz",
            b"/:80",
            b"/a;b=c",
            b"/../..",
            b"/*",
        ],
    )
    def test_asReceived(self, target: bytes) -> None:
        request = accepted(get(target=target))
        assert (request.target, request.authority) == (target, b"a")

    @pytest.mark.parametrize("target", [b"/%00", b"/a%00b", b"/%00?x", b"http://b/%00"])
    def test_nulInThePath(self, target: bytes) -> None:
        assert refused(get(target=target)) == 400

    @pytest.mark.parametrize("target", [b"/?a=%00", b"/%2500", b"/%0", b"http://b/?%00"])
    def test_nulElsewhere(self, target: bytes) -> None:
        assert accepted(get(target=target)).target == target


class TestSection322AbsoluteForm:
    @pytest.mark.parametrize(
        ("target", "authority"),
        [
            (b"http://b/", b"b"),
            (b"http://b", b"b"),
            (b"http://b?q", b"b"),
            (b"http://b:80/x?y", b"b:80"),
            (b"http://b:/", b"b:"),
            (b"https://B.example/", b"B.example"),
            (b"HTTP://b/", b"b"),
            (b"hTTps://b/", b"b"),
            (b"http://[::1]:8080/", b"[::1]:8080"),
            (b"http://b/http://c/", b"b"),
            (b"http://b//c@d", b"b"),
        ],
    )
    @pytest.mark.parametrize("version", [b"1.0", b"1.1"])
    def test_itsAuthorityRules(self, target: bytes, authority: bytes, version: bytes) -> None:
        request = accepted(get(target=target, version=version))
        assert (request.target, request.authority) == (target, authority)
        assert request.fields == [(b"Host", b"a")]

    @pytest.mark.parametrize(
        "target",
        [
            b"http:///x",
            b"http://",
            b"http://?x",
            b"http:/x",
            b"http:x",
            b"http:",
            b"http://u@b/",
            b"http://u:p@b/",
            b"http://@b/",
            b"http://b:x/",
            b"http://b:99999/",
            b"http://:80/",
            b"http://[::1/",
            b"http://[x]/",
            b"http://b<c>/",
            b"http://b%/",
            b"ftp://b/",
            b"ws://b/",
            b"file:///etc/passwd",
            b"urn:x",
            b"://b/",
        ],
    )
    def test_malformed(self, target: bytes) -> None:
        assert refused(get(target=target)) == 400

    def test_malformedHostBesideIt(self) -> None:
        assert refused(b"GET http://b/ HTTP/1.1\r\nHost: a b\r\n\r\n") == 400
        assert refused(b"GET http://b/ HTTP/1.1\r\nHost:\r\n\r\n") == 400


class TestSection323AuthorityForm:
    @pytest.mark.parametrize("target", [b"b:443", b"b.example:1", b"[::1]:443", b"127.0.0.1:80"])
    def test_connect(self, target: bytes) -> None:
        outcome = parse(get(method=b"CONNECT", target=target))
        (request,) = outcome.requests
        assert (request.authority, request.upgrade, request.contentLength) == (target, True, 0)
        assert outcome.finished, "only detaching keeps the connection"

    @pytest.mark.parametrize(
        "target",
        [
            b"b",
            b"443",
            b"b:",
            b":443",
            b"b:x",
            b"b:99999",
            b"[::1]",
            b"[::443]",
            b"/",
            b"*",
            b"http://b/",
            b"u@b:443",
            b"b:443/",
            b"b:443?x",
        ],
    )
    def test_connectToNothing(self, target: bytes) -> None:
        assert refused(get(method=b"CONNECT", target=target)) == 400

    @pytest.mark.parametrize("fields", [b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"])
    def test_connectWithContent(self, fields: bytes) -> None:
        assert refused(get(fields, method=b"CONNECT", target=b"b:443")) == 400

    def test_octetsBehindConnectAreNeverParsed(self) -> None:
        outcome = parse(get(method=b"CONNECT", target=b"b:443") + GET)
        assert (len(outcome.requests), outcome.error) == (1, None)

    @pytest.mark.parametrize("target", [b"b:443", b"b.example:80", b"[::1]:443"])
    def test_forConnectAlone(self, target: bytes) -> None:
        assert refused(get(target=target)) == 400
        assert refused(get(target=target, method=b"OPTIONS")) == 400


class TestSection324AsteriskForm:
    def test_options(self) -> None:
        assert accepted(get(target=b"*", method=b"OPTIONS")).target == b"*"

    @pytest.mark.parametrize("method", [b"GET", b"POST", b"HEAD", b"CONNECT", b"PRI"])
    def test_forOptionsAlone(self, method: bytes) -> None:
        assert refused(get(target=b"*", method=method)) == 400

    @pytest.mark.parametrize("target", [b"**", b"*/", b"*?x", b"*#", b"%2a"])
    def test_nothingElse(self, target: bytes) -> None:
        assert refused(get(target=target, method=b"OPTIONS")) == 400

    def test_absoluteFormWithoutPath(self) -> None:
        request = accepted(get(target=b"http://b", method=b"OPTIONS"))
        assert (request.target, request.authority) == (b"http://b", b"b")
