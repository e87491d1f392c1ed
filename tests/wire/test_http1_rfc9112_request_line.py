"""RFC 9112 sections 2, 3 and 3.1: the message's outline, its version, the request line, the method."""

from __future__ import annotations

import pytest
from wirehelpers import GET, METHODS, Parsed, accepted, feed, get, parse, refused


class TestSection21MessageFormat:
    def test_smallest(self) -> None:
        assert parse(GET).requests == [Parsed("GET", b"/", fields=[(b"Host", b"a")], authority=b"a")]

    def test_nothingIsNoError(self) -> None:
        assert feed([b"", b""]) == feed([])
        assert feed([]).requests == []

    @pytest.mark.parametrize("size", range(1, len(GET)))
    def test_noEventBeforeTheEmptyLine(self, size: int) -> None:
        outcome = parse(GET[:size])
        assert (outcome.requests, outcome.error, outcome.leftover) == ([], None, GET[:size])


class TestSection22MessageParsing:
    def test_oneEmptyLineIsIgnored(self) -> None:
        assert accepted(b"\r\n" + GET).target == b"/"

    def test_oneEmptyLineIsIgnoredBeforeEachRequest(self) -> None:
        assert len(parse(b"\r\n" + GET + b"\r\n" + GET + b"\r\n" + GET).requests) == 3

    @pytest.mark.parametrize("octets", [b"\r\n\r\n" + GET, b"\r\n\r\n\r\n" + GET, b"\r\n" * 1000])
    def test_twoEmptyLinesAreRefused(self, octets: bytes) -> None:
        assert refused(octets) == 400

    @pytest.mark.parametrize(
        "start", [b"\n", b"\r", b"\n\r\n", b"\r\r\n", b"\r\n\n", b"\r\n\r", b"\0", b"\x0c"]
    )
    def test_noOtherEmptyLine(self, start: bytes) -> None:
        assert refused(start + GET) == 400

    @pytest.mark.parametrize("start", [b" ", b"\t", b" \r\n", b"\t\r\n", b"\xef\xbb\xbf", b"\r\n "])
    def test_noWhiteSpaceBeforeTheRequestLine(self, start: bytes) -> None:
        assert refused(start + GET) == 400

    @pytest.mark.parametrize(
        "octets",
        [
            b"GET / HTTP/1.1\nHost: a\n\n",
            b"GET / HTTP/1.1\nHost: a\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\n\n",
            b"GET / HTTP/1.1\r\n\nHost: a\r\n\r\n",
        ],
    )
    def test_bareLineFeedEndsNoLine(self, octets: bytes) -> None:
        assert refused(octets + b"x: y\r\n\r\n") == 400

    @pytest.mark.parametrize(
        "octets",
        [
            b"GET / HTTP/1.1\rHost: a\r\r",
            b"GET / HTTP/1.1\rHost: a\r\n\r\n",
            b"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\n\rX: y\r\n\r\n",
            b"GET /\r HTTP/1.1\r\nHost: a\r\n\r\n",
        ],
    )
    def test_bareCarriageReturnIsRefused(self, octets: bytes) -> None:
        assert refused(octets + b"\r\n") == 400

    @pytest.mark.parametrize("blank", [b" ", b"\t"])
    def test_whiteSpaceBeforeTheFirstField(self, blank: bytes) -> None:
        assert refused(b"GET / HTTP/1.1\r\n" + blank + b"X: y\r\nHost: a\r\n\r\n") == 400

    def test_whiteSpaceInsteadOfTheEmptyLine(self) -> None:
        assert refused(b"GET / HTTP/1.1\r\nHost: a\r\n \r\n\r\n") == 400

    def test_tlsHelloIsRefusedAtOnce(self) -> None:
        assert refused(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03") == 400


class TestSection23Version:
    @pytest.mark.parametrize("version", ["1.0", "1.1"])
    def test_known(self, version: str) -> None:
        assert accepted(get(version=version.encode())).version == version

    @pytest.mark.parametrize("version", [b"1.2", b"1.9", b"3.0", b"9.9"])
    def test_newerIsNotSupported(self, version: bytes) -> None:
        assert refused(get(version=version)) == 505

    @pytest.mark.parametrize("version", [b"0.9", b"0.0", b"2.0", b"2.9"])
    def test_otherProtocols(self, version: bytes) -> None:
        assert refused(get(version=version)) == 400

    def test_http2Preface(self) -> None:
        assert refused(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") == 400

    @pytest.mark.parametrize(
        "version",
        [
            b"",
            b"1",
            b"1.",
            b".1",
            b"11",
            b"1.10",
            b"01.1",
            b"1,1",
            b"1.1 ",
            b"+1.1",
            b"1.x",
            b"1 .1",
            b"-1.1",
        ],
    )
    def test_malformed(self, version: bytes) -> None:
        assert refused(get(version=version)) == 400

    @pytest.mark.parametrize("name", [b"http", b"Http", b"HTTPS", b"HTP", b"ICE", b"RTSP", b"", b"HTTP "])
    def test_nameIsCaseSensitive(self, name: bytes) -> None:
        assert refused(b"GET / " + name + b"/1.1\r\nHost: a\r\n\r\n") == 400

    @pytest.mark.parametrize(
        "line", [b"GET /", b"GET", b"GET / ", b"GET /\r\n", b"/", b"GET  ", b"GET / HTTP", b"GET / HTTP/"]
    )
    def test_missing(self, line: bytes) -> None:
        assert refused(line + b"\r\nHost: a\r\n\r\n") == 400


class TestSection3RequestLine:
    @pytest.mark.parametrize(
        "line",
        [
            b"GET  / HTTP/1.1",
            b"GET /  HTTP/1.1",
            b"GET\t/ HTTP/1.1",
            b"GET /\tHTTP/1.1",
            b"GET / HTTP/1.1 ",
            b"GET / HTTP/1.1\t",
            b"GET / HTTP/1.1 x",
            b"GET /a b HTTP/1.1",
            b"GET\x0b/ HTTP/1.1",
            b"GET\x0c/ HTTP/1.1",
            b"GET\xa0/ HTTP/1.1",
            b"GET HTTP/1.1",
            b"GET / / HTTP/1.1",
            b"HTTP/1.1 200 OK",
        ],
    )
    def test_oneSpaceBetweenTheParts(self, line: bytes) -> None:
        assert refused(line + b"\r\nHost: a\r\n\r\n") == 400


class TestSection31Method:
    @pytest.mark.parametrize("method", METHODS)
    def test_known(self, method: str) -> None:
        assert accepted(get(method=method.encode())).method == method

    @pytest.mark.parametrize(
        "method", [b"BREW", b"GETS", b"GE", b"G", b"XGET", b"!#$%&'*+-.^_`|~09azAZ", b"A" * 40]
    )
    def test_unknownIsNotImplemented(self, method: bytes) -> None:
        assert refused(get(method=method)) == 501

    @pytest.mark.parametrize("method", [b"get", b"Get", b"gET", b"post"])
    def test_caseSensitive(self, method: bytes) -> None:
        assert refused(get(method=method)) == 501

    @pytest.mark.parametrize("method", [b"PRI", b"DESCRIBE", b"SETUP", b"FLUSH"])
    def test_otherProtocolsMethods(self, method: bytes) -> None:
        # llhttp knows these, and that they are not HTTP/1.1's.
        assert refused(get(method=method)) == 400

    @pytest.mark.parametrize("character", [bytes([c]) for c in b'"(),/:;<=>?@[\\]{}\0\x01\x7f\x80\xff'])
    def test_tokensOnly(self, character: bytes) -> None:
        assert refused(get(method=b"GE" + character + b"T")) == 400

    def test_unknownMethodWithMalformedFields(self) -> None:
        assert refused(get(b"bad line\r\n", method=b"BREW")) == 501

    def test_malformedTargetGoesBeforeUnknownMethod(self) -> None:
        assert refused(get(method=b"BREW", target=b"foo")) == 400

    def test_unsupportedVersionGoesFirst(self) -> None:
        assert refused(get(method=b"BREW", target=b"foo", version=b"1.2")) == 505
