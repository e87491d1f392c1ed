"""What holds for all octets, garbage or not, however they arrive (RFC 9112)."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from wirehelpers import AT_HEAD, NEVER, Parsed, cutUp, feed
from wirestrategies import cuts, limits, requests, spoilt

from txabstracthttp.configuration import HttpServerConfiguration
from txabstracthttp.wire.http1 import Http1Wire

series = st.lists(requests(), max_size=3).flatmap(
    lambda earlier: requests(last=True).map(lambda latest: [*earlier, latest])
)


def octetsOf(given: list[tuple[bytes, Parsed]]) -> bytes:
    return b"".join(octets for octets, _ in given)


def everyBit(octets: bytes) -> list[bytes]:
    return cutUp(octets, range(len(octets)))


# A `PeerError` at most, and nothing behind it, is what `feed` asserts, and the bound on what is kept.


@given(st.binary(max_size=60), cuts)
def test_anyOctets(octets: bytes, where: list[int]) -> None:
    whole = feed([octets])
    assert feed(cutUp(octets, where)) == whole
    assert feed(everyBit(octets)) == whole


@given(spoilt(series.map(octetsOf)), cuts, limits)
@example(b"GET / HTTP/1.1\r\nHost: a\r\nProxy-Connection: close\r\n\r\n" * 2, [], {})
@example(b"CONNECT 443 HTTP/1.1\r\nHost: a\r\n\r\n", [], {})
def test_spoiltRequests(octets: bytes, where: list[int], allowed: dict[str, Any]) -> None:
    whole = feed([octets], **allowed)
    assert feed(cutUp(octets, where), **allowed) == whole
    assert feed(everyBit(octets), **allowed) == whole
    assert feed([octets], answer=AT_HEAD, **allowed) == whole
    assert feed(cutUp(octets, where), answer=AT_HEAD, **allowed) == whole


@given(spoilt(series.map(octetsOf)), cuts)
def test_unansweredRequests(octets: bytes, where: list[int]) -> None:
    whole = feed([octets], answer=NEVER)
    assert feed(cutUp(octets, where), answer=NEVER) == whole
    assert feed(everyBit(octets), answer=NEVER) == whole
    assert len(whole.requests) <= 1
    if whole.error is None and whole.requests and whole.requests[0].trailers is not None:
        assert octets.endswith(whole.leftover)


@given(
    spoilt(
        st.sampled_from([b"", b"GET /", b"GET / HTTP/1.1\r\nHost: a\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nx:"])
    ),
    st.sampled_from([b"a", b" ", b"x: y\r\n", b"x:" + b" " * 300 + b"y\r\n", b"/\t", b"x:\r\n"]),
    st.integers(1, 5000),
)
def test_endlessOctetsEndInOneError(start: bytes, filling: bytes, size: int) -> None:
    limited = {"maximumUrlSize": 100, "maximumTotalHeaderSize": 200, "maximumHeaderFieldCount": 5}
    octets = start + filling * (20_000 // len(filling))
    whole = feed([octets], **limited)
    assert feed(cutUp(octets, range(0, len(octets), size)), **limited) == whole
    assert whole.error is not None or whole.finished or whole.requests


@given(spoilt(series.map(octetsOf)), cuts)
def test_endOfInput(octets: bytes, where: list[int]) -> None:
    """The end of input is an error in the middle of a message, once, and silent otherwise."""
    wire = Http1Wire(HttpServerConfiguration())
    events = [event for piece in cutUp(octets, where) for event in wire.receiveData(piece)]
    endings = [*wire.receiveEnd(), *wire.receiveEnd()]
    assert len(endings) <= 1
    kinds = [type(event).__name__ for event in [*events, *endings]]
    assert kinds.count("PeerError") <= 1
    if "PeerError" in kinds:
        assert kinds.index("PeerError") == len(kinds) - 1


@given(series, cuts)
def test_wellFormedRequests(given: list[tuple[bytes, Parsed]], where: list[int]) -> None:
    octets = octetsOf(given)
    expected = [parsed for _, parsed in given]
    for pieces in ([octets], cutUp(octets, where), everyBit(octets)):
        outcome = feed(pieces)
        assert outcome.error is None
        assert outcome.requests == expected
        assert outcome.leftover == b""


@given(requests())
def test_exactlyAtItsLimits(given: tuple[bytes, Parsed]) -> None:
    octets, expected = given
    sizes = [len(name) + 1 + len(value) for name, value in [*expected.fields, *(expected.trailers or [])]]
    trailers = [len(name) + 1 + len(value) for name, value in expected.trailers or []]
    total = max(sum(sizes) - sum(trailers), sum(trailers))
    count = max(len(expected.fields), len(trailers))
    exact = {
        "maximumUrlSize": len(expected.target),
        "maximumHeaderFieldSize": max(sizes),
        "maximumTotalHeaderSize": total,
        "maximumHeaderFieldCount": count,
    }
    assert feed([octets], **exact).requests == [expected]
    for name, value in exact.items():
        for pieces in ([octets], everyBit(octets)):
            assert feed(pieces, **{name: value - 1}).error == (414 if name == "maximumUrlSize" else 431)
