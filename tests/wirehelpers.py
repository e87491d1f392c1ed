"""Drive an `Http1Wire` without a connection, and say in plain values what came of it.

`parse` is the door for nearly every test: it holds the outcome against every way to cut the octets up, and
against answering at the head or at the end of a request, so no test can forget to.
"""

from __future__ import annotations

__all__ = [
    "GET",
    "METHODS",
    "Outcome",
    "Parsed",
    "accepted",
    "chunkedBody",
    "cutUp",
    "feed",
    "get",
    "opened",
    "parse",
    "post",
    "refused",
    "unanswered",
]

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from txabstracthttp._events import BodyData, BodyEnd, Event, Fields, Head, PeerError
from txabstracthttp.configuration import HttpServerConfiguration
from txabstracthttp.wire.http1 import Http1Wire

#: A request that everybody understands.
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"

#: Every method that llhttp knows as one of HTTP's, CONNECT aside.
METHODS = re.findall(
    r"\S+",
    "ACL BIND CHECKOUT COPY DELETE GET HEAD LINK LOCK M-SEARCH MERGE MKACTIVITY MKCALENDAR MKCOL MOVE "
    "NOTIFY OPTIONS PATCH POST PROPFIND PROPPATCH PURGE PUT QUERY REBIND REPORT SEARCH SOURCE SUBSCRIBE "
    "TRACE UNBIND UNLINK UNLOCK UNSUBSCRIBE",
)

#: Inputs up to this size are cut in two at every octet, longer ones at about so many.
SHORT, FEW = 160, 12
#: Inputs up to this size come byte by byte, too, larger ones in pieces of an odd size.
LARGE, PIECE = 5000, 997

#: When to answer a request: as soon as its head is there, when its content ended, or not at all.
AT_HEAD, AT_END, NEVER = "at head", "at end", "never"


class Parsed(NamedTuple):
    """One request as the wire told it; `trailers` is None while the content is not complete."""

    method: str
    target: bytes
    version: str = "1.1"
    fields: Fields = []
    authority: bytes = b""
    contentLength: int | None = 0
    upgrade: bool = False
    expectsContinue: bool = False
    body: bytes = b""
    trailers: Fields | None = []


class Outcome(NamedTuple):
    """What came of some octets; `error` is the status to answer with, `leftover` what nobody looked at."""

    requests: list[Parsed]
    error: int | None
    leftover: bytes
    finished: bool


class _Reader:
    """Feeds one wire and keeps the account."""

    def __init__(self, limits: dict[str, Any], answer: str) -> None:
        self.configuration = HttpServerConfiguration(**limits)
        self.wire = Http1Wire(self.configuration)
        self.requests: list[Parsed] = []
        self.error: int | None = None
        self._answer = answer
        self._bound = _bound(self.configuration)

    def feed(self, data: bytes) -> None:
        events = self.wire.receiveData(data)
        while events:
            for event in events:
                self._take(event)
            events = self.wire.receiveData(b"")
        if self._answer != NEVER and self._bound is not None:
            assert len(self.wire.unread) <= self._bound

    def _take(self, event: Event) -> None:
        assert self.error is None, "nothing comes after an error"
        if isinstance(event, PeerError):
            self.error = event.error.status
            assert 400 <= self.error <= 505
            return
        assert event.streamId == 1
        if isinstance(event, Head):
            self._takeHead(event)
        elif isinstance(event, BodyData):
            assert event.data, "no empty pieces"
            last = self.requests[-1]
            assert last.trailers is None
            self.requests[-1] = last._replace(body=last.body + event.data)
        else:
            assert isinstance(event, BodyEnd)
            assert self.requests[-1].trailers is None
            self.requests[-1] = self.requests[-1]._replace(trailers=event.trailers)
            if self._answer == AT_END:
                self._respond()

    def _takeHead(self, head: Head) -> None:
        assert not self.requests or self.requests[-1].trailers is not None, "one exchange at a time"
        empty = head.contentLength == 0
        self.requests.append(
            Parsed(
                head.method,
                head.target,
                head.version,
                head.fields,
                head.authority,
                head.contentLength,
                head.upgrade,
                head.expectsContinue,
                b"",
                [] if empty else None,
            )
        )
        if self._answer == AT_HEAD or (self._answer == AT_END and empty):
            self._respond()

    def _respond(self) -> None:
        self.wire.sendResponse(1, 200, [], 0, b"")

    def outcome(self) -> Outcome:
        leftover, finished = self.wire.unread, self.wire.finished
        if self.error is not None or finished:
            assert leftover == b""
            assert list(self.wire.receiveData(GET)) == []
            assert self.wire.unread == b""
            assert list(self.wire.receiveEnd()) == []
        return Outcome(self.requests, self.error, leftover, finished)


def _bound(configuration: HttpServerConfiguration) -> int | None:
    """What a wire may keep of a message that is not complete; None where a limit is off."""
    url, count = configuration.maximumUrlSize, configuration.maximumHeaderFieldCount
    total = configuration.maximumTotalHeaderSize
    if url is None or total is None:
        return None
    return url + 64 + max(8192, total + 64 * (128 if count is None else count + 1)) + 4114


def feed(pieces: Iterable[bytes], *, answer: str = AT_END, **limits: Any) -> Outcome:
    """The outcome of `pieces`, which arrive one after the other."""
    reader = _Reader(limits, answer)
    for piece in pieces:
        reader.feed(piece)
    return reader.outcome()


def cutUp(octets: bytes, cuts: Iterable[int]) -> list[bytes]:
    """`octets` in pieces that end at `cuts`."""
    stops = [*sorted({cut for cut in cuts if 0 < cut < len(octets)}), len(octets)]
    return [octets[start:stop] for start, stop in zip([0, *stops], stops, strict=False) if start < stop]


def _waysToCut(octets: bytes) -> Iterable[Sequence[bytes]]:
    size = len(octets)
    yield _smallPieces(octets)
    for cut in range(1, size, max(1, size // (SHORT if size <= LARGE else FEW))):
        yield octets[:cut], octets[cut:]


def _smallPieces(octets: bytes) -> list[bytes]:
    return cutUp(octets, range(0, len(octets), 1 if len(octets) <= LARGE else PIECE))


def parse(octets: bytes, **limits: Any) -> Outcome:
    """The outcome of `octets`, the same however they are cut up and whenever the requests are answered."""
    whole = feed([octets], **limits)
    for pieces in _waysToCut(octets):
        assert feed(pieces, **limits) == whole, pieces
    assert feed([octets], answer=AT_HEAD, **limits) == whole
    assert feed(_smallPieces(octets), answer=AT_HEAD, **limits) == whole
    return whole


def unanswered(octets: bytes, **limits: Any) -> Outcome:
    """The outcome of `octets`, however they are cut up, as long as nobody answers."""
    whole = feed([octets], answer=NEVER, **limits)
    for pieces in _waysToCut(octets):
        assert feed(pieces, answer=NEVER, **limits) == whole, pieces
    return whole


def accepted(octets: bytes, **limits: Any) -> Parsed:
    """The one request that `octets` are, nothing more and nothing less."""
    outcome = parse(octets, **limits)
    assert outcome.error is None
    assert outcome.leftover == b""
    (request,) = outcome.requests
    assert request.trailers is not None, "not complete"
    return request


def refused(octets: bytes, **limits: Any) -> int | None:
    """The status that refuses the first request in `octets` without a word of it reaching anybody.

    None where there is no error.
    """
    outcome = parse(octets, **limits)
    assert outcome.requests == []
    return outcome.error


def get(fields: bytes = b"", target: bytes = b"/", version: bytes = b"1.1", method: bytes = b"GET") -> bytes:
    """A request without content; `fields` are whole lines that stand behind its Host."""
    return b"%b %b HTTP/%b\r\nHost: a\r\n%b\r\n" % (method, target, version, fields)


def post(fields: bytes, body: bytes, version: bytes = b"1.1") -> bytes:
    """A request with content; `fields` are whole lines that stand behind its Host."""
    return get(fields, version=version, method=b"POST") + body


def chunkedBody(body: bytes) -> bytes:
    """A request whose chunked content is, octet for octet, `body`."""
    return post(b"Transfer-Encoding: chunked\r\n", body)


def opened(octets: bytes = GET, **limits: Any) -> Http1Wire:
    """A wire that has read `octets` and waits for what the application has to say."""
    wire = Http1Wire(HttpServerConfiguration(**limits))
    assert not any(isinstance(event, PeerError) for event in wire.receiveData(octets))
    return wire
