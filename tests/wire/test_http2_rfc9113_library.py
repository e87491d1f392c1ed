"""What is done differently from h2, by methods that h2 does not promise to keep: each of them is pinned here.

Each test says the same to h2's own connection.  Where that comes to do what RFC 9113 asks for, a test here
fails, and a method of ours may go.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, RequestReceived, StreamReset
from h2.exceptions import ProtocolError
from http2wirehelpers import (
    GET,
    POST,
    PREFACE,
    START,
    block,
    continuation,
    data,
    framesOf,
    goAway,
    headers,
    request,
    reset,
    settings,
    windowUpdate,
)
from hyperframe.frame import GoAwayFrame, HeadersFrame, PingFrame, RstStreamFrame

from txabstracthttp.wire.h2connection import Connection, Ignored, Refused

TRAILERS = headers(1, [(b"x", b"y")], "END_HEADERS", "END_STREAM")

Factory = Callable[[], H2Connection]


def bare() -> H2Connection:
    """h2's own connection, that looks at fields as little as ours does."""
    configuration = H2Configuration(
        client_side=False,
        header_encoding=False,
        validate_inbound_headers=False,
        normalize_inbound_headers=False,
    )
    return H2Connection(configuration)


def begun(factory: Factory, octets: bytes = b"") -> H2Connection:
    """A connection that has got so far; what it said until then is forgotten."""
    connection = factory()
    connection.initiate_connection()
    connection.receive_data(START + octets)
    connection.data_to_send()
    return connection


def errorOf(factory: Factory, octets: bytes) -> int | None:
    """The code that `octets` end the connection with; None if they do not."""
    connection = begun(factory)
    try:
        connection.receive_data(octets)
    except ProtocolError:
        (last,) = [frame for frame in framesOf(connection.data_to_send()) if isinstance(frame, GoAwayFrame)]
        return int(last.error_code)
    return None


def resetsOf(connection: H2Connection) -> list[tuple[int, int]]:
    """The RST_STREAM frames that it says now."""
    frames = framesOf(connection.data_to_send())
    return [(frame.stream_id, frame.error_code) for frame in frames if isinstance(frame, RstStreamFrame)]


class TestReceiveFrame:
    def test_whatMustComeFirst(self) -> None:
        for factory, isRefused in ((Connection, True), (bare, False)):
            connection = factory()
            connection.initiate_connection()
            try:
                events = connection.receive_data(PREFACE + request(1))
            except ProtocolError:
                assert isRefused
            else:
                assert not isRefused
                assert isinstance(events[0], RequestReceived)

    @pytest.mark.parametrize("octets", [reset(1), windowUpdate(1, 1)])
    def test_framesThatChangeNothing(self, octets: bytes) -> None:
        opening = request(1) + reset(1)
        assert begun(bare, opening).receive_data(octets) == []
        assert [type(event) for event in begun(Connection, opening).receive_data(octets)] == [Ignored]

    def test_theirSize(self) -> None:
        (event,) = begun(Connection, request(1, POST, ends=False) + reset(1)).receive_data(data(1, b"x" * 77))
        assert isinstance(event, Ignored)
        assert event.size == 77


class TestAcknowledgeSettings:
    def test_theSizeOfTheTable(self) -> None:
        for factory, size in ((bare, 10**6), (Connection, 4096)):
            assert begun(factory, settings({1: 10**6})).encoder.header_table_size == size
            assert begun(factory, settings({1: 100})).encoder.header_table_size == 100


class TestClosedStreams:
    def test_howManyAreKnown(self) -> None:
        for factory, size in ((bare, 3002), (Connection, 1000)):
            connection = begun(factory)
            for streamId in range(1, 6005, 2):
                connection.receive_data(request(streamId) + reset(streamId))
            assert connection.open_inbound_streams == 0
            assert len(connection._closed_streams) == size


class TestGoAway:
    def test_theirsLetsUsGoOn(self) -> None:
        for factory, isWilling in ((Connection, True), (bare, False)):
            connection = begun(factory, request(1) + goAway())
            try:
                connection.send_headers(1, [(b":status", b"200")], end_stream=True)
            except ProtocolError:
                assert not isWilling
            else:
                assert isWilling

    def test_whatWasToBeSentIsNotForgotten(self) -> None:
        for factory, kinds in ((Connection, [HeadersFrame]), (bare, [])):
            connection = begun(factory, request(1))
            connection.send_headers(1, [(b":status", b"200")], end_stream=True)
            connection.receive_data(goAway())
            assert [type(frame) for frame in framesOf(connection.data_to_send())] == kinds

    def test_oursLetsThemGoOn(self) -> None:
        connection = begun(Connection, request(1, POST, ends=False))
        assert isinstance(connection, Connection)
        connection.goAway(ErrorCodes.NO_ERROR, 1)
        assert isinstance(connection.receive_data(data(1, b"x"))[0], DataReceived)
        connection.send_headers(1, [(b":status", b"200")], end_stream=True)
        other = begun(bare, request(1, POST, ends=False))
        other.close_connection()
        with pytest.raises(ProtocolError):
            other.receive_data(data(1, b"x"))

    def test_weMaySayItMoreThanOnce(self) -> None:
        connection = begun(Connection)
        assert isinstance(connection, Connection)
        connection.goAway(ErrorCodes.NO_ERROR, 2**31 - 1)
        connection.ping(b"12345678")
        connection.goAway(ErrorCodes.NO_ERROR, 0)
        kinds = [type(frame) for frame in framesOf(connection.data_to_send())]
        assert kinds == [GoAwayFrame, PingFrame, GoAwayFrame]


class TestReceiveHeaders:
    @pytest.mark.parametrize(
        "octets",
        [
            request(1, [*GET, (b"content-length", b"x")]),
            request(1, [*GET, (b"content-length", b"1"), (b"content-length", b"2")]),
            request(1, [(b":status", b"100"), *GET]),
            request(1, [(b":status", b"100"), *GET], ends=False),
            request(1, POST, ends=False) + request(1, [(b":status", b"100")]),
            request(1, POST, ends=False) + request(1, [(b"x", b"y")], ends=False),
        ],
        ids=["length", "two lengths", "interim", "open interim", "interim trailers", "open trailers"],
    )
    def test_aBadStreamIsNotTheEndOfTheConnection(self, octets: bytes) -> None:
        assert errorOf(bare, octets) == ErrorCodes.PROTOCOL_ERROR
        assert errorOf(Connection, octets + request(3)) is None
        connection = begun(Connection)
        refusal = connection.receive_data(octets)[-1]
        assert isinstance(refusal, Refused)
        assert resetsOf(connection) == [(1, ErrorCodes.PROTOCOL_ERROR)]
        # And what follows of it is not minded.
        assert [type(event) for event in connection.receive_data(data(1, b"x" * 300))] == [Ignored]
        assert isinstance(connection.receive_data(request(3))[0], RequestReceived)
        assert resetsOf(connection) == []

    @pytest.mark.parametrize("octets", [request(2), request(5) + request(3)], ids=["even", "too low"])
    def test_someErrorsAreTheConnections(self, octets: bytes) -> None:
        for factory in (bare, Connection):
            assert errorOf(factory, octets) == ErrorCodes.PROTOCOL_ERROR

    def test_oneStreamTooMany(self) -> None:
        octets = b"".join(map(request, range(1, 203, 2)))
        assert errorOf(bare, octets) == ErrorCodes.PROTOCOL_ERROR
        connection = begun(Connection)
        refusal = connection.receive_data(octets)[-1]
        assert isinstance(refusal, Refused)
        assert resetsOf(connection) == [(201, ErrorCodes.REFUSED_STREAM)]

    def test_whenItIsClosing(self) -> None:
        connection = begun(Connection, request(1, POST, ends=False))
        assert isinstance(connection, Connection)
        connection.isClosing = True
        trailers, _ = connection.receive_data(request(1, [(b"x", b"y")]) + request(3))[0::2]
        assert type(trailers).__name__ == "TrailersReceived"
        assert resetsOf(connection) == [(3, ErrorCodes.REFUSED_STREAM)]

    def test_brokenCompression(self) -> None:
        octets = headers(1, b"\x80", "END_HEADERS")
        assert errorOf(bare, octets) == ErrorCodes.PROTOCOL_ERROR
        assert errorOf(Connection, octets) == ErrorCodes.COMPRESSION_ERROR

    def test_tooMuchToRead(self) -> None:
        octets = headers(1, block([*GET, (b"x", b"y" * 12_000)]) * 6, "END_HEADERS")
        for factory in (bare, Connection):
            connection = begun(factory)
            connection.max_inbound_frame_size = 2**20
            with pytest.raises(ProtocolError) as raised:
                connection.receive_data(octets)
            assert raised.value.error_code == ErrorCodes.ENHANCE_YOUR_CALM


class TestReceiveData:
    @pytest.mark.parametrize("octets", [data(1, b"ab"), data(1, b"", ends=True)])
    def test_aWrongLengthIsNotTheEndOfTheConnection(self, octets: bytes) -> None:
        opening = request(1, [*POST, (b"content-length", b"1")], ends=False)
        assert errorOf(bare, opening + octets) == ErrorCodes.PROTOCOL_ERROR
        connection = begun(Connection, opening)
        (refusal,) = connection.receive_data(octets)
        assert isinstance(refusal, Refused)
        assert refusal.size == len(octets) - 9
        assert resetsOf(connection) == [(1, ErrorCodes.PROTOCOL_ERROR)]

    @pytest.mark.parametrize(
        "octets", [data(1, b"x"), headers(1, [(b"x", b"y")], "END_HEADERS", "END_STREAM")]
    )
    def test_whatComesForAStreamThatWeHaveReset(self, octets: bytes) -> None:
        for factory, isSilent in ((Connection, True), (bare, False)):
            connection = begun(factory, request(1, POST, ends=False))
            connection.reset_stream(1, ErrorCodes.CANCEL)
            connection.data_to_send()
            connection.receive_data(octets)
            assert bool(resetsOf(connection)) is not isSilent

    @pytest.mark.parametrize(
        "octets", [data(1, b"x"), headers(1, [(b"x", b"y")], "END_HEADERS", "END_STREAM")]
    )
    def test_whatComesBehindTheEndIsStillAnError(self, octets: bytes) -> None:
        connection = begun(Connection, request(1))
        (event,) = connection.receive_data(octets)
        assert isinstance(event, StreamReset)
        assert resetsOf(connection) == [(1, ErrorCodes.STREAM_CLOSED)]


class TestIfOpen:
    @pytest.mark.parametrize("behind", [b"", request(3), request(3) + request(5)])
    def test_aStreamThatIsClosed(self, behind: bytes) -> None:
        connection = begun(Connection, request(1) + reset(1) + behind)
        assert isinstance(connection, Connection)
        for streamId in (1, 99):
            connection.resetIfOpen(streamId, ErrorCodes.CANCEL)
            connection.creditIfOpen(streamId, 1)
        assert connection.data_to_send() == b""

    def test_aStreamThatIsOpen(self) -> None:
        connection = begun(Connection, request(1, POST, ends=False))
        assert isinstance(connection, Connection)
        connection.creditIfOpen(1, 7)
        connection.resetIfOpen(1, ErrorCodes.CANCEL)
        update, end = framesOf(connection.data_to_send())
        assert (update.window_increment, end.error_code) == (7, ErrorCodes.CANCEL)


def test_howMuchHasComeOfAHead() -> None:
    connection: Any = begun(Connection)
    assert connection.headSize == 0
    connection.receive_data(headers(1, b""))
    assert connection.headSize == 9
    fragment = block(GET)
    connection.receive_data(continuation(1, fragment))
    assert connection.headSize == 18 + len(fragment)
    connection.receive_data(continuation(1, b"", "END_HEADERS"))
    assert connection.headSize == 0
