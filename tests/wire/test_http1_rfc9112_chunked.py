"""RFC 9112 section 7: the chunked transfer coding of requests."""

from __future__ import annotations

import re

import pytest
from wirehelpers import GET, accepted, chunkedBody, feed, parse

FORBIDDEN_TRAILERS = re.findall(
    r"\S+",
    "Authorization Connection Content-Encoding Content-Length Content-Range Content-Type Cookie Expect Host "
    "Proxy-Connection TE Trailer Transfer-Encoding Upgrade",
)


def failed(octets: bytes, body: bytes = b"", **limits: object) -> int | None:
    """The status that refuses a request in the middle of its content, of which `body` came through."""
    outcome = parse(octets, **limits)
    (request,) = outcome.requests
    assert request.trailers is None, "it must never look complete"
    assert request.body == body
    return outcome.error


def content(body: bytes) -> bytes:
    """What the chunked content `body` decodes to."""
    request = accepted(chunkedBody(body))
    assert request.contentLength is None
    return request.body


class TestSection71Chunked:
    @pytest.mark.parametrize(
        ("body", "decoded"),
        [
            (b"0\r\n\r\n", b""),
            (b"00\r\n\r\n", b""),
            (b"0000000000000000\r\n\r\n", b""),
            (b"3\r\nabc\r\n0\r\n\r\n", b"abc"),
            (b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", b"abc"),
            (b"0000000000000003\r\nabc\r\n0\r\n\r\n", b"abc"),
            (b"a\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
            (b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
            (b"1A\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\n\r\n", b"abcdefghijklmnopqrstuvwxyz"),
            (b"2\r\n\r\n\r\n0\r\n\r\n", b"\r\n"),
            (b"5\r\n0\r\n\r\n\r\n0\r\n\r\n", b"0\r\n\r\n"),
        ],
    )
    def test_accepted(self, body: bytes, decoded: bytes) -> None:
        assert content(body) == decoded

    @pytest.mark.parametrize(
        "size",
        [
            b"",
            b"0x5",
            b"0X5",
            b"x5",
            b"+5",
            b"-5",
            b"-0",
            b"5_0",
            b"5 ",
            b"5\t",
            b" 5",
            b"\t5",
            b"5 5",
            b"5h",
            b"g",
            b"5,",
            b"5.",
            b"5\x00",
            b"\x005",
            b"5\x0b",
            b"5\xa0",
            b"\xef\xbc\x95",
            b";",
            b";a=b",
            b"5\r",
            b"\r\n5",
            b"00000000000000005",
            b"10000000000000000",
            b"f" * 17,
            b"f" * 100,
        ],
    )
    def test_malformedSize(self, size: bytes) -> None:
        assert failed(chunkedBody(size + b"\r\nabcde\r\n0\r\n\r\n")) == 400
        assert failed(chunkedBody(b"1\r\nx\r\n" + size + b"\r\nabcde\r\n0\r\n\r\n"), b"x") == 400

    def test_malformedLastSize(self) -> None:
        for size in (b"0x0", b"-0", b"0 ", b" 0", b"0" * 17):
            assert failed(chunkedBody(size + b"\r\n\r\n")) == 400

    @pytest.mark.parametrize("end", [b"\n", b"\r", b"\n\r", b"\r\r\n", b" \r\n"])
    def test_lineEndsOfSizes(self, end: bytes) -> None:
        assert failed(chunkedBody(b"5" + end + b"abcde\r\n0\r\n\r\n")) == 400
        assert failed(chunkedBody(b"5;a" + end + b"abcde\r\n0\r\n\r\n")) == 400

    @pytest.mark.parametrize(
        "end", [b"\n", b"\r", b"x", b"\n\n", b"\r\r\n", b"xx\r\n", b" \r\n", b"0\r\n", b"\rx"]
    )
    def test_lineEndsOfData(self, end: bytes) -> None:
        assert failed(chunkedBody(b"3\r\nabc" + end + b"0\r\n\r\n"), b"abc") == 400

    @pytest.mark.parametrize("end", [b"\n\n", b"\n", b"\r\n\n", b"\r\nx", b"\r\rx", b"\r\n\rx", b"\n\r\n"])
    def test_lineEndsAtTheEnd(self, end: bytes) -> None:
        assert failed(chunkedBody(b"0" + end + b"\r\n\r\n")) == 400

    def test_dataOfTheLargestSize(self) -> None:
        outcome = parse(chunkedBody(b"ffffffffffffffff\r\nabc"))
        assert (outcome.error, outcome.requests[0].body) == (None, b"abc")

    def test_contentBeforeAnErrorComesThrough(self) -> None:
        assert failed(chunkedBody(b"3\r\nabc\r\n3\r\ndef\r\nx\r\n"), b"abcdef") == 400

    def test_nextRequestBehindIt(self) -> None:
        outcome = parse(chunkedBody(b"3\r\nabc\r\n0\r\n\r\n") + GET)
        assert [each.body for each in outcome.requests] == [b"abc", b""]


class TestSection711ChunkExtensions:
    @pytest.mark.parametrize(
        "extension",
        [
            b";a",
            b";a=b",
            b";a=b;c=d;e",
            b" ; a = b ; c",
            b"\t;\ta\t=\tb",
            b";!#$%&'*+-.^_`|~=0",
            b';a="b"',
            b';a=""',
            b';a="b;c=d, \t e"',
            b';a="\\"b\\\\"',
            b';a="\\\t\\ "',
            b';a="\x80\xff\xa0"',
            b';a="\\\x80"',
            b';a="b";c="d"',
        ],
    )
    def test_ignored(self, extension: bytes) -> None:
        assert content(b"3" + extension + b"\r\nabc\r\n0" + extension + b"\r\n\r\n") == b"abc"

    @pytest.mark.parametrize(
        "extension",
        [
            b";",
            b"; ",
            b";;a",
            b";a;",
            b";a=",
            b";=b",
            b";a==b",
            b";a=b=c",
            b";a b",
            b";a=b c",
            b" a",
            b",a",
            b";a,b",
            b";a=b ",
            b";a ",
            b';a="b',
            b';a=b"',
            b';a="b"c',
            b';a="\\"',
            b';"a"=b',
            b";a='b c'",
            b";a\x00",
            b";a=\x00",
            b';a="\x00"',
            b';a="\x7f"',
            b';a="\\\x7f"',
            b';a="b\rc"',
            b';a="b\nc"',
            b';a="b\r\nc"',
            b";a\rb",
            b";a\nb",
            b";\r",
            b";a=\x80",
            b";\xc3\xa4",
            b";a=[b]",
        ],
    )
    def test_malformed(self, extension: bytes) -> None:
        assert failed(chunkedBody(b"3" + extension + b"\r\nabc\r\n0\r\n\r\n")) == 400
        assert failed(chunkedBody(b"1\r\nx\r\n0" + extension + b"\r\n\r\n"), b"x") == 400

    def test_lineLimit(self) -> None:
        for digits in (b"1", b"0" * 15 + b"1"):
            assert content(digits + b";" + b"a" * 4095 + b"\r\nx\r\n0\r\n\r\n") == b"x"
            assert failed(chunkedBody(digits + b";" + b"a" * 4096 + b"\r\nx\r\n0\r\n\r\n")) == 400

    def test_bodyLimit(self) -> None:
        chunk = b"1;" + b"a" * 4095 + b"\r\nx\r\n"
        assert content(chunk * 16 + b"0\r\n\r\n") == b"x" * 16
        assert failed(chunkedBody(chunk * 16 + b"0;a\r\n\r\n"), b"x" * 16) == 400

    def test_bodyLimitOfManySmallOnes(self) -> None:
        pieces = [chunkedBody(b""), *[b"1;a\r\nx\r\n"] * 32768]
        assert feed(pieces).error is None
        assert feed([*pieces, b"1;a\r\nx\r\n"]).error == 400
        assert feed([b"".join(pieces), b"1;a\r\nx\r\n"]).error == 400

    def test_unterminatedLine(self) -> None:
        assert failed(chunkedBody(b"5;" + b"a" * 1_000_000)) == 400
        assert failed(chunkedBody(b"5" * 1_000_000)) == 400
        assert failed(chunkedBody(b'5;a="' + b"b" * 1_000_000)) == 400

    def test_unterminatedLineAtItsLimit(self) -> None:
        outcome = parse(chunkedBody(b"1;" + b"a" * 4094))
        assert (outcome.error, outcome.requests[0].trailers) == (None, None)


class TestSection712Trailers:
    def test_delivered(self) -> None:
        request = accepted(chunkedBody(b"1\r\nx\r\n0\r\nDigest: a\r\nb:\t c \r\nDigest:\r\n\r\n"))
        assert request.trailers == [(b"Digest", b"a"), (b"b", b"c"), (b"Digest", b"")]
        assert (b"Digest", b"a") not in request.fields

    @pytest.mark.parametrize(
        "line",
        [
            b"x",
            b"x y: z",
            b"x : y",
            b" x: y",
            b"\tx: y",
            b": y",
            b":",
            b"x\0: y",
            b"x: y\0z",
            b"x: y\x7f",
            b"x\xe4: y",
            b"x: y\rz",
            b"x: y\nz: 1",
            b"x: y\r",
            b"GET / HTTP/1.1",
            b"(x): y",
        ],
    )
    def test_malformed(self, line: bytes) -> None:
        assert failed(chunkedBody(b"1\r\nx\r\n0\r\n" + line + b"\r\n\r\n"), b"x") == 400
        assert failed(chunkedBody(b"1\r\nx\r\n0\r\nz: 1\r\n" + line + b"\r\n\r\n"), b"x") == 400

    @pytest.mark.parametrize("name", FORBIDDEN_TRAILERS)
    @pytest.mark.parametrize("value", [b"chunked", b"5", b"close", b"upgrade"])
    def test_forbidden(self, name: str, value: bytes) -> None:
        for spelled in (name, name.lower(), name.upper()):
            trailer = spelled.encode() + b": " + value + b"\r\n"
            assert failed(chunkedBody(b"1\r\nx\r\n0\r\n" + trailer + b"\r\n"), b"x") == 400
        assert failed(chunkedBody(b"0\r\nx: y\r\n" + trailer + b"z: 1\r\n\r\n") + GET) == 400

    def test_nextRequestBehindThem(self) -> None:
        for trailer in (b"x: y", b"Keep-Alive: 5", b"close: close"):
            outcome = parse(chunkedBody(b"0\r\n" + trailer + b"\r\n\r\n") * 2 + GET)
            assert (len(outcome.requests), outcome.error) == (3, None)

    def test_countLimit(self) -> None:
        def body(count: int) -> bytes:
            return b"1\r\nx\r\n0\r\n" + b"x: y\r\n" * count + b"\r\n"

        trailers = accepted(chunkedBody(body(3)), maximumHeaderFieldCount=3).trailers
        assert trailers == [(b"x", b"y")] * 3
        assert failed(chunkedBody(body(4)), b"x", maximumHeaderFieldCount=3) == 431
        assert accepted(chunkedBody(body(500)), maximumHeaderFieldCount=None).body == b"x"

    def test_fieldLimit(self) -> None:
        def body(size: int) -> bytes:
            return b"0\r\nx: " + b"y" * (size - 2) + b"\r\n\r\n"

        assert accepted(chunkedBody(body(100)), maximumHeaderFieldSize=100).trailers == [(b"x", b"y" * 98)]
        assert failed(chunkedBody(body(101)), maximumHeaderFieldSize=100) == 431

    def test_totalLimit(self) -> None:
        def body(size: int) -> bytes:
            return b"0\r\nx: y\r\nz: " + b"y" * (size - 5) + b"\r\n\r\n"

        assert len(accepted(chunkedBody(body(100)), maximumTotalHeaderSize=100).trailers or []) == 2
        assert failed(chunkedBody(body(101)), maximumTotalHeaderSize=100) == 431

    @pytest.mark.parametrize("filling", [b"x", b"x: y", b"x:" + b" " * 60, b"x: y\r\n", b" "])
    def test_endless(self, filling: bytes) -> None:
        octets = chunkedBody(b"0\r\nz: 1\r\nx:" + filling * (300_000 // len(filling)))
        assert failed(octets) == 431
