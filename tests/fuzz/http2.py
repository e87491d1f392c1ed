"""HTTP/2 on the wire: octets behind the preface, and frames of all kinds with an application that answers."""

from __future__ import annotations

__all__ = ["http2Frames", "http2Octets"]

from collections.abc import Callable, Sequence
from typing import Any

from hpack import Encoder
from http2wirehelpers import (
    CONNECT_WEBSOCKET,
    GET,
    POST,
    PREFACE,
    START,
    Clock,
    Section,
    block,
    continuation,
    data,
    framesOf,
    goAway,
    headers,
    plain,
    raw,
    reset,
    settings,
    windowUpdate,
)
from hyperframe.frame import DataFrame, Frame, GoAwayFrame, HeadersFrame, RstStreamFrame

from fuzz.choices import Choices
from fuzz.http1 import pieces, single
from txabstracthttp._events import BodyData, BodyEnd, Event, Head, PeerError, StreamReset
from txabstracthttp.configuration import Http2Configuration, HttpServerConfiguration
from txabstracthttp.wire.http2 import Http2Wire
from txabstracthttp.wire.http2queue import LARGEST_FRAME

STREAMS, WINDOW, LIST = 3, 100, 400
HTTP2 = Http2Configuration(
    maxConcurrentStreams=STREAMS, streamReceiveWindowSize=WINDOW, maximumHeaderListSize=LIST
)
LIMITS = HttpServerConfiguration(maximumUrlSize=40, maximumTotalHeaderSize=120, maximumHeaderFieldCount=5)
#: A frame's head and its payload, of which the last octet has not come.
LONGEST = 9 + HTTP2.maxFrameSize


class Watched:
    """A wire whose every event and every frame is looked at.

    :ivar events: what it told; `frames`: what it sent.
    :ivar live: the streams that are open as far as an application knows.
    """

    def __init__(self) -> None:
        self.wire = Http2Wire(LIMITS, HTTP2, Clock())
        self.events: list[Event] = []
        self.frames: list[Any] = []
        self.live: set[int] = set()
        self._known: set[int] = set()
        self._complete: set[int] = set()
        self._over: set[int] = set()
        self.write()

    def receive(self, octets: bytes) -> Sequence[Event]:
        """Give it octets, and look at everything that comes of them."""
        finished = self.wire.finished
        events = self.wire.receiveData(octets)
        assert not (finished and events), "nothing comes behind the end"
        for number, event in enumerate(events):
            self._look(event)
            if isinstance(event, PeerError) and not event.streamId:
                assert number == len(events) - 1
                assert self.wire.finished
        self.events += events
        self._lookAtBounds()
        return events

    def write(self) -> None:
        """What it has to say is a sequence of frames that a peer may be sent."""
        said = b""
        while octets := self.wire.dataToSend():
            said += octets
        for frame in framesOf(said):
            self._lookAtFrame(frame)
            self.frames.append(frame)
        assert not self.wire._turns or self.wire._h2.outbound_flow_control_window <= 0

    def outcome(self) -> tuple[list[int], list[Any]] | None:
        """Codes of GOAWAY, and else what it told; None if it has reset a stream, or the peer has left."""
        if any(isinstance(frame, RstStreamFrame) for frame in self.frames):
            return None
        codes = [frame.error_code for frame in self.frames if isinstance(frame, GoAwayFrame)]
        if any(isinstance(each, PeerError) and "GOAWAY" in each.error.reason for each in self.events):
            # What is wrong behind a peer's farewell is seen in one piece with that, or not at all.
            return None
        # What came in one piece with an error of the connection's is not told of any more.
        return codes, [] if self.wire.finished else [plain(event) for event in self.events]

    def _look(self, event: Event) -> None:
        streamId = event.streamId
        if isinstance(event, Head | PeerError):
            assert streamId not in self._known
            self._known.add(streamId)
        if isinstance(event, Head):
            self._lookAtHead(event)
            self.live.add(streamId)
        elif isinstance(event, BodyData | BodyEnd):
            assert streamId in self._known - self._complete
            assert not isinstance(event, BodyData) or event.data
        if isinstance(event, BodyEnd | StreamReset):
            self._complete.add(streamId)
        if isinstance(event, StreamReset):
            self.live.discard(streamId)

    def _lookAtHead(self, head: Head) -> None:
        assert len(head.target) <= 40
        assert head.fields[0][0] == b"host"
        assert len(head.fields) <= 5
        assert sum(len(name) + 1 + len(value) for name, value in head.fields) <= 120
        for name, value in head.fields:
            assert not set(name + value) & {0, 10, 13}

    def _lookAtBounds(self) -> None:
        wire, h2 = self.wire, self.wire._h2
        assert len(wire._streams) <= STREAMS
        assert wire.finished or len(h2.incoming_buffer._data) < LONGEST
        assert wire.finished or h2.headSize <= 2 * LIST + LONGEST
        assert len(h2._closed_streams) <= h2.MAX_CLOSED_STREAMS
        if not wire.finished:
            # Who is gone for us is gone for h2, and the other way round.
            assert {number for number, each in h2.streams.items() if not each.closed} == set(wire._streams)

    def _lookAtFrame(self, frame: Any) -> None:
        assert type(frame) is not Frame
        assert frame.body_len <= LARGEST_FRAME
        if isinstance(frame, HeadersFrame | DataFrame):
            assert frame.stream_id not in self._over, "nothing comes behind the end of a stream"
        if "END_STREAM" in frame.flags or isinstance(frame, RstStreamFrame):
            self._over.add(frame.stream_id)
        if isinstance(frame, GoAwayFrame):
            assert frame.error_code == 0 or self.wire.finished


def http2Octets(data: bytes) -> None:
    """Any octets behind the preface: the same, whole and cut up, if nobody resets a stream, or leaves.

    What comes behind a stream's fault, in one piece with it, comes before its reset.
    """
    outcomes = []
    for parts in ([data], pieces(data), single(data)):
        watched = Watched()
        watched.receive(PREFACE)
        for part in parts:
            watched.receive(part)
            watched.write()
        outcomes.append(watched.outcome())
        watched.wire.receiveEnd()
        watched.write()
    if None not in outcomes:
        assert outcomes[0] == outcomes[1] == outcomes[2]


STREAM_IDS = [1, 3, 5, 7, 9, 0, 2, 2**31 - 1]
NAMES = [
    b"x",
    b"cookie",
    b"te",
    b"host",
    b"content-length",
    b"expect",
    b"X",
    b":path",
    b":status",
    b"a b",
    b"",
]
VALUES = [b"1", b"", b"3", b"a", b"trailers", b"100-continue", b"x" * 90, b" x", b"\0", b"\r\nx: y", b"\xff"]
SETTINGS = [0, 1, 5, 100, 16384, 65535, 2**31 - 1, 2**31]
SIZES = [1, 10, 300, 65535, 2**31 - 1, 0]
BODIES = [b"a", b"b" * 300, b"c" * 20_000, b"d" * 70_000]


class Story:
    """A peer that says frames of all kinds, and an application that answers as it likes."""

    def __init__(self, choices: Choices) -> None:
        self.choices = choices
        self.watched = Watched()
        self.wire = self.watched.wire
        #: Streams whose answer has begun, and those whose answer is complete.
        self.begun: set[int] = set()
        self.answered: set[int] = set()
        self._encoder = Encoder()
        self._number = -1

    def run(self) -> None:
        """All of it, and the end."""
        self.say(START)
        while self.choices.more:
            self.choices.pick(STEPS)(self)
        self.watched.write()
        self.wire.receiveEnd()
        self.watched.write()
        self.watched._lookAtBounds()

    def say(self, octets: bytes) -> None:
        """The peer says `octets`; errors are answered at once."""
        for event in self.watched.receive(octets):
            if isinstance(event, PeerError) and event.streamId:
                self.wire.sendResponse(event.streamId, event.error.status, [], 3, b"bad")
                self.wire.leave(event.streamId)
        self.watched.live &= set(self.wire._streams)
        if self.choices.flag():
            self.watched.write()

    # What the peer says:

    def section(self) -> Section:
        """The fields of a request, and perhaps what spoils it."""
        fields = list(
            self.choices.pick([GET, POST, CONNECT_WEBSOCKET, [(b":method", b"CONNECT"), GET[2]], []])
        )
        count = self.choices.octet() % 4
        return fields + [(self.choices.pick(NAMES), self.choices.pick(VALUES)) for _ in range(count)]

    def block(self) -> bytes:
        """A field block: plain, by way of the tables, or any octets."""
        way = self.choices.octet() % 8
        if way == 7:
            return self.choices.octets()
        if way > 4:
            return bytes(self._encoder.encode(self.section()))
        return block(self.section())

    def streamId(self) -> int:
        """One that was used, for the most part."""
        return self.choices.pick(STREAM_IDS)

    def request(self) -> None:
        self._number += 2
        ends = ["END_STREAM"] if self.choices.flag() else []
        self.say(headers(self._number, self.block(), "END_HEADERS", *ends))

    def headers(self) -> None:
        flags = ["END_STREAM", "END_HEADERS"][self.choices.octet() % 3 :]
        self.say(headers(self.streamId() or 1, self.block(), *flags))

    def continuation(self) -> None:
        self.say(
            continuation(self.streamId() or 1, self.block(), *["END_HEADERS"][self.choices.octet() % 2 :])
        )

    def data(self) -> None:
        padding = self.choices.pick([None, 0, 9])
        self.say(data(self.streamId() or 1, self.choices.octets(), ends=self.choices.flag(), padding=padding))

    def reset(self) -> None:
        self.say(reset(self.streamId() or 1, self.choices.octet()))

    def settings(self) -> None:
        self.say(settings({self.choices.octet() % 10: self.choices.pick(SETTINGS)}))

    def windowUpdate(self) -> None:
        self.say(windowUpdate(self.streamId(), self.choices.pick(SIZES[:-1])))

    def goAway(self) -> None:
        self.say(goAway(self.choices.octet() % 14, self.choices.octet()))

    def raw(self) -> None:
        kind, flags = self.choices.octet() % 13, self.choices.octet()
        self.say(raw(kind, flags, self.streamId(), self.choices.octets()))

    def garbage(self) -> None:
        self.say(self.choices.octets())

    # What the application does, to streams of which it was not told that they are over:

    def some(self, unfit: set[int]) -> list[int]:
        """One stream of the application's, or none."""
        fit = sorted(self.watched.live & set(self.wire._streams) - unfit)
        return [self.choices.pick(fit)] if fit else []

    def respond(self) -> None:
        for streamId in self.some(self.begun):
            body = self.choices.pick([b"", *BODIES])
            self.begun.add(streamId)
            self.answered.add(streamId)
            self.wire.sendResponse(streamId, 200, [(b"X", b"y")], len(body), body)

    def begin(self) -> None:
        for streamId in self.some(self.begun):
            self.begun.add(streamId)
            self.wire.sendHead(streamId, 200, [(b"Connection", b"close")], None, True)

    def inform(self) -> None:
        for streamId in self.some(self.begun):
            self.wire.sendInformational(streamId, 103, [(b"Link", b"a")])

    def body(self) -> None:
        for streamId in self.some(self.answered):
            if streamId in self.begun and not self.wire.isFull(streamId):
                self.wire.sendBody(streamId, self.choices.pick(BODIES))
                assert self.wire.waiting(streamId) <= 64 * 1024 + len(BODIES[-1])

    def end(self) -> None:
        for streamId in self.some(self.answered):
            if streamId in self.begun:
                self.answered.add(streamId)
                self.wire.sendEnd(streamId, self.choices.pick([[], [(b"X", b"y")]]))

    def resetIt(self) -> None:
        for streamId in self.some(set()):
            self.watched.live.discard(streamId)
            self.wire.reset(streamId, 8)

    def credit(self) -> None:
        for streamId in self.some(set()):
            self.wire.credit(streamId, self.choices.octet())

    def leave(self) -> None:
        for streamId in self.some(set()):
            self.wire.leave(streamId)

    def drain(self) -> None:
        self.choices.pick([self.wire.drain, self.wire.beLast, self.wire.blame, self.wire.drain])()


#: As often as they stand here.
STEPS: list[Callable[[Story], None]] = [
    Story.request, Story.request, Story.headers, Story.continuation, Story.data, Story.data, Story.reset,
    Story.settings, Story.windowUpdate, Story.goAway, Story.raw, Story.garbage,
    Story.respond, Story.begin, Story.inform, Story.body, Story.body, Story.end, Story.resetIt, Story.credit,
    Story.leave, Story.drain,
]  # fmt: skip


def http2Frames(data: bytes) -> None:
    """Frames of all kinds, one after the other, with an application that answers: see `Story`."""
    Story(Choices(data)).run()
