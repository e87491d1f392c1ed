"""RFC 9113 sections 3 to 5: how a connection begins, frames and field blocks in general, streams."""

from __future__ import annotations

import pytest
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from http2wirehelpers import (
    ACK,
    GET,
    POST,
    PREFACE,
    START,
    Peer,
    answer,
    block,
    continuation,
    data,
    headers,
    play,
    raw,
    request,
    reset,
    settings,
    windowUpdate,
)
from hyperframe.frame import DataFrame, PingFrame, SettingsFrame

from txabstracthttp._events import StreamReset
from txabstracthttp.configuration import Http2Configuration

PROTOCOL_ERROR = int(ErrorCodes.PROTOCOL_ERROR)
FLOW_CONTROL_ERROR = int(ErrorCodes.FLOW_CONTROL_ERROR)
STREAM_CLOSED = int(ErrorCodes.STREAM_CLOSED)
FRAME_SIZE_ERROR = int(ErrorCodes.FRAME_SIZE_ERROR)
REFUSED_STREAM = int(ErrorCodes.REFUSED_STREAM)
COMPRESSION_ERROR = int(ErrorCodes.COMPRESSION_ERROR)


class TestSection34Preface:
    def test_ourSettingsComeFirstAndBeforeAnythingIsRead(self) -> None:
        peer = Peer()
        first, *others = peer.hear()
        assert isinstance(first, SettingsFrame)
        assert "ACK" not in first.flags
        assert first.settings[SettingCodes.MAX_CONCURRENT_STREAMS] == 100
        assert first.settings[SettingCodes.ENABLE_CONNECT_PROTOCOL] == 1
        assert first.settings[SettingCodes.MAX_HEADER_LIST_SIZE] == 65536
        assert [(each.stream_id, each.window_increment) for each in others] == [(0, 1024 * 1024 - 65535)]

    def test_theirSettingsAreAcknowledged(self) -> None:
        frames = play().of(SettingsFrame)
        assert ["ACK" in frame.flags for frame in frames] == [False, True]

    @pytest.mark.parametrize("size", [1, 10, 23])
    def test_aPrefaceThatIsNone(self, size: int) -> None:
        """Who says that speaks something else; a GOAWAY would tell him nothing."""
        octets = PREFACE[:size] + b"x" + PREFACE[size + 1 :]
        for pieces in ([octets], [octets[at : at + 1] for at in range(24)]):
            peer = Peer()
            peer.say(*pieces)
            assert peer.outcome.wire.finished
            assert [event.streamId for event in peer.outcome.events] == [0]
            assert peer.outcome.ends == []

    @pytest.mark.parametrize(
        "first",
        [
            ACK,
            request(1),
            headers(1, GET, "END_STREAM") + continuation(1, b"", "END_HEADERS"),
            PingFrame(0, b"12345678").serialize(),
            windowUpdate(0, 1),
            raw(0xFA),
        ],
        ids=["ACK", "HEADERS", "CONTINUATION", "PING", "WINDOW_UPDATE", "unknown"],
    )
    def test_whatMustFollowAreSettings(self, first: bytes) -> None:
        peer = Peer()
        peer.say(PREFACE + first)
        assert peer.outcome.error == PROTOCOL_ERROR
        assert peer.outcome.heads == []

    def test_requestsNeedNotWaitForOurSettings(self) -> None:
        peer = Peer()
        peer.say(START + request(1))
        assert peer.outcome.head.target == b"/"


class TestSection41FrameFormat:
    def test_unknownFramesAreIgnored(self) -> None:
        outcome = play(raw(0x16), raw(0xFF, 0xFF, 5, b"anything"), request(1))
        assert outcome.head.target == b"/"

    def test_unknownFlagsAreIgnored(self) -> None:
        outcome = play(raw(0x1, 0x5 | 0xD2, 1, block(GET)), raw(0x6, 0xFE, 0, b"12345678"))
        assert outcome.head.target == b"/"
        assert len(outcome.of(PingFrame)) == 1

    def test_theReservedBitIsIgnored(self) -> None:
        outcome = play(raw(0x6, 0, 1 << 31, b"12345678"))
        assert not outcome.ends
        assert [frame.opaque_data for frame in outcome.of(PingFrame)] == [b"12345678"]


class TestSection42FrameSize:
    def test_theLargest(self) -> None:
        outcome = play(request(1, POST, ends=False), data(1, b"x" * 16384, ends=True))
        assert outcome.received(1) == b"x" * 16384

    @pytest.mark.parametrize(
        "frame", [raw(0, 0, 1, b"x" * 16385), raw(1, 0x4, 1, b"\0" * 16385), raw(0xFA, 0, 0, b"x" * 16385)]
    )
    def test_aLargerOne(self, frame: bytes) -> None:
        assert play(request(1, POST, ends=False), frame).error == FRAME_SIZE_ERROR

    def test_asLargeAsWeSay(self) -> None:
        http2 = Http2Configuration(maxFrameSize=20000)
        outcome = play(request(1, POST, ends=False), data(1, b"x" * 20000, ends=True), http2=http2)
        assert outcome.received(1) == b"x" * 20000
        assert outcome.of(SettingsFrame)[0].settings[SettingCodes.MAX_FRAME_SIZE] == 20000
        assert play(raw(0xFA, 0, 0, b"x" * 20001), http2=http2).error == FRAME_SIZE_ERROR

    @pytest.mark.parametrize(
        "frame",
        [
            raw(0x2, 0, 1, b"1234"),
            raw(0x2, 0, 1, b"123456"),
            raw(0x3, 0, 1, b"123"),
            raw(0x4, 0, 0, b"12345"),
            raw(0x6, 0, 0, b"1234567"),
            raw(0x8, 0, 0, b"12345"),
        ],
        ids=["PRIORITY", "long PRIORITY", "RST_STREAM", "SETTINGS", "PING", "WINDOW_UPDATE"],
    )
    def test_sizesThatAKindOfFrameHasNot(self, frame: bytes) -> None:
        assert play(request(1, POST, ends=False), frame).error == FRAME_SIZE_ERROR


class TestSection43FieldCompression:
    @pytest.mark.parametrize(
        "octets", [b"\x80", b"\xff\xff\xff\xff\x7f", b"\x40", b"\x00\x7f", b"\x3f\xe2\x1f"]
    )
    def test_aBlockThatCannotBeRead(self, octets: bytes) -> None:
        assert play(headers(1, octets, "END_HEADERS", "END_STREAM")).error == COMPRESSION_ERROR

    def test_soForTrailers(self) -> None:
        octets = headers(1, b"\x80", "END_HEADERS", "END_STREAM")
        assert play(request(1, POST, ends=False), octets).error == COMPRESSION_ERROR

    def test_theTableIsKeptAlsoForStreamsThatAreRefused(self) -> None:
        # A literal that is to be remembered (RFC 7541 section 6.2.1), then the use of it.
        octets = block(GET) + b"\x40\x01y\x01z"
        outcome = play(
            headers(1, octets, "END_HEADERS"),
            headers(3, octets, "END_HEADERS", "END_STREAM"),
            reset(1),
            headers(5, block(GET) + b"\xbe", "END_HEADERS", "END_STREAM"),
            http2=Http2Configuration(maxConcurrentStreams=1),
        )
        assert outcome.resets == {3: REFUSED_STREAM}
        assert [head.streamId for head in outcome.heads] == [1, 5]
        assert outcome.heads[1].fields[-1] == (b"y", b"z")

    def test_theTableForTheirsStaysSmall(self) -> None:
        """RFC 7541 section 4.2: the peer may allow more than we use."""
        peer = Peer()
        peer.say(START + settings({1: 2**32 - 1}))
        for streamId in range(1, 801, 2):
            peer.say(request(streamId))
            peer.wire.sendResponse(streamId, 200, [(b"x", b"%d" % streamId)], 0, b"")
        assert [peer.outcome.sections(streamId)[0][1] for streamId in (1, 799)] == [
            (b"x", b"1"),
            (b"x", b"799"),
        ]
        assert peer.wire._h2.encoder.header_table._current_size <= 4096


class TestSection51StreamStates:
    @pytest.mark.parametrize(
        "frame",
        [data(1, b"x"), reset(1), windowUpdate(1, 1), continuation(1, b"", "END_HEADERS")],
        ids=["DATA", "RST_STREAM", "WINDOW_UPDATE", "CONTINUATION"],
    )
    def test_idle(self, frame: bytes) -> None:
        assert play(frame).error == PROTOCOL_ERROR

    def test_idleMayHaveAPriority(self) -> None:
        assert not play(raw(0x2, 0, 1, bytes(4) + b"\x10")).ends

    @pytest.mark.parametrize("frame", [data(1, b"x"), request(1)], ids=["DATA", "HEADERS"])
    def test_halfClosed(self, frame: bytes) -> None:
        outcome = play(request(1), frame)
        assert STREAM_CLOSED in (*outcome.resets.values(), *outcome.ends)
        assert 1 in outcome.lost or outcome.wire.finished

    @pytest.mark.parametrize(
        "frame",
        [windowUpdate(1, 1), reset(1), raw(0x2, 0, 1, bytes(5))],
        ids=["WINDOW_UPDATE", "RST", "PRIORITY"],
    )
    def test_closedStreamsMayStillBeSpokenOf(self, frame: bytes) -> None:
        outcome = play(request(1), reset(1), frame, request(3))
        assert not outcome.ends
        assert [head.streamId for head in outcome.heads] == [1, 3]

    def test_contentForAStreamThatWasReset(self) -> None:
        """It counts for the connection's window, and is given back."""
        octets = [data(1, b"x" * 16384) for _ in range(100)]
        outcome = play(request(1, POST, ends=False), reset(1), *octets, request(3))
        assert not outcome.ends
        assert outcome.windows[0] >= 1024 * 1024 - 65535 + 99 * 16384 - 512 * 1024
        assert [head.streamId for head in outcome.heads] == [1, 3]

    def test_whatIsKeptOfClosedStreams(self) -> None:
        peer = Peer()
        peer.say(START)
        for streamId in range(1, 6001, 2):
            peer.say(request(streamId), steps=answer)
        assert len(peer.wire._h2._closed_streams) <= 1000
        assert len(peer.wire._h2.streams) <= 2
        assert not peer.wire._streams


class TestSection511StreamIdentifiers:
    @pytest.mark.parametrize("streamId", [2, 100])
    def test_theirsAreOdd(self, streamId: int) -> None:
        assert play(request(streamId)).error == PROTOCOL_ERROR

    def test_zeroIsNoStream(self) -> None:
        assert play(raw(0x1, 0x5, 0, block(GET))).error == PROTOCOL_ERROR
        assert play(raw(0x0, 0x1, 0, b"x")).error == PROTOCOL_ERROR

    def test_theyGrow(self) -> None:
        assert play(request(5), request(3)).error == PROTOCOL_ERROR

    def test_someMayBeLeftOut(self) -> None:
        assert [head.streamId for head in play(request(1), request(9), request(2**31 - 1)).heads] == [
            1,
            9,
            2**31 - 1,
        ]


class TestSection512Concurrency:
    def test_oneMoreIsRefused(self) -> None:
        outcome = play(
            request(1),
            request(3),
            request(5),
            reset(1),
            request(7),
            http2=Http2Configuration(maxConcurrentStreams=2),
        )
        assert outcome.resets == {5: REFUSED_STREAM}
        assert [head.streamId for head in outcome.heads] == [1, 3, 7]
        assert outcome.lost == {1: 8}

    def test_asManyAsWeSay(self) -> None:
        outcome = play(*(request(streamId) for streamId in range(1, 203, 2)))
        assert len(outcome.heads) == 100
        assert outcome.resets == {201: REFUSED_STREAM}

    def test_trailersOfAFullConnection(self) -> None:
        outcome = play(
            request(1, POST, ends=False),
            headers(1, [(b"x", b"y")], "END_HEADERS", "END_STREAM"),
            http2=Http2Configuration(maxConcurrentStreams=1),
        )
        assert outcome.complete == {1: [(b"x", b"y")]}


class TestSection52FlowControl:
    def test_moreThanTheStreamsWindow(self) -> None:
        http2 = Http2Configuration(streamReceiveWindowSize=10)
        peer = Peer(http2)
        # The smaller window is in force when the peer has acknowledged it.
        peer.say(START + ACK + ACK + request(1, POST, ends=False) + data(1, b"x" * 10))
        assert peer.outcome.received(1) == b"x" * 10
        peer.say(data(1, b"x"))
        assert peer.outcome.error == FLOW_CONTROL_ERROR

    def test_whoDoesNotKnowYetMaySendMore(self) -> None:
        outcome = play(
            request(1, POST, ends=False),
            data(1, b"x" * 16384),
            http2=Http2Configuration(streamReceiveWindowSize=1),
        )
        assert outcome.received(1) == b"x" * 16384

    def test_moreThanTheConnectionsWindow(self) -> None:
        http2 = Http2Configuration(sessionReceiveWindowSize=65535, streamReceiveWindowSize=2**20)
        parts = [request(streamId, POST, ends=False) for streamId in (1, 3)]
        # What arrives is given back to the connection at once, by halves; so all of it must come at once.
        peer = Peer(http2)
        peer.say(START + b"".join(parts) + data(1, b"x" * 16384) * 2 + data(3, b"x" * 16384) * 2)
        assert peer.outcome.error == FLOW_CONTROL_ERROR

    def test_paddingCounts(self) -> None:
        """And nobody takes it, so that it is given back at once."""
        octets = [data(1, b"", padding=255) for _ in range(128)]
        outcome = play(request(1, POST, ends=False), *octets)
        assert outcome.windows[1] == 32768
        assert outcome.received(1) == b""

    def test_roomForAStreamIsGivenByWhoReads(self) -> None:
        peer = Peer()
        peer.say(START + request(1, POST, ends=False) + data(1, b"x" * 16384) * 3)
        assert 1 not in peer.outcome.windows
        peer.wire.credit(1, 32767)
        assert 1 not in peer.outcome.windows
        peer.wire.credit(1, 1)
        assert peer.outcome.windows[1] == 32768

    def test_noRoomForWhatIsComplete(self) -> None:
        peer = Peer()
        peer.say(
            START
            + request(1, POST, ends=False)
            + data(1, b"x" * 16384) * 2
            + data(1, b"x" * 16384, ends=True)
        )
        peer.wire.credit(1, 49152)
        assert 1 not in peer.outcome.windows

    def test_aStreamThatEndsInTheSamePiece(self) -> None:
        """Room for padding, or a reset of our own, comes too late for it, and harms nobody."""
        http2 = Http2Configuration(streamReceiveWindowSize=1)
        padded = data(1, b"x", padding=10)
        for streams in (b"", request(3), request(3) + request(5)):
            peer = Peer(http2)
            peer.say(START + request(1, POST, ends=False) + padded + reset(1) + streams)
            assert not peer.outcome.ends
            assert peer.outcome.lost == {1: 8}
            peer = Peer()
            peer.say(START + request(1, [(b"bad", b"")]) + reset(1) + streams)
            assert not peer.outcome.ends
            assert not peer.outcome.resets
            assert [type(event) for event in peer.outcome.events[:1]] == [StreamReset]


class TestSection53Prioritization:
    def test_prioritiesAreReadAndForgotten(self) -> None:
        octets = raw(0x1, 0x25, 1, bytes(4) + b"\x10" + block(GET))
        outcome = play(octets, raw(0x2, 0, 1, bytes(4) + b"\xff"), raw(0x2, 0, 77, b"\x80\0\0\x01\0"))
        assert outcome.head.streamId == 1

    def test_aStreamThatDependsOnItself(self) -> None:
        outcome = play(raw(0x1, 0x25, 1, b"\0\0\0\x01\x10" + block(GET)), request(3))
        assert outcome.resets == {1: PROTOCOL_ERROR}
        assert [head.streamId for head in outcome.heads] == [3]
        assert play(raw(0x2, 0, 1, b"\0\0\0\x01\x10")).error == PROTOCOL_ERROR


class TestSection55Extensions:
    def test_notInTheMiddleOfAFieldBlock(self) -> None:
        assert play(headers(1, block(GET)[:5]), raw(0xFA, 0, 1)).error == PROTOCOL_ERROR

    def test_alternativeServicesAreNoBusinessOfAServer(self) -> None:
        """RFC 7838 section 4."""
        outcome = play(raw(0xA, 0, 0, b"\0\x01ah2=:1"), raw(0xA, 0, 9, b"\0\0h2=:1"), request(1))
        assert outcome.head.streamId == 1
        assert not outcome.of(DataFrame)
