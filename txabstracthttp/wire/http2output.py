"""What goes out on one HTTP/2 connection (RFC 9113): heads, content, and the ends of streams.

Content waits, stream by stream, until the peer has room for it (`http2queue`).
"""

from __future__ import annotations

__all__ = ["SUBSTANTIAL", "Http2Output", "Stream"]

from collections.abc import Callable
from functools import lru_cache

from h2.errors import ErrorCodes

from .._events import FieldPairs, Fields
from .budget import Budget
from .h2connection import Connection
from .http2head import CONNECTION_FIELDS
from .http2queue import Outgoing, Turns
from .http2shortcut import Shortcut

#: What is made ready to be written at a time.
BATCH = 64 * 1024
#: Content of a stream that waits beyond this holds its producer back.
STREAM_BACKLOG = 64 * 1024
#: Frames that carry nothing: the peer may send so many at once, and so many a second.  Requests, content and
#: what we send for it earn more of them.
IDLE_FRAMES, IDLE_FRAMES_PER_SECOND = 1000, 100.0
#: A frame of content that is no smaller earns one.
SUBSTANTIAL = 256

NO_ERROR = int(ErrorCodes.NO_ERROR)


class Stream(Outgoing):
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


class Http2Output:
    """The side of `http2.Http2Wire` that sends.

    :ivar finished: nothing more will be read or said.
    :ivar relieved: streams whose backlog has gone since somebody last emptied this list.
    :ivar ended: streams that are over on both sides, likewise.
    """

    def __init__(self, connection: Connection, seconds: Callable[[], float]) -> None:
        """
        :param seconds: tells the time, for limits on what comes in a second.
        """
        self._h2 = connection
        self._streams: dict[int, Stream] = {}
        self._shortcut = Shortcut(connection)
        self._turns = Turns(self._streams, connection.local_flow_control_window)
        #: What the peer may send that is of no use; what is sent to it earns more.
        self._idleFrames = Budget(IDLE_FRAMES, IDLE_FRAMES_PER_SECOND, seconds)
        self.finished = False
        self.relieved: list[int] = []
        self.ended: list[int] = []

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
            return
        if stream.isHead:
            body = b""
        section = _section(status, fields, length)
        if stream.remoteEnded and not self._turns and self._shortcut.respond(streamId, section, body):
            if body:
                self._idleFrames.earn(2)
            self._endSent(streamId, stream)
        else:
            self._sendHead(streamId, stream, section, bool(body))
            if body:
                self.sendBody(streamId, body)
                self.sendEnd(streamId, [])

    def sendHead(
        self, streamId: int, status: int, fields: FieldPairs, length: int | None, hasBody: bool
    ) -> None:
        """The head of a response; without content, that is all of it."""
        stream = self._streams.get(streamId)
        if stream is not None:
            self._sendHead(streamId, stream, _section(status, fields, length), hasBody)

    def _sendHead(self, streamId: int, stream: Stream, section: Section, hasBody: bool) -> None:
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

    def _sendEnd(self, streamId: int, stream: Stream) -> None:
        if stream.trailers:
            lowered = [(name.lower(), value) for name, value in stream.trailers]
            self._h2.send_headers(streamId, lowered, end_stream=True)
        else:
            self._h2.end_stream(streamId)
        self._endSent(streamId, stream)

    def _endSent(self, streamId: int, stream: Stream) -> None:
        stream.ending = True
        if stream.left and not stream.remoteEnded:
            self.reset(streamId, NO_ERROR)
        else:
            self._forgetIfOver(streamId, stream)

    def _forgetIfOver(self, streamId: int, stream: Stream) -> None:
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
