"""RFC 9113 section 10.5: what costs us and is of no use to anybody has a budget, and the rest has none."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import pytest
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from http2wirehelpers import (
    ACK,
    CONNECT_WEBSOCKET,
    GET,
    POST,
    START,
    Clock,
    FastClock,
    Peer,
    answer,
    block,
    continuation,
    data,
    headers,
    raw,
    request,
    reset,
    settings,
    windowUpdate,
)

from txabstracthttp.configuration import Http2Configuration
from txabstracthttp.wire.budget import Budget
from txabstracthttp.wire.http2 import LATE_FRAMES, RESETS
from txabstracthttp.wire.http2output import IDLE_FRAMES

CALM = int(ErrorCodes.ENHANCE_YOUR_CALM)
PROTOCOL_ERROR = int(ErrorCodes.PROTOCOL_ERROR)
WINDOW = int(SettingCodes.INITIAL_WINDOW_SIZE)

#: What comes for the n-th time.
Flood = Callable[[int], bytes]

#: Behind these there is a stream 1 that is open, and a stream 3 that the peer has reset.
OPENING = request(1, POST, ends=False) + request(3) + reset(3)


def countUntilCalm(flood: Flood, clock: Callable[[], float] | None = None, most: int = 9000) -> int:
    """How often a flood may come; the end of it is GOAWAY."""
    peer = Peer(clock=clock)
    peer.say(START + OPENING)
    for count in range(most):
        peer.say(flood(count))
        if peer.wire.finished:
            assert peer.outcome.error == CALM
            return count
    return most


RESET_FLOODS: dict[str, Flood] = {
    "rapid reset": lambda n: request(2 * n + 5) + reset(2 * n + 5),
    "malformed requests": lambda n: request(2 * n + 5, [(b"bad", b"")]),
    "malformed to h2": lambda n: request(2 * n + 5, [*GET, (b"content-length", b"x")]),
    "malformed trailers": lambda n: (
        request(2 * n + 5, POST, ends=False) + headers(2 * n + 5, [(b":x", b"")], "END_HEADERS", "END_STREAM")
    ),
    "wrong lengths": lambda n: (
        request(2 * n + 5, [*POST, (b"content-length", b"1")], ends=False) + data(2 * n + 5, b"ab")
    ),
    "windows too large": lambda n: request(2 * n + 5) + windowUpdate(2 * n + 5, 2**31 - 1),
    "content behind the end": lambda n: request(2 * n + 5) + data(2 * n + 5, b"x"),
    "requests for themselves": lambda n: raw(
        1, 0x25, 2 * n + 5, (2 * n + 5).to_bytes(4, "big") + b"\x10" + block(GET)
    ),
}

IDLE_FLOODS: dict[str, Flood] = {
    "PING": lambda n: raw(6, 0, 0, bytes(8)),
    "PING ACK": lambda n: raw(6, 1, 0, bytes(8)),
    "SETTINGS": lambda n: settings({}),
    "SETTINGS of something": lambda n: settings({1: n, WINDOW: n}),
    "SETTINGS ACK": lambda n: ACK,
    "PRIORITY": lambda n: raw(2, 0, 2 * n + 5, bytes(5)),
    "WINDOW_UPDATE": lambda n: windowUpdate(0, 1),
    "WINDOW_UPDATE of a stream": lambda n: windowUpdate(1, 1),
    "WINDOW_UPDATE of a closed one": lambda n: windowUpdate(3, 1),
    "empty DATA": lambda n: data(1),
    "padding": lambda n: data(1, b"", padding=10),
    "RST_STREAM of a closed stream": lambda n: reset(3),
    "trailers of a closed stream": lambda n: headers(3, [(b"x", b"y")], "END_HEADERS", "END_STREAM"),
    "unknown frames": lambda n: raw(0xFA, 0, n % 5, b"x"),
    "ALTSVC": lambda n: raw(0xA, 0, 0, b"\0\x01ah2=:1"),
    "GOAWAY": lambda n: raw(7, 0, 0, bytes(8)),
}


class TestSection105Floods:
    @pytest.mark.parametrize("name", RESET_FLOODS)
    def test_resetsOfEitherSide(self, name: str) -> None:
        assert countUntilCalm(RESET_FLOODS[name]) == RESETS - 1

    @pytest.mark.parametrize("name", RESET_FLOODS)
    def test_inTheirTimeTheyAreNoFlood(self, name: str) -> None:
        assert countUntilCalm(RESET_FLOODS[name], FastClock(), 400) == 400

    def test_streamsOverTheLimit(self) -> None:
        peer = Peer(Http2Configuration(maxConcurrentStreams=1))
        peer.say(START + b"".join(map(request, range(1, 2 * RESETS + 2, 2))))
        assert len(peer.outcome.resets) == RESETS
        assert not peer.wire.finished
        peer.say(request(2 * RESETS + 3))
        assert peer.outcome.error == CALM

    @pytest.mark.parametrize("name", IDLE_FLOODS)
    def test_framesThatSayNothing(self, name: str) -> None:
        assert abs(countUntilCalm(IDLE_FLOODS[name]) - IDLE_FRAMES) < 10

    @pytest.mark.parametrize("name", IDLE_FLOODS)
    def test_inTheirTimeTheyDoNoHarm(self, name: str) -> None:
        assert countUntilCalm(IDLE_FLOODS[name], FastClock(), 2000) == 2000

    def test_contentThatComesTooLate(self) -> None:
        """A whole window of it may be on its way to a stream that has ended, in small frames."""
        assert abs(countUntilCalm(lambda n: data(3, b"x")) - LATE_FRAMES) < 10

    def test_theAnswersToAFloodAreBounded(self) -> None:
        peer = Peer()
        peer.say(START)
        peer.say(raw(6, 0, 0, bytes(8)) * 10_000)
        assert len(peer.outcome.frames) < 10_010
        peer.say(raw(6, 0, 0, bytes(8)))
        assert len(peer.outcome.frames) < 10_010
        assert peer.outcome.error == CALM

    def test_contentThatComesByTheOctetIntoWindowsOfOne(self) -> None:
        """CVE-2019-9511: a large answer in frames as small as can be."""
        peer = Peer()
        peer.say(START + settings({WINDOW: 1}) + request(1))
        peer.wire.sendResponse(1, 200, [], 10_000, b"x" * 10_000)
        count = 0
        while not peer.wire.finished and count < 10_000:
            peer.say(windowUpdate(1, 1))
            count += 1
        assert peer.outcome.error == CALM
        assert IDLE_FRAMES - 10 < count < IDLE_FRAMES + 10


class TestSection105HonestPeers:
    def test_manyRequests(self) -> None:
        """Each with a PING, a WINDOW_UPDATE for it and for the connection, as some clients do."""
        peer = Peer()
        peer.say(START)
        for streamId in range(1, 6001, 2):
            peer.say(request(streamId), steps=answer)
            peer.say(raw(6, 0, 0, bytes(8)) + windowUpdate(0, 1) + windowUpdate(streamId, 1))
        assert not peer.wire.finished

    @pytest.mark.parametrize("size", [1, 20, 200])
    def test_aWebSocketOfManySmallMessages(self, size: int) -> None:
        peer = Peer()
        peer.say(START + request(1, CONNECT_WEBSOCKET, ends=False))
        peer.wire.sendHead(1, 200, [], None, True)
        for _ in range(5000):
            peer.say(data(1, b"x" * size))
            peer.wire.credit(1, size)
            peer.wire.sendBody(1, b"y" * size)
            peer.hear()
            peer.say(windowUpdate(0, size) + windowUpdate(1, size))
        assert not peer.wire.finished
        assert peer.outcome.received(1) == b"x" * size * 5000

    def test_windowsForEachFrame(self) -> None:
        peer = Peer()
        peer.say(START + request(1))
        peer.wire.sendHead(1, 200, [], None, True)
        for _ in range(3000):
            peer.wire.sendBody(1, b"x" * 1000)
            peer.hear()
            peer.say(windowUpdate(0, 1000) + windowUpdate(1, 1000))
        assert not peer.wire.finished

    def test_anUploadThatWasAnswered(self) -> None:
        """What was on its way when we said that we want no more."""
        peer = Peer(Http2Configuration(streamReceiveWindowSize=2**25, sessionReceiveWindowSize=2**25))
        peer.say(START + request(1, POST, ends=False))
        peer.wire.sendResponse(1, 413, [], 0, b"")
        peer.wire.leave(1)
        for _ in range(2000):
            peer.say(data(1, b"x" * 16384))
        assert not peer.wire.finished
        assert peer.outcome.resets == {1: 0}
        assert len([frame for frame in peer.outcome.frames if type(frame).__name__ == "RstStreamFrame"]) == 1


class TestSection1051Heads:
    def test_continuationsWithoutEnd(self) -> None:
        peer = Peer()
        peer.say(START + headers(1, b""))
        count = 0
        while not peer.wire.finished and count < 100:
            peer.say(continuation(1, b""))
            count += 1
        assert count < 65
        assert peer.outcome.error == PROTOCOL_ERROR

    def test_largeContinuations(self) -> None:
        """However large a frame may be, a head is not read for ever."""
        peer = Peer(Http2Configuration(maxFrameSize=2**20))
        peer.say(START + headers(1, b"\0"))
        for _ in range(2):
            assert not peer.wire.finished
            peer.say(continuation(1, b"\0" * 100_000))
        assert peer.outcome.error == CALM

    def test_withoutALimitThereIsNone(self) -> None:
        peer = Peer(Http2Configuration(maxFrameSize=2**20, maximumHeaderListSize=None))
        fields = [*GET, (b"x", b"y" * 40_000), (b"z", b"y" * 40_000), (b"w", b"y" * 300_000)]
        octets = block(fields)
        peer.say(START + headers(1, octets[:100_000], "END_STREAM"))
        peer.say(continuation(1, octets[100_000:], "END_HEADERS"))
        # Of HTTP/1's limits it is more than twice as much.
        assert peer.outcome.error == CALM

    def test_aSmallBlockThatIsLargeWhenRead(self) -> None:
        """An entry of 4000 octets, then many references to it, of one octet each."""
        bomb = b"\x40\x01x\x7f\xa1\x1e" + b"y" * 4000 + b"\xbe" * 16000
        peer = Peer()
        peer.say(START)
        tracemalloc.start()
        try:
            peer.say(headers(1, block(GET) + bomb[:16000], "END_HEADERS", "END_STREAM"))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peer.outcome.error == CALM
        assert peak < 2 * 1024 * 1024

    def test_lessOfItIsAnswered(self) -> None:
        bomb = b"\x40\x01x\x7f\xa1\x1e" + b"y" * 4000 + b"\xbe" * 20
        peer = Peer()
        peer.say(START + headers(1, block(GET) + bomb, "END_HEADERS", "END_STREAM"))
        assert peer.outcome.refusals == {1: 431}


class TestBudget:
    def test_aBurstAndNoMore(self) -> None:
        budget = Budget(3, 1.0, Clock())
        assert [budget.spend() for _ in range(5)] == [True, True, True, False, False]

    def test_timeFillsIt(self) -> None:
        clock = Clock()
        budget = Budget(3, 0.5, clock)
        assert [budget.spend() for _ in range(3)] == [True] * 3
        clock.now = 4.0
        assert [budget.spend() for _ in range(3)] == [True, True, False]

    def test_butNeverAboveTheBurst(self) -> None:
        clock = Clock()
        budget = Budget(3, 1.0, clock)
        clock.now = 1e6
        # Full at first, and time is only looked at when it is empty.
        assert [budget.spend() for _ in range(9)] == [True] * 7 + [False] * 2

    def test_whatIsUsefulEarnsMore(self) -> None:
        budget = Budget(3, 0.0, Clock())
        budget.earn(100)
        budget.spend(3)
        budget.earn(2)
        assert [budget.spend() for _ in range(3)] == [True, True, False]
