"""The shortcut past h2's states: each of its conditions, what it leaves behind, and how much it may cost."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from h2.connection import ConnectionState
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from h2.stream import StreamClosedBy, StreamState
from http2wirehelpers import (
    GET,
    POST,
    START,
    FastClock,
    Peer,
    answer,
    block,
    continuation,
    data,
    headers,
    plain,
    raw,
    request,
    reset,
    settings,
    windowUpdate,
)
from hyperframe.frame import DataFrame, HeadersFrame, RstStreamFrame

from txabstracthttp._events import BodyEnd, Head, PeerError
from txabstracthttp.configuration import Http2Configuration
from txabstracthttp.wire.h2connection import Connection
from txabstracthttp.wire.http2 import RESETS
from txabstracthttp.wire.http2output import BATCH, IDLE_FRAMES
from txabstracthttp.wire.http2queue import LARGEST_FRAME
from txabstracthttp.wire.http2shortcut import BACKLOG, Shortcut

WINDOW, TABLE = int(SettingCodes.INITIAL_WINDOW_SIZE), int(SettingCodes.HEADER_TABLE_SIZE)
CALM = int(ErrorCodes.ENHANCE_YOUR_CALM)
LARGE = 2**31 - 1
KNOWN = block(GET)
PING = raw(6, 0, 0, bytes(8))
#: The end of the connection.
BAD = raw(0, 0, 0)

#: What is answered: status, fields, length.  It is known behind `warmed`.
FIELDS = ((b"Server", b"x"),)
SECTION = ((b":status", b"200"), (b"server", b"x"))


class NoShortcut:
    """Everything goes the long way."""

    def requests(self, *arguments: object) -> tuple[list[tuple[int, Any]], int]:
        """None is taken."""
        return [], 0

    def respond(self, *arguments: object) -> bool:
        """Nothing was done."""
        return False


class Watched(Shortcut):
    """Keeps what goes the short way."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.taken: list[int] = []
        self.sent: list[int] = []

    def requests(self, *arguments: Any) -> tuple[list[tuple[int, Any]], int]:
        """As they are."""
        taken, end = super().requests(*arguments)
        self.taken += [streamId for streamId, _ in taken]
        return taken, end

    def respond(self, streamId: int, *arguments: Any) -> bool:
        """As it is."""
        isDone = super().respond(streamId, *arguments)
        self.sent += [streamId] * isDone
        return isDone


def respond(peer: Peer, streamId: int, body: bytes = b"", fields: Any = FIELDS) -> None:
    """A whole response, whose section is known."""
    peer.wire.sendResponse(streamId, 200, fields, None, body)


def warmed(
    http2: Http2Configuration | None = None,
    hasShortcut: bool = True,
    sections: Any = (GET,),
    first: bytes = b"",
    **others: Any,
) -> tuple[Peer, Watched]:
    """Who has heard `sections` already, and said what `respond` says; the next stream is 101."""
    peer = Peer(http2, **others)
    peer.say(START + first)
    numbers = iter(range(1, 101, 2))
    for section in [*sections, GET, GET, GET]:
        streamId = next(numbers)
        for event in peer.say(request(streamId, section)):
            if isinstance(event, Head):
                respond(peer, streamId)
        peer.hear()
    shortcut: Any = Watched(peer.wire._h2) if hasShortcut else NoShortcut()
    peer.wire._shortcut = shortcut
    return peer, shortcut


def heads(events: Any) -> list[int]:
    """The streams of requests."""
    return [event.streamId for event in events if isinstance(event, Head)]


def lastOf(peer: Peer, kind: type[Any]) -> Any:
    """The last frame of a kind that was said."""
    return peer.outcome.of(kind)[-1]


class TestRequestsThatAreTaken:
    def test_oneByOneAndManyAtOnce(self) -> None:
        peer, shortcut = warmed()
        events = peer.say(request(101), request(103) + request(105) + request(109))
        assert [(type(event), event.streamId) for event in events] == [
            (kind, streamId) for streamId in (101, 103, 105, 109) for kind in (Head, BodyEnd)
        ]
        assert shortcut.taken == [101, 103, 105, 109]
        assert peer.wire._h2.highest_inbound_stream_id == 109

    def test_h2KnowsOfThemBeforeAnybodyElse(self) -> None:
        """So whoever is told may answer."""
        peer, shortcut = warmed()
        known = peer.wire._h2.streams
        taken, end = shortcut.requests(request(101) + request(103), peer.wire._heads.read)
        assert end == 2 * len(request(1))
        for streamId, head in taken:
            assert known[streamId].open
            assert (head.method, head.contentLength) == ("GET", 0)

    def test_theHighestStream(self) -> None:
        peer, shortcut = warmed()
        peer.say(request(2**31 - 1))
        assert shortcut.taken == [2**31 - 1]

    def test_theRestIsForH2(self) -> None:
        """Some that are whole, and a half: whatever comes next, the half is whole then."""
        for cut in range(1, len(request(105))):
            peer, shortcut = warmed()
            octets = request(101) + request(103) + request(105) + request(107)
            at = len(request(101)) * 2 + cut
            assert heads(peer.say(octets[:at])) == [101, 103]
            assert shortcut.taken == [101, 103]
            assert heads(peer.say(octets[at:])) == [105, 107]
            # Behind a half, the rest of its piece is h2's.
            assert heads(peer.say(request(109))) == [109]
            assert shortcut.taken == [101, 103, 109]

    def test_aRequestInFrontOfAnError(self) -> None:
        """It is told of, as it is when they come in two pieces; and nobody is answered behind the error."""
        for pieces in ([request(101) + BAD], [request(101), BAD]):
            peer, _ = warmed()
            events = peer.say(*pieces)
            assert [type(event) for event in events] == [Head, BodyEnd, PeerError]
            assert peer.wire.finished
            respond(peer, 101, b"x")
            assert not [frame for frame in peer.hear() if frame.stream_id]

    def test_aRequestInFrontOfItsReset(self) -> None:
        peer, shortcut = warmed()
        peer.say(request(101) + reset(101, 7))
        assert shortcut.taken == [101]
        assert peer.outcome.lost == {101: 7}
        assert not peer.wire._streams

    def test_behindGoAwayThatIsNotTheLast(self) -> None:
        """RFC 9113 section 6.8: what is on its way is still taken, until the peer has heard."""
        peer, shortcut = warmed()
        peer.say(request(101))
        peer.wire.drain()
        assert heads(peer.say(request(103))) == [103]
        peer.say(request(105) + raw(6, 1, 0, b"draining"))
        assert shortcut.taken == [101, 103, 105]
        assert lastOf(peer, type(peer.outcome.of(object)[-1])).last_stream_id == 105
        assert heads(peer.say(request(107))) == []
        for streamId in (101, 103, 105):
            respond(peer, streamId)
        assert shortcut.sent == [101, 103, 105]
        assert peer.wire.finished


#: What is not taken, though it looks like something that is known: and what comes of it.
ALIKE: dict[str, bytes] = {
    "another kind of frame": raw(0xFA, 5, 101, KNOWN),
    "content": raw(0, 5, 101, KNOWN),
    "content to come": raw(1, 4, 101, KNOWN),
    "fields to come": raw(1, 1, 101, KNOWN),
    "padding": raw(1, 0x0D, 101, b"\0" + KNOWN),
    "padding, it says": raw(1, 0x0D, 101, KNOWN),
    "a priority": raw(1, 0x25, 101, bytes(4) + b"\1" + KNOWN),
    "a flag that means nothing": raw(1, 0x45, 101, KNOWN),
    "no stream": raw(1, 5, 0, KNOWN),
    "an even stream": raw(1, 5, 102, KNOWN),
    "a stream that has ended": raw(1, 5, 7, KNOWN),
    "the last stream": raw(1, 5, 9, KNOWN),
    "a reserved bit": raw(1, 5, 101 | 2**31, KNOWN),
    "something unknown": raw(1, 5, 101, KNOWN + block([(b"x", b"y")])),
    "a frame that has only begun": raw(1, 5, 101, KNOWN + KNOWN)[: 9 + len(KNOWN)],
    "an empty one": raw(1, 5, 101),
}


class TestRequestsThatAreNot:
    @pytest.mark.parametrize("name", ALIKE)
    def test_whatIsAlike(self, name: str) -> None:
        results = []
        for hasShortcut in (True, False):
            peer, shortcut = warmed(hasShortcut=hasShortcut, sections=[GET, GET, GET])
            events = peer.say(ALIKE[name], steps=answer)
            results.append((heads(events), peer.wire.finished, [*map(repr, peer.outcome.frames)]))
            assert not hasShortcut or shortcut.taken == []
        assert results[0] == results[1]

    def test_aFrameThatIsMuchLonger(self) -> None:
        """RFC 9113 section 4.1: a length has 24 bits."""
        for hasShortcut in (True, False):
            peer, _ = warmed(Http2Configuration(maxFrameSize=2**20), hasShortcut)
            size = 65536 + len(KNOWN)
            frame = raw(1, 5, 101, KNOWN + b"\x00\x01x\x7f" + bytes(size - len(KNOWN) - 4))
            assert heads(peer.say(frame)) == []

    def test_inTheMiddleOfAFrame(self) -> None:
        """What is in it is nobody's request."""
        peer, shortcut = warmed()
        frame = raw(0xFA, 0, 0, request(101))
        for cut in range(1, 10):
            assert heads(peer.say(frame[:cut], frame[cut:])) == []
        assert shortcut.taken == []

    def test_inTheMiddleOfAFieldBlock(self) -> None:
        """RFC 9113 section 4.3: nothing may come in between."""
        for piece in (request(103), request(101)):
            peer, shortcut = warmed()
            assert heads(peer.say(headers(101, KNOWN[:3], "END_STREAM"), piece)) == []
            assert peer.wire.finished
            assert shortcut.taken == []
        peer, shortcut = warmed()
        said = [headers(101, KNOWN[:3], "END_STREAM"), continuation(101, KNOWN[3:], "END_HEADERS")]
        assert heads(peer.say(*said, request(103))) == [101, 103]
        assert shortcut.taken == [103]

    def test_beforeTheGreeting(self) -> None:
        """RFC 9113 section 3.4: SETTINGS come first; whatever the memory says."""
        peer, other = Peer(), warmed()[0]
        peer.wire._h2.decoder = other.wire._h2.decoder
        peer.wire._h2.state_machine.state = ConnectionState.SERVER_OPEN
        shortcut = Shortcut(peer.wire._h2)
        for said, isTaken in ((b"", False), (START[:24], False), (START[24:], True)):
            peer.say(said)
            assert bool(shortcut.requests(request(101), peer.wire._heads.read)[0]) is isTaken

    def test_aConnectionThatIsOver(self) -> None:
        peer, shortcut = warmed()
        peer.say(request(101), raw(1, 5, 102, KNOWN))
        assert peer.wire.finished
        assert peer.wire._h2.isBetweenFrames
        assert shortcut.requests(request(103), peer.wire._heads.read) == ([], 0)
        assert not shortcut.respond(101, SECTION, b"")

    def test_behindGoAway(self) -> None:
        """RFC 9113 section 6.8: those are refused, and nobody is told."""
        peer, shortcut = warmed()
        peer.say(request(101))
        peer.wire.beLast()
        assert heads(peer.say(request(103))) == []
        assert shortcut.taken == [101]
        assert peer.outcome.resets == {103: int(ErrorCodes.REFUSED_STREAM)}

    def test_moreAtATimeThanThereMayBe(self) -> None:
        """RFC 9113 section 5.1.2."""
        peer, shortcut = warmed(Http2Configuration(maxConcurrentStreams=2))
        assert heads(peer.say(request(101) + request(103) + request(105))) == [101, 103]
        assert peer.outcome.resets == {105: int(ErrorCodes.REFUSED_STREAM)}
        assert shortcut.taken == [101, 103]
        respond(peer, 101)
        assert heads(peer.say(request(107))) == [107]

    @pytest.mark.parametrize(
        ("section", "status"),
        [
            ([*GET, (b"connection", b"close")], None),
            ([*GET, (b"content-length", b"5")], None),
            ([*GET, (b"content-length", b"abc")], None),
            ([*GET, *[(b"content-length", b"0")] * 2], None),
            ([(b":method", b"DESCRIBE"), *GET[1:]], 501),
            ([*GET, *[(b"x", b"y")] * 3], 431),
        ],
    )
    def test_whatIsRefusedEachTime(self, section: Any, status: int | None) -> None:
        """A section that is known to be bad is no better for it."""
        peer, shortcut = warmed(sections=[section] * 3, maximumHeaderFieldCount=3)
        assert bytes(block(section)) in peer.wire._h2.decoder._memory
        peer.say(request(101, section) + request(103))
        assert shortcut.taken == []
        if status is None:
            assert peer.outcome.resets[101] == int(ErrorCodes.PROTOCOL_ERROR)
        else:
            assert peer.outcome.refusals[101] == status
        assert 103 in heads(peer.outcome.events)

    def test_limitsThatWereChangedMeanwhile(self) -> None:
        peer, _ = warmed(sections=[[*GET, (b"x", b"y" * 200)]])
        peer.wire.configuration = type(peer.wire.configuration)(maximumTotalHeaderSize=100)
        peer.say(request(101, [*GET, (b"x", b"y" * 200)]))
        assert peer.outcome.refusals == {101: 431}


def half(peer: Peer) -> None:
    peer.say(request(101, POST, ends=False))


def begun(peer: Peer) -> None:
    peer.say(request(101))
    peer.wire.sendHead(101, 200, [], None, True)


def opened(peer: Peer) -> None:
    peer.say(request(101))


def small(peer: Peer) -> None:
    peer.say(settings({WINDOW: 9}), request(101))


def negative(peer: Peer) -> None:
    peer.say(settings({WINDOW: 9}), request(99))
    peer.wire.sendResponse(99, 200, [], None, b"x" * 20)
    peer.hear()
    peer.say(request(101), windowUpdate(99, 100), settings({WINDOW: 5}))
    peer.wire._h2.streams[101].outbound_flow_control_window -= 10


def narrow(peer: Peer) -> None:
    peer.say(request(101))
    peer.wire._h2.outbound_flow_control_window = 9


def tight(peer: Peer) -> None:
    peer.say(request(101))
    peer.wire._h2._data_to_send += bytes(BACKLOG + 1)


def resized(peer: Peer) -> None:
    peer.say(request(101), settings({TABLE: 100}))


def closed(peer: Peer) -> None:
    peer.say(request(101), BAD)


#: Behind which the response on stream 101 goes the long way; and its size.
LONG: dict[str, tuple[Callable[[Peer], None], int]] = {
    "there is content to come": (half, 0),
    "a response has begun": (begun, 0),
    "too large for a frame": (opened, LARGEST_FRAME + 1),
    "too large for the stream": (small, 10),
    "the stream's window is negative": (negative, 0),
    "too large for the connection": (narrow, 10),
    "much waits to be written": (tight, 0),
    "the table was resized": (resized, 0),
    "the connection is over": (closed, 0),
}


class TestResponses:
    @pytest.mark.parametrize("name", LONG)
    def test_whatGoesTheLongWay(self, name: str) -> None:
        """And nothing was done until then."""
        peer, shortcut = warmed()
        prepare, size = LONG[name]
        prepare(peer)
        connection = peer.wire._h2
        before = bytes(connection._data_to_send), connection.outbound_flow_control_window
        assert not shortcut.respond(101, SECTION, b"x" * size)
        assert before == (bytes(connection._data_to_send), connection.outbound_flow_control_window)
        assert 101 in connection.streams

    @pytest.mark.parametrize(
        ("prepare", "size"), [(opened, 0), (opened, LARGEST_FRAME), (small, 9), (narrow, 9), (tight, 0)]
    )
    def test_upToTheBound(self, prepare: Callable[[Peer], None], size: int) -> None:
        peer, shortcut = warmed()
        prepare(peer)
        connection = peer.wire._h2
        del connection._data_to_send[BACKLOG:]
        window = connection.outbound_flow_control_window
        assert shortcut.respond(101, SECTION, b"x" * size)
        assert connection.outbound_flow_control_window == window - size

    def test_unknownStreamsAndFields(self) -> None:
        peer, shortcut = warmed()
        peer.say(request(101))
        assert not shortcut.respond(103, SECTION, b"")
        assert not shortcut.respond(101, (*SECTION, (b"x", b"y")), b"")
        assert peer.hear() == []

    def test_theFrames(self) -> None:
        """RFC 9113 section 8.1."""
        peer, shortcut = warmed()
        peer.say(request(101) + request(103))
        respond(peer, 101, b"hello")
        respond(peer, 103)
        assert shortcut.sent == [101, 103]
        frames = [(type(each), each.stream_id, set(each.flags), bytes(each.data)) for each in peer.hear()]
        (octets,) = {each[3] for each in frames if each[0] is HeadersFrame}
        assert frames == [
            (HeadersFrame, 101, {"END_HEADERS"}, octets),
            (DataFrame, 101, {"END_STREAM"}, b"hello"),
            (HeadersFrame, 103, {"END_HEADERS", "END_STREAM"}, octets),
        ]
        assert peer.outcome.sections(103) == [list(SECTION)]
        assert peer.wire.ended[-2:] == [101, 103]

    def test_behindAnInterimResponse(self) -> None:
        peer, shortcut = warmed()
        peer.say(request(101))
        peer.wire.sendInformational(101, 103, [])
        respond(peer, 101, b"x")
        assert [dict(each)[b":status"] for each in peer.outcome.sections(101)] == [b"103", b"200"]
        # The interim one has changed the table, or it would not have been forgotten what was known.
        assert shortcut.sent in ([], [101])

    def test_somebodyElseWaitsForHisTurn(self) -> None:
        """He was here first: nobody takes the connection's window from him."""
        for hasShortcut in (True, False):
            peer, shortcut = warmed(hasShortcut=hasShortcut)
            peer.say(request(101) + request(103))
            peer.wire._h2.outbound_flow_control_window = 20_000
            respond(peer, 101, b"x" * 30_000)
            respond(peer, 103, b"y" * 3_000)
            assert not hasShortcut or shortcut.sent == []
            sent = [(each.stream_id, len(each.data)) for each in peer.hear() if type(each) is DataFrame]
            assert sent == [(101, 16384), (103, 3000), (101, 616)]

    def test_whoHasNoRoomOnHisOwnStreamIsNotWaitedFor(self) -> None:
        peer, shortcut = warmed()
        peer.say(settings({WINDOW: 10}), request(101) + request(103))
        # The table is what it was, and so is what is known.
        respond(peer, 101, b"x" * 30_000)
        peer.hear()
        respond(peer, 103, b"y" * 10)
        assert shortcut.sent == [103]

    def test_theTableWasResizedInBetween(self) -> None:
        """RFC 7541 section 4.2: that is said in front of the next section."""
        peer, shortcut = warmed()
        peer.say(request(101) + request(103) + request(105))
        respond(peer, 101)
        peer.say(settings({TABLE: 100}))
        respond(peer, 103)
        respond(peer, 105)
        assert shortcut.sent == [101]
        assert [peer.outcome.sections(streamId) for streamId in (101, 103, 105)] == [[list(SECTION)]] * 3
        assert lastOf(peer, HeadersFrame).stream_id == 105

    def test_theWindowThatIsLeft(self) -> None:
        """RFC 9113 section 6.9.1: no more content than the connection has room for, in whatever pieces."""
        peer, shortcut = warmed()
        room = peer.wire._h2.outbound_flow_control_window
        for streamId in range(101, 141, 2):
            peer.say(request(streamId))
            respond(peer, streamId, b"x" * 10_000)
        peer.hear()
        assert len(shortcut.sent) == room // 10_000
        assert sum(len(each.data) for each in peer.outcome.of(DataFrame)) == room
        peer.say(windowUpdate(0, 200_000))
        assert {len(peer.outcome.sent(streamId)) for streamId in range(101, 141, 2)} == {10_000}


#: What comes for a stream that was answered.
LATE: dict[str, bytes] = {
    "content": data(101, b"x"),
    "the end of it": data(101, ends=True),
    "fields": request(101),
    "trailers": headers(101, [(b"x", b"y")], "END_HEADERS", "END_STREAM"),
    "a reset": reset(101),
    "room": windowUpdate(101, 1),
    "too much room": windowUpdate(101, LARGE),
    "a priority": raw(2, 0, 101, bytes(5)),
    "the rest of a block": continuation(101, b""),
    "no request": request(101, [(b":status", b"100"), *GET]),
}


class TestWhatIsLeftBehind:
    def test_theStreamAsItWasRead(self) -> None:
        streams = []
        for hasShortcut in (True, False):
            peer, _ = warmed(hasShortcut=hasShortcut, first=settings({WINDOW: 777}))
            peer.say(request(101))
            stream: Any = peer.wire._h2.streams[101]
            flat = vars(stream) | {"state_machine": vars(stream.state_machine)}
            flat["_inbound_window_manager"] = vars(stream._inbound_window_manager)
            streams.append(flat)
        assert streams[0] == streams[1]
        assert streams[0]["state_machine"]["state"] is StreamState.HALF_CLOSED_REMOTE

    @pytest.mark.parametrize("isLast", [True, False])
    @pytest.mark.parametrize("name", LATE)
    def test_whatIsKnownOfItBehindItsEnd(self, name: str, isLast: bool) -> None:
        """RFC 9113 section 5.1: what comes then is an error, or is none, as it is without the shortcut."""
        results = []
        for hasShortcut in (True, False):
            peer, shortcut = warmed(hasShortcut=hasShortcut)
            peer.say(request(101))
            respond(peer, 101, b"x")
            peer.hear()
            assert not hasShortcut or shortcut.sent == [101]
            if not isLast:
                peer.say(request(103))
            events = [plain(event) for event in peer.say(LATE[name])]
            assert peer.wire._h2.open_inbound_streams == (not isLast)
            by = peer.wire._h2._closed_streams[101]
            results.append((events, [*map(repr, peer.outcome.frames)], peer.wire.finished, by))
        assert results[0] == results[1]
        assert (results[1][3] is StreamClosedBy.SEND_END_STREAM) is not (isLast and name == "no request")

    def test_settingsAreForStreamsThatAreOpen(self) -> None:
        """RFC 9113 section 6.9.2: a stream that is over has no window that could overflow."""
        for hasShortcut in (False, True):
            peer, _ = warmed(hasShortcut=hasShortcut)
            peer.say(request(101), windowUpdate(101, LARGE - 65535))
            peer.wire.sendResponse(101, 200, [(b"new", b"field")], 0, b"")
            peer.hear()
            peer.say(request(103), settings({WINDOW: 65536}))
            assert not peer.wire.finished, hasShortcut


class TestSection105Bounds:
    def test_manyExchangesLeaveNothing(self) -> None:
        """But of how so many streams have ended."""
        peer, shortcut = warmed(clock=FastClock())
        wire, connection = peer.wire, peer.wire._h2

        def exchanges(first: int, count: int) -> None:
            for streamId in range(first, first + 2 * count, 2):
                wire.receiveData(raw(1, 5, streamId, KNOWN))
                respond(peer, streamId, b"x")
                wire.dataToSend()
                if streamId % 1000 == 1:
                    wire.receiveData(windowUpdate(0, 1000))
            wire.ended.clear()
            shortcut.taken, shortcut.sent = shortcut.taken[-1:], shortcut.sent[-1:]

        exchanges(101, 2000)
        tracemalloc.start()
        try:
            exchanges(4101, 200)
            before, _ = tracemalloc.get_traced_memory()
            exchanges(4501, 8000)
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert shortcut.sent == [20_499]
        assert len(connection.streams) < 5
        assert connection.open_inbound_streams == 0
        assert not wire._streams
        assert len(connection._closed_streams) == Connection.MAX_CLOSED_STREAMS
        assert after - before < 200_000

    @pytest.mark.parametrize("isReset", [True, False])
    def test_whatTheLongWayHasClosedIsForgotten(self, isReset: bool) -> None:
        """However many streams there may be at a time: those that are over take no room."""
        peer, shortcut = warmed(Http2Configuration(maxConcurrentStreams=2**32 - 1), clock=FastClock())
        for streamId in range(101, 1101, 2):
            peer.say(request(streamId))
            if isReset:
                peer.say(reset(streamId))
            else:
                peer.wire.sendHead(streamId, 200, [], None, True)
                peer.wire.sendBody(streamId, b"x")
                peer.wire.sendEnd(streamId, [])
                peer.hear()
        assert len(shortcut.taken) == 500
        assert not peer.wire._streams
        assert len(peer.wire._h2.streams) < 10

    def test_aFloodOfRequestsForMuch(self) -> None:
        """Of content no more waits in front of everybody than `BACKLOG` and one frame of it."""
        peer, shortcut = warmed(Http2Configuration(maxConcurrentStreams=100_000))
        peer.say(windowUpdate(0, 2**30))
        frame = len(raw(1, 5, 101, KNOWN))
        numbers = range(101, 101 + 65536 // frame * 2, 2)
        events = peer.wire.receiveData(b"".join(raw(1, 5, streamId, KNOWN) for streamId in numbers))
        assert heads(events) == [*numbers]
        for streamId in numbers:
            respond(peer, streamId, bytes(LARGEST_FRAME))
        connection = peer.wire._h2
        # The heads of those that wait are said at once, and always were.
        head = 9 + len(connection.encoder.known(SECTION) or b"")
        waiting = len(connection._data_to_send) - head * (len(numbers) - len(shortcut.sent))
        assert len(shortcut.sent) == BACKLOG // LARGEST_FRAME
        assert BACKLOG < waiting <= BACKLOG + head + 9 + LARGEST_FRAME
        # And what is written at once is that, and what was always written at once.
        size = len(peer.wire.dataToSend())
        assert size <= head * len(numbers) + BACKLOG + BATCH + 2 * LARGEST_FRAME + 9 * 10

    @pytest.mark.parametrize("pieces", [1, 2])
    def test_rapidResets(self, pieces: int) -> None:
        """CVE-2023-44487: what is known to be plain is counted all the same."""
        counts = []
        for hasShortcut in (True, False):
            peer, shortcut = warmed(hasShortcut=hasShortcut)
            count = 0
            while not peer.wire.finished:
                streamId = 101 + 2 * count
                said = [request(streamId), reset(streamId)]
                peer.say(*(said if pieces == 2 else [b"".join(said)]))
                count += 1
            assert peer.outcome.error == CALM
            assert not hasShortcut or len(shortcut.taken) >= RESETS - 1
            counts.append(count)
        assert counts == [RESETS + 1] * 2

    @pytest.mark.parametrize("body", [b"x", b"x" * 256, b""])
    def test_whatAnExchangeEarns(self, body: bytes) -> None:
        """A budget for frames that say nothing: neither more nor less of them than without the shortcut."""
        left = []
        for hasShortcut in (True, False):
            peer, shortcut = warmed(hasShortcut=hasShortcut)
            peer.say(PING * (IDLE_FRAMES // 2))
            peer.say(request(101))
            respond(peer, 101, body)
            peer.hear()
            assert not hasShortcut or shortcut.sent == [101]
            left.append(peer.wire._idleFrames._left)
        assert left[0] == left[1]

    def test_framesThatSayNothing(self) -> None:
        """Between known requests they are counted as they are between others."""
        counts = []
        for hasShortcut in (True, False):
            peer, _ = warmed(hasShortcut=hasShortcut)
            count = 0
            while not peer.wire.finished:
                peer.say(request(101 + 2 * count) + PING * 50)
                respond(peer, 101 + 2 * count, b"x")
                peer.hear()
                count += 1
            assert peer.outcome.error == CALM
            assert not peer.outcome.of(RstStreamFrame)
            counts.append(count)
        assert counts[0] == counts[1]
