"""HTTP/1.1 on the wire (RFC 9112), the server's side: octets in, events out, and back.

One exchange at a time: what the peer sends ahead stays unread, as octets, until the response before it has
ended.  So answers keep their order, a flood costs no more than its octets, and whoever takes the connection
over (`unread`) gets every octet that is not part of the request.

Every rule gives the same outcome however the octets were cut up in transit: only whole lines are looked at,
and limits are checked before what lies beyond them.
"""

from __future__ import annotations

__all__ = ["Http1Wire"]

from collections.abc import Callable, Sequence

from .._events import BodyData, BodyEnd, Event, FieldPairs, Fields, Head, PeerError
from ..configuration import HttpServerConfiguration
from ..errors import HttpError
from .chunked import ChunkedReader
from .fields import SMALL_SECTION, FieldSection, sharedSection
from .framing import frame
from .heads import encodeFields, encodeHead, rememberedHead
from .recall import Known
from .requestline import RequestLine, checkBeginning, readRequestLine
from .target import isAuthority

#: Pieces of output larger than this are passed on as they are.
LARGE = 64 * 1024
#: Requests of the usual kind: these methods, and a path.
USUAL = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
SLASH = 47
#: Octets of a request line beside method and target: two spaces, ``HTTP/1.1``, the line's end.
BESIDE = 12
#: One exchange at a time, so one identifier for all of them.
_STREAM = 1
_NO_EVENTS: tuple[Event, ...] = ()


class Http1Wire:
    """The server's end of one HTTP/1 connection.  Fills `txabstracthttp._boundaries.Wire`.

    :ivar endsWithConnection: nothing else tells the end of the response (RFC 9112 section 6.3).
    :ivar finished: the last response is out; nothing more is read or said (section 9.6).
    :ivar queued: how many octets `dataToSend` would give.
    :ivar unread: what arrived and was not looked at yet.
    """

    __slots__ = (
        "_answered",
        "_chunkedBody",
        "_chunkedResponse",
        "_configuration",
        "_connectionField",
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
        "_shared",
        "endsWithConnection",
        "finished",
        "queued",
        "unread",
    )

    def __init__(
        self, configuration: HttpServerConfiguration, headFactory: Callable[..., Head] = Head
    ) -> None:
        """
        :param configuration: the limits in force.
        :param headFactory: what to make of a request's head; it takes the arguments of `Head`.
        """
        #: What reads heads that come in parts, and trailers; made for those who send them.
        self._section: FieldSection | None = None
        self.configuration = configuration
        self._headFactory = headFactory
        self._output: list[bytes] = []
        self._receive: Callable[[list[Event]], bool] = self._receiveHead
        #: How far the head that is arriving was read, searched, and what came before it.
        self._line: RequestLine | None = None
        self._fed = self._scanned = self._emptyLines = 0
        self._left = 0
        self._chunkedBody: ChunkedReader | None = None
        self._chunkedResponse = False
        self._persistent = True
        self.finished = self.endsWithConnection = False
        self.queued = 0
        self.unread = b""
        self._expectHead()

    # What the connection asks:

    @property
    def configuration(self) -> HttpServerConfiguration:
        """The limits in force; may be replaced at any time."""
        return self._configuration

    @configuration.setter
    def configuration(self, configuration: HttpServerConfiguration) -> None:
        self._configuration = configuration
        self._shared = sharedSection(configuration)
        if self._section is not None:
            self._section.configuration = configuration

    def _ownSection(self) -> FieldSection:
        if self._section is None:
            self._section = FieldSection(self._configuration)
        return self._section

    def _dropSection(self) -> None:
        section, self._section = self._section, None
        if section is not None:
            section.close()

    # Octets in, events out:

    def receiveData(self, data: bytes) -> Sequence[Event]:
        """Octets arrived: what do they mean?  With ``b""``, go on with what was sent ahead."""
        if self.unread:
            self.unread += data
        else:
            self.unread = data
        events: list[Event] = []
        try:
            while self.unread and not self._received and self._receive(events):
                pass
        except HttpError as error:
            events.append(self._refuse(error))
        return events

    def receiveEnd(self) -> Sequence[Event]:
        """The peer will send nothing more; a message that was cut short is its fault (section 8)."""
        if self._received or self._receive == self._receiveNothing:
            return _NO_EVENTS
        if self._request is None and not self.unread:
            self._receive = self._receiveNothing
            return _NO_EVENTS
        return [self._refuse(HttpError(400, "incomplete message"))]

    def _refuse(self, error: HttpError) -> PeerError:
        self.beLast()
        # The connection may stay for a while, and what it was refused for may be large.
        self.close()
        return PeerError(_STREAM, error)

    # Each step takes what it can from the buffer, and says whether the next one may go on.

    def _receiveNothing(self, events: list[Event]) -> bool:
        self.unread = b""
        return False

    def _expectHead(self) -> None:
        self._request: Head | None = None
        self._connectionField = b""
        if self._section is not None:
            self._dropSection()
        self._received = False
        self._answered = False

    def _receiveHead(self, events: list[Event]) -> bool:
        octets = self.unread
        end = octets.find(b"\r\n\r\n", self._scanned) + 4
        if end < 4 or end > SMALL_SECTION or self._line is not None or octets[0] < 14:
            return self._receivePartOfHead(octets, end, events)
        # Most heads come whole, and many of them were here before.
        if end == len(octets):
            self.unread = b""
        else:
            self.unread, octets = octets[end:], octets[:end]
        line, known = self._shared.heads.get(octets) or self._readWholeHead(octets)
        return self._begin(line, known, events)

    def _readWholeHead(self, octets: bytes) -> tuple[RequestLine, Known]:
        line = readRequestLine(octets, self._configuration.maximumUrlSize)
        assert line is not None
        method, target, version = line
        section = self._shared
        isUsual = method in USUAL and version == "1.1" and target[0] == SLASH
        said = octets[len(method) + len(target) + BESIDE :] if isUsual else b""
        known = section.recall.get(said)
        if known is not None:
            # Who has said that before may say all of it again.
            section.heads.keep(octets, (line, known))
            return line, known
        section.restart()
        section.feed(octets)
        known = self._readHead(line, section)
        if isUsual:
            section.recall.keep(said, known)
        return line, known

    def _receivePartOfHead(self, octets: bytes, end: int, events: list[Event]) -> bool:
        """Take the lines that are complete.  `end` is where the head ends; less than 4 if it does not yet."""
        if octets[0] < 14 and self._line is None:
            return self._skipEmptyLine(octets)
        if self._line is None and octets.find(b"\n", self._scanned) < 0:
            # Only what is new is looked at, or a line that comes by the octet would cost its square.
            checkBeginning(octets, self._scanned, self.configuration.maximumUrlSize)
            self._scanned = max(len(octets) - 3, 0)
            return False
        if self._line is None:
            self._line = readRequestLine(octets, self.configuration.maximumUrlSize)
            if self._line is not None:
                self._ownSection().restart()
        line = self._line
        if end < 4:
            if line is not None:
                self._receiveLines(octets, octets.rfind(b"\n", self._fed) + 1, len(octets))
            self._scanned = max(len(octets) - 3, 0)
            return False
        assert line is not None
        self._receiveLines(octets, end, end)
        self.unread = octets[end:]
        self._line = None
        self._fed = 0
        return self._begin(line, self._readHead(line, self._ownSection()), events)

    def _receiveLines(self, octets: bytes, stop: int, available: int) -> None:
        """Read the head as far as `stop`, the end of a line, of the octets of it that are `available`."""
        section = self._ownSection()
        bound = section.rawLimit
        if bound is not None:
            bound += octets.find(b"\n") + 1
            if available > bound:
                section.feed(octets[self._fed : octets.rfind(b"\n", 0, bound) + 1])
                raise HttpError(431, "header section too large")
        if stop > self._fed:
            section.feed(octets[self._fed : stop])
            self._fed = stop

    def _skipEmptyLine(self, octets: bytes) -> bool:
        """Section 2.2: a server should ignore one empty line before a request."""
        start = octets[:2]
        if self._emptyLines or not b"\r\n".startswith(start):
            raise HttpError(400, "no request line")
        if len(start) < 2:
            return False
        self._emptyLines = 1
        self._scanned = 0
        self.unread = octets[2:]
        return True

    def _readHead(self, line: RequestLine, section: FieldSection) -> Known:
        if not section.complete:
            raise HttpError(400, "malformed header section")
        method, target, version = line
        framing = section.framing
        if len(framing) == 1 and version == "1.1":
            name, host = framing[0]
            if name == b"host" and target[0] == SLASH and isAuthority(host):
                # Most requests: nothing but a Host field says anything of framing.
                section.reusable = True
                return section.fields, host, 0, False, False, True
        return section.fields, *frame(method, target, version, framing)

    def _begin(self, line: RequestLine, known: Known, events: list[Event]) -> bool:
        self._scanned = self._emptyLines = 0
        method, target, version = line
        fields, authority, length, upgrade, expectsContinue, persistent = known
        if version == "1.0" or not persistent:
            self._persistent = self._persistent and persistent
            self._connectionField = self._chooseConnectionField(version)
        head = self._request = self._headFactory(
            _STREAM, method, target, version, fields, authority, length, upgrade, expectsContinue
        )
        events.append(head)
        if length == 0:
            self._received = True
            return False
        if length is None:
            self._chunkedBody = ChunkedReader(self._ownSection())
            self._receive = self._receiveChunked
        else:
            self._left = length
            self._receive = self._receiveContent
        return True

    def _chooseConnectionField(self, version: str) -> bytes:
        """Section 9.3: what has to be said of what comes after the response."""
        if not self._persistent:
            return b"Connection: close\r\n"
        return b"Connection: keep-alive\r\n" if version == "1.0" else b""

    def _receiveContent(self, events: list[Event]) -> bool:
        piece = self.unread[: self._left]
        self.unread = self.unread[self._left :]
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
            used = reader.read(self.unread, pieces)
        finally:
            if pieces:
                events.append(BodyData(_STREAM, b"".join(pieces)))
        self.unread = self.unread[used:]
        if reader.trailers is None:
            return False
        return self._completeBody(events, reader.trailers)

    def _completeBody(self, events: list[Event], trailers: Fields) -> bool:
        events.append(BodyEnd(_STREAM, trailers))
        self._received = True
        self._receive = self._receiveHead
        if self._answered:
            self._completeExchange()
        return True

    def _completeExchange(self) -> None:
        """Both sides are done: the next request may come, or nothing more (section 9.3)."""
        if not self._received:
            self._answered = True
        elif self._persistent:
            self._expectHead()
        else:
            self._finish()

    def _finish(self) -> None:
        self.finished = True
        self._received = False
        self.close()

    def close(self) -> None:
        """Forget what has come and was not complete."""
        self._receive = self._receiveNothing
        self.unread = b""
        self._dropSection()
        self._chunkedBody = self._line = None

    # What the application says in, octets out:

    def sendInformational(self, streamId: int, status: int, fields: Fields) -> None:
        """An interim response (RFC 9110 section 15.2); HTTP/1.0 has no interim responses."""
        if self._request is not None and self._request.version == "1.1":
            self._say(encodeHead(status, fields) + b"\r\n")

    def sendResponse(
        self, streamId: int, status: int, fields: FieldPairs, length: int | None, body: bytes
    ) -> None:
        """A whole response at once; `length` None: it has no content, not even an empty one."""
        head = rememberedHead(status, fields) if type(fields) is tuple else encodeHead(status, fields)
        if length is None:
            self._say(b"%b%b\r\n" % (head, self._connectionField))
        elif len(body) <= LARGE:
            data = head + self._connectionField + b"Content-Length: %d\r\n\r\n" % length + body
            self._output.append(data)
            self.queued += len(data)
        else:
            self._say(b"%b%bContent-Length: %d\r\n\r\n" % (head, self._connectionField, length))
            self._say(body)
        self._completeExchange()

    def sendHead(
        self, streamId: int, status: int, fields: FieldPairs, length: int | None, hasBody: bool
    ) -> None:
        """The head of a response whose content follows (section 6.3); `length` None: its end will tell."""
        framing = b""
        if length is not None:
            framing = b"Content-Length: %d\r\n" % length
        elif hasBody and self._request is not None and self._request.version == "1.1":
            framing = b"Transfer-Encoding: chunked\r\n"
            self._chunkedResponse = True
        elif hasBody:
            # Without framing: the peer has all of it when the connection has ended.
            self.endsWithConnection = True
            self.beLast()
        self._say(b"%b%b%b\r\n" % (encodeHead(status, fields), self._connectionField, framing))

    def sendBody(self, streamId: int, data: bytes) -> None:
        """A piece of content, not empty."""
        if self._chunkedResponse:
            self._say(b"%x\r\n" % len(data))
            self._say(data)
            self._say(b"\r\n")
        else:
            self._output.append(data)
            self.queued += len(data)

    def sendEnd(self, streamId: int, trailers: Fields) -> None:
        """The content is complete; only the chunked coding can carry `trailers` (section 7.1.2)."""
        if self._chunkedResponse:
            self._chunkedResponse = False
            self._say(b"0\r\n" + encodeFields(trailers) + b"\r\n")
        self._completeExchange()

    def drain(self) -> None:
        """Take on nothing new: the exchange that runs, or whose head is arriving, is the last."""
        self.beLast()
        if self._request is None and not self.unread:
            self._finish()

    def beLast(self) -> None:
        """The exchange that runs, or comes next, is the last."""
        self._persistent = False
        self._connectionField = b"Connection: close\r\n"

    def dataToSend(self) -> bytes:
        """What must be written to the peer next; the wire forgets it.  Ask again while more is `queued`."""
        output = self._output
        if len(output) == 1:
            data = output[0]
        elif self.queued <= LARGE:
            data = b"".join(output)
        else:
            return self._nextPiece()
        output.clear()
        self.queued = 0
        return data

    def _nextPiece(self) -> bytes:
        """Large pieces go alone: to join them with others would be one more copy of all they hold."""
        output = self._output
        count = next((place for place, piece in enumerate(output) if len(piece) > LARGE), len(output)) or 1
        data = output[0] if count == 1 else b"".join(output[:count])
        del output[:count]
        self.queued -= len(data)
        return data

    def _say(self, data: bytes) -> None:
        self._output.append(data)
        self.queued += len(data)
