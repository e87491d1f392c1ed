"""What holds for all octets, garbage or not, however they arrive (RFC 9113)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import hypothesis
from hpack import Encoder
from http2wirehelpers import (
    CONNECT_WEBSOCKET,
    GET,
    POST,
    START,
    Outcome,
    Peer,
    block,
    continuation,
    data,
    goAway,
    headers,
    plain,
    raw,
    request,
    reset,
    settings,
    twice,
    windowUpdate,
)
from hypothesis import given
from hypothesis import strategies as st

from txabstracthttp._events import BodyData, BodyEnd, Event, Head, PeerError, StreamReset
from txabstracthttp.configuration import Http2Configuration
from txabstracthttp.wire.http2 import Http2Wire

streamIds = st.sampled_from([1, 1, 1, 3, 3, 5, 7, 0, 2, 2**31 - 1])
octets = st.binary(max_size=30)
names = st.sampled_from(
    [b":method", b":path", b":status", b"x", b"X", b"content-length", b"cookie", b"te", b"host", b""]
)
values = st.sampled_from(
    [b"", b"1", b"3", b"GET", b"/", b"100", b"a", b"DESCRIBE", b"a b", b" x", b"\0", b"trailers"]
)
fields = st.lists(st.tuples(names, values), max_size=4)
sections = st.one_of(
    st.sampled_from([GET, POST, CONNECT_WEBSOCKET]),
    fields,
    st.tuples(st.sampled_from([GET, POST, CONNECT_WEBSOCKET]), fields).map(lambda both: [*both[0], *both[1]]),
)
remembered = sections.map(lambda section: bytes(Encoder().encode(list(section))))
blocks = st.one_of(sections.map(block), remembered, octets)
flags = st.lists(st.sampled_from(["END_HEADERS", "END_STREAM"]), unique=True)
sizes = st.sampled_from([1, 10, 65535, 2**31 - 1])

frames = st.one_of(
    st.builds(request, streamIds.filter(bool), sections, ends=st.booleans()),
    st.builds(
        lambda streamId, fragment, some: headers(streamId, fragment, *some),
        streamIds.filter(bool),
        blocks,
        flags,
    ),
    st.builds(
        lambda streamId, fragment, some: continuation(streamId, fragment, *some),
        streamIds.filter(bool),
        blocks,
        flags.map(lambda some: [flag for flag in some if flag == "END_HEADERS"]),
    ),
    st.builds(
        data, streamIds.filter(bool), octets, ends=st.booleans(), padding=st.none() | st.integers(0, 255)
    ),
    st.builds(reset, streamIds.filter(bool), st.integers(0, 2**32 - 1)),
    st.builds(windowUpdate, streamIds, sizes),
    st.builds(
        settings,
        st.dictionaries(st.integers(0, 10), st.sampled_from([0, 1, 5, 16384, 65535, 2**31]), max_size=3),
    ),
    # GOAWAY is left out: what comes together with it is taken, and what comes later is refused.
    st.builds(raw, st.integers(0, 12).filter(lambda kind: kind != 7), st.integers(0, 255), streamIds, octets),
)
series = st.lists(frames, max_size=12)
leaving = st.builds(goAway, st.integers(0, 20), st.integers(0, 9))


class Judge:
    """A step that asserts what an application may rely on, and answers, in one way or another."""

    def __init__(self, choices: Sequence[int]) -> None:
        self._choices = list(choices)
        self.open: set[int] = set()
        self.complete: set[int] = set()
        self.known: set[int] = set()

    def __call__(self, wire: Http2Wire, events: Sequence[Event]) -> None:
        for event in events:
            self._check(event)
        for event in events:
            if isinstance(event, Head):
                self._answer(wire, event.streamId)
            elif isinstance(event, PeerError) and event.streamId:
                wire.sendResponse(event.streamId, event.error.status, [], 3, b"bad")
                wire.leave(event.streamId)
            elif isinstance(event, BodyData):
                wire.credit(event.streamId, len(event.data))

    def _check(self, event: Event) -> None:
        if isinstance(event, Head | PeerError):
            assert event.streamId not in self.known
            self.known.add(event.streamId)
        if isinstance(event, Head):
            assert event.fields[0][0] == b"host"
            self.open.add(event.streamId)
        elif isinstance(event, BodyData | BodyEnd):
            # Or behind an error of its own, when it is looked at no more.
            assert event.streamId in self.known
            assert event.streamId not in self.complete
        if isinstance(event, BodyEnd | StreamReset):
            self.complete.add(event.streamId)

    def _answer(self, wire: Http2Wire, streamId: int) -> None:
        choice = self._choices.pop() if self._choices else 0
        if choice == 0:
            wire.sendResponse(streamId, 200, [], 5, b"hello")
        elif choice == 1:
            wire.sendHead(streamId, 200, [], None, True)
            wire.sendBody(streamId, b"x" * 70_000)
            wire.sendEnd(streamId, [(b"X", b"y")])
        elif choice == 2:
            wire.sendInformational(streamId, 103, [])
            wire.reset(streamId, 8)
        elif choice == 3:
            wire.drain()
            wire.sendResponse(streamId, 200, [], 0, b"")
            wire.leave(streamId)


def compare(*parts: bytes) -> None:
    """Say `parts` in two ways, and hold against each other what an application is told."""
    first, second = twice(*parts)
    assert first.ends == second.ends
    if not first.ends:
        assert told(first) == told(second)


def told(outcome: Outcome) -> list[tuple[Any, ...]]:
    """Events in plain values, but for resets: who was the first to reset a stream depends on the pieces."""
    return [plain(event) for event in outcome.events if not isinstance(event, StreamReset)]


choices = st.lists(st.integers(0, 4), max_size=6)


@given(st.binary(max_size=200))
def test_anyOctets(garbage: bytes) -> None:
    """Events, or an error of the connection's, and never an exception."""
    compare(garbage)


@given(blocks, st.booleans())
def test_anyFieldBlock(fragment: bytes, ends: bool) -> None:
    some = ["END_HEADERS", *(["END_STREAM"] if ends else [])]
    compare(headers(1, fragment, *some), request(3))


@given(series)
def test_anyFrames(parts: list[bytes]) -> None:
    compare(*parts)


@given(st.lists(st.one_of(frames, frames, frames, leaving), max_size=12), choices)
def test_anyFramesThatAreAnswered(parts: list[bytes], ways: list[int]) -> None:
    octets = b"".join(parts)
    for pieces in ([octets], parts, [octets[at : at + 1] for at in range(len(octets))]):
        peer = Peer(Http2Configuration(maxConcurrentStreams=2, streamReceiveWindowSize=20))
        judge = Judge(ways)
        peer.say(START, *pieces, steps=judge)
        end = peer.wire.receiveEnd()
        judge(peer.wire, end)
        outcome = peer.outcome
        connection: Any = outcome.wire._h2
        # Who is gone for us is gone for h2, and the other way round.
        if not outcome.wire.finished:
            live = {streamId for streamId, stream in connection.streams.items() if not stream.closed}
            assert live == set(outcome.wire._streams)


@given(series, st.lists(st.integers(0, 300), max_size=4))
def test_anyFramesSpoilt(parts: list[bytes], where: list[int]) -> None:
    whole = bytearray(b"".join(parts))
    for at in where:
        if whole:
            whole[at % len(whole)] ^= 1 << at % 8
    for pieces in ([bytes(whole)], [bytes([octet]) for octet in whole]):
        judge = Judge([])
        Peer().say(START, *pieces, steps=judge)


@given(st.lists(st.sampled_from([1, 7, 100, 16384, 70_000]), min_size=1, max_size=6), st.integers(1, 40_000))
@hypothesis.settings(deadline=None)
def test_whateverTheWindowsAreAllOfItArrives(pieces: list[int], window: int) -> None:
    peer = Peer()
    peer.say(START + settings({4: window}) + request(1) + request(3))
    content = b"".join(bytes([at % 256]) * size for at, size in enumerate(pieces))
    for streamId in (1, 3):
        peer.wire.sendHead(streamId, 200, [], None, True)
        for at, size in enumerate(pieces):
            peer.wire.sendBody(streamId, bytes([at % 256]) * size)
        peer.wire.sendEnd(streamId, [])
    peer.hear()
    while peer.wire._streams:
        peer.say(
            windowUpdate(0, max(window, 5000)),
            *(windowUpdate(i, max(window, 5000)) for i in peer.wire._streams),
        )
    assert [peer.outcome.sent(streamId) for streamId in (1, 3)] == [content, content]
