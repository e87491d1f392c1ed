"""HTTP/1.1 on the wire (RFC 9112), the server's side: octets in, events out, and back.

One exchange at a time: what the peer sends ahead stays unread, as octets, until the response before it has
ended.  So answers keep their order, a flood costs no more than its octets, and whoever takes the connection
over (`unread`) gets every octet that is not part of the request.

Every rule gives the same outcome however the octets were cut up in transit: only whole lines are looked at,
and limits are checked before what lies beyond them.
"""

from __future__ import annotations

__all__ = ["Http1Wire"]

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from .._events import BodyData, BodyEnd, Event, FieldPairs, Fields, Head, PeerError
from .._status import reasonPhrase
from ..configuration import HttpServerConfiguration
from ..errors import HttpError
from .chunked import ChunkedReader
from .fields import FieldSection
from .framing import frame
from .target import checkTarget, isAuthority

#: Section 3: one space between the parts, and a target of visible ASCII without a fragment.
_REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21\x22\x24-\x7e]+) HTTP/([0-9]\.[0-9])\r\n")
#: What a request line may look like as far as it came.
_PRINTABLE = re.compile(rb"[\x20-\x7e]*\r?\n?")

#: What a request line takes beside its target: method, spaces, version, line end.
_LINE_OVERHEAD = 64
#: Heads up to this size are under every bound that is there for white space.
_SMALL_HEAD = 8192

#: One exchange at a time, so one identifier for all of them.
_STREAM = 1
_NO_EVENTS: tuple[Event, ...] = ()


class Http1Wire:
    """The server's end of one HTTP/1 connection.  Fills `txabstracthttp._boundaries.Wire`.

    :ivar finished: the last response is out; nothing more is read or said (section 9.6).
    :ivar queued: how many octets `dataToSend` would give.
    """

    __slots__ = (
        "_answered",
        "_buffer",
        "_chunkedBody",
        "_chunkedResponse",
        "_emptyLines",
        "_fed",
        "_headFactory",
        "_left",
        "_line",
        "_output",
        "_persistent",
        "_receive",
        "_received",
        "_request",
        "_scanned",
        "_section",
        "finished",
        "queued",
    )

    def __init__(
        self, configuration: HttpServerConfiguration, headFactory: Callable[..., Head] = Head
    ) -> None:
        """
        :param configuration: the limits in force.
        :param headFactory: what to make of a request's head; it takes the arguments of `Head`.
        """
        self._section = FieldSection(configuration)
        self._headFactory = headFactory
        self._buffer = b""
        self._output: list[bytes] = []
        self._receive: Callable[[list[Event]], bool] = self._receiveHead
        self._left = 0
        self._chunkedBody: ChunkedReader | None = None
        self._chunkedResponse = False
        self._persistent = True
        self.finished = False
        self.queued = 0
        self._expectHead()

    # What the connection asks:

    @property
    def configuration(self) -> HttpServerConfiguration:
        """The limits in force; may be replaced at any time."""
        return self._section.configuration

    @configuration.setter
    def configuration(self, configuration: HttpServerConfiguration) -> None:
        self._section.configuration = configuration

    @property
    def unread(self) -> bytes:
        """What arrived and was not looked at yet."""
        return self._buffer

    # Octets in, events out:

    def receiveData(self, data: bytes) -> Sequence[Event]:
        """Octets arrived: what do they mean?  With ``b""``, go on with what was sent ahead."""
        buffer = self._buffer = self._buffer + data if self._buffer else data
        if not buffer:
            return _NO_EVENTS
        events: list[Event] = []
        try:
            while self._receive(events):
                pass
        except HttpError as error:
            events.append(self._refuse(error))
        return events

    def receiveEnd(self) -> Sequence[Event]:
        """The peer will send nothing more; a message that was cut short is its fault (section 8)."""
        if self._received or self.finished:
            return _NO_EVENTS
        if self._request is None and not self._buffer:
            self._receive = self._receiveNothing
            return _NO_EVENTS
        return [self._refuse(HttpError(400, "incomplete message"))]

    def _refuse(self, error: HttpError) -> PeerError:
        self._persistent = False
        self._receive = self._receiveNothing
        self._buffer = b""
        return PeerError(_STREAM, error)

    # Each step takes what it can from the buffer, and says whether the next one may go on.

    def _receiveNothing(self, events: list[Event]) -> bool:
        self._buffer = b""
        return False

    def _awaitResponse(self, events: list[Event]) -> bool:
        return False

    def _expectHead(self) -> None:
        self._receive = self._receiveHead
        self._request: Head | None = None
        self._line: re.Match[bytes] | None = None
        self._emptyLines = 0
        self._fed = 0
        self._scanned = 0
        self._received = False
        self._answered = False

    def _receiveHead(self, events: list[Event]) -> bool:
        buffer = self._buffer
        if not buffer:
            return False
        if buffer[0] < 14 and not self._fed:
            return self._skipEmptyLine(buffer)
        end = buffer.find(b"\r\n\r\n", self._scanned) + 4
        if end < 4:
            self._receiveLines(buffer, buffer.rfind(b"\n", self._fed) + 1, len(buffer))
            self._scanned = max(len(buffer) - 3, 0)
            return False
        self._receiveLines(buffer, end, end)
        self._buffer = buffer[end:]
        self._completeHead(events)
        return True

    def _skipEmptyLine(self, buffer: bytes) -> bool:
        """Section 2.2: a server should ignore one empty line before a request."""
        start = buffer[:2]
        if self._emptyLines or not b"\r\n".startswith(start):
            raise HttpError(400, "no request line")
        if len(start) < 2:
            return False
        self._emptyLines = 1
        self._buffer = buffer[2:]
        return True

    def _receiveLines(self, buffer: bytes, stop: int, available: int) -> None:
        """Read the head as far as `stop`, the end of a line, of the octets of it that are `available`."""
        line = self._line or self._receiveRequestLine(buffer)
        if line is None:
            return
        if available > _SMALL_HEAD:
            limit = self._section.rawLimit
            if limit is not None and available - line.end() > limit:
                self._section.feed(buffer[self._fed : buffer.rfind(b"\n", 0, line.end() + limit) + 1])
                raise HttpError(431, "header section too large")
        if stop > self._fed:
            self._section.feed(buffer[self._fed : stop])
            self._fed = stop

    def _receiveRequestLine(self, buffer: bytes) -> re.Match[bytes] | None:
        """Section 3, and the limits and refusals that need no more than this line."""
        line = _REQUEST_LINE.match(buffer)
        limit = self.configuration.maximumUrlSize
        if line is None or (limit is not None and len(line[0]) > limit):
            self._checkRequestLine(buffer, limit)
            if line is None:
                return None
        version = line[3]
        if version not in (b"1.1", b"1.0"):
            raise HttpError(400 if version[:1] in b"02" else 505, "unsupported version")
        checkTarget(line[1].decode("ascii"), line[2])
        self._line = line
        self._section.restart()
        return line

    def _checkRequestLine(self, buffer: bytes, limit: int | None) -> None:
        """Refuse a line, whole or not, that is malformed or too long; in that order, up to the limit."""
        line = buffer[: buffer.find(b"\n") + 1] or buffer
        bound = len(line) if limit is None else limit + _LINE_OVERHEAD
        if not _PRINTABLE.fullmatch(line[:bound]):
            raise HttpError(400, "malformed request line")
        if len(line) > bound:
            raise HttpError(414, "request line too long")
        if line.endswith(b"\n"):
            whole = _REQUEST_LINE.fullmatch(line)
            if whole is None:
                raise HttpError(400, "malformed request line")
            if limit is not None and len(whole[2]) > limit:
                raise HttpError(414, "request target too long")

    def _completeHead(self, events: list[Event]) -> None:
        section, line = self._section, self._line
        assert line is not None
        if not section.complete:
            raise HttpError(400, "malformed header section")
        head = self._makeHead(line[1].decode("ascii"), line[2], line[3].decode("ascii"), section)
        self._request = head
        events.append(head)
        if head.contentLength == 0:
            self._received = True
            self._receive = self._awaitResponse
        elif head.contentLength is None:
            self._chunkedBody = ChunkedReader(section)
            self._receive = self._receiveChunked
        else:
            self._left = head.contentLength
            self._receive = self._receiveContent

    def _makeHead(self, method: str, target: bytes, version: str, section: FieldSection) -> Head:
        framing = section.framing
        if len(framing) == 1 and version == "1.1" and target[0] == 47 and framing[0][0] == b"host":
            # Most requests: nothing but a Host field says anything of framing.
            host = framing[0][1]
            if not isAuthority(host):
                raise HttpError(400, "malformed Host")
            return self._headFactory(_STREAM, method, target, version, section.fields, host)
        *rest, persistent = frame(method, target, version, framing)
        self._persistent = self._persistent and persistent
        return self._headFactory(_STREAM, method, target, version, section.fields, *rest)

    def _receiveContent(self, events: list[Event]) -> bool:
        piece = self._buffer[: self._left]
        if not piece:
            return False
        self._buffer = self._buffer[self._left :]
        self._left -= len(piece)
        events.append(BodyData(_STREAM, piece))
        if self._left:
            return False
        return self._completeBody(events, [])

    def _receiveChunked(self, events: list[Event]) -> bool:
        reader = self._chunkedBody
        assert reader is not None
        pieces: list[bytes] = []
        try:
            used = reader.read(self._buffer, pieces)
        finally:
            if pieces:
                events.append(BodyData(_STREAM, b"".join(pieces)))
        self._buffer = self._buffer[used:]
        if reader.trailers is None:
            return False
        return self._completeBody(events, reader.trailers)

    def _completeBody(self, events: list[Event], trailers: Fields) -> bool:
        events.append(BodyEnd(_STREAM, trailers))
        self._received = True
        self._receive = self._awaitResponse
        if self._answered:
            self._completeExchange()
        return True

    def _completeExchange(self) -> None:
        """Both sides are done: the next request may come, or nothing more (section 9.3)."""
        self._answered = True
        if not self._received:
            return
        if self._persistent:
            self._expectHead()
        else:
            self._finish()

    def _finish(self) -> None:
        self.finished = True
        self._receive = self._receiveNothing
        self._buffer = b""

    # What the application says in, octets out:

    def sendInformational(self, streamId: int, status: int, fields: Fields) -> None:
        """An interim response (RFC 9110 section 15.2); HTTP/1.0 has no interim responses."""
        request = self._request
        if request is not None and request.version == "1.1":
            self._say(_statusLine(status) + _encode(fields) + b"\r\n")

    def sendResponse(
        self, streamId: int, status: int, fields: FieldPairs, length: int | None, body: bytes
    ) -> None:
        """A whole response at once; `length` None: it has no content, not even an empty one."""
        block = _headBlock(status, fields)
        if length is not None:
            self._say(b"%b%bContent-Length: %d\r\n\r\n%b" % (block, self._connectionField(), length, body))
        else:
            self._say(b"%b%b\r\n" % (block, self._connectionField()))
        self._completeExchange()

    def sendHead(
        self, streamId: int, status: int, fields: FieldPairs, length: int | None, hasBody: bool
    ) -> None:
        """The head of a response whose content follows (section 6.3); `length` None: its end will tell."""
        framing = b""
        request = self._request
        if length is not None:
            framing = b"Content-Length: %d\r\n" % length
        elif hasBody and request is not None and request.version == "1.1":
            framing = b"Transfer-Encoding: chunked\r\n"
            self._chunkedResponse = True
        elif hasBody:
            self._persistent = False
        self._say(b"%b%b%b\r\n" % (_headBlock(status, fields), self._connectionField(), framing))

    def sendBody(self, streamId: int, data: bytes) -> None:
        """A piece of content, not empty."""
        if self._chunkedResponse:
            self._say(b"%x\r\n" % len(data))
            self._say(data)
            self._say(b"\r\n")
        else:
            self._say(data)

    def sendEnd(self, streamId: int, trailers: Fields) -> None:
        """The content is complete; only the chunked coding can carry `trailers` (section 7.1.2)."""
        if self._chunkedResponse:
            self._chunkedResponse = False
            self._say(b"0\r\n" + _encode(trailers) + b"\r\n")
        self._completeExchange()

    def drain(self) -> None:
        """Take on nothing new: the exchange that runs, or whose head is arriving, is the last."""
        self._persistent = False
        if self._request is None and not self._buffer:
            self._finish()

    def dataToSend(self) -> bytes:
        """What must be written to the peer now; the wire forgets it."""
        output = self._output
        if not output:
            return b""
        data = output[0] if len(output) == 1 else b"".join(output)
        output.clear()
        self.queued = 0
        return data

    def _say(self, data: bytes) -> None:
        self._output.append(data)
        self.queued += len(data)

    def _connectionField(self) -> bytes:
        if not self._persistent:
            return b"Connection: close\r\n"
        request = self._request
        if request is not None and request.version == "1.0":
            return b"Connection: keep-alive\r\n"
        return b""


def _encode(fields: FieldPairs) -> bytes:
    return b"".join([b"%b: %b\r\n" % field for field in fields])


@lru_cache(maxsize=128)
def _statusLine(status: int) -> bytes:
    return b"HTTP/1.1 %d %b\r\n" % (status, reasonPhrase(status).encode("ascii"))


@lru_cache(maxsize=128)
def _cachedBlock(status: int, fields: tuple[tuple[bytes, bytes], ...]) -> bytes:
    return _statusLine(status) + _encode(fields)


def _headBlock(status: int, fields: FieldPairs) -> bytes:
    """Status line and fields.  A tuple stands for fields that come again and again within a second."""
    if type(fields) is tuple:
        return _cachedBlock(status, fields)
    return _statusLine(status) + _encode(fields)
