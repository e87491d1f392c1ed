"""The shortcut past h2's states, and the long way round: whatever is said, both give the same result.

The reference is the same wire with the shortcut switched off.  Both are given the same octets in the same
pieces, and do the same with what they are told.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from itertools import pairwise
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, StreamEnded
from h2.settings import SettingCodes
from hpack import Encoder
from http2wirehelpers import (
    GET,
    POST,
    START,
    FastClock,
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
    windowUpdate,
)
from hyperframe.frame import DataFrame
from hypothesis import example, given
from hypothesis import strategies as st

from txabstracthttp._events import BodyData, Event, Head, PeerError
from txabstracthttp.configuration import Http2Configuration
from txabstracthttp.wire.http2shortcut import Shortcut

Section = Sequence[tuple[bytes, bytes]]

HEAD: Section = [(b":method", b"HEAD"), *GET[1:]]
SECTIONS: list[Section] = [
    GET,
    GET,
    HEAD,
    [*GET, (b"cookie", b"a"), (b"x", b"y"), (b"cookie", b"b")],
    [*POST, (b"content-length", b"0")],
    [*POST, (b"content-length", b"3")],
    [*POST, (b"content-length", b"abc")],
    [*POST, (b"content-length", b"0"), (b"content-length", b"0")],
    [*GET, (b"connection", b"close")],
    [*GET, (b":path", b"/")],
    [(b":status", b"100"), *GET],
    [(b":method", b"DESCRIBE"), *GET[1:]],
    [*GET, *[(b"x", b"y")] * 9],
    [*GET, (b"x", b"y" * 600)],
    [],
]

#: What an application says: status, fields, length and content.
RESPONSES: list[tuple[int, Any, int | None, bytes]] = [
    (200, ((b"Server", b"x"),), 2, b"ok"),
    (200, ((b"Server", b"x"),), 2, b"ok"),
    (200, (), 0, b""),
    (200, [(b"X", b"y"), (b"Connection", b"close")], 5, b"hello"),
    (204, (), None, b""),
    (304, ((b"ETag", b'"a"'),), None, b""),
    (200, ((b"Server", b"x"),), 5, b""),
    (200, ((b"Large", b"x" * 600),), 1, b"x"),
    (200, (), 300, b"x" * 300),
    (200, (), 16384, b"x" * 16384),
    (200, (), 16385, b"x" * 16385),
    (200, (), 70_000, b"x" * 70_000),
]


class NoShortcut:
    """Everything goes the long way."""

    def __init__(self, connection: object) -> None:
        pass

    def requests(self, data: bytes, read: Callable[..., Any]) -> tuple[list[tuple[int, Any]], int]:
        """None is taken."""
        return [], 0

    def respond(self, *arguments: object) -> bool:
        """Nothing was done."""
        return False


class Watched(Shortcut):
    """Counts what goes the short way: requests, and responses."""

    taken = sent = 0

    def requests(self, *arguments: Any) -> tuple[list[tuple[int, Any]], int]:
        """As they are."""
        taken, end = super().requests(*arguments)
        self.taken += len(taken)
        return taken, end

    def respond(self, *arguments: Any) -> bool:
        """As it is."""
        isDone = super().respond(*arguments)
        self.sent += isDone
        return isDone


#: What may differ: h2 remembers of a request that is complete how much content it has announced, and looks
#: at that when content comes; which is an error by then.
UNUSED = {"_expected_content_length"}


def state(of: Any) -> Any:
    """All that is in something, as far down as it goes; but for what is the same everywhere."""
    if of is None or isinstance(of, int | float | str | bytes | Enum):
        return of
    if isinstance(of, bytearray | memoryview):
        return bytes(of)
    if callable(of) or isinstance(of, H2Configuration):
        return None
    if isinstance(of, set | frozenset):
        return sorted(map(str, of))
    if isinstance(of, list | tuple | deque):
        return [state(each) for each in of]
    inside = {name: state(value) for name, value in getattr(of, "__dict__", {}).items() if name not in UNUSED}
    for name in [name for kind in type(of).__mro__ for name in getattr(kind, "__slots__", ())]:
        inside[name] = state(getattr(of, name))
    if isinstance(of, Mapping):
        inside["items"] = {str(key): state(value) for key, value in of.items()}
    return type(of).__name__, inside


class Side:
    """One of the two wires, with an application, and a record of what happens."""

    def __init__(self, hasShortcut: bool, choices: Sequence[int], http2: Http2Configuration) -> None:
        self.peer = Peer(http2, FastClock(), maximumHeaderFieldCount=6)
        self.wire = self.peer.wire
        kind: Any = Watched if hasShortcut else NoShortcut
        self.wire._shortcut = self.shortcut = kind(self.wire._h2)
        self._choices = list(choices)
        self._bodiless: set[int] = set()
        self.later: list[int] = []
        self.say(START)

    def say(self, octets: bytes) -> tuple[list[Any], list[Any]]:
        """Give `octets` to the wire, and let the application answer: what was told, and what was said."""
        events = self.wire.receiveData(octets)
        for event in events:
            self._work(event)
        return [plain(event) for event in events], self.peer.hear()

    def _choose(self) -> int:
        return self._choices.pop() if self._choices else 0

    def _work(self, event: Event) -> None:
        if isinstance(event, Head):
            if event.method == "HEAD":
                self._bodiless.add(event.streamId)
            if (choice := self._choose()) % 4 == 3:
                self.later.append(event.streamId)
            else:
                self.answer(event.streamId, choice)
        elif isinstance(event, PeerError) and event.streamId:
            self.wire.sendResponse(event.streamId, event.error.status, (), 3, b"bad")
            self.wire.leave(event.streamId)
        elif isinstance(event, BodyData):
            self.wire.credit(event.streamId, len(event.data))

    def answer(self, streamId: int, choice: int) -> None:
        """One of many ways."""
        wire, (status, fields, length, body) = self.wire, RESPONSES[choice % len(RESPONSES)]
        if streamId in self._bodiless:
            body = b""
        kind = choice // len(RESPONSES)
        if kind == 4:
            return wire.reset(streamId, 8)
        if kind == 5:
            wire.sendInformational(streamId, 103, [(b"link", b"x")])
        elif kind == 6:
            wire.leave(streamId)
        elif kind == 7:
            wire.drain()
        elif kind == 8:
            wire.beLast()
        if kind == 3 and streamId not in self._bodiless:
            wire.sendHead(streamId, status, fields, None, True)
            wire.sendBody(streamId, body or b"z")
            return wire.sendEnd(streamId, [(b"T", b"u")])
        return wire.sendResponse(streamId, status, fields, length, body)

    def answerLater(self, first: bool, choice: int) -> list[Any]:
        """What is still to be answered: the first of it or the last; and what was said."""
        if self.later:
            self.answer(self.later.pop(0 if first else -1), choice)
        return self.peer.hear()

    @property
    def state(self) -> Any:
        """All that is known on this side.  h2 forgets closed streams when it looks how many are open."""
        wire = self.wire
        assert wire._h2.open_inbound_streams == len(wire._streams) or wire.finished
        known = {name: state(value) for name, value in vars(wire).items() if name not in self._APART}
        return known | {"relieved": list(wire.relieved), "ended": sorted(wire.ended)}

    #: Budgets have tests of their own; streams end in another order when nobody asks for what is said.
    _APART = ("_shortcut", "_idleFrames", "_heads", "ended")


def assertFramesAreSame(short: list[Any], long: list[Any]) -> None:
    """The same frames, stream by stream; and those of no content in the same order, stream or not.

    So field sections are read with the same table, and what is about the connection comes where it came.
    Content alone may stand before, or behind, what is said on other streams: it did wait for its turn.
    """

    for streamId in {frame.stream_id for frame in [*short, *long]}:
        one, other = (
            [each.serialize() for each in side if each.stream_id == streamId] for side in (short, long)
        )
        assert one == other
    one, other = (
        [each.serialize() for each in side if type(each) is not DataFrame] for side in (short, long)
    )
    assert one == other


def assertEventsAreSame(short: list[Any], long: list[Any]) -> None:
    """The same; but requests in front of an error of the connection's in one piece are told of before it.

    h2 reads all of a piece before it tells of anything, and of nothing if it finds an error.  In two pieces
    they were always told of.
    """
    if long and (long[-1][0], long[-1][-1]) == ("PeerError", 0) and len(short) > len(long):
        early, short = short[: -len(long)], short[-len(long) :]
        assert {kind for kind, *_ in early} == {"Head", "BodyEnd"}
    assert short == long


class Story:
    """What a peer says, in frames; some are right and some are not."""

    def __init__(self) -> None:
        self._encoder = Encoder()
        self._next = 1

    def frames(self, kind: str, which: int, size: int) -> bytes:
        """Frames of a kind; what `which` and `size` are depends on it."""
        made: bytes = getattr(self, f"_{kind}")(which, size)
        return made

    def _new(self) -> int:
        self._next += 2
        return self._next - 2

    def _old(self, which: int) -> int:
        return max(1, self._next - 2 - 2 * (which % 4))

    def _known(self, which: int, size: int) -> bytes:
        return request(self._new(), SECTIONS[which % 5])

    def _several(self, which: int, size: int) -> bytes:
        return b"".join(request(self._new(), SECTIONS[(which + at) % 3]) for at in range(1 + size % 6))

    def _odd(self, which: int, size: int) -> bytes:
        return request(self._new(), SECTIONS[which % len(SECTIONS)])

    def _indexed(self, which: int, size: int) -> bytes:
        if not size % 5:
            self._encoder.header_table_size = [0, 40, 100, 4096][which % 4]
        octets = bytes(self._encoder.encode(list(SECTIONS[which % len(SECTIONS)])))
        return headers(self._new(), octets, "END_HEADERS", "END_STREAM")

    def _content(self, which: int, size: int) -> bytes:
        streamId, ends = self._new(), size % 5 > 0
        octets = request(streamId, SECTIONS[which % 6], ends=False)
        return octets + data(streamId, b"abc", ends=ends, padding=size % 9 or None)

    def _trailers(self, which: int, size: int) -> bytes:
        return headers(self._old(which), [(b"t", b"u")], "END_HEADERS", *["END_STREAM"] * (size % 3 > 0))

    def _flagged(self, which: int, size: int) -> bytes:
        octets = block(GET)
        if which % 2:
            return raw(1, 0x25, self._new(), (size % 3).to_bytes(4, "big") + b"\x10" + octets)
        return raw(1, 0x0D, self._new(), bytes([size % 9]) + octets + bytes(size % 9))

    def _split(self, which: int, size: int) -> bytes:
        octets, streamId = block(SECTIONS[which % 3]), self._new()
        at = size % len(octets)
        first = headers(streamId, octets[:at], "END_STREAM")
        between = raw(6, 0, 0, bytes(8)) if size % 7 == 0 else b""
        return first + between + continuation(streamId, octets[at:], "END_HEADERS")

    def _badId(self, which: int, size: int) -> bytes:
        streamId = [self._old(size), 2, self._next | 2**31, 2**31 - 1, self._next + 8][which % 5]
        if which % 5 in (2, 4):
            self._next = streamId % 2**31 + 2
        return raw(1, 5, streamId, block(GET))

    def _window(self, which: int, size: int) -> bytes:
        sizes = [1, 255, 256, 10_000, 65535, 2**20, 0, 2**31 - 1]
        return windowUpdate(0, sizes[size % 6]) if which % 2 else self._streamWindow(which, sizes[size % 8])

    def _streamWindow(self, which: int, size: int) -> bytes:
        return raw(8, 0, self._old(which), size.to_bytes(4, "big"))

    def _settings(self, which: int, size: int) -> bytes:
        values = [(4, 0), (4, 1), (4, 100), (4, 65535), (4, 20_000), (1, 0), (1, 40), (1, 4096), (1, 65536)]
        values += [(5, 16384), (5, 2**24 - 1), (3, 0), (5, 1)]
        return settings(dict([values[which % len(values)], values[size % 9]]))

    def _reset(self, which: int, size: int) -> bytes:
        return reset(self._old(which))

    def _late(self, which: int, size: int) -> bytes:
        return data(self._old(which), b"late"[: size % 5], ends=size % 2 > 0)

    def _other(self, which: int, size: int) -> bytes:
        frames = [raw(6, size % 2, 0, bytes(8)), raw(2, 0, self._old(size), bytes(4) + b"\1")]
        return [*frames, raw(0xFA, 5, self._old(size), block(GET)), settings({})][which % 4]

    def _leaving(self, which: int, size: int) -> bytes:
        return goAway(which % 9 == 0, 0) if size % 4 == 0 else raw(6, 1, 0, b"draining")


KINDS = [
    *["known"] * 18,
    *["several"] * 10,
    *["indexed", "odd", "content", "window", "settings"] * 2,
    *["trailers", "flagged", "split", "badId", "reset", "late", "other", "leaving"],
]
numbers = st.integers(0, 10_000)
turns = st.tuples(
    st.lists(st.tuples(st.sampled_from(KINDS), numbers, numbers), max_size=4),
    st.lists(numbers, max_size=3),
    st.lists(st.tuples(st.booleans(), numbers), max_size=3),
)
plainWays = st.integers(0, 3 * len(RESPONSES) - 1)
ways = st.lists(st.one_of(plainWays, plainWays, st.integers(0, 9 * len(RESPONSES) - 1)), max_size=30)
configurations = st.builds(
    Http2Configuration,
    maxConcurrentStreams=st.sampled_from([2, 100, 100]),
    streamReceiveWindowSize=st.sampled_from([20, 65535]),
    huffmanCompressionEnabled=st.booleans(),
)


def assertBothAreSame(
    story: Sequence[Any], choices: Sequence[int], http2: Http2Configuration, byFrames: bool
) -> Watched:
    """Play a story to both; `byFrames`: each frame by itself, and not cut anywhere."""
    short, long = (Side(each, choices, http2) for each in (True, False))
    peer = Story()
    # What is said often, so that it is known.
    for each in [request(peer._new(), SECTIONS[at % 3]) for at in range(6)]:
        assert short.say(each)[0] == long.say(each)[0]
    for frames, cuts, later in story:
        pieces = [peer.frames(*each) for each in frames]
        if not byFrames:
            octets = b"".join(pieces)
            places = sorted({0, len(octets), *(cut % (len(octets) + 1) for cut in cuts)})
            pieces = [octets[a:b] for a, b in pairwise(places)]
        for piece in pieces:
            (told, said), (reference, saidThere) = short.say(piece), long.say(piece)
            assertEventsAreSame(told, reference)
            assertFramesAreSame(said, saidThere)
        if short.wire.finished and long.wire.finished:
            break
        for choice in later:
            assertFramesAreSame(short.answerLater(*choice), long.answerLater(*choice))
        assert short.state == long.state
    assert short.wire.finished == long.wire.finished
    watched: Watched = short.shortcut
    return watched


class TestBothAreSame:
    @given(st.lists(turns, min_size=2, max_size=12), ways, configurations)
    def test_inPiecesOfAnySize(self, story: list[Any], choices: list[int], http2: Http2Configuration) -> None:
        assertBothAreSame(story, choices, http2, False)

    @given(st.lists(turns, min_size=2, max_size=12), ways, configurations)
    def test_frameByFrame(self, story: list[Any], choices: list[int], http2: Http2Configuration) -> None:
        assertBothAreSame(story, choices, http2, True)

    def test_theShortcutIsTaken(self) -> None:
        """Or the others would compare nothing."""
        story: list[Any] = [([("several", 0, 5)], [], []), ([("known", 1, 1), ("known", 0, 0)], [], [])]
        watched = assertBothAreSame(story, [], Http2Configuration(), False)
        # Of both sections the first goes the long way; and so do the first two responses, whose section
        # changes the table, and is remembered behind that.
        assert (watched.taken, watched.sent) == (12, 12)


class Client:
    """A client that h2 makes strict: it raises where a server breaks a rule."""

    def __init__(self, side: Side, window: int) -> None:
        self._side = side
        self.h2 = H2Connection(H2Configuration(client_side=True, header_encoding=False))
        self.h2.initiate_connection()
        self.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.told: list[Any] = []
        self.ended: set[int] = set()
        self._eaten: list[tuple[int, int]] = []

    def exchange(self) -> None:
        """Until nobody has anything to say."""
        # The wires have had a greeting already, which the client's own must not be.
        while octets := self.h2.data_to_send().removeprefix(START[:24]):
            self._side.say(octets)
            self.listen()

    def listen(self) -> None:
        """Hear what the server has to say."""
        octets, self._side.peer._said = self._side.peer._said, b""
        for event in self.h2.receive_data(octets):
            if isinstance(event, DataReceived):
                self._eaten.append((event.flow_controlled_length, event.stream_id))
            if isinstance(event, StreamEnded):
                self.ended.add(event.stream_id)
            self.told.append((getattr(event, "stream_id", None), repr(event)))

    def ask(self, which: int, size: int) -> None:
        """Ask for something; with content, now and then."""
        if self.h2.open_outbound_streams >= 50:
            return
        streamId, hasContent = self.h2.get_next_available_stream_id(), size % 5 == 0
        section = [field for field in SECTIONS[which % 5] if field[0] != b"content-length"]
        self.h2.send_headers(streamId, section, end_stream=not hasContent)
        if hasContent:
            self.h2.send_data(streamId, b"abc", end_stream=True)

    def eat(self, which: int, size: int) -> None:
        """Make room again for what came."""
        for length, streamId in self._eaten:
            self.h2.acknowledge_received_data(length, streamId)
        self._eaten.clear()

    def change(self, which: int, size: int) -> None:
        """Change the windows of streams, or the size of a table."""
        values: list[Any] = [{SettingCodes.INITIAL_WINDOW_SIZE: [10, 300, 16384, 65535][which % 4]}]
        values.append({SettingCodes.HEADER_TABLE_SIZE: [0, 40, 4096, 65536][which % 4]})
        self.h2.update_settings(values[size % 2])

    def open(self, which: int, size: int) -> None:
        """More room for everybody."""
        self.h2.increment_flow_control_window(1 + size)

    def cancel(self, which: int, size: int) -> None:
        """Ask, and want it no more."""
        self.ask(which, 1)
        if self.h2.streams and not self.h2.streams[streamId := max(self.h2.streams)].closed:
            self.h2.reset_stream(streamId, 8)


ACTS = [*["ask"] * 6, *["eat"] * 3, "change", "open", "cancel"]
acts = st.tuples(st.sampled_from(ACTS), numbers, numbers, st.booleans())
#: Neither GOAWAY nor RST_STREAM of ours: a client of h2's is told of nothing behind them.
calm = st.lists(st.integers(0, 4 * len(RESPONSES) - 1).filter(lambda n: n % len(RESPONSES) != 6), max_size=40)


class TestAStrictClient:
    @given(st.lists(acts, min_size=5, max_size=40), calm, st.sampled_from([0, 100, 16384, 65535, 2**20]))
    @example([("ask", 0, 1, True)] * 9, [0] * 9, 65535)
    def test_whatItIsToldIsLegalAndTheSame(self, story: list[Any], choices: list[int], window: int) -> None:
        """RFC 9113 sections 5.1, 6.9, 8.1.1: states, windows and lengths of content; and RFC 7541."""
        clients = []
        for hasShortcut in (True, False):
            side = Side(hasShortcut, choices, Http2Configuration())
            client = Client(side, window)
            client.listen()
            client.exchange()
            for act, which, size, now in story:
                getattr(client, act)(which, size)
                if now:
                    client.exchange()
            client.exchange()
            while side.later:
                side.answerLater(False, 0)
                client.listen()
                client.exchange()
            clients.append(client)
        short, long = clients
        assert short.ended == long.ended
        for streamId in {streamId for streamId, _ in [*short.told, *long.told]}:
            one, other = ([event for at, event in each.told if at == streamId] for each in clients)
            assert one == other
