"""The table of requests that the documentation shows (``docs/security/requests.csv``), and how to ask them.

A request stands there as a Python literal would have it, with ``{5000*9}`` for what is repeated, and
``{end}`` at its end for a peer that closes its side. An answer is the statuses, whether the connection stays
open, and how much content the application saw; ``waits``, for what is not complete; or ``GOAWAY close``,
which is HTTP/2's.
"""

from __future__ import annotations

__all__ = [
    "CANARY",
    "KINDS",
    "TABLE",
    "Collecting",
    "Outcome",
    "Row",
    "Seen",
    "expected",
    "outcome",
    "rows",
    "splits",
    "statuses",
]

import csv
import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from connectionhelpers import Conversation, FakeTcpTransport, SteadyClock, parseResponses
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from txabstracthttp import AbstractHttpServer, HttpRequest, HttpSocket

TABLE = Path(__file__).resolve().parents[2] / "docs" / "security" / "requests.csv"

#: Sent behind each request: who was refused must not get through with it.
CANARY = b"GET /canary HTTP/1.1\r\nHost: canary\r\n\r\n"
#: How often each request is cut up at random, and into how many pieces at most.
TIMES, PIECES = 6, 12

#: What the table says of the beginning of HTTP/2.
HTTP2 = "GOAWAY close"
_GOAWAY = 7

_REPEATED = re.compile(rb"\{(\d+)\*([^{}]*)\}")
_END = b"{end}"
_ANSWER = re.compile(r"([\d ]+) (open|close)(?:, body (\d+(?: and \d+)*) octets)?")


class Row(NamedTuple):
    """One line of the table."""

    name: str
    request: str
    answer: str
    reason: str

    @property
    def ends(self) -> bool:
        """Whether the peer closes its side behind the request."""
        return self.request.endswith("{end}``")

    @property
    def waits(self) -> bool:
        """Whether the request is not complete, and not wrong so far."""
        return self.answer == "waits"

    @property
    def isRefused(self) -> bool:
        """Whether the last answer is the server's own."""
        return not (self.waits or self.answer == HTTP2) and expected(self).statuses[-1] != 200

    @property
    def stays(self) -> bool:
        """Whether another request may follow."""
        return " open" in self.answer

    @property
    def octets(self) -> bytes:
        """What is sent."""
        assert self.request.startswith("``")
        assert self.request.endswith("``")
        text = self.request[2:-2].encode("ascii").decode("unicode_escape").encode("latin-1")
        repeated = 1
        while repeated:
            text, repeated = _REPEATED.subn(lambda match: match[2] * int(match[1]), text)
        return text.removesuffix(_END)


class Seen(NamedTuple):
    """A request as the application saw it."""

    method: str
    target: bytes
    version: str
    fields: list[tuple[str, str]]
    body: bytes


class Outcome(NamedTuple):
    """What came of some octets.

    :ivar statuses: final ones; whether there is a 100 before them depends on what has arrived.
    """

    statuses: list[int]
    open: bool
    seen: list[Seen]


class Collecting(AbstractHttpServer):
    """Answers everything with 200, and remembers it."""

    def __init__(self, clock: Any = None) -> None:
        super().__init__(clock)
        self.seen: list[Seen] = []

    def handleRequest(self, request: HttpRequest, socket: HttpSocket) -> Any:
        """Remember it whole."""
        self.answer(request.body, request, socket)
        return True

    def answer(self, body: bytes, request: HttpRequest, socket: HttpSocket) -> None:
        """It is complete."""
        head = (request.method, request.target, request.version, list(request.headers.items()))
        self.seen.append(Seen(*head, body))
        self.respond(socket)

    def respond(self, socket: HttpSocket) -> None:
        """Say so."""
        socket.respond("seen")


class Streaming(Collecting):
    """The same for an application that is called at the head: what is cut short is not complete to it."""

    def streamsBody(self, request: HttpRequest) -> int:
        """As much as would be collected."""
        return self.configuration.maximumBodySize or 0

    def handleRequest(self, request: HttpRequest, socket: HttpSocket) -> Any:
        """Remember it once its content has ended."""
        content: Deferred[Any] = request.content()
        content.addCallbacks(self.answer, self.cutShort, callbackArgs=(request, socket))
        socket.claim()
        return True

    def cutShort(self, failure: Failure) -> None:
        """It never was complete."""
        failure.trap(ConnectionError)


class Late(Collecting):
    """The same for an application that takes its time: what is behind a request comes before the answer."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._clock = clock

    def respond(self, socket: HttpSocket) -> None:
        """Say so later."""
        self._clock.callLater(0.01, socket.respond, "seen")


KINDS = [Collecting, Streaming, Late]


def rows() -> list[Row]:
    """The whole table; nothing where the documentation is not."""
    if not TABLE.is_file():
        return []
    with TABLE.open(newline="", encoding="ascii") as file:
        _, *lines = csv.reader(file)
    return [Row(*line) for line in lines]


class Expected(NamedTuple):
    """What the table says."""

    statuses: list[int]
    open: bool
    sizes: list[int]


def expected(row: Row) -> Expected:
    """The answer in the table. Every 200 is a request that the application saw; no other one is."""
    if row.waits or row.answer == HTTP2:
        return Expected([], row.waits, [])
    match = _ANSWER.fullmatch(row.answer)
    assert match is not None, row
    statuses = [int(status) for status in match[1].split()]
    handled = statuses.count(200)
    sizes = [int(size) for size in match[3].split(" and ")] if match[3] else [0] * handled
    assert len(sizes) == handled, row
    return Expected(statuses, match[2] == "open", sizes)


def splits(octets: bytes, name: str) -> Iterator[list[bytes]]:
    """`octets` one by one, and in pieces at random: the same ones for the same name."""
    yield [octets[place : place + 1] for place in range(len(octets))]
    random = Random(name)
    for _ in range(TIMES):
        count = random.randint(1, min(PIECES, len(octets) - 1))
        places = [0, *sorted(random.sample(range(1, len(octets)), count)), len(octets)]
        yield [octets[start:stop] for start, stop in pairwise(places)]


def outcome(kind: type[Collecting], pieces: Iterable[bytes], ends: bool) -> Outcome:
    """What comes of `pieces`, which arrive one after the other on a connection of their own."""
    clock = SteadyClock()
    server = kind(clock)
    peer = Conversation(server, clock, FakeTcpTransport())
    for piece in pieces:
        if peer.transport.closed:
            break
        peer.send(piece)
    if ends:
        peer.halfClose()
    # Less than any deadline.
    peer.advance(1)
    return _told(peer, server.seen)


def _told(peer: Conversation, seen: list[Seen]) -> Outcome:
    data = peer.transport.value
    if not peer.open and not peer.connection.readEnded and data.startswith(b"HTTP/1.1"):
        assert b"\r\nConnection: close\r\n" in data[data.rindex(b"HTTP/1.1 ") :]
    return Outcome(statuses(data, seen, not peer.open), peer.open, seen)


def statuses(data: bytes, seen: list[Seen], ended: bool) -> list[int]:
    """Those of the answers in `data` to what was `seen`; none where they are frames that end HTTP/2."""
    if data and not data.startswith(b"HTTP/1.1 "):
        assert _kinds(data)[-1] == _GOAWAY
        return []
    # A parser would take what follows the answer to CONNECT for a tunnel.
    methods = [each.method.replace("CONNECT", "GET") for each in seen]
    return [each.status for each in parseResponses(data, methods, ended) if each.status >= 200]


def _kinds(frames: bytes) -> list[int]:
    """Of what kinds `frames` are (RFC 9113 section 4.1)."""
    kinds = []
    while frames:
        kinds.append(frames[3])
        frames = frames[9 + int.from_bytes(frames[:3]) :]
    return kinds
