"""Frames of WebSocket (RFC 6455 section 5): what the wire reads of them, and what `WebSocket` makes of them.

The other opinions are Autobahn's own reading, which is stock here, and those of wsproto and websockets.
"""

from __future__ import annotations

import tracemalloc
import zlib
from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from struct import pack
from typing import Any, NamedTuple

import pytest
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.compress import PerMessageDeflateOffer, PerMessageDeflateOfferAccept
from connectionhelpers import LOCAL, PEER
from hypothesis import example, given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from wirehelpers import cutUp

from txabstracthttp._autobahn import PIECES, _unmask
from txabstracthttp.configuration import HttpServerConfiguration
from txabstracthttp.request import ConnectionInfo, HttpRequest
from txabstracthttp.websocket import WebSocket, WebSocketFactory
from txabstracthttp.wire.frames import LONGEST, SHORT, dataFrame, frameEnd, shortMessage, unmask
from txabstracthttp.wire.handshake import readHandshake

Message = str | bytes

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
MASK = b"\x01\x80\xff\x5a"
#: Where something changes: the forms of a length, and what is read here.
LENGTHS = [0, 1, 2, 3, 4, 5, 124, 125, 126, 127, 128, SHORT - 1, SHORT, SHORT + 1, LONGEST - 9, LONGEST - 8]
LONG_LENGTHS = [LONGEST - 7, 65534, 65535, 65536, 65537]
#: Text that is none: lone continuation, overlong, surrogates, beyond the last, cut short.
NO_UTF8 = [
    b"\x80", b"\xbf", b"a\x80", b"\xc0\x80", b"\xc1\xbf", b"\xe0\x80\x80", b"\xe0\x9f\xbf",
    b"\xf0\x80\x80\x80", b"\xf0\x8f\xbf\xbf", b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xed\xa0\xbd\xed\xb8\x80",
    b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xfe", b"\xff", b"\xc3", b"\xe2\x82",
    b"\xf0\x9f\x98", b"\xc3a", b"\xe2\x82a", b"\xe2a\xac", b"a\xff" + b"b" * 400, b"a" * 400 + b"\xc3",
]  # fmt: skip
GOOD_UTF8 = [
    "",
    "a",
    "\0",
    "ü",
    "€",
    "😀",
    "\ufffd",
    "\ufeff",
    "\ud7ff\ue000",
    "\U0010ffff",
    "ü" * 62,
    "€" * 42,
]

SHORTEST = -1


def masked(payload: bytes, mask: bytes = MASK) -> bytes:
    return bytes(octet ^ mask[place % 4] for place, octet in enumerate(payload))


def frame(
    payload: bytes = b"",
    opcode: int = BINARY,
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes | None = MASK,
    form: int = SHORTEST,
) -> bytes:
    """A frame; `form` is how many more octets its length takes: 0, 2 or 8."""
    size = len(payload)
    if form == SHORTEST:
        form = 0 if size < 126 else 2 if size < 65536 else 8
    length = {0: bytes([size & 0x7F]), 2: b"\x7e" + pack("!H", size & 0xFFFF), 8: b"\x7f" + pack("!Q", size)}[
        form
    ]
    head = bytes([fin << 7 | rsv << 4 | opcode, length[0] | (0 if mask is None else 0x80)]) + length[1:]
    return head + (payload if mask is None else mask + masked(payload, mask))


def closing(code: int = 1000, reason: str = "") -> bytes:
    return frame(pack("!H", code) + reason.encode(), CLOSE)


class FakeChannel:
    """What a WebSocket writes to."""

    isBlocked = False

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.writes.append(data)

    def loseConnection(self) -> None:
        self.closed = True

    abortConnection = loseConnection

    def resumeProducing(self) -> None:
        assert not self.closed

    def unregisterProducer(self) -> None:
        assert not self.closed

    def stopProduction(self) -> None:
        assert not self.closed

    def getPeer(self) -> IPv4Address:
        return PEER

    def getHost(self) -> IPv4Address:
        return LOCAL


class Outcome(NamedTuple):
    """What came of a stream: the `code` is the one that the application is told."""

    messages: list[Message]
    replies: bytes
    closed: bool
    code: int | None


class Ours(WebSocket):
    """Ours, with an account of what it hands to Autobahn and what Autobahn copies.

    :ivar given: octets that Autobahn was given.
    :ivar copied: octets that it has assigned to its buffer, `data`.
    """

    given = copied = 0
    _buffer = b""

    @property
    def data(self) -> bytes:
        return self._buffer

    @data.setter
    def data(self, value: bytes) -> None:
        self._buffer = value
        self.copied += len(value)

    def _dataReceived(self, data: bytes) -> None:
        # Whoever gives nothing gets nowhere, for ever.
        assert data
        self.given += len(data)
        super()._dataReceived(data)


class WithOnMessage(Ours):
    """A class that overrides `onMessage`."""

    def __init__(self) -> None:
        super().__init__()
        self.got: list[Message] = []

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.got.append(payload if isBinary else payload.decode())


class WithParts(Ours):
    """A class that wants to see messages in parts, so that Autobahn reads everything.

    :ivar parts: how many there were.
    """

    parts = 0

    def onMessageFrameEnd(self) -> None:
        self.parts += 1
        super().onMessageFrameEnd()


KINDS = [Ours, WithOnMessage, WithParts]
#: Autobahn's own limit of 0 is none.
LIMIT: dict[str, Any] = {"maximumWebSocketMessageSize": 100_000, "webSocketPingInterval": 0}


def opened(
    kind: type[Any] = Ours, attach: bool = True, **configuration: Any
) -> tuple[Any, FakeChannel, list[Message]]:
    """A WebSocket, its channel, and what it is read as."""
    clock, channel = Clock(), FakeChannel()
    messages: list[Message] = []
    webSocket: Any = WebSocketFactory(clock, HttpServerConfiguration(**LIMIT | configuration)).make(kind)
    fields = [(b"Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="), (b"Sec-WebSocket-Version", b"13")]
    if configuration.get("perMessageDeflate"):
        fields.append((b"Sec-WebSocket-Extensions", b"permessage-deflate"))
    request = HttpRequest(1, "GET", b"/", "1.1", fields, b"a", 0, True)
    request.connection = ConnectionInfo(PEER, LOCAL, False)
    handshake = readHandshake(request)
    webSocket.prepare(request, handshake)
    webSocket.negotiate(handshake.extensions)
    webSocket.open(channel, None)
    if kind is WithOnMessage:
        return webSocket, channel, webSocket.got
    if not attach:
        return webSocket, channel, messages
    webSocket.textMessageReceived.connect(messages.append)
    webSocket.binaryMessageReceived.connect(messages.append)
    clock.advance(0)
    return webSocket, channel, messages


def ours(pieces: Iterable[bytes], kind: type[Any] = Ours, **configuration: Any) -> Outcome:
    """What a WebSocket of ours makes of a stream."""
    webSocket, channel, messages = opened(kind, **configuration)
    codes: list[int] = []
    webSocket.disconnected.connect(lambda code, reason: codes.append(code))
    for piece in pieces:
        webSocket.dataReceived(piece)
    closed = channel.closed
    webSocket.lost(Failure(ConnectionDone()))
    (code,) = codes
    return Outcome(messages, b"".join(channel.writes), closed, code)


class Stock(WebSocketServerProtocol):
    """Autobahn's own protocol, behind its own handshake."""

    HANDSHAKE = (
        b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n%b"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[Message] = []
        self.code: int | None = None

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.messages.append(payload if isBinary else payload.decode())

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        # RFC 6455 section 7.1.5: 1005 stands for none.  Of its own refusals Autobahn says 1006.
        self.code = self.localCloseCode if self.failedByMe else code or 1005


def stockOpened(
    deflate: bool = False, limit: int = LIMIT["maximumWebSocketMessageSize"]
) -> tuple[Any, FakeChannel]:
    """Autobahn, with our options."""
    factory = WebSocketServerFactory(reactor=Clock())
    factory.setProtocolOptions(
        failByDrop=False,
        echoCloseCodeReason=True,
        openHandshakeTimeout=0,
        closeHandshakeTimeout=0,
        maxMessagePayloadSize=limit,
        perMessageCompressionAccept=_acceptDeflate if deflate else None,
    )
    stock: Any = Stock()
    stock.factory = factory
    channel = FakeChannel()
    stock.makeConnection(channel)
    stock.dataReceived(
        Stock.HANDSHAKE % (b"Sec-WebSocket-Extensions: permessage-deflate\r\n" if deflate else b"")
    )
    assert channel.writes[0].startswith(b"HTTP/1.1 101")
    channel.writes.clear()
    return stock, channel


def _acceptDeflate(offers: list[Any]) -> PerMessageDeflateOfferAccept | None:
    (offer,) = offers
    assert isinstance(offer, PerMessageDeflateOffer)
    return PerMessageDeflateOfferAccept(offer)


def autobahn(pieces: Iterable[bytes], deflate: bool = False) -> Outcome:
    """What stock Autobahn makes of a stream."""
    stock, channel = stockOpened(deflate)
    for piece in pieces:
        stock.dataReceived(piece)
    closed = channel.closed
    stock.connectionLost(Failure(ConnectionDone()))
    return Outcome(stock.messages, b"".join(channel.writes), closed, stock.code)


def byAutobahn(octets: bytes) -> list[Message]:
    """The messages of a stream that Autobahn has nothing against."""
    outcome = autobahn([octets])
    assert (outcome.replies, outcome.closed) == (b"", False)
    return outcome.messages


def byWsproto(octets: bytes) -> list[Message]:
    """The messages of frames that are whole ones, as wsproto reads them."""
    from wsproto.frame_protocol import FrameProtocol

    reader = FrameProtocol(client=False, extensions=[])
    reader.receive_bytes(octets)
    frames = list(reader.received_frames())
    assert all(each.message_finished and each.opcode in {TEXT, BINARY} for each in frames)
    loads: list[Any] = [each.payload for each in frames]
    return [load if isinstance(load, str) else bytes(load) for load in loads]


def byWebsockets(octets: bytes) -> list[Message]:
    """The same, as websockets reads them."""
    from websockets.frames import Frame
    from websockets.protocol import SERVER, Protocol, State

    reader = Protocol(SERVER, state=State.OPEN)
    reader.receive_data(octets)
    assert reader.parser_exc is None
    frames = [each for each in reader.events_received() if isinstance(each, Frame)]
    assert all(each.fin and each.opcode in {TEXT, BINARY} for each in frames)
    return [bytes(each.data).decode() if each.opcode == TEXT else bytes(each.data) for each in frames]


OPINIONS = {"autobahn": byAutobahn, "wsproto": byWsproto, "websockets": byWebsockets}


def installed() -> list[Callable[[bytes], list[Message]]]:
    """Whoever can be asked here."""
    return [opinion for name, opinion in OPINIONS.items() if find_spec(name)]


masks = st.binary(min_size=4, max_size=4)
sizes = st.integers(0, 20) | st.sampled_from([0, 1, 125, 126, 127, SHORT - 1, SHORT, SHORT + 1])
payloads = st.one_of(
    st.binary(max_size=12),
    st.text(max_size=8).map(str.encode),
    sizes.map(lambda size: b"abc\x80"[:3] * (size // 3) + b"x" * (size % 3)),
    st.sampled_from(NO_UTF8),
)
anyFrames = st.builds(
    frame,
    payloads,
    st.sampled_from([TEXT, BINARY, TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG, 3, 15]),
    fin=st.sampled_from([True, True, True, False]),
    rsv=st.sampled_from([0, 0, 0, 0, 0, 0, 0, 0, 1, 4]),
    mask=masks | masks | masks | st.none(),
    form=st.sampled_from([SHORTEST, SHORTEST, SHORTEST, 2, 8]),
)
plainFrames = st.builds(frame, payloads, st.sampled_from([TEXT, BINARY]), mask=masks)


class TestSection52WhereAFrameEnds:
    @pytest.mark.parametrize(
        ("octets", "end"),
        [
            # Section 5.7 has these.
            (b"\x81\x05Hello", 7),
            (b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 11),
            (b"\x01\x03Hel", 5),
            (b"\x80\x02lo", 4),
            (b"\x89\x05Hello", 7),
            (b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 11),
            (b"\x82\x7e\x01\x00", 260),
            (b"\x82\x7f\0\0\0\0\0\x01\0\0", 65546),
            # And these it has not.
            (b"\x82\0", 2),
            (b"\x82\x80", 6),
            (b"\x82\x7d", 127),
            (b"\x82\xfd", 131),
            (b"\x82\xfe\0\0", 8),
            (b"\x82\xfe\xff\xff", 65543),
            (b"\x82\xff\0\0\0\0\0\0\0\0", 14),
            (b"\x82\xff" + b"\xff" * 8, 2**64 + 13),
        ],
    )
    def test_byHand(self, octets: bytes, end: int) -> None:
        assert frameEnd(octets, 0) == end
        assert frameEnd(octets + b"\x81\x85more", 0) == end
        assert frameEnd(b"\x81\x85" + octets, 2) == end + 2

    @pytest.mark.parametrize("mask", [MASK, None])
    @pytest.mark.parametrize(
        ("length", "form"),
        [
            *((length, 0) for length in LENGTHS if length < 126),
            *((length, 2) for length in [*LENGTHS, *LONG_LENGTHS] if length < 65536),
            *((length, 8) for length in [*LENGTHS, *LONG_LENGTHS]),
        ],
    )
    def test_asSoonAsTheLengthIsThere(self, length: int, form: int, mask: bytes | None) -> None:
        octets = frame(b"x" * length, mask=mask, form=form)
        for size in range(30):
            assert frameEnd(octets[:size], 0) == (len(octets) if size >= 2 + form else 0)

    @given(st.binary(max_size=20), st.integers(0, 22))
    def test_anyOctets(self, octets: bytes, place: int) -> None:
        end = frameEnd(octets, place)
        assert end == 0 or end >= place + 2
        assert frameEnd(b"\xff" * 3 + octets, place + 3) == (end + 3 if end else 0)

    @given(anyFrames, st.binary(max_size=4))
    @example(frame(b"x" * 65536), b"")
    def test_autobahnAgrees(self, octets: bytes, more: bytes) -> None:
        """One octet less is not enough to it, and with the last one nothing is left."""
        assert frameEnd(octets + more, 0) == len(octets)
        stock, channel = stockOpened()
        stock.dataReceived(octets[:-1])
        assert stock.state == stock.STATE_CLOSED or stock.data or stock.current_frame
        stock, channel = stockOpened()
        stock.dataReceived(octets)
        assert channel.closed or (stock.data, stock.current_frame) == (b"", None)


class TestSection52WhatAServerSends:
    @pytest.mark.parametrize("length", [*LENGTHS, *LONG_LENGTHS])
    @pytest.mark.parametrize("isBinary", [True, False])
    def test_everyLength(self, length: int, isBinary: bool) -> None:
        payload = (b"0123456789" * 7000)[:length]
        octets = frame(payload, BINARY if isBinary else TEXT, mask=None)
        assert dataFrame(payload, isBinary) == octets
        for webSocket, channel in (opened()[:2], stockOpened()):
            webSocket.sendMessage(payload, isBinary)
            assert b"".join(channel.writes) == octets

    @pytest.mark.parametrize("length", [0, 1, 127, 1000, 70_000])
    @pytest.mark.parametrize("size", [1, 126, 999, 1000, 1001])
    def test_inFragments(self, length: int, size: int) -> None:
        sent = []
        for webSocket, channel in (opened()[:2], stockOpened()):
            webSocket.sendMessage(b"x" * min(length, size * 300), True, fragmentSize=size)
            sent.append(b"".join(channel.writes))
        assert sent[0] == sent[1]


class TestSection56ShortMessages:
    @pytest.mark.parametrize("name", OPINIONS)
    @pytest.mark.parametrize("opcode", [TEXT, BINARY])
    @pytest.mark.parametrize("length", [*LENGTHS, *LONG_LENGTHS])
    def test_everyLength(self, length: int, opcode: int, name: str) -> None:
        pytest.importorskip(name)
        payload = (b"0123456789" * 7000)[:length]
        octets = frame(payload, opcode)
        message = shortMessage(octets, 0, len(octets), _unmask)
        assert (message is None) == (len(octets) > LONGEST)
        if message is not None:
            assert message == (payload if opcode == BINARY else payload.decode())
            assert message == shortMessage(octets, 0, len(octets))
            assert [message] == OPINIONS[name](octets)

    def test_theSample(self) -> None:
        assert shortMessage(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 0, 11) == "Hello"

    @pytest.mark.parametrize("text", GOOD_UTF8)
    def test_text(self, text: str) -> None:
        octets = frame(text.encode(), TEXT)
        assert shortMessage(octets, 0, len(octets)) == text
        assert byAutobahn(octets) == [text]

    @pytest.mark.parametrize("payload", NO_UTF8)
    def test_noText(self, payload: bytes) -> None:
        octets = frame(payload, TEXT)
        assert shortMessage(octets, 0, len(octets)) is None
        assert autobahn([octets]).replies[2:4] == pack("!H", 1007)
        octets = frame(payload, BINARY)
        assert shortMessage(octets, 0, len(octets)) == payload

    @pytest.mark.parametrize(
        "octets",
        [
            frame(b"abc", mask=None),
            frame(b"x" * 200, mask=None),
            frame(b"abc", form=2),
            frame(b"abc", form=8),
            frame(b"x" * 125, form=2),
            frame(b"x" * 126, form=8),
            frame(b"x" * 200, form=8),
            frame(b"abc", fin=False),
            frame(b"abc", CONTINUATION),
            frame(b"abc", CONTINUATION, fin=False),
            *(frame(b"abc", TEXT, rsv=rsv) for rsv in range(1, 8)),
            *(frame(b"abc", opcode) for opcode in range(3, 16)),
        ],
    )
    def test_whatWantsACloserLook(self, octets: bytes) -> None:
        assert shortMessage(octets, 0, len(octets)) is None

    @given(masks, st.binary(max_size=40) | st.integers(SHORT - 5, SHORT + 5).map(lambda size: b"\xa5" * size))
    def test_unmasking(self, mask: bytes, payload: bytes) -> None:
        assert unmask(mask, payload) == _unmask(mask, payload) == masked(payload, mask)

    @given(plainFrames | anyFrames, st.binary(max_size=5), st.binary(max_size=5))
    def test_nothingIsReadThatOthersReadInAnotherWay(
        self, octets: bytes, before: bytes, after: bytes
    ) -> None:
        stream, start = before + octets + after, len(before)
        end = frameEnd(stream, start)
        assert end == start + len(octets)
        message = shortMessage(stream, start, end)
        if message is not None:
            for opinion in installed():
                assert [message] == opinion(octets)

    @given(st.binary(min_size=2, max_size=150))
    @example(b"\x81\xfe\x00\x7e" + b"x" * 130)
    def test_anyOctets(self, octets: bytes) -> None:
        end = frameEnd(octets, 0)
        if 0 < end <= len(octets):
            message = shortMessage(octets, 0, end)
            if message is not None:
                for opinion in installed():
                    assert [message] == opinion(octets[:end])


# Streams, through the whole of a WebSocket:


def everyBit(octets: bytes) -> list[bytes]:
    return cutUp(octets, range(len(octets)))


def told(octets: bytes, pieces: Sequence[bytes] | None = None) -> Outcome:
    """What comes of a stream: the same to Autobahn, by every way to have it read, and however it is cut up.

    But for one thing: when a forbidden frame has its head in pieces, Autobahn finds the same fault again with
    each of them, and instead of waiting for the reply to its close frame it goes.  We give it such a head
    by the octet.
    """
    whole, byTheOctet = ours([octets]), autobahn(everyBit(octets))
    for parts in ([octets], everyBit(octets), pieces or [octets]):
        expected = autobahn(parts)
        for kind in KINDS if parts is pieces else [Ours]:
            outcome = ours(parts, kind)
            assert outcome[:2] == expected[:2] == whole[:2]
            assert outcome in (expected, byTheOctet)
            assert outcome.code == whole.code
            assert outcome.code == whole.code or not whole.closed
    return whole


@st.composite
def conversations(draw: Callable[..., Any]) -> tuple[bytes, list[Message], list[bytes]]:
    """A faultless stream, its messages, and the payloads of its pings."""
    octets, messages, pings = b"", [], []
    for message in draw(st.lists(st.text(max_size=8) | st.binary(max_size=8) | sizes.map(bytes), max_size=5)):
        payload = message.encode() if isinstance(message, str) else message
        parts = cutUp(payload, draw(st.lists(st.integers(0, 10), max_size=3))) or [b""]
        parts[1:1] = [b""] * draw(st.sampled_from([0, 0, 1, 2]))
        opcode = TEXT if isinstance(message, str) else BINARY
        for number, part in enumerate(parts):
            ping = draw(st.none() | st.binary(max_size=4))
            if ping is not None:
                octets += frame(ping, PING, mask=draw(masks)) + frame(ping, PONG)
                pings.append(ping)
            last = number == len(parts) - 1
            octets += frame(part, CONTINUATION if number else opcode, fin=last, mask=draw(masks))
        messages.append(message)
    return octets, messages, pings


class TestStreams:
    @given(conversations(), st.lists(st.integers(1, 300), max_size=8), st.sampled_from([None, 1000, 4999]))
    def test_faultless(
        self,
        conversation: tuple[bytes, list[Message], list[bytes]],
        cuts: list[int],
        code: int | None,
    ) -> None:
        octets, messages, pings = conversation
        pongs = b"".join(frame(ping, PONG, mask=None) for ping in pings)
        end = b"" if code is None else closing(code, "so long")
        outcome = told(octets + end, cutUp(octets + end, cuts))
        reply = b"" if code is None else frame(pack("!H", code) + b"so long", CLOSE, mask=None)
        assert outcome == Outcome(messages, pongs + reply, code is not None, code or 1006)

    @given(st.lists(anyFrames, max_size=6).map(b"".join), st.lists(st.integers(1, 300), max_size=8))
    @example(frame(b"a", mask=None) + closing(), [1, 3])
    @example(frame(b"\xff", TEXT) + frame(b"", PING) + closing(), [3])
    @example(frame(b"\xe2\x82", TEXT, fin=False) + frame(b"", PING) + frame(b"\xac", CONTINUATION), [])
    @example(frame(b"a", BINARY, fin=False) + frame(b"b", TEXT), [])
    @example(frame(b"a" * 126, PING), [2])
    @example(frame(b"a", CLOSE) + frame(b"a"), [])
    def test_anyFrames(self, octets: bytes, cuts: list[int]) -> None:
        told(octets, cutUp(octets, cuts))

    @given(
        st.lists(anyFrames | plainFrames, max_size=4).map(b"".join),
        st.lists(st.tuples(st.integers(0, 60), st.integers(0, 3), st.binary(max_size=3)), max_size=3),
        st.lists(st.integers(1, 300), max_size=8),
    )
    def test_spoiltFrames(self, octets: bytes, wounds: list[tuple[int, int, bytes]], cuts: list[int]) -> None:
        for place, size, wound in wounds:
            octets = octets[:place] + wound + octets[place + size :]
        told(octets, cutUp(octets, cuts))

    @given(st.binary(max_size=60), st.lists(st.integers(1, 60), max_size=5))
    def test_anyOctets(self, octets: bytes, cuts: list[int]) -> None:
        told(octets, cutUp(octets, cuts))

    @pytest.mark.parametrize("length", [*LENGTHS, *LONG_LENGTHS, 99_999, 100_000])
    @pytest.mark.parametrize("opcode", [TEXT, BINARY])
    def test_everyLength(self, length: int, opcode: int) -> None:
        payload = (b"0123456789" * 10_000)[:length]
        octets = frame(payload, opcode) + frame(b"more", TEXT)
        messages = [payload if opcode == BINARY else payload.decode(), "more"]
        for kind in KINDS:
            for pieces in ([octets], cutUp(octets, range(0, len(octets), 997)), [octets[:9], octets[9:]]):
                assert ours(pieces, kind) == Outcome(messages, b"", False, 1006)

    @pytest.mark.parametrize("payload", NO_UTF8)
    def test_noText(self, payload: bytes) -> None:
        for octets in (
            frame(payload, TEXT),
            frame(b"a", TEXT, fin=False) + frame(payload, CONTINUATION),
            frame(payload[:1], TEXT, fin=False) + frame(payload[1:], CONTINUATION),
        ):
            outcome = told(frame(b"a", TEXT) + octets + frame(b"b", TEXT))
            assert outcome.messages == ["a"]
            assert outcome.replies[2:4] == pack("!H", 1007)

    @pytest.mark.parametrize("text", GOOD_UTF8)
    def test_textInFragmentsOfAnOctet(self, text: str) -> None:
        octets = frame(b"", TEXT, fin=False)
        octets += b"".join(frame(bytes([octet]), CONTINUATION, fin=False) for octet in text.encode())
        assert told(octets + frame(b"", CONTINUATION)).messages == [text]

    def test_whoWantsPartsGetsThem(self) -> None:
        webSocket, _, messages = opened(WithParts)
        webSocket.dataReceived(frame(b"a", TEXT) + frame(b"b", fin=False) + frame(b"c", CONTINUATION))
        assert (messages, webSocket.parts) == (["a", b"bc"], 3)

    @pytest.mark.parametrize("kind", KINDS)
    def test_nothingIsReadBehindTheEnd(self, kind: type[Any]) -> None:
        octets = frame(b"a", TEXT) + closing(1001) + frame(b"b", TEXT) + frame(b"", PING) + closing()
        reply = frame(pack("!H", 1001), CLOSE, mask=None)
        for pieces in ([octets], everyBit(octets)):
            assert ours(pieces, kind) == Outcome(["a"], reply, True, 1001)

    @pytest.mark.parametrize("kind", KINDS)
    def test_whatComesBeforeTheReplyToOurCloseIsDelivered(self, kind: type[Any]) -> None:
        for split in (False, True):
            webSocket, channel, messages = opened(kind)
            webSocket.close(4000)
            octets = frame(b"a", TEXT) + frame(b"b", BINARY) + frame(b"p", PING) + closing(4000)
            for piece in everyBit(octets) if split else [octets]:
                webSocket.dataReceived(piece)
            assert messages == ["a", b"b"]
            assert channel.writes == [frame(pack("!H", 4000), CLOSE, mask=None)]
            assert channel.closed


def deflated(payload: bytes) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


class TestLimits:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("limit", [0, 1, 5, 10, 125, 126, 500, 600, 70_000, None])
    def test_inclusive(self, limit: int | None, kind: type[Any]) -> None:
        options = {"maximumWebSocketMessageSize": limit}
        for length in {0, 1, 5, 6, 500, 66_000, (limit or 0), (limit or 0) + 1}:
            for split in (False, True):
                octets = (
                    frame(b"x" * length) if not split else frame(b"", fin=False) + frame(b"x" * length, 0)
                )
                outcome = ours([octets], kind, **options)
                if limit is None or length <= limit:
                    assert outcome == Outcome([b"x" * length], b"", False, 1006)
                else:
                    assert (outcome.messages, outcome.replies[2:4]) == ([], pack("!H", 1009))

    @pytest.mark.parametrize("kind", KINDS)
    def test_theSumOfTheFragmentsCounts(self, kind: type[Any]) -> None:
        parts = [frame(b"x" * 5, fin=False), frame(b"x" * 5, CONTINUATION)]
        options = {"maximumWebSocketMessageSize": 9}
        assert ours(parts, kind, **options).replies[2:4] == pack("!H", 1009)
        options = {"maximumWebSocketMessageSize": 10}
        assert ours(parts, kind, **options).messages == [b"x" * 10]

    @pytest.mark.parametrize("size", [11, 2**32, 2**63 - 1])
    def test_theHeadIsEnough(self, size: int) -> None:
        webSocket, channel, messages = opened(maximumWebSocketMessageSize=10)
        head = b"\x82\x8b" if size == 11 else b"\x82\xff" + pack("!Q", size)
        webSocket.dataReceived(head + MASK)
        assert channel.writes[0][2:4] == pack("!H", 1009)
        assert messages == []


compressedFrames = st.builds(
    frame,
    st.binary(max_size=20).map(deflated)
    | st.text(max_size=9).map(lambda text: deflated(text.encode()))
    | payloads,
    st.sampled_from([TEXT, BINARY, CONTINUATION]),
    fin=st.booleans(),
    rsv=st.sampled_from([4, 4, 0]),
)


def said(replies: bytes) -> list[tuple[int, bytes]]:
    """The opcode of every frame, and what it says, but for the reason of a close."""
    frames = []
    while replies:
        end = frameEnd(replies, 0)
        opcode, payload = replies[0] & 15, replies[2:end]
        frames.append((opcode, payload[:2] if opcode == CLOSE else payload))
        replies = replies[end:]
    return frames


class TestPermessageDeflate:
    """RFC 7692."""

    @pytest.mark.parametrize("kind", KINDS)
    def test_compressedAndPlainMessages(self, kind: type[Any]) -> None:
        packed = deflated(b"hello" * 50)
        octets = b"".join(
            [
                frame(b"plain", TEXT),
                frame(packed, TEXT, rsv=4),
                frame(packed[:3], BINARY, rsv=4, fin=False)
                + frame(b"p", PING)
                + frame(packed[3:], CONTINUATION),
                frame(b"", TEXT, rsv=4),
                frame(b"plain", BINARY),
            ]
        )
        for pieces in ([octets], everyBit(octets), cutUp(octets, range(0, len(octets), 7))):
            outcome = ours(pieces, kind, perMessageDeflate=True)
            assert outcome == autobahn(pieces, deflate=True)
            assert outcome.messages == ["plain", "hello" * 50, b"hello" * 50, "", b"plain"]
            assert outcome.replies == frame(b"p", PONG, mask=None)

    @given(
        st.lists(st.tuples(st.text(max_size=30), st.booleans(), st.integers(1, 30)), max_size=5),
        st.lists(st.integers(1, 100), max_size=8),
    )
    def test_anyMessages(self, messages: list[tuple[str, bool, int]], cuts: list[int]) -> None:
        octets = b""
        for message, compress, size in messages:
            payload = deflated(message.encode()) if compress else message.encode()
            octets += frame(payload[:size], TEXT, rsv=4 * compress, fin=False)
            octets += frame(payload[size:], CONTINUATION)
        for pieces in ([octets], everyBit(octets), cutUp(octets, cuts)):
            outcome = ours(pieces, perMessageDeflate=True)
            assert outcome == autobahn(pieces, deflate=True)
            assert outcome.messages == [message for message, _, _ in messages]

    def test_notWithoutTheExtension(self) -> None:
        outcome = told(frame(deflated(b"hello"), TEXT, rsv=4))
        assert (outcome.messages, outcome.replies[2:4]) == ([], pack("!H", 1002))

    @pytest.mark.parametrize(
        ("bad", "code"),
        [
            (frame(b"\xff" * 5, TEXT, rsv=4), 1007),
            (frame(b"\x06", TEXT, rsv=4), 1007),
            (frame(deflated(b"x" * 10_000_000), BINARY, rsv=4), 1009),
            (frame(deflated(b"\xff"), TEXT, rsv=4), 1007),
        ],
    )
    def test_refused(self, bad: bytes, code: int) -> None:
        outcome = ours([bad], perMessageDeflate=True)
        assert (outcome.messages, outcome.replies[2:4]) == ([], pack("!H", code))

    @pytest.mark.parametrize("bad", [b"\xff" * 5, b"\x06", deflated(b"x" * 10_000_000)])
    def test_whatFollowsARefusedFrame(self, bad: bytes) -> None:
        refused = frame(bad, BINARY, rsv=4)
        for more in (b"", frame(b"p", PING)):
            for pieces in (
                [refused + more + closing()],
                [refused, more + closing()],
                [refused + more, closing()],
            ):
                outcome = ours([piece for piece in pieces if piece], perMessageDeflate=True)
                assert outcome.messages == []
                assert outcome.closed
                assert pack("!H", outcome.code) == outcome.replies[2:4]
        outcome = ours([refused + frame(b"a", TEXT) + closing()], perMessageDeflate=True)
        assert (outcome.messages, outcome.closed) == ([], True)

    @pytest.mark.parametrize("bad", [b"\xff" * 5, deflated(b"x" * 10_000_000)])
    def test_whatFollowsARefusedFrameIsNotKept(self, bad: bytes) -> None:
        webSocket, channel, _ = opened(perMessageDeflate=True)
        webSocket.dataReceived(frame(bad, BINARY, rsv=4))
        for _ in range(10):
            webSocket.dataReceived(b"x" * 65536)
        assert channel.closed or len(webSocket.data) < 65536

    @given(
        st.lists(st.one_of(compressedFrames, anyFrames, plainFrames), max_size=5).map(b"".join),
        st.lists(st.integers(1, 100), max_size=8),
    )
    @example(frame(b"\x06", TEXT, rsv=4) + frame(b"", PING), [])
    @example(frame(deflated(b"a"), TEXT, rsv=4, fin=False) + frame(b"\xff", CONTINUATION), [3])
    def test_anyFrames(self, octets: bytes, cuts: list[int]) -> None:
        """However they are cut up; the wording of a refusal may differ."""
        whole = ours([octets], perMessageDeflate=True)
        for pieces in (everyBit(octets), cutUp(octets, cuts)):
            outcome = ours(pieces, perMessageDeflate=True)
            assert outcome.messages == whole.messages
            assert said(outcome.replies) == said(whole.replies)


class TestOnMessageSetOnTheObject:
    def test_whatWaitsComesFirst(self) -> None:
        webSocket, got = waiting(frame(b"a", TEXT) + frame(b"b"))
        webSocket.onMessage = lambda payload, isBinary: got.append((payload, isBinary))
        webSocket.dataReceived(frame(b"c", TEXT))
        assert got == [(b"a", False), (b"b", True), (b"c", False)]

    @pytest.mark.parametrize(
        "more", [frame(b"x" * LONGEST), frame(b"x" * LONGEST, fin=False) + frame(b"", 0)]
    )
    def test_whateverMakesThemLeave(self, more: bytes) -> None:
        webSocket, got = waiting(frame(b"a", TEXT))
        webSocket.onMessage = lambda payload, isBinary: got.append((payload, isBinary))
        webSocket.dataReceived(more)
        assert got == [(b"a", False), (b"x" * LONGEST, True)]


def waiting(octets: bytes) -> tuple[Any, list[Any]]:
    """A WebSocket that nobody reads, behind a stream; and an empty list."""
    webSocket, _, _ = opened(WebSocket, attach=False)
    webSocket.dataReceived(octets)
    return webSocket, []


class TestCost:
    """What a peer may ask for: counted, not timed."""

    @staticmethod
    def packet(smallest: bytes, start: bytes = b"") -> bytes:
        return start + smallest * (64 * 1024 // len(smallest))

    @pytest.mark.parametrize(
        ("smallest", "start"),
        [
            (frame(b"", TEXT), b""),
            (frame(b"", BINARY), b""),
            (frame(b"a", TEXT), b""),
            (frame(b"", PING), b""),
            (frame(b"", PONG), b""),
            (frame(b"", CONTINUATION, fin=False), frame(b"", TEXT, fin=False)),
            (frame(b"a", CONTINUATION, fin=False), frame(b"", BINARY, fin=False)),
            (frame(b"", BINARY, fin=False) + frame(b"", CONTINUATION), b""),
            (frame(b"", PONG, mask=None), b""),
        ],
    )
    @pytest.mark.parametrize("kind", KINDS)
    def test_aPacketOfTheSmallestFrames(self, smallest: bytes, start: bytes, kind: type[Any]) -> None:
        octets = self.packet(smallest, start)
        webSocket, _, _ = opened(kind)
        webSocket.dataReceived(octets)
        assert webSocket.given <= len(octets)
        assert webSocket.copied <= 2 * len(octets)

    def test_plainMessagesAreNotForAutobahn(self) -> None:
        webSocket, _, messages = opened()
        webSocket.dataReceived(self.packet(frame(b"a", TEXT)))
        assert webSocket.given == 0
        assert messages == ["a"] * (64 * 1024 // 7)

    def test_autobahnAloneCopiesTheSquare(self) -> None:
        """So the account is a good one; and when this fails, Autobahn can be given whole packets again."""

        class Alone(Ours):
            def dataReceived(self, data: bytes) -> None:
                self._dataReceived(data)

        webSocket, _, _ = opened(Alone)
        webSocket.dataReceived(self.packet(frame(b"", PONG)))
        assert webSocket.copied > 1000 * 64 * 1024

    def test_aHeadInPieces(self) -> None:
        """Its second half would pass for the head of an endless frame, with all the others in it."""
        octets = frame(b"", PONG, mask=b"\xff" * 4) * 10_000
        for size in range(1, 6):
            webSocket, _, _ = opened()
            webSocket.dataReceived(octets[:size])
            webSocket.dataReceived(octets[size:])
            assert webSocket.copied <= 2 * len(octets)

    @pytest.mark.parametrize("size", [1, 2, 5, 6, 7, 13])
    def test_packetsThatCutEveryFrame(self, size: int) -> None:
        octets = self.packet(frame(b"abc", TEXT)[:9])[: 9 * 500]
        webSocket, _, messages = opened()
        for piece in cutUp(octets, range(0, len(octets), size)):
            webSocket.dataReceived(piece)
        assert messages == ["abc"] * 500
        assert webSocket.copied <= 8 * len(octets)

    def test_emptyFragmentsWithoutEnd(self) -> None:
        webSocket, channel, messages = opened()
        webSocket.dataReceived(frame(b"start", TEXT, fin=False))
        packet = frame(b"", CONTINUATION, fin=False) * 2000
        webSocket.dataReceived(packet)
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            for _ in range(6):
                webSocket.dataReceived(packet)
                assert len(webSocket.message_data) <= PIECES + 1
            assert tracemalloc.get_traced_memory()[0] - before < 32 * 1024
        finally:
            tracemalloc.stop()
        webSocket.dataReceived(frame(b"end", CONTINUATION))
        assert messages == ["startend"]
        assert channel.writes == []

    @pytest.mark.parametrize("opcode", [TEXT, BINARY])
    def test_aMebibyteByTheOctet(self, opcode: int) -> None:
        """Its first 64 KiB, that is: a piece must not stay an object, nor cost a copy of what came before."""
        payload = b"0123456789abcdef" * 65536
        octets = frame(payload, opcode)
        webSocket, _, messages = opened(maximumWebSocketMessageSize=2**20)
        for octet in octets[: 2**16]:
            webSocket.dataReceived(bytes([octet]))
            if webSocket.current_frame is not None:
                assert len(webSocket.frame_data) <= PIECES
        webSocket.dataReceived(octets[2**16 :])
        assert messages == [payload if opcode == BINARY else payload.decode()]
        assert webSocket.given == len(octets)
        assert webSocket.copied <= 2 * len(octets)

    def test_aPingByTheOctet(self) -> None:
        webSocket, channel, _ = opened()
        for piece in everyBit(frame(b"x" * 125, PING) * 50):
            webSocket.dataReceived(piece)
        assert channel.writes == [frame(b"x" * 125, PONG, mask=None)] * 50
