"""Limits: inclusive, None and 0, whole and in pieces; and what an endless head costs (RFC 6585, 9110)."""

from __future__ import annotations

import tracemalloc

import pytest
from wirehelpers import Outcome, accepted, cutUp, feed, get, parse, refused

MEGABYTES = 3_000_000

HTTP10 = b"GET / HTTP/1.0\r\n"


def fields(*lines: bytes) -> bytes:
    """A request with these fields and no others."""
    return HTTP10 + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


class TestUrlSize:
    @pytest.mark.parametrize("limit", [1, 2, 63, 64, 65, 100])
    def test_inclusive(self, limit: int) -> None:
        target = b"/" + b"a" * (limit - 1)
        assert accepted(get(target=target), maximumUrlSize=limit).target == target
        assert refused(get(target=target + b"a"), maximumUrlSize=limit) == 414
        assert refused(get(target=target + b"a" * 200), maximumUrlSize=limit) == 414

    def test_default(self) -> None:
        target = b"/" + b"a" * 65535
        assert len(accepted(get(target=target)).target) == 65536
        assert refused(get(target=target + b"a")) == 414

    def test_nothingAllowed(self) -> None:
        assert refused(get(), maximumUrlSize=0) == 414
        assert refused(get(b"bad line\r\n"), maximumUrlSize=0) == 414

    def test_noLimit(self) -> None:
        target = b"/" + b"a" * 1_000_000
        octets = get(target=target)
        for pieces in ([octets], cutUp(octets, range(0, len(octets), 50_000))):
            assert feed(pieces, maximumUrlSize=None).requests[0].target == target

    def test_absoluteFormCountsWhole(self) -> None:
        assert accepted(get(target=b"http://b/"), maximumUrlSize=9).authority == b"b"
        assert refused(get(target=b"http://b/"), maximumUrlSize=8) == 414

    @pytest.mark.parametrize(
        ("octets", "status"),
        [
            (get(target=b"/\x80" + b"a" * 200), 400),
            (get(target=b"/" + b"a" * 200 + b"\x80"), 414),
            (get(target=b"/" + b"a" * 200, version=b"1.2"), 414),
            (get(target=b"/" + b"a" * 200, version=b"9"), 414),
            (get(target=b"/aaaaaaaaaaa", version=b"1.2"), 505),
            (get(target=b"/aaaaaaaaaaa", version=b"9"), 400),
            (get(target=b"foo", version=b"1.2"), 505),
            (get(method=b"A" * 100), 414),
            (get(method=b"A" * 40), 501),
            (b"GET /" + b" " * 200, 414),
            (b"GET /\n" + b" " * 200, 400),
            (get(b"bad line\r\n", target=b"/" + b"a" * 200), 414),
        ],
    )
    def test_orderOfRefusals(self, octets: bytes, status: int) -> None:
        assert refused(octets, maximumUrlSize=10) == status

    @pytest.mark.parametrize("start", [b"", b"GET", b"GET ", b"GET /", b"GET / HTTP/1.1", b"\r\n"])
    @pytest.mark.parametrize("filling", [b"a", b" ", b"/a?b ", b"HTTP/1.1 "])
    def test_endless(self, start: bytes, filling: bytes) -> None:
        assert refused(start + filling * (MEGABYTES // len(filling))) == 414


class TestFieldCount:
    @pytest.mark.parametrize("limit", [1, 2, 10])
    def test_inclusive(self, limit: int) -> None:
        lines = [b"x: y"] * limit
        assert len(accepted(fields(*lines), maximumHeaderFieldCount=limit).fields) == limit
        assert refused(fields(*lines, b"x: y"), maximumHeaderFieldCount=limit) == 431

    def test_default(self) -> None:
        assert len(accepted(fields(*[b"x: y"] * 128)).fields) == 128
        assert refused(fields(*[b"x: y"] * 129)) == 431

    def test_nothingAllowed(self) -> None:
        assert accepted(fields(), maximumHeaderFieldCount=0).fields == []
        assert refused(fields(b"x:"), maximumHeaderFieldCount=0) == 431

    def test_noLimit(self) -> None:
        assert len(accepted(fields(*[b"x: y"] * 3000), maximumHeaderFieldCount=None).fields) == 3000


class TestFieldSize:
    """Name, value and 1."""

    @pytest.mark.parametrize("limit", [2, 3, 50])
    def test_inclusive(self, limit: int) -> None:
        value = b"y" * (limit - 2)
        assert accepted(fields(b"x: " + value), maximumHeaderFieldSize=limit).fields == [(b"x", value)]
        assert refused(fields(b"x: " + value + b"y"), maximumHeaderFieldSize=limit) == 431
        assert refused(fields(b"xx: " + value), maximumHeaderFieldSize=limit) == 431

    def test_default(self) -> None:
        assert len(accepted(fields(b"x: " + b"y" * (49152 - 2))).fields) == 1
        assert refused(fields(b"x: " + b"y" * (49152 - 1))) == 431

    def test_whiteSpaceDoesNotCount(self) -> None:
        octets = fields(b"x:" + b" \t" * 100 + b"y" + b"\t " * 100)
        assert accepted(octets, maximumHeaderFieldSize=3).fields == [(b"x", b"y")]

    def test_nothingAllowed(self) -> None:
        assert accepted(fields(), maximumHeaderFieldSize=0).fields == []
        assert refused(fields(b"x:"), maximumHeaderFieldSize=0) == 431

    def test_noLimit(self) -> None:
        octets = fields(b"x: " + b"y" * 60_000)
        assert len(accepted(octets, maximumHeaderFieldSize=None).fields[0][1]) == 60_000


class TestTotalSize:
    """The sum of what counts of each field; the request line is not in it."""

    @pytest.mark.parametrize("limit", [6, 7, 100])
    def test_inclusive(self, limit: int) -> None:
        lines = [b"x: y", b"z: " + b"y" * (limit - 5)]
        assert len(accepted(fields(*lines), maximumTotalHeaderSize=limit).fields) == 2
        assert refused(fields(*lines[:1], lines[1] + b"y"), maximumTotalHeaderSize=limit) == 431
        assert refused(fields(*lines, b"z:"), maximumTotalHeaderSize=limit) == 431

    def test_default(self) -> None:
        lines = [b"x: " + b"y" * (32768 - 2)] * 2
        assert len(accepted(fields(*lines)).fields) == 2
        assert refused(fields(*lines, b"z:")) == 431

    def test_requestLineDoesNotCount(self) -> None:
        assert accepted(get(target=b"/" + b"a" * 500), maximumTotalHeaderSize=6).authority == b"a"
        assert refused(get(target=b"/" + b"a" * 500), maximumTotalHeaderSize=5) == 431

    def test_nothingAllowed(self) -> None:
        assert accepted(fields(), maximumTotalHeaderSize=0).fields == []
        assert refused(fields(b"x:"), maximumTotalHeaderSize=0) == 431

    def test_noLimit(self) -> None:
        unlimited = dict.fromkeys(
            ["maximumTotalHeaderSize", "maximumHeaderFieldSize", "maximumHeaderFieldCount", "maximumUrlSize"]
        )
        octets = fields(*[b"x: " + b"y" * 50_000] * 20)
        for pieces in ([octets], cutUp(octets, range(0, len(octets), 50_000))):
            assert len(feed(pieces, **unlimited).requests[0].fields) == 20


class TestOrderOfRefusals:
    """What comes first on the wire decides, however it was cut up."""

    LIMITS = {"maximumHeaderFieldCount": 2, "maximumHeaderFieldSize": 20, "maximumTotalHeaderSize": 30}
    LARGE = b"x: " + b"y" * 30
    BAD = b"bad line"

    @pytest.mark.parametrize(
        ("lines", "status"),
        [
            ([BAD, LARGE], 400),
            ([LARGE, b"z: 1", BAD], 431),
            ([b"x: y", BAD, b"x: y", b"x: y"], 400),
            ([b"x: y", b"x: y", b"x: y", b"z: 1", BAD], 431),
            ([b"x: " + b"y" * 17, b"x: " + b"y" * 17, b"z: 1", BAD], 431),
            ([b"Content-Length: x", LARGE], 400),
            ([b"Host: a b", LARGE], 431),
            ([b"Expect: foo", b"Host: a b"], 400),
        ],
    )
    def test_firstOneDecides(self, lines: list[bytes], status: int) -> None:
        assert refused(fields(*lines), **self.LIMITS) == status

    @pytest.mark.parametrize("size", [200, 700, 7000, 8000, 8200, 9000])
    @pytest.mark.parametrize("line", [BAD, b"x: y", b"x:" + b" " * 500])
    def test_whiteSpaceAndGarbage(self, size: int, line: bytes) -> None:
        octets = fields(b"x:" + b" " * size + b"y", line, b"z:" + b" " * size)
        assert parse(octets, maximumTotalHeaderSize=100, maximumHeaderFieldCount=3).error in (None, 400, 431)


class TestEndlessHeads:
    @pytest.mark.parametrize(
        "filling",
        [
            b"a",
            b" ",
            b"x: y\r\n",
            b"x:\r\n",
            b"x:" + b" " * 1000 + b"\r\n",
            b"x: " + b"y" * 500 + b"\r\n",
            b"x: ",
        ],
    )
    @pytest.mark.parametrize("start", [b"", b"x: y\r\n", b"x:"])
    def test_endless(self, filling: bytes, start: bytes) -> None:
        octets = get(start)[:-2] + filling * (MEGABYTES // len(filling))
        outcome = Outcome([], 431, b"", finished=False)
        for size in (1000, 8192, 65536, 1_000_000, len(octets)):
            assert feed(cutUp(octets, range(0, len(octets), size))) == outcome, size

    @pytest.mark.parametrize("octet", [b"a", b" ", b"\t"])
    def test_endlessLineWithoutCount(self, octet: bytes) -> None:
        octets = b"GET / HTTP/1.1\r\nHost:" + octet * MEGABYTES
        assert refused(octets, maximumHeaderFieldCount=None) == 431

    @pytest.mark.parametrize("start", [b"GET /", b"GET / HTTP/1.1\r\nHost: a\r\nx: y"])
    def test_memory(self, start: bytes) -> None:
        piece = b"a" * 4096
        tracemalloc.start()
        try:
            outcome = feed([start, *[piece] * 5000])
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert outcome.error in (414, 431)
        assert peak < 1_000_000

    def test_headInManyPiecesIsNotQuadratic(self) -> None:
        # 64 KiB, an octet at a time, is what a peer may make us read; it has a few seconds of margin here.
        octets = get(b"x: " + b"y" * 20_000 + b"\r\n")
        assert len(feed(cutUp(octets, range(len(octets)))).requests) == 1


class TestChangingLimits:
    def test_nextRequest(self) -> None:
        from txabstracthttp._events import Head, PeerError
        from txabstracthttp.configuration import HttpServerConfiguration
        from txabstracthttp.wire.http1 import Http1Wire

        wire = Http1Wire(HttpServerConfiguration())
        assert isinstance(wire.receiveData(get(target=b"/abc"))[0], Head)
        wire.sendResponse(1, 200, [], 0, b"")
        wire.configuration = HttpServerConfiguration(maximumUrlSize=3)
        assert wire.configuration.maximumUrlSize == 3
        (event,) = wire.receiveData(get(target=b"/abc"))
        assert isinstance(event, PeerError)
        assert event.error.status == 414
