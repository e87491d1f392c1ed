"""HTTP/2 on the wire (RFC 9113), the server's side, by way of the h2 library.

Content on its way out waits, stream by stream, until the peer has room for it (`http2queue`).
"""

from __future__ import annotations

__all__ = ["Http2Wire"]

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from h2 import events as h2events
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings

from .._events import BodyData, BodyEnd, Event, FieldPairs, Fields, Head, PeerError, StreamReset
from ..configuration import Http2Configuration, HttpServerConfiguration
from ..errors import HttpError
from .budget import Budget
from .h2connection import Connection, Ignored, Refused
from .http2head import CONNECTION_FIELDS, HeadReader, Malformed, readTrailers
from .http2queue import Outgoing, Turns
from .http2shortcut import Shortcut

#: What is made ready to be written at a time.
BATCH = 64 * 1024
#: Content of a stream that waits beyond this holds its producer back.
STREAM_BACKLOG = 64 * 1024
#: The connection's own window before anybody says anything (RFC 9113 section 6.9.2).
INITIAL_WINDOW = 65535
#: Streams that are reset, by either side for what the peer did: so many at once, and so many a second.
RESETS, RESETS_PER_SECOND = 100, 33.0
#: Frames that carry nothing: likewise.  Requests, content and what we send for it earn more of them.
IDLE_FRAMES, IDLE_FRAMES_PER_SECOND = 1000, 100.0
#: Content for a stream that has ended meanwhile: a whole window may be on its way, in small frames.
LATE_FRAMES, LATE_FRAMES_PER_SECOND = 8192, 500.0
#: A frame of content that is no smaller earns one.
SUBSTANTIAL = 256
#: The highest stream that there can be: said first when the connection is to end (section 6.8).
HIGHEST_STREAM = 2**31 - 1

INTERNAL_ERROR = int(ErrorCodes.INTERNAL_ERROR)
CANCEL = int(ErrorCodes.CANCEL)
NO_ERROR = int(ErrorCodes.NO_ERROR)
PROTOCOL_ERROR = int(ErrorCodes.PROTOCOL_ERROR)


class _Stream(Outgoing):
    """One exchange as the wire sees it.

    :ivar isHead: a response has no content, whoever makes it.
    :ivar missing: octets of content that the request has announced, and that have not come; None: who knows.
    :ivar remoteEnded: the request is complete.
    :ivar ending: the response is complete, as far as we are told.
    :ivar left: nobody wants what is still to come of the request.
    """

    __slots__ = (
        "credit",
        "ending",
        "isHead",
        "left",
        "missing",
        "remoteEnded",
        "requestTrailers",
        "trailers",
    )

    def __init__(self, remoteEnded: bool) -> None:
        super().__init__()
        self.credit = 0
        self.missing: int | None = None
        self.remoteEnded = remoteEnded
        self.isHead = self.ending = self.left = False
        self.trailers: Fields = []
        self.requestTrailers: Fields = []


class Http2Wire:
    """The server's end of one HTTP/2 connection.  Fills `txabstracthttp._boundaries.Wire`.

    :ivar finished: nothing more will be read or said.
    :ivar relieved: streams whose backlog has gone since somebody last emptied this list.
    :ivar ended: streams that are over on both sides, likewise.
    """

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
        self._heads = HeadReader(configuration, http2.maximumHeaderListSize)
        self._http2 = http2
        self._headFactory = headFactory
        self._streams: dict[int, _Stream] = {}
        self._resets = Budget(RESETS, RESETS_PER_SECOND, seconds)
        self._idleFrames = Budget(IDLE_FRAMES, IDLE_FRAMES_PER_SECOND, seconds)
        self._lateFrames = Budget(LATE_FRAMES, LATE_FRAMES_PER_SECOND, seconds)
        self._connectionCredit = 0
        self._pinged = self._wasHeard = False
        self.finished = False
        self.relieved: list[int] = []
        self.ended: list[int] = []
        self._h2 = Connection(http2.huffmanCompressionEnabled)
        self._shortcut = Shortcut(self._h2)
        self._turns = Turns(self._streams, self._h2.local_flow_control_window)
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
        end = 0
        for streamId, head, end in self._shortcut.requests(data, self._heads.read):  # noqa: B007
            stream = self._streams[streamId] = _Stream(True)
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
        stream = self._streams[streamId] = _Stream(isComplete)
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

    # What the application says in, octets out:

    def sendInformational(self, streamId: int, status: int, fields: Fields) -> None:
        """An interim response (RFC 9110 section 15.2)."""
        if streamId in self._streams:
            self._h2.send_headers(streamId, _section(status, fields, None))

    def sendResponse(
        self, streamId: int, status: int, fields: FieldPairs, length: int | None, body: bytes
    ) -> None:
        """A whole response at once; `length` None: it has no content, not even an empty one."""
        stream = self._streams.get(streamId)
        if stream is None:
            return None
        if stream.isHead:
            body = b""
        section = _section(status, fields, length)
        if stream.remoteEnded and not self._turns and self._shortcut.respond(streamId, section, body):
            if body:
                self._idleFrames.earn(2)
            return self._endSent(streamId, stream)
        self._sendHead(streamId, stream, section, bool(body))
        if body:
            self.sendBody(streamId, body)
            self.sendEnd(streamId, [])
        return None

    def sendHead(
        self, streamId: int, status: int, fields: FieldPairs, length: int | None, hasBody: bool
    ) -> None:
        """The head of a response; without content, that is all of it."""
        stream = self._streams.get(streamId)
        if stream is not None:
            self._sendHead(streamId, stream, _section(status, fields, length), hasBody)

    def _sendHead(self, streamId: int, stream: _Stream, section: Section, hasBody: bool) -> None:
        self._h2.send_headers(streamId, section, end_stream=not hasBody)
        if not hasBody:
            self._endSent(streamId, stream)

    def sendBody(self, streamId: int, data: bytes) -> None:
        """A piece of content, not empty."""
        stream = self._streams.get(streamId)
        if stream is not None and not stream.ending:
            stream.put(data)
            self._turns.join(streamId)

    def sendEnd(self, streamId: int, trailers: Fields) -> None:
        """The content is complete."""
        stream = self._streams.get(streamId)
        if stream is None or stream.ending:
            return
        stream.ending = True
        stream.trailers = trailers
        if not stream.waiting:
            self._sendEnd(streamId, stream)

    def _sendEnd(self, streamId: int, stream: _Stream) -> None:
        if stream.trailers:
            lowered = [(name.lower(), value) for name, value in stream.trailers]
            self._h2.send_headers(streamId, lowered, end_stream=True)
        else:
            self._h2.end_stream(streamId)
        self._endSent(streamId, stream)

    def _endSent(self, streamId: int, stream: _Stream) -> None:
        stream.ending = True
        if stream.left and not stream.remoteEnded:
            self.reset(streamId, NO_ERROR)
        else:
            self._forgetIfOver(streamId, stream)

    def _forgetIfOver(self, streamId: int, stream: _Stream) -> None:
        if stream.remoteEnded and stream.ending and not stream.waiting:
            self._forget(streamId)
            self._finishIfOver()

    def _forget(self, streamId: int) -> bool:
        stream = self._streams.pop(streamId, None)
        if stream is None:
            return False
        self._turns.leave(streamId, stream)
        self.ended.append(streamId)
        return True

    def leave(self, streamId: int) -> None:
        """Nobody wants the rest of a request: behind its response, say so (section 8.1)."""
        stream = self._streams.get(streamId)
        if stream is not None:
            stream.left = True
            if stream.ending and not stream.waiting and not stream.remoteEnded:
                self.reset(streamId, NO_ERROR)

    def reset(self, streamId: int, code: int) -> None:
        """End a stream at once (section 6.4)."""
        if self._forget(streamId):
            self._h2.resetIfOpen(streamId, code)
            self._finishIfOver()

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

    def isFull(self, streamId: int) -> bool:
        """Whether enough of a response waits for the peer."""
        stream = self._streams.get(streamId)
        return stream is not None and stream.waiting > STREAM_BACKLOG

    def waiting(self, streamId: int) -> int:
        """How many octets of a response wait for the peer."""
        stream = self._streams.get(streamId)
        return 0 if stream is None else stream.waiting

    def sent(self, streamId: int) -> int:
        """How many octets of a response were sent."""
        stream = self._streams.get(streamId)
        return 0 if stream is None else stream.sent

    def _pump(self) -> None:
        """Turn what waits into frames, as far as windows allow.

        While the connection has none everybody keeps his place, or those in front would get all that comes.
        """
        left = BATCH - self._h2.unwritten
        while left > 0 and self._h2.outbound_flow_control_window > 0:
            turn = self._turns.next()
            if turn is None:
                break
            left -= self._sendPiece(*turn)

    def _sendPiece(self, streamId: int, size: int) -> int:
        stream = self._streams[streamId]
        wasFull = stream.waiting > STREAM_BACKLOG
        piece = stream.take(size)
        isLast = stream.ending and not stream.waiting and not stream.trailers
        self._h2.send_data(streamId, piece, end_stream=isLast)
        if len(piece) >= SUBSTANTIAL or not stream.waiting:
            self._idleFrames.earn(2)
        if stream.waiting:
            self._turns.join(streamId)
        elif isLast:
            self._endSent(streamId, stream)
        elif stream.ending:
            self._sendEnd(streamId, stream)
        if wasFull and stream.waiting <= STREAM_BACKLOG:
            self.relieved.append(streamId)
        return len(piece)

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

    def _finishIfOver(self) -> None:
        if self._h2.isClosing and not self._streams:
            self.finished = True

    def dataToSend(self) -> bytes:
        """What must be written to the peer next; the wire forgets it.  Ask again until there is nothing."""
        if self._turns:
            self._pump()
        data: bytes = self._h2.data_to_send()
        return data


#: A field section as h2 takes it.
Section = tuple[tuple[bytes, bytes], ...]

#: TE too: it is for requests, and clients take any value but one for a protocol error.
_LEFT_OUT = CONNECTION_FIELDS | {b"te"}


def _section(status: int, fields: FieldPairs, length: int | None) -> Section:
    """Section 8.3.2; what is about one HTTP/1 connection has no place here (section 8.2.2)."""
    if isinstance(fields, tuple):
        return _remembered(status, fields, length)
    return _encode(status, fields, length)


def _encode(status: int, fields: FieldPairs, length: int | None) -> Section:
    lowered = [(name.lower(), value) for name, value in fields]
    section = [(b":status", b"%d" % status), *[each for each in lowered if each[0] not in _LEFT_OUT]]
    if length is not None:
        section.append((b"content-length", b"%d" % length))
    return tuple(section)


#: Some come again and again within a second: those are a tuple.
_remembered = lru_cache(maxsize=128)(_encode)


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
