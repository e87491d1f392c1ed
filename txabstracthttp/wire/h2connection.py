"""The h2 library's connection, where it differs from what RFC 9113 asks of a server that means to stay up.

h2 ends the whole connection for one bad stream, says nothing more once somebody has said GOAWAY, and calls
broken compression by another name.  These are methods that h2 does not promise to keep; tests pin each.
"""

from __future__ import annotations

__all__ = ["Connection", "Ignored", "Refused"]

from dataclasses import dataclass
from typing import Any

from h2.config import H2Configuration
from h2.connection import AllowedStreamIDs, ConnectionInputs, ConnectionState, H2Connection
from h2.errors import ErrorCodes
from h2.events import Event, StreamReset
from h2.exceptions import (
    DenialOfServiceError,
    FrameTooLargeError,
    InvalidBodyLengthError,
    ProtocolError,
    StreamClosedError,
)
from h2.stream import StreamClosedBy, StreamInputs, StreamState
from hpack.exceptions import HPACKError, OversizedHeaderListError
from hyperframe.frame import DataFrame, RstStreamFrame, SettingsFrame

from .hpackmemory import RememberingDecoder, RememberingEncoder

#: What a peer may make us remember of the fields that we send (RFC 7541 section 4.2): the encoder looks
#: through all of it for each of them.
LARGEST_TABLE = 4096
#: Octets in front of a frame's payload, the first three its length (RFC 9113 section 4.1).
FRAME_HEADER = 9

_CONFIGURATION = H2Configuration(
    client_side=False,
    header_encoding=False,
    # We look at fields ourselves: a bad one is the end of its stream, and not of the connection.
    validate_inbound_headers=False,
    normalize_inbound_headers=False,
    # Ours are checked where an application gives them.
    validate_outbound_headers=False,
    normalize_outbound_headers=False,
)


@dataclass(kw_only=True)
class Refused(StreamReset):
    """A stream was reset here, for what its peer did.

    :ivar size: octets of the connection's window that went with it.
    """

    size: int = 0


@dataclass(kw_only=True)
class Ignored(Event):
    """A frame came that changes nothing, such as one for a stream that is closed.

    :ivar size: octets of content.
    """

    size: int


class Connection(H2Connection):
    """One connection, the server's end.

    :ivar isClosing: streams that are new are refused.
    """

    encoder: RememberingEncoder
    decoder: RememberingDecoder

    #: How many closed streams it is known of how they ended; h2's own number is some megabytes' worth.
    MAX_CLOSED_STREAMS = 1000

    def __init__(self, huffman: bool = True) -> None:
        """
        :param huffman: whether the fields of responses are Huffman-coded.
        """
        super().__init__(_CONFIGURATION)
        self.encoder = RememberingEncoder(huffman)
        self.decoder = RememberingDecoder()
        self.isClosing = False
        self._isGreeted = False

    @property
    def headSize(self) -> int:
        """How many octets have come of a header section that is not complete; with its frames' own, not 0."""
        return sum(9 + len(frame.data) for frame in self.incoming_buffer._headers_buffer)

    @property
    def isBetweenFrames(self) -> bool:
        """Whether what comes next begins with a frame of its own."""
        buffer = self.incoming_buffer
        return self._isGreeted and not buffer._data and not buffer._headers_buffer

    @property
    def unwritten(self) -> int:
        """How many octets wait to be written."""
        return len(self._data_to_send)

    def goAway(self, code: int, lastStreamId: int) -> None:
        """Say GOAWAY; streams that are open may go on (h2 would say nothing more)."""
        self.close_connection(code, last_stream_id=lastStreamId)
        self.state_machine.state = ConnectionState.SERVER_OPEN

    def checkBegun(self) -> None:
        """Look at the frame that is arriving; h2 would keep all of it before it finds it too large.

        :raises FrameTooLargeError: it is, and that was said.
        """
        begun = self.incoming_buffer._data
        if len(begun) >= FRAME_HEADER and int.from_bytes(begun[:3]) > self.max_inbound_frame_size:
            self._terminate_connection(ErrorCodes.FRAME_SIZE_ERROR)
            raise FrameTooLargeError("a frame that is too large has begun")

    # A stream may have ended later in what h2 has read already than where we are:

    def resetIfOpen(self, streamId: int, code: int) -> None:
        """Say RST_STREAM, unless the stream is closed."""
        stream = self.streams.get(streamId)
        if stream is not None and not stream.closed:
            self.reset_stream(streamId, code)

    def creditIfOpen(self, streamId: int, size: int) -> None:
        """Say WINDOW_UPDATE, unless the stream is closed."""
        stream = self.streams.get(streamId)
        if stream is not None and not stream.closed:
            self.increment_flow_control_window(size, streamId)

    def clear_outbound_data_buffer(self) -> None:
        """A peer that says GOAWAY still wants what it has asked for."""

    def _receive_frame(self, frame: Any) -> list[Event]:
        if not self._isGreeted:
            # RFC 9113 section 3.4.
            if not isinstance(frame, SettingsFrame) or "ACK" in frame.flags:
                raise ProtocolError("the first frame is no SETTINGS")
            self._isGreeted = True
        return super()._receive_frame(frame) or [
            Ignored(size=frame.body_len if isinstance(frame, DataFrame) else 0)
        ]

    def _acknowledge_settings(self) -> list[Any]:
        frames = super()._acknowledge_settings()
        encoder = self.encoder
        if encoder.header_table_size > LARGEST_TABLE:  # noqa: PLR1730  # to say the same again means something
            encoder.header_table_size = LARGEST_TABLE
        if changes := encoder.table_size_changes:
            # The smallest size and the last (RFC 7541 section 4.2).  hpack would say all of them, of which
            # some may be too large by now; or none, when it was told the last one twice.
            encoder.table_size_changes = sorted({min(changes), encoder.header_table_size})
            encoder.header_table.resized = True
        return frames

    def _receive_goaway_frame(self, frame: Any) -> tuple[list[Any], list[Event]]:
        frames, events = super()._receive_goaway_frame(frame)
        self.state_machine.state = ConnectionState.SERVER_OPEN
        return frames, events

    def _receive_headers_frame(self, frame: Any) -> tuple[list[Any], list[Event]]:
        headers = self._decode(frame.data)
        if self._wasResetHere(frame.stream_id):
            return [], []
        self.state_machine.process_input(ConnectionInputs.RECV_HEADERS)
        isNew = frame.stream_id not in self.streams
        isFull = isNew and self.open_inbound_streams >= self.local_settings.max_concurrent_streams
        stream = self._get_or_create_stream(frame.stream_id, AllowedStreamIDs.ODD)
        if isFull or (isNew and self.isClosing):
            stream.state_machine.process_input(StreamInputs.RECV_HEADERS)
            return self._fail(stream, ErrorCodes.REFUSED_STREAM)
        try:
            frames, events = stream.receive_headers(headers, "END_STREAM" in frame.flags, None)
        except ProtocolError as error:
            if type(error) is not ProtocolError:
                raise
            return self._fail(stream, ErrorCodes.PROTOCOL_ERROR)
        if "PRIORITY" in frame.flags and frame.depends_on == frame.stream_id:
            return self._fail(stream, ErrorCodes.PROTOCOL_ERROR)
        return frames, events

    def _decode(self, block: bytes) -> Any:
        try:
            return self.decoder.decode(block, raw=True)
        except OversizedHeaderListError as error:
            raise DenialOfServiceError(str(error)) from error
        except HPACKError as error:
            failure = ProtocolError(str(error))
            failure.error_code = ErrorCodes.COMPRESSION_ERROR
            raise failure from error

    def _receive_data_frame(self, frame: Any) -> tuple[list[Any], list[Event]]:
        try:
            return super()._receive_data_frame(frame)
        except InvalidBodyLengthError:
            stream = self.streams[frame.stream_id]
            return self._fail(stream, ErrorCodes.PROTOCOL_ERROR, frame.flow_controlled_length)

    def _handle_data_on_closed_stream(
        self, events: list[Event], exc: StreamClosedError, frame: Any
    ) -> tuple[list[Any], list[Event]]:
        wasKnown = self._wasResetHere(frame.stream_id) and not exc._events
        frames, events = super()._handle_data_on_closed_stream(events, exc, frame)
        return [each for each in frames if not (wasKnown and isinstance(each, RstStreamFrame))], events

    def _wasResetHere(self, streamId: int) -> bool:
        """What the peer sends before it knows is discarded (RFC 9113 section 5.1); h2 tells it each time."""
        return self._stream_closed_by(streamId) is StreamClosedBy.SEND_RST_STREAM

    def _fail(self, stream: Any, code: ErrorCodes, size: int = 0) -> tuple[list[Any], list[Event]]:
        event = Refused(stream_id=stream.stream_id, error_code=code, remote_reset=False, size=size)
        if stream.open:
            return stream.reset_stream(code), [event]
        # What its states do not foresee closes a stream of h2's, or keeps it from opening; nobody is told.
        stream.state_machine.state = StreamState.CLOSED
        stream.state_machine.stream_closed_by = StreamClosedBy.SEND_RST_STREAM
        return [RstStreamFrame(stream.stream_id, error_code=int(code))], [event]
