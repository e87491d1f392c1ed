"""HTTP/2 on the wire (RFC 9113), the server's side, by way of the h2 library: what comes in, and the end.

What goes out is `http2output`'s.
"""

from __future__ import annotations

__all__ = ["Http2Wire"]

from collections.abc import Callable, Sequence
from typing import Any

from h2 import events as h2events
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings

from .._events import BodyData, BodyEnd, Event, Head, PeerError, StreamReset
from ..configuration import Http2Configuration, HttpServerConfiguration
from ..errors import HttpError
from .budget import Budget
from .h2connection import Connection, Ignored, Refused
from .http2head import HeadReader, Malformed, readTrailers
from .http2output import SUBSTANTIAL, Http2Output, Stream

#: The connection's own window before anybody says anything (RFC 9113 section 6.9.2).
INITIAL_WINDOW = 65535
#: Streams that are reset, by either side for what the peer did: so many at once, and so many a second.
RESETS, RESETS_PER_SECOND = 100, 33.0
#: Content for a stream that has ended meanwhile: a whole window may be on its way, in small frames.
LATE_FRAMES, LATE_FRAMES_PER_SECOND = 8192, 500.0
#: The highest stream that there can be: said first when the connection is to end (section 6.8).
HIGHEST_STREAM = 2**31 - 1

INTERNAL_ERROR = int(ErrorCodes.INTERNAL_ERROR)
CANCEL = int(ErrorCodes.CANCEL)
PROTOCOL_ERROR = int(ErrorCodes.PROTOCOL_ERROR)


class Http2Wire(Http2Output):
    """The server's end of one HTTP/2 connection.  Fills `txabstracthttp._boundaries.Wire`."""

    def __init__(
        self,
        configuration: HttpServerConfiguration,
        http2: Http2Configuration,
        seconds: Callable[[], float],
        headFactory: Callable[..., Head] = Head,
    ) -> None:
        """
        :param configuration: the limits in force.
        :param http2: what the peer is told.
        :param seconds: tells the time, for limits on what comes in a second.
        :param headFactory: what to make of a request's head; it takes the arguments of `Head`.
        """
        super().__init__(Connection(http2.huffmanCompressionEnabled), seconds)
        self._heads = HeadReader(configuration, http2.maximumHeaderListSize)
        self._http2 = http2
        self._headFactory = headFactory
        self._resets = Budget(RESETS, RESETS_PER_SECOND, seconds)
        self._lateFrames = Budget(LATE_FRAMES, LATE_FRAMES_PER_SECOND, seconds)
        self._connectionCredit = 0
        self._pinged = self._wasHeard = False
        self._largestHead = self._introduce()

    def _introduce(self) -> int:
        """The first SETTINGS, and the connection's window (sections 3.4, 6.5, 6.9.2).

        :return: octets of a header section that are read.
        """
        http2, connection = self._http2, self._h2
        limits = self.configuration
        largest = 2**31 - 1
        if limits.maximumTotalHeaderSize is not None and limits.maximumHeaderFieldCount is not None:
            largest = 2 * (limits.maximumTotalHeaderSize + 32 * limits.maximumHeaderFieldCount)
        small = http2.streamReceiveWindowSize < INITIAL_WINDOW
        values = {
            SettingCodes.MAX_CONCURRENT_STREAMS: http2.maxConcurrentStreams,
            SettingCodes.MAX_FRAME_SIZE: http2.maxFrameSize,
            SettingCodes.ENABLE_CONNECT_PROTOCOL: 1,
        }
        if not small:
            values[SettingCodes.INITIAL_WINDOW_SIZE] = http2.streamReceiveWindowSize
        if http2.maximumHeaderListSize is not None:
            values[SettingCodes.MAX_HEADER_LIST_SIZE] = http2.maximumHeaderListSize
            # Somewhat more is read, so that it can be answered with 431.
            largest = 2 * http2.maximumHeaderListSize
        connection.decoder.max_header_list_size = largest
        connection.local_settings = Settings(client=False, initial_values=values)
        connection.max_inbound_frame_size = http2.maxFrameSize
        connection.initiate_connection()
        if small:
            # The peer may send more until it knows.
            connection.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: http2.streamReceiveWindowSize})
        if http2.sessionReceiveWindowSize > INITIAL_WINDOW:
            connection.increment_flow_control_window(http2.sessionReceiveWindowSize - INITIAL_WINDOW)
        return largest

    @property
    def configuration(self) -> HttpServerConfiguration:
        """The limits in force; may be replaced at any time."""
        return self._heads.limits

    @configuration.setter
    def configuration(self, configuration: HttpServerConfiguration) -> None:
        self._heads = HeadReader(configuration, self._http2.maximumHeaderListSize)

    # Octets in, events out:

    @property
    def isReceivingHead(self) -> bool:
        """Whether a header section has begun, and not ended."""
        return self._h2.headSize > 0

    def receiveData(self, data: bytes) -> Sequence[Event]:
        """Octets arrived: what do they mean?"""
        if self.finished:
            return ()
        events: list[Event] = []
        rest = self._receiveRequests(data, events)
        if not rest:
            return events
        try:
            for event in self._h2.receive_data(rest):
                handler = _HANDLERS.get(type(event))
                if handler is not None and not self.finished:
                    handler(self, event, events)
            if not self.finished:
                self._h2.checkBegun()
            if self._wasHeard:
                self._wasHeard = False
                # Behind what came with it: h2 knows of those requests already.
                self.beLast()
            if self._h2.headSize > self._largestHead:
                self._goAwayCalmly("a header section that is far too large", events)
        except ProtocolError as error:
            # h2 has said GOAWAY already.
            return [*events, self._fail(str(error))]
        return events

    def _receiveRequests(self, data: bytes, events: list[Event]) -> bytes:
        """Take the requests that are plain enough; what is left is for h2."""
        requests, end = self._shortcut.requests(data, self._heads.read)
        for streamId, head in requests:
            stream = self._streams[streamId] = Stream(True)
            stream.missing = 0
            self._idleFrames.earn(4)
            events.append(self._headFactory(streamId, *head))
            events.append(BodyEnd(streamId, stream.requestTrailers))
        return data[end:] if end else data

    def receiveEnd(self) -> Sequence[Event]:
        """The peer will send nothing more: whatever it has not finished is lost."""
        incomplete = [streamId for streamId, stream in self._streams.items() if not stream.remoteEnded]
        for streamId in incomplete:
            self.reset(streamId, CANCEL)
        return [StreamReset(streamId, CANCEL) for streamId in incomplete]

    def _fail(self, reason: str) -> PeerError:
        self.finished = True
        self._turns.clear()
        self._streams.clear()
        return PeerError(0, HttpError(400, reason))

    def blame(self) -> None:
        """The peer has made us end an exchange that somebody works on; that counts as a reset."""
        if not self._resets.spend():
            self._goAwayCalmly("too many exchanges that were cut short", [])

    def _calm(self, budget: Budget, events: list[Event]) -> None:
        if not budget.spend():
            self._goAwayCalmly("too many resets, or frames that say nothing", events)

    def _goAwayCalmly(self, reason: str, events: list[Event]) -> None:
        if not self.finished:
            self._h2.goAway(ErrorCodes.ENHANCE_YOUR_CALM, self._h2.highest_inbound_stream_id)
            events.append(self._fail(reason))

    # One method for each kind of event of h2's:

    def _requestReceived(self, event: Any, events: list[Event]) -> None:
        streamId = event.stream_id
        isComplete = event.stream_ended is not None
        stream = self._streams[streamId] = Stream(isComplete)
        self._idleFrames.earn(4)
        try:
            head = self._heads.read(event.headers, isComplete)
        except Malformed:
            self._refuseStream(streamId, events)
        except HttpError as error:
            stream.isHead = (b":method", b"HEAD") in event.headers
            events.append(PeerError(streamId, error))
        else:
            stream.missing = head.contentLength
            events.append(self._headFactory(streamId, *head))

    def _refuseStream(self, streamId: int, events: list[Event]) -> None:
        self.reset(streamId, PROTOCOL_ERROR)
        events.append(StreamReset(streamId, PROTOCOL_ERROR))
        self._calm(self._resets, events)

    def _dataReceived(self, event: Any, events: list[Event]) -> None:
        streamId, data = event.stream_id, event.data
        self._creditConnection(event.flow_controlled_length)
        if len(data) >= SUBSTANTIAL:
            self._idleFrames.earn(1)
        elif not data and event.stream_ended is None:
            self._calm(self._idleFrames, events)
        stream = self._streams.get(streamId)
        if stream is None:
            return
        padding = event.flow_controlled_length - len(data)
        if padding:
            self.credit(streamId, padding)
        if data:
            if stream.missing is not None:
                stream.missing -= len(data)
            events.append(BodyData(streamId, data))

    def _trailersReceived(self, event: Any, events: list[Event]) -> None:
        stream = self._streams.get(event.stream_id)
        if stream is None:
            return
        try:
            stream.requestTrailers = readTrailers(event.headers, self.configuration)
            if stream.missing:
                # h2 looks at this where content ends without trailers only.
                raise Malformed("content-length")
        except (Malformed, HttpError):
            self._refuseStream(event.stream_id, events)

    def _streamEnded(self, event: Any, events: list[Event]) -> None:
        stream = self._streams.get(event.stream_id)
        if stream is not None:
            stream.remoteEnded = True
            events.append(BodyEnd(event.stream_id, stream.requestTrailers))
            self._forgetIfOver(event.stream_id, stream)

    def _streamReset(self, event: Any, events: list[Event]) -> None:
        if self._forget(event.stream_id):
            events.append(StreamReset(event.stream_id, int(event.error_code or 0)))
            self._finishIfOver()
        self._calm(self._resets, events)

    def _streamRefused(self, event: Refused, events: list[Event]) -> None:
        self._creditConnection(event.size)
        if event.error_code == ErrorCodes.REFUSED_STREAM and self._h2.isClosing:
            # It was on its way when we said that we take no more.
            self._calm(self._idleFrames, events)
        else:
            self._streamReset(event, events)

    def _windowUpdated(self, event: Any, events: list[Event]) -> None:
        if event.delta < SUBSTANTIAL:
            # Larger ones come to an end: a window has a bound.
            self._calm(self._idleFrames, events)
        if event.stream_id in self._streams:
            self._turns.join(event.stream_id)

    def _settingsChanged(self, event: Any, events: list[Event]) -> None:
        self._calm(self._idleFrames, events)
        # Windows may have changed with them (section 6.9.2).
        for streamId in self._streams:
            self._turns.join(streamId)

    def _idleFrame(self, event: Any, events: list[Event]) -> None:
        self._calm(self._idleFrames, events)

    def _ignored(self, event: Ignored, events: list[Event]) -> None:
        # Content for a stream that we have closed meanwhile is no waste of the peer's making.
        self._calm(self._idleFrames if not event.size else self._lateFrames, events)

    def _pingAcknowledged(self, event: Any, events: list[Event]) -> None:
        self._wasHeard = self._pinged
        self._calm(self._idleFrames, events)

    def _peerLeaves(self, event: Any, events: list[Event]) -> None:
        self._calm(self._idleFrames, events)
        if event.error_code or not self._streams:
            events.append(self._fail("the peer has said GOAWAY"))
        else:
            self.beLast()

    # Flow control (section 5.2):

    def credit(self, streamId: int, size: int) -> None:
        """`size` octets of a request's content were taken by who reads it, so as many more may come."""
        stream = self._streams.get(streamId)
        if stream is None or stream.remoteEnded:
            return
        stream.credit += size
        if stream.credit * 2 >= self._http2.streamReceiveWindowSize:
            self._h2.creditIfOpen(streamId, stream.credit)
            stream.credit = 0

    def _creditConnection(self, size: int) -> None:
        # The streams' own windows hold them back; one must not hold back the others.
        self._connectionCredit += size
        if self._connectionCredit * 2 >= self._http2.sessionReceiveWindowSize:
            self._h2.increment_flow_control_window(self._connectionCredit)
            self._connectionCredit = 0

    # The end (section 6.8):

    @property
    def isIdle(self) -> bool:
        """Whether no stream is open."""
        return not self._streams

    def drain(self) -> None:
        """Say that the end is near; what is on its way to us is still taken, until the peer has heard it."""
        if not (self._pinged or self._h2.isClosing or self.finished):
            self._pinged = True
            self._h2.goAway(ErrorCodes.NO_ERROR, HIGHEST_STREAM)
            self._h2.ping(b"draining")

    def beLast(self) -> None:
        """Take on nothing new; when the streams that are open have ended, that is the end."""
        if not (self._h2.isClosing or self.finished):
            self._h2.isClosing = True
            self._h2.goAway(ErrorCodes.NO_ERROR, self._h2.highest_inbound_stream_id)
        self._finishIfOver()


_HANDLERS: dict[type, Callable[[Http2Wire, Any, list[Event]], None]] = {
    h2events.RequestReceived: Http2Wire._requestReceived,
    h2events.DataReceived: Http2Wire._dataReceived,
    h2events.TrailersReceived: Http2Wire._trailersReceived,
    h2events.StreamEnded: Http2Wire._streamEnded,
    h2events.StreamReset: Http2Wire._streamReset,
    Refused: Http2Wire._streamRefused,
    Ignored: Http2Wire._ignored,
    h2events.WindowUpdated: Http2Wire._windowUpdated,
    h2events.RemoteSettingsChanged: Http2Wire._settingsChanged,
    h2events.PingReceived: Http2Wire._idleFrame,
    h2events.PriorityUpdated: Http2Wire._idleFrame,
    h2events.UnknownFrameReceived: Http2Wire._idleFrame,
    h2events.SettingsAcknowledged: Http2Wire._idleFrame,
    h2events.PingAckReceived: Http2Wire._pingAcknowledged,
    h2events.ConnectionTerminated: Http2Wire._peerLeaves,
}
