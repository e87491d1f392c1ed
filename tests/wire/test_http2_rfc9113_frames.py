"""RFC 9113 section 6: frame by frame."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from http2wirehelpers import (
    ACK,
    GET,
    POST,
    START,
    Peer,
    block,
    continuation,
    data,
    framesOf,
    goAway,
    headers,
    play,
    raw,
    request,
    reset,
    settings,
    windowUpdate,
)
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
)

from txabstracthttp._events import BodyData, BodyEnd, StreamReset
from txabstracthttp.configuration import Http2Configuration

PROTOCOL_ERROR = int(ErrorCodes.PROTOCOL_ERROR)
FLOW_CONTROL_ERROR = int(ErrorCodes.FLOW_CONTROL_ERROR)
REFUSED_STREAM = int(ErrorCodes.REFUSED_STREAM)
CANCEL = int(ErrorCodes.CANCEL)
NO_ERROR = 0
WINDOW = int(SettingCodes.INITIAL_WINDOW_SIZE)
HIGHEST = 2**31 - 1


def asking(*octets: bytes, http2: Http2Configuration | None = None) -> Peer:
    """A peer that has sent one whole request, and `octets` before it."""
    peer = Peer(http2)
    peer.say(START + b"".join(octets) + request(1))
    peer.hear()
    return peer


def sizes(frames: Sequence[object]) -> list[int]:
    """How large the pieces of content are."""
    return [len(frame.data) for frame in frames if isinstance(frame, DataFrame)]


class TestSection61Data:
    def test_content(self) -> None:
        outcome = play(request(1, POST, ends=False), data(1, b"ab"), data(1, b"c"), data(1, b"", ends=True))
        assert [plainOf(event) for event in outcome.events[1:]] == [b"ab", b"c", []]

    def test_padding(self) -> None:
        outcome = play(
            request(1, POST, ends=False), data(1, b"ab", padding=0), data(1, b"c", padding=255, ends=True)
        )
        assert outcome.received(1) == b"abc"
        assert outcome.complete == {1: []}

    @pytest.mark.parametrize("octets", [b"", b"\x01", b"\x05abcd"])
    def test_morePaddingThanFrame(self, octets: bytes) -> None:
        assert play(request(1, POST, ends=False), raw(0, 0x8, 1, octets)).ends[-1] in (PROTOCOL_ERROR, 6)

    def test_aLargeResponseTakesTurnsFrameByFrame(self) -> None:
        peer = asking(settings({WINDOW: 2**20}), windowUpdate(0, 2**20))
        peer.say(request(3))
        for streamId in (1, 3):
            peer.wire.sendResponse(streamId, 200, [], 40000, b"%d" % streamId * 40000)
        content = [frame for frame in peer.hear() if isinstance(frame, DataFrame)]
        assert [(frame.stream_id, len(frame.data)) for frame in content] == [
            (1, 16384),
            (3, 16384),
            (1, 16384),
            (3, 16384),
            (1, 7232),
            (3, 7232),
        ]
        assert ["END_STREAM" in frame.flags for frame in content] == [False] * 4 + [True] * 2
        assert peer.outcome.sent(3) == b"3" * 40000
        assert sorted(peer.wire.ended) == [1, 3]

    def test_whatIsReadyIsMadeInBatches(self) -> None:
        peer = asking(settings({WINDOW: 2**20}), windowUpdate(0, 2**20))
        peer.wire.sendResponse(1, 200, [], 300_000, b"x" * 300_000)
        first = peer.wire.dataToSend()
        assert sum(sizes(framesOf(first))) == 65536

    def test_manySmallPieces(self) -> None:
        peer = asking()
        peer.wire.sendHead(1, 200, [], None, True)
        for octet in b"abc":
            peer.wire.sendBody(1, b"%c" % octet)
        peer.wire.sendEnd(1, [])
        assert peer.outcome.sent(1) == b"abc"
        assert ["END_STREAM" in frame.flags for frame in peer.outcome.of(DataFrame)] == [False, False, True]

    def test_theEndBehindEverything(self) -> None:
        peer = asking()
        peer.wire.sendHead(1, 200, [], None, True)
        peer.wire.sendBody(1, b"abc")
        peer.hear()
        peer.wire.sendEnd(1, [])
        (last,) = peer.hear()
        assert (last.data, "END_STREAM" in last.flags) == (b"", True)

    def test_nothingBehindTheEnd(self) -> None:
        peer = asking()
        peer.wire.sendResponse(1, 200, [], 3, b"abc")
        peer.wire.sendBody(1, b"more")
        peer.wire.sendEnd(1, [(b"x", b"y")])
        assert peer.outcome.sent(1) == b"abc"
        peer.wire.sendHead(1, 200, [], None, False)
        peer.wire.sendInformational(1, 103, [])
        assert len(peer.outcome.sections(1)) == 1


def plainOf(event: object) -> object:
    """The content of an event, or the trailers."""
    if isinstance(event, BodyData):
        return event.data
    assert isinstance(event, BodyEnd)
    return event.trailers


class TestSection62Headers:
    def test_paddingAndPriority(self) -> None:
        octets = b"\x03" + bytes(4) + b"\x10" + block(GET) + bytes(3)
        assert play(raw(0x1, 0x2D, 1, octets)).head.target == b"/"

    def test_morePaddingThanFrame(self) -> None:
        assert play(raw(0x1, 0xD, 1, b"\xff" + block(GET))).error == PROTOCOL_ERROR

    def test_aLargeSectionOfOursGoesOnInContinuations(self) -> None:
        peer = asking()
        peer.wire.sendResponse(1, 200, [(b"x%d" % n, b"\xff" * 2000) for n in range(20)], 0, b"")
        first, *others = peer.hear()
        assert isinstance(first, HeadersFrame)
        assert len(others) > 1
        assert all(isinstance(frame, ContinuationFrame) for frame in others)
        assert ["END_HEADERS" in frame.flags for frame in others] == [False] * (len(others) - 1) + [True]

    def test_names(self) -> None:
        """Section 8.2.1: small letters only."""
        peer = asking()
        peer.wire.sendResponse(1, 200, [(b"X-Thing", b"A")], 0, b"")
        assert peer.outcome.sections(1) == [
            [(b":status", b"200"), (b"x-thing", b"A"), (b"content-length", b"0")]
        ]

    def test_withoutHuffman(self) -> None:
        peer = asking(http2=Http2Configuration(huffmanCompressionEnabled=False))
        peer.wire.sendResponse(1, 200, [(b"thing", b"something")], 0, b"")
        (frame,) = peer.hear()
        assert b"something" in frame.data
        assert peer.outcome.sections(1)[0][1] == (b"thing", b"something")


class TestSection64RstStream:
    def test_theirs(self) -> None:
        outcome = play(request(1), request(3), reset(1, 11), request(5))
        assert outcome.lost == {1: 11}
        assert outcome.wire.ended == [1]
        assert [head.streamId for head in outcome.heads] == [1, 3, 5]

    def test_aCodeThatNobodyKnows(self) -> None:
        assert play(request(1), reset(1, 4711)).lost == {1: 4711}

    def test_afterOneNothingIsSaid(self) -> None:
        peer = asking()
        peer.wire.sendHead(1, 200, [], None, True)
        peer.wire.sendBody(1, b"x" * 100_000)
        peer.hear()
        peer.say(reset(1))
        peer.wire.sendBody(1, b"more")
        peer.wire.sendEnd(1, [(b"x", b"y")])
        peer.wire.reset(1, CANCEL)
        peer.wire.leave(1)
        peer.wire.credit(1, 100_000)
        assert peer.hear() == []
        assert (peer.wire.waiting(1), peer.wire.sent(1), peer.wire.isFull(1)) == (0, 0, False)
        peer.say(windowUpdate(0, 2**20))
        assert peer.hear() == []

    def test_ours(self) -> None:
        peer = asking()
        peer.wire.reset(1, CANCEL)
        peer.wire.reset(1, CANCEL)
        (frame,) = peer.hear()
        assert isinstance(frame, RstStreamFrame)
        assert frame.error_code == CANCEL
        assert peer.wire.ended == [1]

    def test_whatNobodyWaitsForAnyMore(self) -> None:
        """Section 8.1: NO_ERROR behind a whole response, if the request is not complete."""
        for isLate in (False, True):
            peer = Peer()
            peer.say(START + request(1, POST, ends=False))
            if isLate:
                peer.wire.leave(1)
            peer.wire.sendResponse(1, 413, [], 3, b"abc")
            peer.hear()
            peer.wire.leave(1)
            assert peer.outcome.resets == {1: NO_ERROR}
            assert "END_STREAM" in peer.outcome.of(DataFrame)[0].flags
            assert peer.wire.ended == [1]

    def test_butNotBeforeTheResponseIsOut(self) -> None:
        peer = Peer()
        peer.say(START + settings({WINDOW: 1}) + request(1, POST, ends=False))
        peer.wire.sendResponse(1, 200, [], 3, b"abc")
        peer.wire.leave(1)
        assert peer.outcome.resets == {}
        peer.say(windowUpdate(1, 2))
        assert peer.outcome.sent(1) == b"abc"
        assert peer.outcome.resets == {1: NO_ERROR}


class TestSection65Settings:
    @pytest.mark.parametrize(
        ("code", "value", "error"),
        [
            (SettingCodes.ENABLE_PUSH, 2, PROTOCOL_ERROR),
            (WINDOW, 2**31, FLOW_CONTROL_ERROR),
            (SettingCodes.MAX_FRAME_SIZE, 16383, PROTOCOL_ERROR),
            (SettingCodes.MAX_FRAME_SIZE, 2**24, PROTOCOL_ERROR),
        ],
    )
    def test_valuesThatMayNotBe(self, code: int, value: int, error: int) -> None:
        assert play(settings({code: value})).error == error

    def test_unknownOnesAreIgnored(self) -> None:
        assert play(settings({0x4D2: 1}), request(1)).head.target == b"/"

    def test_onAStream(self) -> None:
        assert play(raw(0x4, 0, 1)).error == PROTOCOL_ERROR

    def test_anAcknowledgementThatNobodyWaitsFor(self) -> None:
        assert not play(ACK, ACK, ACK).ends


class TestSection66PushPromise:
    def test_aClientMayNot(self) -> None:
        assert play(request(1), raw(0x5, 0x4, 1, b"\0\0\0\x02" + block(GET))).error == PROTOCOL_ERROR


class TestSection67Ping:
    def test_isAnswered(self) -> None:
        (frame,) = play(raw(0x6, 0, 0, b"12345678")).of(PingFrame)
        assert (frame.opaque_data, "ACK" in frame.flags) == (b"12345678", True)

    def test_anAnswerIsNot(self) -> None:
        assert play(raw(0x6, 1, 0, b"12345678")).of(PingFrame) == []

    def test_onAStream(self) -> None:
        assert play(raw(0x6, 0, 1, b"12345678")).error == PROTOCOL_ERROR


class TestSection68GoAwayFromThePeer:
    def test_withNothingToDo(self) -> None:
        outcome = play(goAway())
        assert outcome.wire.finished
        assert [event.streamId for event in outcome.events] == [0]

    def test_whatRunsIsFinished(self) -> None:
        peer = asking()
        peer.wire.sendHead(1, 200, [], None, True)
        peer.say(goAway())
        assert not peer.wire.finished
        peer.wire.sendBody(1, b"abc")
        peer.wire.sendEnd(1, [])
        assert peer.outcome.sent(1) == b"abc"
        assert peer.wire.finished
        assert peer.outcome.ends == [NO_ERROR]

    def test_whatWasSaidBeforeIsStillSent(self) -> None:
        peer = asking()
        peer.wire.sendResponse(1, 200, [], 0, b"")
        peer.wire.receiveData(request(3) + goAway())
        assert len(peer.outcome.sections(1)) == 1

    def test_anErrorEndsEverything(self) -> None:
        peer = asking()
        peer.say(goAway(PROTOCOL_ERROR))
        assert peer.wire.finished
        assert peer.outcome.events[-1].streamId == 0
        peer.wire.sendResponse(1, 200, [], 0, b"")
        assert peer.outcome.sections(1) == []

    def test_theirRequestsBehindIt(self) -> None:
        """A client that opens streams after it has said that it leaves is not served."""
        peer = asking()
        peer.say(goAway())
        peer.say(request(5))
        assert peer.outcome.resets == {5: REFUSED_STREAM}
        assert 5 not in [head.streamId for head in peer.outcome.heads]


class TestSection68GoAwayOfOurs:
    def test_drainWithNothingToDo(self) -> None:
        peer = Peer()
        peer.say(START)
        peer.wire.drain()
        notice, ping = peer.hear()
        assert notice.last_stream_id == HIGHEST
        assert not peer.wire.finished
        peer.say(PingFrame(opaque_data=ping.opaque_data, flags=["ACK"]).serialize())
        assert peer.wire.finished
        last = peer.outcome.of(GoAwayFrame)[-1]
        assert (last.last_stream_id, last.error_code) == (0, NO_ERROR)

    def test_drainLetsWhatIsOnItsWayArrive(self) -> None:
        peer = asking()
        peer.wire.drain()
        peer.wire.drain()
        notice, ping = peer.hear()
        assert (notice.last_stream_id, notice.error_code) == (HIGHEST, NO_ERROR)
        peer.say(request(3))
        assert len(peer.outcome.heads) == 2
        peer.wire.sendResponse(1, 200, [], 0, b"")
        peer.wire.sendResponse(3, 200, [], 3, b"abc")
        assert not peer.wire.finished
        peer.say(request(5) + PingFrame(0, ping.opaque_data, flags=["ACK"]).serialize())
        assert (peer.outcome.of(GoAwayFrame)[-1].last_stream_id, peer.wire.finished) == (5, False)
        peer.say(request(7))
        assert peer.outcome.resets == {7: REFUSED_STREAM}
        peer.wire.sendResponse(5, 200, [], 0, b"")
        assert peer.wire.finished
        assert [len(peer.outcome.sections(streamId)) for streamId in (1, 3, 5, 7)] == [1, 1, 1, 0]
        assert len(peer.outcome.of(GoAwayFrame)) == 2

    def test_refusingManyIsNoFaultOfThePeers(self) -> None:
        peer = asking()
        peer.wire.beLast()
        peer.say(b"".join(map(request, range(3, 803, 2))))
        assert len(peer.outcome.resets) == 400
        assert peer.outcome.ends == [NO_ERROR]

    def test_uploadsGoOn(self) -> None:
        peer = Peer()
        peer.say(START + request(1, POST, ends=False))
        peer.wire.drain()
        peer.say(data(1, b"abc", ends=True))
        peer.wire.beLast()
        assert peer.outcome.received(1) == b"abc"
        assert not peer.wire.finished

    @pytest.mark.parametrize("isReset", [False, True])
    def test_theLastStreamMayEndInAnyWay(self, isReset: bool) -> None:
        peer = asking()
        peer.wire.beLast()
        assert not peer.wire.finished
        if isReset:
            peer.say(reset(1))
        else:
            peer.wire.reset(1, CANCEL)
        assert peer.wire.finished

    def test_aHalfClosedConnection(self) -> None:
        """What was not sent to its end never will be; what was, is answered."""
        peer = asking()
        peer.say(request(3, POST, ends=False))
        lost = list(peer.wire.receiveEnd())
        assert [(type(event), event.streamId) for event in lost] == [(StreamReset, 3)]
        assert peer.outcome.resets == {3: CANCEL}
        peer.wire.sendResponse(1, 200, [], 0, b"")
        assert len(peer.outcome.sections(1)) == 1


class TestSection69WindowUpdate:
    @pytest.mark.parametrize("streamId", [0, 1])
    def test_nothingIsNoIncrement(self, streamId: int) -> None:
        assert play(request(1), raw(0x8, 0, streamId, bytes(4))).error == PROTOCOL_ERROR

    def test_tooMuchForAStream(self) -> None:
        outcome = play(request(1), windowUpdate(1, HIGHEST), request(3))
        assert outcome.resets == {1: FLOW_CONTROL_ERROR}
        assert outcome.lost == {1: FLOW_CONTROL_ERROR}
        assert [head.streamId for head in outcome.heads] == [1, 3]

    def test_tooMuchForTheConnection(self) -> None:
        assert play(windowUpdate(0, HIGHEST)).error == FLOW_CONTROL_ERROR

    def test_tooMuchBySettings(self) -> None:
        outcome = play(request(1), windowUpdate(1, 1), settings({WINDOW: HIGHEST}))
        assert outcome.error == FLOW_CONTROL_ERROR


class TestSection691Windows:
    def test_oneOctetAtATime(self) -> None:
        peer = asking(settings({WINDOW: 1}))
        peer.wire.sendResponse(1, 200, [], 3, b"abc")
        assert sizes(peer.hear()) == [1]
        for left in (1, 0):
            peer.say(windowUpdate(1, 1))
            assert peer.wire.waiting(1) == left
        assert peer.outcome.sent(1) == b"abc"
        assert sizes(peer.outcome.frames) == [1, 1, 1]
        assert "END_STREAM" in peer.outcome.of(DataFrame)[-1].flags
        assert peer.wire.ended == [1]

    def test_noRoomAtAll(self) -> None:
        peer = asking(settings({WINDOW: 0}))
        peer.wire.sendResponse(1, 200, [], 100_000, b"x" * 100_000)
        assert sizes(peer.hear()) == []
        assert peer.wire.isFull(1)
        assert (peer.wire.waiting(1), peer.wire.sent(1)) == (100_000, 0)
        peer.say(windowUpdate(0, 100_000))
        assert peer.outcome.sent(1) == b""
        peer.say(windowUpdate(1, 100_000))
        assert len(peer.outcome.sent(1)) == 100_000

    def test_anEndNeedsNoRoom(self) -> None:
        peer = asking(settings({WINDOW: 0}))
        peer.wire.sendHead(1, 200, [], None, True)
        peer.wire.sendEnd(1, [])
        assert peer.wire.ended == [1]
        peer = asking(settings({WINDOW: 0}))
        peer.wire.sendHead(1, 200, [], None, True)
        peer.wire.sendEnd(1, [(b"x", b"y")])
        assert peer.outcome.sections(1)[1] == [(b"x", b"y")]

    def test_trailersWaitForTheContent(self) -> None:
        peer = asking(settings({WINDOW: 1}))
        peer.wire.sendHead(1, 200, [], None, True)
        peer.wire.sendBody(1, b"ab")
        peer.wire.sendEnd(1, [(b"X-Sum", b"y")])
        assert len(peer.outcome.sections(1)) == 1
        peer.say(windowUpdate(1, 1))
        assert peer.outcome.sections(1)[1] == [(b"x-sum", b"y")]
        assert peer.outcome.sent(1) == b"ab"

    def test_theConnectionsWindowIsShared(self) -> None:
        """Each increment goes to whose turn it is, and not to the first stream again and again."""
        peer = asking(settings({WINDOW: 2**20}))
        peer.say(request(3) + request(5))
        for streamId in (1, 3, 5):
            peer.wire.sendResponse(streamId, 200, [], 100_000, b"x" * 100_000)
        peer.hear()
        for _ in range(6):
            peer.say(windowUpdate(0, 16384))
        sent = [len(peer.outcome.sent(streamId)) for streamId in (1, 3, 5)]
        assert sum(sent) == 65535 + 6 * 16384
        assert max(sent) - min(sent) <= 2 * 16384

    def test_oneStreamWithoutRoomHoldsBackNoOther(self) -> None:
        peer = asking(settings({WINDOW: 10}))
        peer.say(request(3) + windowUpdate(3, 1000))
        for streamId in (1, 3):
            peer.wire.sendResponse(streamId, 200, [], 100, b"x" * 100)
        assert [len(peer.outcome.sent(streamId)) for streamId in (1, 3)] == [10, 100]

    def test_aStreamThatWaitsIsForgottenWithItsReset(self) -> None:
        peer = asking(settings({WINDOW: 2**20}))
        peer.wire.sendResponse(1, 200, [], 100_000, b"x" * 100_000)
        peer.hear()
        peer.say(request(3))
        peer.wire.sendResponse(3, 200, [], 3, b"abc")
        peer.say(reset(1))
        assert list(peer.wire._turns._ready) == [3]
        peer.say(windowUpdate(0, 10))
        assert peer.outcome.sent(3) == b"abc"

    def test_whenThereIsRoomAgainWeAreTold(self) -> None:
        peer = asking(settings({WINDOW: 0}))
        peer.wire.sendHead(1, 200, [], None, True)
        peer.wire.sendBody(1, b"x" * 70_000)
        peer.hear()
        assert peer.wire.relieved == []
        peer.say(windowUpdate(1, 4463))
        assert (peer.wire.isFull(1), peer.wire.relieved) == (True, [])
        peer.say(windowUpdate(1, 1))
        assert (peer.wire.isFull(1), peer.wire.relieved) == (False, [1])


class TestSection692InitialWindow:
    def test_moreRoomMovesWhatWaits(self) -> None:
        peer = asking(settings({WINDOW: 1}))
        peer.wire.sendResponse(1, 200, [], 3, b"abc")
        peer.hear()
        peer.say(settings({WINDOW: 3}))
        assert peer.outcome.sent(1) == b"abc"

    def test_aWindowMayBeLessThanNothing(self) -> None:
        peer = asking(settings({WINDOW: 10}))
        peer.wire.sendResponse(1, 200, [], 20, b"x" * 20)
        peer.hear()
        peer.say(settings({WINDOW: 2}))
        peer.say(windowUpdate(1, 8))
        assert len(peer.outcome.sent(1)) == 10
        peer.say(windowUpdate(1, 1))
        assert len(peer.outcome.sent(1)) == 11

    def test_ourSmallWindowIsSaidInTime(self) -> None:
        first, second, *_ = Peer(Http2Configuration(streamReceiveWindowSize=5)).hear()
        assert isinstance(first, SettingsFrame)
        assert isinstance(second, SettingsFrame)
        assert (first.settings[WINDOW], second.settings[WINDOW]) == (65535, 5)

    def test_ourLargeWindow(self) -> None:
        http2 = Http2Configuration(streamReceiveWindowSize=100_000, sessionReceiveWindowSize=200_000)
        first, update = Peer(http2).hear()
        assert first.settings[WINDOW] == 100_000
        assert update.window_increment == 200_000 - 65535


class TestSection610Continuation:
    def test_aSectionInPieces(self) -> None:
        octets = block(GET)
        outcome = play(
            headers(1, octets[:1], "END_STREAM"),
            continuation(1, b""),
            continuation(1, octets[1:4]),
            continuation(1, octets[4:], "END_HEADERS"),
        )
        assert outcome.head.target == b"/"
        assert outcome.head.contentLength == 0

    def test_whoWaitsForTheRest(self) -> None:
        peer = Peer()
        peer.say(START + headers(1, b""))
        assert peer.wire.isReceivingHead
        peer.say(continuation(1, block(GET), "END_HEADERS"))
        assert not peer.wire.isReceivingHead

    @pytest.mark.parametrize(
        "frame",
        [data(1), continuation(3, b"", "END_HEADERS"), request(3), raw(0x6, 0, 0, bytes(8)), settings({})],
        ids=["DATA", "another stream", "HEADERS", "PING", "SETTINGS"],
    )
    def test_nothingElseInBetween(self, frame: bytes) -> None:
        assert play(headers(1, block(GET)[:5]), frame).error == PROTOCOL_ERROR

    def test_withoutAnyBefore(self) -> None:
        assert play(request(1, POST, ends=False), continuation(1, b"", "END_HEADERS")).error == PROTOCOL_ERROR
