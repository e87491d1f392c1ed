"""Drive an `Http2Wire` without a connection, with frames that nothing checks on their way to it.

`play` is the door for nearly every test: it gives the wire all octets at once and one by one, and holds the
outcomes against each other, so no test can forget to.
"""

from __future__ import annotations

__all__ = [
    "ACK",
    "CONNECT_WEBSOCKET",
    "GET",
    "POST",
    "PREFACE",
    "START",
    "Clock",
    "FastClock",
    "Outcome",
    "Peer",
    "Steps",
    "answer",
    "continuation",
    "data",
    "framesOf",
    "goAway",
    "headers",
    "plain",
    "play",
    "raw",
    "request",
    "reset",
    "settings",
    "twice",
    "windowUpdate",
]

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from hpack import Decoder, Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from txabstracthttp._events import BodyData, BodyEnd, Event, Head, PeerError, StreamReset
from txabstracthttp.configuration import Http2Configuration, HttpServerConfiguration
from txabstracthttp.wire.http2 import Http2Wire

#: What every client says first (RFC 9113 section 3.4).
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
START = PREFACE + SettingsFrame(0).serialize()
ACK = SettingsFrame(0, flags=["ACK"]).serialize()

Section = Sequence[tuple[bytes, bytes]]
GET: Section = [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"a"), (b":path", b"/")]
POST: Section = [(b":method", b"POST"), *GET[1:]]
CONNECT_WEBSOCKET: Section = [
    (b":method", b"CONNECT"),
    (b":protocol", b"websocket"),
    *GET[1:],
    (b"sec-websocket-version", b"13"),
]

#: Inputs that are larger come in pieces of an odd size, and not byte by byte.
LARGE, PIECE = 5000, 997

#: What to do with a wire, given the events that it told; called after each piece of input.
Steps = Callable[[Http2Wire, Sequence[Event]], None]


class Clock:
    """The time, as far as limits ask for it; it stands still unless somebody moves it."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class FastClock(Clock):
    """Ten seconds pass whenever somebody looks, so that nothing is too often."""

    def __call__(self) -> float:
        self.now += 10
        return self.now


# Frames:


def raw(kind: int, flags: int = 0, streamId: int = 0, payload: bytes = b"") -> bytes:
    """Any frame at all (section 4.1)."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + streamId.to_bytes(4, "big") + payload


def block(section: Section) -> bytes:
    """A field block that leaves nothing in anybody's table."""
    return bytes(Encoder().encode([(name, value, True) for name, value in section], huffman=False))


def headers(streamId: int, section: Section | bytes, *flags: str) -> bytes:
    """HEADERS, by default without an end of any kind."""
    octets = section if isinstance(section, bytes) else block(section)
    return HeadersFrame(streamId, octets, flags=list(flags)).serialize()


def request(streamId: int, section: Section = GET, *, ends: bool = True) -> bytes:
    """A whole header section in one frame; `ends`: and that was the whole request."""
    return headers(streamId, section, "END_HEADERS", *(["END_STREAM"] if ends else []))


def continuation(streamId: int, octets: bytes, *flags: str) -> bytes:
    """CONTINUATION."""
    return ContinuationFrame(streamId, octets, flags=list(flags)).serialize()


def data(streamId: int, octets: bytes = b"", *, ends: bool = False, padding: int | None = None) -> bytes:
    """DATA."""
    frame = DataFrame(streamId, octets, flags=["END_STREAM"] if ends else [])
    if padding is not None:
        frame.flags.add("PADDED")
        frame.pad_length = padding
    return frame.serialize()


def settings(values: dict[int, int]) -> bytes:
    """SETTINGS."""
    return SettingsFrame(0, settings=values).serialize()


def reset(streamId: int, code: int = 8) -> bytes:
    """RST_STREAM."""
    return RstStreamFrame(streamId, error_code=code).serialize()


def windowUpdate(streamId: int, size: int) -> bytes:
    """WINDOW_UPDATE."""
    return WindowUpdateFrame(streamId, window_increment=size).serialize()


def goAway(code: int = 0, last: int = 0) -> bytes:
    """GOAWAY."""
    return GoAwayFrame(0, last_stream_id=last, error_code=code).serialize()


def framesOf(octets: bytes) -> list[Any]:
    """The frames that some octets are made of."""
    frames = []
    while octets:
        frame, length = Frame.parse_frame_header(memoryview(octets[:9]))
        frame.parse_body(memoryview(octets[9 : 9 + length]))
        frames.append(frame)
        octets = octets[9 + length :]
    return frames


def answer(wire: Http2Wire, events: Sequence[Event]) -> None:
    """A step: answer each request with a head, and no more."""
    for event in events:
        if isinstance(event, Head):
            wire.sendResponse(event.streamId, 200, [], 0, b"")


# What comes of them:


def plain(event: Event) -> tuple[Any, ...]:
    """An event in values that can be compared."""
    return (
        type(event).__name__,
        *(
            (each.status, each.reason) if name == "error" else each
            for name in type(event).__slots__ or Head.__slots__
            for each in [getattr(event, name)]
        ),
    )


class Outcome(NamedTuple):
    """What came of some octets: what the wire told us, and what it told its peer."""

    events: list[Any]
    frames: list[Any]
    wire: Http2Wire

    def of(self, kind: type[Any]) -> list[Any]:
        """The events of one kind, or the frames."""
        return [each for each in [*self.events, *self.frames] if isinstance(each, kind)]

    @property
    def heads(self) -> list[Head]:
        """The requests that were told of."""
        return self.of(Head)

    @property
    def head(self) -> Head:
        """The only request."""
        assert (self.ends, self.resets) == ([], {})
        (head,) = self.heads
        return head

    @property
    def ends(self) -> list[int]:
        """The codes of GOAWAY."""
        return [frame.error_code for frame in self.of(GoAwayFrame)]

    @property
    def error(self) -> int:
        """The code that the connection ended with; it is over then, and nothing moves it."""
        assert self.wire.finished
        assert self.wire.receiveData(request(999)) == ()
        assert self.events[-1].streamId == 0
        assert isinstance(self.events[-1], PeerError)
        return int(self.ends[-1])

    @property
    def resets(self) -> dict[int, int]:
        """The codes of RST_STREAM, by stream."""
        return {frame.stream_id: frame.error_code for frame in self.of(RstStreamFrame)}

    @property
    def lost(self) -> dict[int, int]:
        """The streams of which we are told that they were reset."""
        return {event.streamId: event.code for event in self.of(StreamReset)}

    @property
    def refusals(self) -> dict[int, int]:
        """The requests that are to be answered with an error, by stream."""
        return {event.streamId: event.error.status for event in self.of(PeerError)}

    @property
    def windows(self) -> dict[int, int]:
        """How much room the peer got, by stream."""
        room: dict[int, int] = {}
        for frame in self.of(WindowUpdateFrame):
            room[frame.stream_id] = room.get(frame.stream_id, 0) + frame.window_increment
        return room

    @property
    def complete(self) -> dict[int, Any]:
        """The trailers of requests that are complete, by stream."""
        return {event.streamId: event.trailers for event in self.of(BodyEnd)}

    def received(self, streamId: int) -> bytes:
        """The content of a request."""
        return b"".join(event.data for event in self.of(BodyData) if event.streamId == streamId)

    def sections(self, streamId: int) -> list[list[tuple[bytes, bytes]]]:
        """The header and trailer sections that were sent on a stream."""
        decoder, found = Decoder(), []
        decoder.max_allowed_table_size = 2**32
        for frame in self.of(HeadersFrame):
            section = [(bytes(name), bytes(value)) for name, value in decoder.decode(frame.data, raw=True)]
            if frame.stream_id == streamId:
                found.append(section)
        return found

    def sent(self, streamId: int) -> bytes:
        """The content of a response."""
        return b"".join(frame.data for frame in self.of(DataFrame) if frame.stream_id == streamId)


class Peer:
    """A wire, and who speaks to it."""

    def __init__(
        self,
        http2: Http2Configuration | None = None,
        clock: Callable[[], float] | None = None,
        **limits: Any,
    ) -> None:
        configuration = HttpServerConfiguration(**limits)
        self.wire = Http2Wire(configuration, http2 or Http2Configuration(), clock or Clock())
        self._events: list[Event] = []
        self._said = b""

    def say(self, *octets: bytes, steps: Steps | None = None) -> Sequence[Event]:
        """Give the wire `octets`, each in one piece."""
        told: list[Event] = []
        for piece in octets:
            events = self.wire.receiveData(piece)
            told += events
            if steps is not None:
                steps(self.wire, events)
            self.hear()
        self._events += told
        return told

    def hear(self) -> list[Any]:
        """What the wire has to say now."""
        heard = b""
        while octets := self.wire.dataToSend():
            heard += octets
        self._said += heard
        return framesOf(heard)

    @property
    def outcome(self) -> Outcome:
        """What came of it all."""
        self.hear()
        return Outcome(list(self._events), framesOf(self._said), self.wire)


def twice(
    *parts: bytes,
    http2: Http2Configuration | None = None,
    clock: type[Clock] = Clock,
    steps: Steps | None = None,
    **limits: Any,
) -> tuple[Outcome, Outcome]:
    """Say `parts` behind the start of a connection, all at once, and one octet after the other."""
    octets = b"".join([START, *parts])
    whole, single = (Peer(http2, clock(), **limits) for _ in range(2))
    whole.say(octets, steps=steps)
    piece = 1 if len(octets) < LARGE else PIECE
    single.say(*(octets[at : at + piece] for at in range(0, len(octets), piece)), steps=steps)
    return whole.outcome, single.outcome


def play(*parts: bytes, steps: Steps | None = None, **others: Any) -> Outcome:
    """Say `parts` behind the start of a connection: what comes of it, in however many pieces they come.

    :param others: as for `twice`.
    """
    first, second = twice(*parts, steps=steps, **others)
    assert first.ends == second.ends
    if not any(first.ends) and steps is None:
        # What came in one piece with an error of the connection's is not told of any more, and when
        # somebody answers, it is sooner or later than what comes next.  h2 answers at once, and we behind it.
        assert [plain(event) for event in first.events] == [plain(event) for event in second.events]
        assert sorted(map(Frame.serialize, first.frames)) == sorted(map(Frame.serialize, second.frames))
    return second
