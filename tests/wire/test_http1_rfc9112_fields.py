"""RFC 9112 section 5: field syntax."""

from __future__ import annotations

import pytest
from wirehelpers import accepted, chunkedBody, get, parse, refused

TCHAR = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#: What no value may contain: controls but the tab.  CR and LF have tests of their own.
CONTROLS = [c for c in [*range(0x20), 0x7F] if c not in b"\t\r\n"]


class TestSection5FieldSyntax:
    def test_orderAndCaseAreKept(self) -> None:
        request = accepted(get(b"b: 1\r\nA: 2\r\nB: 3\r\na: 4\r\n"))
        assert request.fields[1:] == [(b"b", b"1"), (b"A", b"2"), (b"B", b"3"), (b"a", b"4")]

    @pytest.mark.parametrize("octet", TCHAR)
    def test_everyTokenCharacterInAName(self, octet: int) -> None:
        name = b"x%cx" % octet
        assert accepted(get(name + b": y\r\n")).fields[1:] == [(name, b"y")]
        assert accepted(get(b"%c: y\r\n" % octet)).fields[1:] == [(b"%c" % octet, b"y")]

    @pytest.mark.parametrize("octet", [c for c in range(0x100) if c not in TCHAR + b":"])
    def test_nothingElseInAName(self, octet: int) -> None:
        assert refused(get(b"x%cx: y\r\n" % octet)) == 400
        assert refused(get(b"%cx: y\r\n" % octet)) == 400
        assert refused(get(b"x%c: y\r\n" % octet)) == 400

    @pytest.mark.parametrize("octet", [c for c in range(0x100) if c not in CONTROLS and c not in b"\r\n"])
    def test_valueCharacters(self, octet: int) -> None:
        assert accepted(get(b"x: y%cz\r\n" % octet)).fields[1:] == [(b"x", b"y%cz" % octet)]

    @pytest.mark.parametrize("octet", CONTROLS)
    def test_controlsInAValue(self, octet: int) -> None:
        assert refused(get(b"x: y%cz\r\n" % octet)) == 400
        assert refused(get(b"x:%c\r\n" % octet)) == 400
        assert refused(get(b"x: y%c\r\n" % octet)) == 400

    @pytest.mark.parametrize("bare", [b"\r", b"\n"])
    def test_bareLineEndsInAValue(self, bare: bytes) -> None:
        assert refused(get(b"x: y" + bare + b"z: 1\r\n")) == 400
        assert refused(get(b"x:" + bare + b"y\r\n")) == 400
        assert refused(get(b"x: y" + bare + b"\r\n")) == 400

    def test_obsTextAtTheEdgesIsNoWhiteSpace(self) -> None:
        # 0x85 and 0xA0 are white space to str and to Latin-1 readers.
        for value in (b"\x85y\x85", b"\xa0y\xa0", b"\x85", b"\xc2\x85"):
            assert accepted(get(b"x: " + value + b"\r\n")).fields[1:] == [(b"x", value)]

    def test_underscoresAreNoDashes(self) -> None:
        request = accepted(get(b"Content_Length: 5\r\nTransfer_Encoding: chunked\r\nX_Forwarded_For: b\r\n"))
        assert request.contentLength == 0
        assert [name for name, _ in request.fields[1:]] == [
            b"Content_Length",
            b"Transfer_Encoding",
            b"X_Forwarded_For",
        ]


class TestSection51FieldLineParsing:
    @pytest.mark.parametrize("blank", [b" ", b"\t", b" \t ", b"\x0b", b"\xa0"])
    @pytest.mark.parametrize("name", [b"X", b"Host", b"Content-Length", b"Transfer-Encoding"])
    def test_noWhiteSpaceBeforeTheColon(self, name: bytes, blank: bytes) -> None:
        assert refused(b"GET / HTTP/1.1\r\nHost: a\r\n" + name + blank + b": 5\r\n\r\n") == 400

    @pytest.mark.parametrize("line", [b": y", b":", b" : y", b"Na me: y", b"x", b"no colon", b"x y z", b"=y"])
    def test_noName(self, line: bytes) -> None:
        assert refused(get(line + b"\r\n")) == 400
        assert refused(b"GET / HTTP/1.1\r\n" + line + b"\r\nHost: a\r\n\r\n") == 400

    @pytest.mark.parametrize(
        ("line", "value"),
        [
            (b"x:y", b"y"),
            (b"x: y", b"y"),
            (b"x:  y  ", b"y"),
            (b"x:\ty\t", b"y"),
            (b"x: \t \ty\t \t", b"y"),
            (b"x: a  b\tc", b"a  b\tc"),
            (b"x:", b""),
            (b"x: ", b""),
            (b"x: \t ", b""),
            (b"x::", b":"),
            (b"x: :y", b":y"),
        ],
    )
    def test_optionalWhiteSpace(self, line: bytes, value: bytes) -> None:
        assert accepted(get(line + b"\r\n")).fields[1:] == [(b"x", value)]
        assert accepted(get(line + b"\r\nz: 1\r\n")).fields[1:] == [(b"x", value), (b"z", b"1")]


class TestSection52ObsoleteLineFolding:
    @pytest.mark.parametrize(
        "fields",
        [
            b"x: y\r\n z\r\n",
            b"x: y\r\n\tz\r\n",
            b"x:\r\n y\r\n",
            b"x: y\r\n \r\n",
            b"x: y\r\n  Content-Length: 5\r\n",
            b"Transfer-Encoding:\r\n chunked\r\n",
            b"Transfer-Encoding: chunked\r\n , identity\r\n",
            b"Content-Length: 1\r\n 2\r\n",
            b"Connection: close\r\n , x\r\n",
        ],
    )
    def test_refused(self, fields: bytes) -> None:
        assert refused(get(fields)) == 400
        assert refused(get(fields + b"z: 1\r\n")) == 400

    def test_inHost(self) -> None:
        assert refused(b"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n") == 400
        assert refused(b"GET / HTTP/1.1\r\nHost:\r\n a\r\n\r\n") == 400

    def test_inTrailers(self) -> None:
        assert parse(chunkedBody(b"0\r\nx: y\r\n z\r\n\r\n")).error == 400


class TestUpgrade:
    """Section 9.3 and RFC 9110 section 7.8."""

    @pytest.mark.parametrize("option", [b"upgrade", b"Upgrade", b"keep-alive, Upgrade", b"x,\tupgrade ,y"])
    def test_asked(self, option: bytes) -> None:
        outcome = parse(get(b"Connection: " + option + b"\r\nUpgrade: websocket\r\n"))
        assert outcome.requests[0].upgrade
        assert outcome.finished

    @pytest.mark.parametrize(
        "fields",
        [
            b"Upgrade: websocket\r\n",
            b"Connection: upgrade\r\n",
            b"Connection: upgraded\r\nUpgrade: x\r\n",
            b"Connection: x upgrade\r\nUpgrade: x\r\n",
            b"Proxy-Connection: upgrade\r\nUpgrade: x\r\n",
        ],
    )
    def test_notAsked(self, fields: bytes) -> None:
        outcome = parse(get(fields) + get())
        assert [request.upgrade for request in outcome.requests] == [False, False]

    def test_notInHttp10(self) -> None:
        fields = b"Connection: upgrade, keep-alive\r\nUpgrade: x\r\n"
        outcome = parse(get(fields, version=b"1.0") + get())
        assert [request.upgrade for request in outcome.requests] == [False, False]

    @pytest.mark.parametrize(
        ("fields", "body"),
        [(b"Content-Length: 3\r\n", b"abc"), (b"Transfer-Encoding: chunked\r\n", b"3\r\nabc\r\n0\r\n\r\n")],
    )
    def test_contentIsContent(self, fields: bytes, body: bytes) -> None:
        octets = get(b"Connection: upgrade\r\nUpgrade: x\r\n" + fields) + body
        outcome = parse(octets + get())
        (request,) = outcome.requests
        assert (request.upgrade, request.body, outcome.error) == (True, b"abc", None)
