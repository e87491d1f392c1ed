"""The common exchange on HTTP/2, past the states of h2: a whole request and a whole small response.

What h2 does for one is some twenty calls each way.  Here the request is one HEADERS frame, for a new stream
and with nothing behind it, whose field section was read before; and the response one more, and at most one
DATA frame, whose field section was written before.  Nothing of that can fail: everything is looked at first,
and what is not like this goes the long way.  h2 is left as it would be behind that (RFC 9113 sections 5.1 and
6.9); tests compare the two, attribute for attribute.
"""

from __future__ import annotations

__all__ = ["Shortcut"]

from collections.abc import Callable
from struct import Struct
from typing import Any

from h2.connection import AllowedStreamIDs, ConnectionState
from h2.stream import StreamClosedBy, StreamState

from ..errors import HttpError
from .h2connection import FRAME_HEADER, Connection
from .http2head import Malformed, RequestHead
from .http2queue import LARGEST_FRAME

#: What waits to be written already, when responses begin to take turns.
BACKLOG = 64 * 1024

_HEADERS, _DATA = 1, 0
_END_STREAM, _END_HEADERS = 1, 4
_WHOLE = _END_STREAM | _END_HEADERS
#: Section 4.1, for frames of less than 64 KiB: length, type, flags, stream.
_FRAME = Struct(">BHBBL")


class Shortcut:
    """Reads and writes for one connection of h2's."""

    def __init__(self, connection: Connection) -> None:
        self._h2 = connection

    def requests(
        self, data: bytes, read: Callable[[Any, bool], RequestHead]
    ) -> tuple[list[tuple[int, RequestHead]], int]:
        """The requests that `data` begin with, each with its stream; and where they end.

        What is not taken is for h2.

        :param read: makes a head of a field section (`HeadReader.read`).
        """
        h2, start = self._h2, 0
        taken: list[tuple[int, RequestHead]] = []
        if not (h2.isBetweenFrames and self._isOpen) or h2.isClosing:
            return taken, 0
        room: int | None = None
        while frame := self._wholeRequest(data, start):
            streamId, end = frame
            head = self._knownHead(data[start + FRAME_HEADER : end], read)
            if head is None:
                break
            if room is None:
                # Once is enough: nothing closes meanwhile.  What has, h2 forgets when it counts the others.
                room = h2.local_settings.max_concurrent_streams - h2.open_inbound_streams
            if len(taken) >= room:
                break
            self._begin(streamId)
            taken.append((streamId, head))
            start = end
        return taken, start

    def _knownHead(self, block: bytes, read: Callable[[Any, bool], RequestHead]) -> RequestHead | None:
        section = self._h2.decoder.known(block)
        try:
            return None if section is None else read(section, True)
        except (Malformed, HttpError):
            return None

    def _wholeRequest(self, data: bytes, start: int) -> tuple[int, int] | None:
        """The stream, and the end, of the frame that begins at `start`, if it is of the kind."""
        if len(data) < start + FRAME_HEADER:
            return None
        high, length, kind, flags, streamId = _FRAME.unpack_from(data, start)
        end = start + FRAME_HEADER + length
        isWhole = not high and kind == _HEADERS and flags == _WHOLE and end <= len(data)
        isNew = self._h2.highest_inbound_stream_id < streamId < 2**31 and streamId % 2 == 1
        return (streamId, end) if isWhole and isNew else None

    @property
    def _isOpen(self) -> bool:
        return self._h2.state_machine.state is ConnectionState.SERVER_OPEN

    def _begin(self, streamId: int) -> None:
        machine = self._h2._begin_new_stream(streamId, AllowedStreamIDs.ODD).state_machine
        machine.client = False
        machine.headers_received = True
        machine.state = StreamState.HALF_CLOSED_REMOTE

    def respond(self, streamId: int, section: tuple[tuple[bytes, bytes], ...], body: bytes) -> bool:
        """Send a whole response, unless that is no matter of course; False: nothing was done."""
        h2, size = self._h2, len(body)
        stream = h2.streams.get(streamId)
        if stream is None:
            return False
        machine = stream.state_machine
        if (
            machine.state is not StreamState.HALF_CLOSED_REMOTE
            or machine.headers_sent
            or not self._isOpen
            or size > min(LARGEST_FRAME, stream.outbound_flow_control_window, h2.outbound_flow_control_window)
            or h2.unwritten > BACKLOG
        ):
            return False
        block = h2.encoder.known(section)
        if block is None:
            return False
        if size:
            head = _FRAME.pack(0, len(block), _HEADERS, _END_HEADERS, streamId)
            content = _FRAME.pack(0, size, _DATA, _END_STREAM, streamId)
            h2._data_to_send += b"%b%b%b%b" % (head, block, content, body)
            h2.outbound_flow_control_window -= size
            stream.outbound_flow_control_window -= size
        else:
            h2._data_to_send += _FRAME.pack(0, len(block), _HEADERS, _WHOLE, streamId)
            h2._data_to_send += block
        machine.headers_sent = True
        machine.stream_closed_by = StreamClosedBy.SEND_END_STREAM
        machine.state = StreamState.CLOSED
        return True
